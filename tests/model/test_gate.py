"""The gate, with figures that a reader can follow by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from math import inf, nan, sqrt

import numpy as np
import pytest

from cropmap.dataset.dataset import Dataset
from cropmap.model.artifact import Manifest
from cropmap.model.calibration import Calibration
from cropmap.model.gate import (
    ChampionScore,
    FoldGain,
    GateReason,
    ModelRequirements,
    Score,
    decide,
    fold_gain,
    knows_classes,
    obstacle,
    unseen_folds,
)
from cropmap.model.strangeness import Familiar
from tests.model.problems import make_dataset

FOLDS = ("FRH01", "FRH02", "FRH03", "FRH04")
FINE = (1e-6, 2e-6)


def score(oa: tuple[float, ...], f1: tuple[float, ...], names: tuple[str, ...] = FOLDS) -> Score:
    """Folds of equal size: the whole is their mean."""
    of = [dict(zip(names, values, strict=True)) for values in (oa, f1)]
    return Score(float(np.mean(oa)), float(np.mean(f1)), of[0], of[1])


CHAMPION = score((0.80, 0.82, 0.84, 0.86), (0.60, 0.62, 0.64, 0.66))


@pytest.mark.parametrize(
    ("oa", "f1", "promoted", "reason"),
    [
        # OA +.01 +.02 +.02 +.03: mean .02, standard error sqrt(.0002/3)/2 = .0041
        ((0.81, 0.84, 0.86, 0.89), (0.60, 0.62, 0.64, 0.66), True, GateReason.GAIN),
        # macro-F1 alone, the same on every fold: no noise at all
        ((0.80, 0.82, 0.84, 0.86), (0.61, 0.63, 0.65, 0.67), True, GateReason.GAIN),
        # OA +.08 -.04 +.01 -.01: mean .01, standard error .026
        ((0.88, 0.78, 0.85, 0.85), (0.60, 0.62, 0.64, 0.66), False, GateReason.NO_GAIN),
        # OA +.02 on one region alone
        ((0.82, 0.82, 0.84, 0.86), (0.60, 0.62, 0.64, 0.66), False, GateReason.NO_GAIN),
        # the same figures
        ((0.80, 0.82, 0.84, 0.86), (0.60, 0.62, 0.64, 0.66), False, GateReason.NO_GAIN),
        # OA rises on every fold, macro-F1 falls by .0025
        ((0.85, 0.87, 0.89, 0.91), (0.60, 0.62, 0.64, 0.65), False, GateReason.WORSE),
        # macro-F1 rises on every fold, OA falls by .0025
        ((0.80, 0.82, 0.84, 0.85), (0.70, 0.72, 0.74, 0.76), False, GateReason.WORSE),
    ],
)
def test_promoted_only_if_nothing_falls_and_one_rises_beyond_the_noise(
    oa: tuple[float, ...], f1: tuple[float, ...], promoted: bool, reason: GateReason
) -> None:
    decision = decide(score(oa, f1), parity=FINE, champion_score=ChampionScore(None, CHAMPION))
    assert (decision.promoted, decision.reason) == (promoted, reason)
    assert "OA 0.8300 -> " in decision.detail


def test_the_noise_is_the_standard_error_of_the_paired_differences() -> None:
    gain = fold_gain({"a": 0.5, "b": 0.7, "c": 0.9}, {"c": 0.9, "a": 0.53, "b": 0.76})
    # +.03 +.06 0: mean .03, variance (0 + .0009 + .0009) / 2
    assert (gain.mean, gain.standard_error) == pytest.approx((0.03, sqrt(0.0009 / 3)))
    assert (gain.up, gain.folds) == (2, 3)
    assert not gain.beyond_noise
    assert FoldGain(0.03, 0.0149, 2, 3).beyond_noise
    assert not FoldGain(0.03, 0.0151, 2, 3).beyond_noise
    assert not FoldGain(0.03, 0.001, 2, 4).beyond_noise, "half of the folds are not more than half"
    assert not FoldGain(0.03, 0.0, 1, 1).beyond_noise
    assert fold_gain({"a": 0.5}, {"a": 0.9}).standard_error == inf


BETTER = score((0.9, 0.92, 0.94, 0.96), (0.8, 0.82, 0.84, 0.86))
OTHER_NAMES = score((0.8, 0.8), (0.6, 0.6), ("FRH01", "FRH02"))


@pytest.mark.parametrize(
    ("challenger", "parity", "champion_score", "reason"),
    [
        (replace(BETTER, macro_f1=nan), FINE, ChampionScore(None, CHAMPION), GateReason.MISSING_METRIC),
        (replace(BETTER, fold_macro_f1={}), FINE, ChampionScore(None, CHAMPION), GateReason.MISSING_METRIC),
        (replace(BETTER, fold_oa={}, fold_macro_f1={}), FINE, None, GateReason.MISSING_METRIC),
        (replace(BETTER, fold_oa={**BETTER.fold_oa, "FRH04": nan}), FINE, None, GateReason.MISSING_METRIC),
        (BETTER, FINE, ChampionScore(None, None), GateReason.MISSING_METRIC),
        (BETTER, FINE, ChampionScore(None, replace(CHAMPION, oa=nan)), GateReason.MISSING_METRIC),
        (BETTER, (1e-6, 0.01), ChampionScore(None, CHAMPION), GateReason.PARITY),
        (BETTER, (1e-6, nan), None, GateReason.PARITY),
        (BETTER, (), None, GateReason.PARITY),
        (BETTER, FINE, ChampionScore(GateReason.OTHER_LEGEND, None), GateReason.OTHER_LEGEND),
        (BETTER, FINE, ChampionScore(GateReason.OTHER_BANDS, None), GateReason.OTHER_BANDS),
        (BETTER, FINE, ChampionScore(GateReason.OTHER_FOLDS, None), GateReason.OTHER_FOLDS),
        (BETTER, FINE, ChampionScore(GateReason.LATER_DATA, None), GateReason.LATER_DATA),
        (BETTER, FINE, ChampionScore(None, OTHER_NAMES), GateReason.OTHER_FOLDS),
    ],
)
def test_whatever_is_missing_or_does_not_fit_refuses(
    challenger: Score, parity: tuple[float, ...], champion_score: ChampionScore | None, reason: GateReason
) -> None:
    decision = decide(challenger, parity=parity, champion_score=champion_score)
    assert (decision.promoted, decision.reason) == (False, reason)


def test_the_first_model_becomes_champion_when_it_is_sound() -> None:
    decision = decide(BETTER, parity=FINE, champion_score=None)
    assert (decision.promoted, decision.reason) == (True, GateReason.FIRST_MODEL)


RULE = "region, NUTS 2021, 200 m"


ABOUT = {"legend": "L1", "last_acquisition": "2018-08-30", "folds": RULE}


def made_for(
    dataset: Dataset, *, fold_names: tuple[str, ...] | None = None, about: Mapping[str, str] = ABOUT
) -> Manifest:
    return Manifest(
        architecture="lstm",
        crops=dataset.crops,
        bands=dataset.series.bands,
        min_clear_fraction=0.5,
        calibration=Calibration(1.0, (0.0,) * 3),
        familiar=Familiar((), (), ()),
        folds_made_by="region",
        fold_names=fold_names or dataset.folds.names,
        dataset_hash=dataset.hash,
        config={},
        seed=1,
        code_version="x",
        evaluation={},
        parity=FINE,
        files={},
        about=about,
    )


DATASET = make_dataset(30)  # ten parcels each in FRH01, FRH02, FRH03


required = partial(
    ModelRequirements,
    bands=("B04", "B08"),
    legend="L1",
    classes=DATASET.crops,
    last_day="2018-12-31",
    folds=RULE,
    dataset=DATASET,
)
OTHER = make_dataset(30, seed=8)
"""another year of the same regions and crops"""
SPELT = (*DATASET.crops, "spelt")


@pytest.mark.parametrize(
    ("season", "reason"),
    [
        (required(), None),
        (required(dataset=OTHER), None),
        (required(dataset=OTHER, last_day="2018-08-30"), None),
        (required(dataset=OTHER, last_day="2018-08-29"), GateReason.LATER_DATA),
        (required(dataset=OTHER, bands=("B08", "B04")), GateReason.OTHER_BANDS),
        (required(dataset=OTHER, folds="file abc"), GateReason.OTHER_FOLDS),
        (required(dataset=OTHER, folds=""), GateReason.OTHER_FOLDS),
        # of a season of the past nothing else is asked: no newer champion can judge it anyway
        (required(dataset=OTHER, last_day="2018-08-29", bands=("B08", "B04")), GateReason.LATER_DATA),
        (required(dataset=OTHER, last_day="2018-08-29", legend="L2", classes=("maize",)), GateReason.LATER_DATA),
        # the very data that it was made from: nothing stands between
        (required(folds="file abc"), None),
        (required(last_day="2018-08-29"), None),
        (required(legend="L2", classes=SPELT), None),
    ],
)
def test_what_stands_between_a_model_and_a_season(season: ModelRequirements, reason: GateReason | None) -> None:
    assert obstacle(made_for(DATASET), season) == reason


@pytest.mark.parametrize(
    ("classes", "declared", "made_with", "fits"),
    [
        (SPELT, DATASET.crops, DATASET.crops, True),  # a class that nobody declares
        (SPELT, SPELT, DATASET.crops, False),  # a new class that is declared
        (SPELT, SPELT, SPELT, True),  # it was in the legend, and too rare to be learnt
        (DATASET.crops[:2], DATASET.crops[:2], DATASET.crops, False),  # the model says what the legend has no more
        (DATASET.crops, DATASET.crops, SPELT, True),  # a class is gone that the model never learnt
        (SPELT, DATASET.crops, None, True),  # an older manifest has the hash of its legend alone
        (SPELT, SPELT, None, False),
    ],
)
def test_a_legend_is_another_one_where_somebody_notices(
    classes: tuple[str, ...], declared: tuple[str, ...], made_with: tuple[str, ...] | None, fits: bool
) -> None:
    about = {"legend": "L1", "last_acquisition": "2018-08-30", "folds": RULE}
    model = made_for(DATASET, about=about | ({"classes": json.dumps(made_with)} if made_with else {}))
    assert knows_classes(model, declared=declared, legend="L2", classes=classes) == fits
    season = required(dataset=replace(OTHER, crops=declared if len(declared) > 2 else OTHER.crops), legend="L2")
    if len(declared) > 2:
        found = obstacle(model, replace(season, classes=classes))
        assert found == (None if fits else GateReason.OTHER_LEGEND)


def test_a_model_that_says_nothing_of_itself_fits_nowhere_else() -> None:
    assert obstacle(made_for(DATASET, about={}), required(dataset=OTHER)) == GateReason.LATER_DATA
    about = {"last_acquisition": "2018-08-30"}
    assert obstacle(made_for(DATASET, about=about), required(dataset=OTHER)) == GateReason.OTHER_FOLDS


def test_folds_of_another_season_are_matched_by_name_never_by_number() -> None:
    # trained when FRH02 had no labelled parcel, and FRH09 had some
    champion = made_for(make_dataset(40), fold_names=("FRH01", "FRH03", "FRH09"))
    fold = unseen_folds(champion, required())
    assert fold is not None
    np.testing.assert_array_equal(fold, [0] * 10 + [-1] * 10 + [1] * 10)
    unlabelled = replace(DATASET.folds, fold=np.where(np.arange(30) == 25, -1, DATASET.folds.fold).astype(np.int16))
    fold = unseen_folds(champion, required(dataset=replace(DATASET, folds=unlabelled)))
    assert fold is not None
    assert fold[24:27].tolist() == [1, -1, 1]
