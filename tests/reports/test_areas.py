"""Rows at the door of a report: hidden cells lose their figures, and a hidden crop's place tells nothing."""

from __future__ import annotations

import pandas as pd
import pytest

from cropmap.reports.areas import crop_areas, crop_label, head_region
from tests.dissemination.published import hidden, row
from tests.reports.seasons import ITEMS, NAMES, SUMS, areas, published


def test_hidden_cells_have_no_figures() -> None:
    found = areas()
    assert {(cell.nuts_id, cell.crop) for cell in found.hidden} == {
        ("FRH0", "R1000"),
        ("FRH03", "C1110"),
        ("FRH02", "C1500"),
        ("FRH03", "R1000"),
    }
    assert "777.77" not in repr(found)
    wheat = found.at("FRH01", "C1110")
    assert wheat is not None
    assert (wheat.estimate_ha, wheat.cv) == (1_234.56, 0.31)


@pytest.mark.parametrize("secret_ha", [0.01, 1e9])
def test_the_order_of_crops_does_not_know_hidden_sizes(secret_ha: float) -> None:
    rows = published()
    rows.loc[rows["conf_status"] == "C", "estimate_ha"] = secret_ha
    found = crop_areas(rows, head="FRH0", names=NAMES, items=ITEMS, sums=SUMS)
    assert [crop.code for crop in found.crops] == [
        "C1110",
        "C1500+G3000",
        "C1500",
        "G3000",
        "local:other_uses",
        "R1000",
    ]


def test_confidential_rows_stand_last_in_a_region() -> None:
    rows = pd.concat([published(), pd.DataFrame([row("FRH02", "R1000", 3.0)])])
    found = crop_areas(rows, head="FRH0", names=NAMES, items=ITEMS, sums=SUMS)
    (region,) = (one for one in found.regions if one.nuts_id == "FRH02")
    assert [(crop.code, cell.figures is None) for crop, cell in found.of(region)] == [
        ("C1110", False),
        ("R1000", False),
        ("C1500", True),
    ]


def test_a_sum_is_drawn_only_where_its_parts_cannot_be() -> None:
    assert [crop.code for crop in areas().drawn] == ["C1110", "C1500", "G3000"]
    rows = [hidden("FRH0", "C1500"), hidden("FRH0", "G3000"), row("FRH0", "C1500+G3000", 9.0)]
    apart = crop_areas(pd.DataFrame(rows), head="FRH0", names={}, items=ITEMS, sums=SUMS)
    assert [crop.code for crop in apart.drawn] == ["C1500+G3000"]


def test_regions_outside_the_head_are_left_out() -> None:
    found = crop_areas(published(), head="FRH01", names=NAMES, items=ITEMS, sums=SUMS)
    assert [region.name for region in found.regions] == ["Côtes-d'Armor"]
    assert [crop.code for crop in found.crops] == ["C1110", "C1500"]


@pytest.mark.parametrize(
    ("codes", "asked", "head"),
    [
        (["FR", "FRH", "FRH0", "FRH01", "FRH02"], None, "FRH0"),
        (["FR", "FRH", "FRH0", "FRH01", "FRH02"], "FR", "FR"),
        (["DE", "DE2", "DE21", "DE22", "DE211", "DE221"], None, "DE2"),
        (["FRH01"], "FRH", "FRH01"),
        (["DE211", "FRH01"], None, None),
    ],
)
def test_the_head_is_what_was_asked_for_or_the_smallest_that_holds_all(
    codes: list[str], asked: str | None, head: str | None
) -> None:
    assert head_region(codes, asked=asked) == head


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("C1500", "Grain maize"),
        ("C1500+G3000", "Grain maize + Green maize"),
        ("local:other_uses", "Other uses"),
        ("local:fodder_unspecified", "Fodder, use not specified"),
        ("local:C1500_unspecified", "Grain maize, use not specified"),
        ("C9999", "C9999"),
    ],
)
def test_crops_have_names(code: str, label: str) -> None:
    assert crop_label(code, ITEMS) == label
