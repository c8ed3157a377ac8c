"""The networks on simulated Brittany, where the truth is known: beside the published BreizhCrops networks on the same
folds in one run, by date, and with more or fewer wrong declarations.

The simulation's difficulty was tuned, so these figures compare methods and say nothing about Brittany.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.assessments.suspects import suspects
from cropmap.breizhcrops.training import PUBLISHED, CompatConfig, evaluate_compat
from cropmap.dataset.dataset import Dataset
from cropmap.legends import Legend
from cropmap.model.early import score_by_date
from cropmap.model.evaluation import Evaluation
from cropmap.model.fitting import OutOfFold, evaluate_out_of_fold
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from cropmap.stages.training import OutOfFoldScores
from tests.studies.brittany import SEASON_YEAR, Brittany, simulated_brittany
from tests.studies.random_split import random_split_gap

IN_SEASON: Final = date(SEASON_YEAR, 6, 15)
WRONG_SHARES: Final = (0.0, 0.03, 0.10)
LEGEND: Final = "fr_breizhcrops13"
ALL_PIXELS: Final = 100.0
"""every simulated parcel is large enough to be assessed here: this is about labels"""


def measure_networks(
    settings: Settings, *, parcels: int, seed: int, compat_epochs: int | None, config: TrainingConfig
) -> list[dict[str, Any]]:
    """Both networks, and the published ones on the same folds; ours also by 15 June and on random folds.

    What can be known on 15 June is shown by networks that were trained on nothing else.
    """
    dataset, store = simulated_brittany(parcels=parcels, seed=seed).dataset, settings.open_store()
    until = replace(dataset, series=dataset.series.until(IN_SEASON))
    rows = []
    for architecture in Architecture:
        config = replace(config, architecture=architecture)
        found = evaluate_out_of_fold(store, dataset, config, seed=seed, workers=settings.threads)
        early = score_by_date(dataset, found, days=(IN_SEASON,))[0]
        alone = evaluate_out_of_fold(
            store, until, replace(config, truncate_rate=0), seed=seed, workers=settings.threads
        )
        gap = random_split_gap(store, dataset, config, seed=seed, workers=settings.threads)
        more = {
            "OA by 15 June": _text(early.oa),
            "trained for 15 June alone": _text(alone.evaluation.oa),
            "random - spatial OA": f"{gap.oa:+.3f}",
        }
        rows.append({"network": f"{architecture}", **_row(found.evaluation), **more})
    for architecture in PUBLISHED:
        compat = CompatConfig.published(architecture, epochs=compat_epochs)
        result = evaluate_compat(store, dataset, compat, seed=seed)
        name = f"{architecture}, BreizhCrops compat ({compat.epochs} epochs)"
        rows.append({"network": name, **_row(result.evaluation), **dict.fromkeys(more, "")})
    return rows


def measure_noise(
    settings: Settings, *, parcels: int, seed: int, config: TrainingConfig, rounds: int = 2
) -> list[dict[str, Any]]:
    """Accuracy against what grows, for a growing share of wrong declarations: trained on all of them, and again
    without those that look wrong to networks that never saw them."""
    store = settings.open_store()
    rows = []
    for share in WRONG_SHARES:
        season = simulated_brittany(parcels=parcels, seed=seed, wrong_share=share)
        left_out = np.zeros(parcels, bool)
        for round_ in range(rounds + 1):
            found = evaluate_out_of_fold(
                store, season.dataset, config, seed=seed, suspects=left_out, workers=settings.threads
            )
            if round_ == 0:
                plain = _against_truth(found, season)
            if round_ < rounds:
                left_out = _suspects(found, season.dataset, seed=seed)
        wrong = season.truth != season.dataset.label
        rows.append(
            {
                "wrong declarations": f"{share:.0%}",
                "OA against truth, trained on all": f"{plain:.3f}",
                "without suspects": f"{_against_truth(found, season):.3f}",
                "OA against declarations": f"{found.evaluation.oa:.3f}",
                "suspects": int(left_out.sum()),
                "of them wrong": f"{wrong[left_out].mean():.2f}" if left_out.any() else "",
            }
        )
    return rows


def _suspects(found: OutOfFold, dataset: Dataset, *, seed: int) -> NDArray[np.bool_]:
    legend, series = Legend.read(LEGEND), dataset.series
    code_of = {legend.crop_of(code): code for code in legend.by_code}
    parcels = pd.DataFrame(
        {
            "parcel_id": series.parcel_ids,
            "pixels": ALL_PIXELS,
            "has_geometry": True,
            "crop_code": [code_of[dataset.crops[k]] if k >= 0 else None for k in dataset.label],
        }
    )
    scores = OutOfFoldScores(series.parcel_ids, dataset.crops, found.cross_fit.logits, series.lengths)
    return np.isin(series.parcel_ids, sorted(suspects(parcels, scores, legend, seed=seed)))


def _against_truth(found: OutOfFold, season: Brittany) -> float:
    judged = season.dataset.judged & (season.truth >= 0)
    return float((found.probabilities[judged].argmax(axis=1) == season.truth[judged]).mean())


def _row(scores: Evaluation) -> dict[str, Any]:
    figures = {
        "OA": scores.oa,
        "kappa": scores.kappa,
        "macro F1": scores.macro_f1,
        "ECE": scores.ece,
        "ECE by chance": scores.ece_by_chance,
    }
    return {"n": scores.n, **{name: _text(value) for name, value in figures.items()}}


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
