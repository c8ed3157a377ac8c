"""What a reviewed sample says of areas: its crops, and whom each reviewed parcel stands for."""

from __future__ import annotations

import pandas as pd
import pytest

from cropmap.stages.findings import AreaReviews, ReviewedLabels, judged

Row = tuple[str, str, float, float, str, str | None, str | None]
"""parcel, stratum, ha, inclusion probability, declared code, finding, found code"""


def sample(*rows: Row) -> AreaReviews:
    names = ["parcel_id", "stratum", "area_ha", "inclusion_probability", "declared_code", "finding", "found_code"]
    return judged(pd.DataFrame(list(rows), columns=names).astype({"finding": object, "found_code": object}), "c1")


def codes(found: AreaReviews) -> dict[str, str]:
    return dict(zip(found.table["parcel_id"], found.table["found_code"], strict=True))


def chances(found: AreaReviews) -> list[float]:
    return [float(chance) for chance in found.table["inclusion_probability"]]


def test_what_was_found_is_the_declared_crop_or_another() -> None:
    found = sample(
        ("a", "s", 1.0, 0.5, "BTH", "right", None),
        ("b", "s", 1.0, 0.5, "BTH", "wrong", "MIE"),
        ("c", "s", 1.0, 0.5, "BTH", "right", "MIE"),  # right: a code beside it says nothing
    )
    assert codes(found) == {"a": "BTH", "b": "MIE", "c": "BTH"}
    assert chances(found) == [0.5, 0.5, 0.5], "all were judged: each stands for what it was drawn for"


def test_who_was_judged_stands_for_who_was_not() -> None:
    """Two of equal weight were drawn and one judged: it was drawn and judged with half the probability. A parcel of
    another stratum makes up for nothing here."""
    found = sample(
        ("a", "s", 1.0, 0.5, "BTH", "right", None),
        ("b", "s", 1.0, 0.5, "BTH", "cannot_tell", None),
        ("c", "t", 1.0, 0.5, "BTH", "right", None),
    )
    assert dict(zip("ac", chances(found), strict=True)) == {"a": 0.25, "c": 0.5}


def test_weight_is_area_by_probability() -> None:
    """3 ha at .5 stand for 6 ha, 1 ha at .25 for 4 ha: of 10 ha that were drawn 6 were judged."""
    found = sample(("a", "s", 3.0, 0.5, "BTH", "right", None), ("b", "s", 1.0, 0.25, "BTH", None, None))
    assert chances(found) == [pytest.approx(0.5 * 0.6)]


def test_a_crop_that_nobody_named_is_counted_and_no_finding() -> None:
    found = sample(
        ("a", "s", 1.0, 0.5, "BTH", "wrong", None),
        ("b", "s", 1.0, 0.5, "BTH", "right", None),
        ("c", "s", 1.0, 0.5, "BTH", "cannot_tell", "MIE"),
        ("d", "s", 1.0, 0.5, "BTH", None, None),
    )
    assert codes(found) == {"b": "BTH"}
    assert (found.report.campaign, found.report.drawn, found.report.judged) == ("c1", 4, 1)
    assert found.report.wrong_without_crop == 1
    assert chances(found) == [pytest.approx(0.125)]


def test_a_key_is_of_the_findings_and_not_of_their_order() -> None:
    one, other = ("a", "s", 1.0, 0.5, "BTH", "right", None), ("b", "s", 1.0, 0.5, "BTH", "wrong", "MIE")
    assert sample(one, other).key == sample(other, one).key != sample(one).key
    assert sample(("a", "s", 1.0, 0.5, "BTH", None, None)).key == (), "nothing was found: a run is not another for it"


def test_a_label_is_remade_for_what_was_found_and_for_which_side() -> None:
    nothing = ReviewedLabels(frozenset(), frozenset())
    assert nothing.key == ()
    keys = {
        ReviewedLabels(frozenset(wrong), frozenset(right)).key
        for wrong, right in (("a", ""), ("", "a"), ("ab", ""), ("a", "b"), ("b", "a"))
    }
    assert len(keys) == 5
    assert ReviewedLabels(frozenset("ab"), frozenset()).key == ReviewedLabels(frozenset("ba"), frozenset()).key
