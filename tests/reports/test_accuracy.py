"""Accuracies with standard errors, worked out by hand, and the classes that must not be shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cropmap.legends import Legend, LegendEntry
from cropmap.reports.accuracy import AGREEMENT_COLUMNS, accuracy, confidential_classes, magnitude, ratio
from tests.reports.seasons import agreement


def test_a_ratio_over_holdings() -> None:
    # three holdings with 2 of 2, 1 of 2 and 3 of 4 right: 6 / 8; residuals .5, -.5, 0
    found = ratio(np.array([2.0, 1.0, 3.0]), np.array([2.0, 2.0, 4.0]))
    assert found.value == 0.75
    assert found.se == pytest.approx((3 / 2 * 0.5) ** 0.5 / 8)
    assert ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])).se is None


def test_overall_users_and_producers_accuracy() -> None:
    found = accuracy(agreement(), hidden=())
    assert found is not None
    # 48 parcels of wheat of which 4 are taken for maize, 24 of maize: 68 of 72 are right
    assert found.overall.value == 0.944
    wheat = next(one for one in found.classes if one.crop == "wheat")
    assert (wheat.users.value, wheat.producers.value) == (1.0, 0.92)
    # holdings: 8 with 0 and 4 with 1 of 4 wrong; residuals 1/3 and -2/3; 12/11 (8/9 + 16/9) / 48²
    assert wheat.producers.se == round((12 / 11 * 24 / 9) ** 0.5 / 48, 3)
    maize = next(one for one in found.classes if one.crop == "maize")
    assert (maize.users.value, maize.producers.value) == (0.86, 1.0)  # 24 of 28
    assert found.not_shown == 0


def test_classes_that_are_confidential_or_small_are_left_out() -> None:
    rare = pd.DataFrame([("1", "hops", "hops", 3)], columns=list(AGREEMENT_COLUMNS))
    found = accuracy(pd.concat([agreement(), rare]), hidden={"maize"})
    assert found is not None
    assert [one.crop for one in found.classes] == ["wheat"]
    assert found.not_shown == 2


def test_nothing_to_compare() -> None:
    assert accuracy(pd.DataFrame(columns=list(AGREEMENT_COLUMNS)), hidden=()) is None


@pytest.mark.parametrize(
    ("count", "words"), [(99, "fewer than 100"), (100, "100 to 1\u202f000"), (75_000, "10\u202f000 to 100\u202f000")]
)
def test_counts_are_said_by_their_power_of_ten(count: int, words: str) -> None:
    assert magnitude(count) == words


@pytest.mark.parametrize(
    ("crops", "classes"),
    [
        ({"C1500": True, "G3000": True, "C1500+G3000": False, "C1110": False}, set()),
        ({"C1500": False, "G3000": False, "C1500+G3000": True, "C1110": True}, {"corn", "wheat"}),
        ({"C1500": False, "G3000": True, "local:misc": True}, {"corn", "misc"}),
        ({"C1500": False, "local:corn_unspecified": True}, {"corn"}),
        ({}, set()),
    ],
)
def test_a_class_is_confidential_as_it_is_published(crops: dict[str, bool], classes: set[str]) -> None:
    codes = [("1", "corn", "C1500"), ("2", "corn", "G3000"), ("3", "wheat", "C1110"), ("4", "misc", None)]
    entries = tuple(LegendEntry(code, code, crop, item, crop) for code, crop, item in codes)
    assert confidential_classes(Legend("by hand", entries, "0"), crops) == classes
