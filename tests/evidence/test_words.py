"""Sentences of a page: that they claim no more than the figures behind them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from cropmap.evidence import words
from cropmap.evidence.sheet import Sheet, Shown
from tests.evidence.sheets import FACTS, band, sheet


def judged(**changes: Any) -> Sheet:
    plain = sheet()
    return replace(plain, judged=replace(plain.judged, **changes))


def curve_of(*ndvi: float) -> Sheet:
    days = np.arange(40, 40 + 10 * len(ndvi), 10)
    sure = np.ones(len(ndvi))
    shown = Shown(days, np.array(ndvi, np.float32), sure.astype(np.float32), sure.astype(bool), ())
    return sheet(shown=shown, declared_band=band("corn", 0.2, 0.5), predicted_band=None)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0049, "< 1 %"),
        (0.005, "< 1 %"),  # exactly between 0 and 1 goes to the even digit: 0 % would claim certainty
        (0.0051, "1 %"),
        (0.9949, "99 %"),
        (0.995, "> 99 %"),  # between 99 and 100, the even digit is that of 100
        (1.0, "> 99 %"),
        (float("nan"), "-"),
    ],
)
def test_nothing_is_rounded_to_certainty(share: float, said: str) -> None:
    assert words.percent(share) == said


def test_a_crop_without_a_class_has_a_name_all_the_same() -> None:
    assert words.crop_words("winter_wheat") == "winter wheat"
    assert words.crop_words(None) == "no class"


def test_a_day_is_said_without_a_leading_zero() -> None:
    assert words.day_words(date(2018, 6, 5)) == "5 June 2018"


@pytest.mark.parametrize(
    ("ndvi", "said"),
    [
        ((0.3, 0.4), "outside the band of corn on 0 of 2."),  # no brackets where none is outside
        ((0.2, 0.5), "outside the band of corn on 0 of 2."),  # the edges belong to the band
        ((0.19, 0.4, 0.51, 0.6), "outside the band of corn on 3 of 4 (1 below, 2 above)."),
    ],
)
def test_dates_outside_a_band_are_counted(ndvi: tuple[float, ...], said: str) -> None:
    assert words.curve(curve_of(*ndvi)) == f"On the clear dates its NDVI lies {said}"


def test_without_a_clear_date_nothing_is_said_of_the_curve() -> None:
    assert words.curve(curve_of()) == ""
    assert words.curve(replace(curve_of(0.3), declared_band=None)) == ""


def test_who_judged_says_whether_it_learnt_from_the_declaration() -> None:
    """The model of a fold never saw it; the mean of all models is used where none of them did."""
    assert words.who_judged(judged(n_observations=4, scored_by="fold 2")).endswith(f"by fold 2: {FACTS.separation}.")
    mean = words.who_judged(judged(n_observations=4, scored_by="mean of 5 models"))
    assert mean.endswith("none of them was trained on this declaration.")
    assert words.who_judged(judged(n_observations=0)) == ""
    assert words.who_judged(judged(scored_by="")) == ""


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (True, "This parcel is one of 32 on the list"),
        (False, "This parcel is not on the list of 32"),
        (None, "The list of mismatches has 32 parcels"),
    ],
)
def test_a_parcel_is_on_the_list_or_not_or_none_is_meant(listed: bool | None, said: str) -> None:
    assert words.list_statement(FACTS, listed=listed)[0].startswith(said)


def test_the_reliability_of_a_list_says_what_it_rests_on() -> None:
    said = " ".join(words.list_statement(FACTS))
    assert "an estimated 9 % are right declarations all the same (aimed at: 10 %)" in said
    assert "Under other assumptions it would be 7 % to 21 %." in said
    certain = " ".join(words.list_statement(replace(FACTS, sensitivity=(0.09, 0.09), target=None)))
    assert "other assumptions" not in certain, "an interval of no width says nothing"
    assert "aimed at" not in certain


def test_a_run_without_a_list_claims_no_rate() -> None:
    said = words.list_statement(replace(FACTS, estimated_rate=None, flags=0), listed=False)
    assert said == (f"This run has no list of mismatches. Reliability: {FACTS.reliability}.",)


def test_a_reason_that_is_no_code_of_ours_is_said_as_it_is() -> None:
    """A run of a later version may have reasons that this one does not know."""
    assert "SOMETHING_ELSE" in words.reason(judged(reason="SOMETHING_ELSE"))


def test_a_declaration_without_a_name_has_no_empty_brackets() -> None:
    assert words.reason(judged(declared_name=""))[0].startswith("Declared is MIS, that is corn, on 1.25 ha.")
    assert words.title(judged(verdict="conform")) == 'Parcel A/7 "x" fits its declaration'
    assert words.title(judged(verdict="unheard_of")).endswith("unheard_of")
