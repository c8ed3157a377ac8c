"""Exploded multi-part parcels: squares of one hectare, so that every area can be computed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shapely

from cropmap.agency import Agency
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import Declarations, read_declarations
from tests.data.make_sources_declarations import make_frame, make_legend, square

NAMES = ("id", "code", "farm", "ha")
COLUMNS = {"parcel_id": "id", "crop_code": "code", "holding_id": "farm", "area": "ha"}
NOTHING = float("nan")


def read(folder: Path, *rows: tuple[Any, ...], layers: int = 1) -> Declarations:
    frame = make_frame(rows, *NAMES)
    for layer in range(layers):
        frame.iloc[layer::layers].to_file(folder / "d.gpkg", layer=f"fields_{layer}")
    profile = Profile(columns=COLUMNS, layer="fields_*")
    found = read_declarations(folder / "d.gpkg", legend=make_legend("056", "1200"), profile=profile)
    assert len(found.accepted) + found.merged + len(found.rejected) == found.row_count == len(rows)
    return found


def areas(found: Declarations) -> dict[str, tuple[float, float]]:
    """parcel -> (drawn, declared) ha."""
    columns = (found.accepted["parcel_id"], found.accepted["area_ha"].round(3), found.accepted["declared_area_ha"])
    return {parcel: (drawn, declared) for parcel, drawn, declared in zip(*columns, strict=True)}


def test_a_claim_for_the_whole_on_every_row(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        ("P1", "056", "h", 2.0, square(0)),
        ("P2", "056", "h", 1.0, square(9)),
        ("P1", "056", "h", 2.0, square(3)),
    )
    assert areas(found) == {"P1": (2.0, 2.0), "P2": (1.0, 1.0)}
    assert found.accepted.geometry.iloc[0].geom_type == "MultiPolygon"
    assert found.merged == 1
    assert found.notices[["row_number", "parcel_id", "notice", "detail"]].to_numpy().tolist() == [
        [1, "P1", "PARTS_MERGED", "with row 3"]
    ]


@pytest.mark.parametrize("claims", [(1.0, 1.0, 2.0), (2.0, 2.0, 4.0), (1.02, 2.04, 3.06), (NOTHING, 3.0, 3.0)])
def test_a_claim_for_each_part_or_on_one_row(tmp_path: Path, claims: tuple[float, float, float]) -> None:
    """Two parts of 1 and 2 ha (or both of the claim's size where both claim the same)."""
    first, second, whole = claims
    widths = (100.0 * first, 100.0 * second) if first == second else (100.0, 200.0)
    found = read(
        tmp_path,
        ("P1", "056", "h", first, square(0, width_m=widths[0])),
        ("P1", "056", "h", second, square(4, width_m=widths[1])),
    )
    assert areas(found) == {"P1": (round(sum(widths) / 100, 3), whole)}


def test_parts_that_touch_are_one_outline(tmp_path: Path) -> None:
    east = shapely.affinity.translate(square(0), 100, 0)
    found = read(tmp_path, ("P1", "056", "h", NOTHING, square(0)), ("P1", "056", "h", NOTHING, east))
    assert found.accepted.geometry.iloc[0].geom_type == "Polygon"
    assert found.accepted["area_ha"].round(3).tolist() == [2.0]


def test_parts_in_several_layers(tmp_path: Path) -> None:
    rows = [(f"P{i % 3}", "056", "h", 2.0, square(3 * i)) for i in range(6)]
    found = read(tmp_path, *rows, layers=2)
    assert set(areas(found).values()) == {(2.0, 2.0)}
    assert found.merged == 3


def test_a_parcel_whose_parts_contradict_its_claim_is_rejected_row_by_row(tmp_path: Path) -> None:
    found = read(tmp_path, ("P1", "056", "h", 9.0, square(0)), ("P1", "056", "h", 9.0, square(3)))
    assert found.accepted.empty
    assert found.rejected["reason"].tolist() == ["AREA_CONTRADICTS_GEOMETRY"] * 2
    assert found.rejected["detail"].tolist() == [
        "declared 9.00 ha, drawn 2.00 ha",
        "declared 9.00 ha, drawn 2.00 ha, as a parcel with row 1",
    ]


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (("P1", "1200", "h", 1.0, square(3)), "another crop"),
        (("P1", "056", "other", 1.0, square(3)), "another holding"),
        (("P1", "056", "h", 1.0, square(0)), "the same ground again"),
        (("P1", "056", "h", 1.0, shapely.affinity.translate(square(0), 50, 0)), "half of the same ground"),
        (("P1", "056", "h", 1.15, square(3)), "a claim that is neither the whole's nor its own"),
        (("P1", "056", "h", 1.0, square(400)), "80 km away"),
    ],
)
def test_what_is_no_part_stays_a_repeated_identifier(tmp_path: Path, second: tuple[Any, ...], why: str) -> None:
    found = read(tmp_path, ("P1", "056", "h", 1.0, square(0)), second)
    assert found.merged == 0, why
    assert found.rejected[["row_number", "reason"]].to_numpy().tolist() == [[2, "DUPLICATE_PARCEL_ID"]]


def test_far_parts_belong_together_where_the_claim_says_so(tmp_path: Path) -> None:
    found = read(tmp_path, ("P1", "056", "h", 2.0, square(0)), ("P1", "056", "h", 2.0, square(400)))
    assert areas(found) == {"P1": (2.0, 2.0)}


def test_strangers_without_an_identifier_are_not_put_together(tmp_path: Path) -> None:
    rows = [("NULL", "056", "h", NOTHING, square(i)) for i in range(4)] + [("0", "056", "h", NOTHING, square(9))]
    found = read(tmp_path, *rows)
    assert found.accepted["parcel_id"].tolist() == ["0"], "one that stands once may be right"
    assert found.rejected["reason"].tolist() == ["MISSING_PARCEL_ID"] * 4
    assert found.rejected["detail"].iloc[0] == "'NULL' names no parcel"


@pytest.mark.shared_data
def test_the_reported_file_keeps_its_six_parcels(shared_data: Path) -> None:
    folder = shared_data / "cases/input/04-multipart-exploded"
    agency = Agency.read(folder / "agency.yaml")
    found = read_declarations(folder / "fields.gpkg", legend=agency.read_legend(), profile=agency.read_profile())
    assert (len(found.accepted), found.merged, len(found.rejected)) == (6, 3, 0)
    assert found.accepted["area_ha"].sum() == pytest.approx(36.0, abs=0.01)
