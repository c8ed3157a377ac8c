"""A list held against the truth of a simulation, counted by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from cropmap.assessments.evaluation import TruthCheck, against_truth
from tests.assessments.population import legend

Row = tuple[str, str | None, str, str]
"""parcel, declared crop, verdict, true crop"""


def checked(*rows: Row, groups: dict[str, str] | None = None, strangers: tuple[str, ...] = ()) -> TruthCheck:
    table = pd.DataFrame([row[:3] for row in rows], columns=["parcel_id", "declared_crop", "verdict"])
    truth = {parcel: crop for parcel, _, _, crop in rows if parcel not in strangers}
    return against_truth(table.astype(object), truth, legend(groups))


def test_precision_and_recall() -> None:
    """Four declarations are wrong: two are flagged, one is inconclusive, one cannot be assessed. One flag is wrong."""
    found = checked(
        ("a", "corn", "mismatch", "wheat"),
        ("b", "corn", "mismatch", "rape"),
        ("c", "corn", "mismatch", "corn"),
        ("d", "corn", "inconclusive", "wheat"),
        ("e", "corn", "not_assessable", "wheat"),
        ("f", "wheat", "conform", "wheat"),
    )
    assert (found.n, found.wrong, found.flags) == (6, 4, 3)
    assert found.precision == pytest.approx(2 / 3)
    assert found.recall == pytest.approx(2 / 4)
    assert found.recall_assessable == pytest.approx(2 / 3)


def test_inside_a_group_that_is_never_held_apart_a_declaration_is_right() -> None:
    grass = {"meadow": "grass", "pasture": "grass"}
    rows: list[Row] = [("a", "meadow", "mismatch", "pasture"), ("b", "meadow", "mismatch", "corn")]
    assert checked(*rows, groups=grass).wrong == 1
    assert checked(*rows).wrong == 2


def test_what_has_no_truth_or_no_class_is_not_counted() -> None:
    rows: list[Row] = [
        ("a", "corn", "mismatch", "wheat"),
        ("b", None, "not_assessable", "wheat"),
        ("c", "corn", "mismatch", "corn"),
    ]
    found = checked(*rows, strangers=("c",))
    assert (found.n, found.flags, found.precision) == (1, 1, 1.0)


def test_a_share_of_nothing_is_none() -> None:
    clean = checked(("a", "corn", "conform", "corn"))
    assert math.isnan(clean.precision)
    assert math.isnan(clean.recall)
    missed = checked(("a", "corn", "conform", "wheat"))
    assert math.isnan(missed.precision)
    assert missed.recall == 0.0
