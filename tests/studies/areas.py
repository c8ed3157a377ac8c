"""Area estimates held against the truth: coverage, bias and error on simulated populations, with and without reviews.

In: a population whose truth is known. Out: per region and crop the estimate with its interval, and what the register,
the map and the plain difference estimator say. `estimate_areas` and `draw_area_sample` are the product's; scores come
from the light classifier, each region scored by the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, softmax

import cropmap
from cropmap.bench.estimate import plain_legend
from cropmap.legends import Legend
from cropmap.progress import track
from cropmap.provenance import files_hash
from cropmap.simulation.crops import CROPS
from cropmap.simulation.landscape import REGIONS
from cropmap.simulation.randomness import stream
from cropmap.statistics.areas import estimate_areas
from cropmap.statistics.comparison import compare_estimators
from cropmap.statistics.crops import LOCAL
from cropmap.statistics.review_design import draw_area_sample
from cropmap.store import Store
from tests.studies.flags_classifier import Light, Matrix, Projection, out_of_fold
from tests.studies.flags_season import Grown, grow
from tests.studies.kept import kept

PARCELS: Final = 60_000
"""as many as the recipe was measured on, and few: a department of Brittany has 120,000 to 180,000 (BreizhCrops)"""
FIRST_SEASON: Final = 50
"""every population has a season of its own"""
NUTS3: Final = 3
OPEN: Final[dict[str, Any]] = {"min_holdings": 1, "min_holdings_nuts3": 1, "dominance": (1, 1.0)}
"""no confidentiality, so that every cell can be compared"""
OTHERS: Final = ("register scaled", "mapped", "posterior", "difference", "PPI++", "parcel ratio")
RARE: Final = 0.02
"""share of the region's area below which a crop counts as rare"""
REVIEWS: Final = (0, 300, 1_500)
DECLARED: Final = 0.92
AREA_SPREAD: Final = 1.1
"""σ of the logarithm of a parcel's area"""
MEDIAN_HA: Final = 1.0
HOLDING_SPREAD: Final = 1.0
"""standard deviation between holdings of the log odds of a wrong declaration, and of declaring"""
SILENT_CROPS: Final = ("orchards", "fallow", "miscellaneous")
"""that are declared less often where declaring depends on the crop"""
LIGHT: Final = Light()


@dataclass(frozen=True)
class Scenario:
    name: str
    wrong_share: float = 0.03
    sharpness: float = 1.0
    """power of the probabilities: above 1 they are overconfident"""
    silence: float = 1.0
    """odds of not declaring SILENT_CROPS, as a multiple of the others'"""
    noise: float = 0.0
    """standard deviation of what is added to the features, in theirs"""
    evenly: bool = False
    """wrong declarations name any other crop alike, rare ones as often as common ones; else by the crops' shares"""


SCENARIOS: Final = (
    Scenario("base"),
    Scenario("overconfident", sharpness=1.7),
    Scenario("declared not at random", silence=2.7),
    Scenario("hard", wrong_share=0.08, noise=0.4),
    Scenario("hard, and any crop is named alike", wrong_share=0.08, noise=0.4, evenly=True),
)


@dataclass(frozen=True)
class Scored:
    """Out-of-fold probabilities as `estimate_areas` wants them."""

    parcel_ids: NDArray[np.object_]
    crops: tuple[str, ...]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A population under a scenario."""

    parcels: pd.DataFrame
    predictions: Scored
    found: NDArray[np.object_]
    """(N,) what grows: what a review would find"""
    legend: Legend


@dataclass(frozen=True)
class Drawn:
    """Areas and declarations of (N,) parcels under a scenario."""

    area: NDArray[np.float64]
    """ha"""
    said: NDArray[np.int64]
    """what is named, or would be"""
    known: NDArray[np.bool_]
    """whether it is declared"""


def declarations(true: NDArray[np.int64], holding: NDArray[np.intp], scenario: Scenario, *, seed: int) -> Drawn:
    """`true` numbers simulation.crops.CROPS; equal arguments give equal data."""
    area = MEDIAN_HA * np.exp(stream(seed, "parcel areas").normal(0, AREA_SPREAD, len(true)))
    said = _said(true, holding, scenario, seed=seed)
    return Drawn(area, said, _declared(true, holding, area, scenario, seed=seed))


def case(grown: Grown, scenario: Scenario, *, seed: int) -> Case:
    """Areas, declarations and scores of a grown population; equal arguments give equal data."""
    drawn = declarations(grown.crop, grown.folds.holding, scenario, seed=seed)
    inputs = Projection.of(grown.features)(grown.features)
    noise = stream(seed, "feature noise").standard_normal(inputs.shape, np.float32)
    logits = _logits(inputs + np.float32(scenario.noise) * noise, drawn.said, grown, ~drawn.known, seed=seed)
    regions = np.array(REGIONS, dtype=object)[grown.region]
    return judged_case(grown.crop, regions, grown.folds.holding, drawn, logits, scenario, crops=CROPS)


def judged_case(
    true: NDArray[np.int64],
    regions: NDArray[np.object_],
    holding: NDArray[np.intp],
    drawn: Drawn,
    logits: Matrix,
    scenario: Scenario,
    *,
    crops: tuple[str, ...],
) -> Case:
    """What `estimate_areas` gets of (N,) parcels and their (N, K) logits; `true` and `drawn.said` number `crops`."""
    names = np.array(crops, dtype=object)
    ids = np.array([f"{number:07d}" for number in range(len(true))], dtype=object)
    parcels = pd.DataFrame(
        {
            "parcel_id": ids,
            "nuts_id": regions,
            "area_ha": drawn.area,
            "crop_code": pd.Series(names[drawn.said]).where(drawn.known, None),
            "holding_id": holding.astype(str),
        }
    )
    scores = Scored(ids, crops, np.asarray(softmax(scenario.sharpness * logits.astype(float), axis=1), np.float32))
    return Case(parcels, scores, names[true], plain_legend(crops))


def _logits(inputs: Matrix, said: NDArray[np.int64], grown: Grown, without: NDArray[np.bool_], *, seed: int) -> Matrix:
    return out_of_fold(inputs, said, grown.folds, classes=len(CROPS), without=without, light=LIGHT, seed=seed)


def _said(true: NDArray[np.int64], holding: NDArray[np.intp], scenario: Scenario, *, seed: int) -> NDArray[np.int64]:
    """(N,) what is named; some holdings are wrong several times as often as others."""
    rng = stream(seed, "wrong declarations")
    care = rng.normal(0, HOLDING_SPREAD, int(holding.max()) + 1)[holding]
    level = brentq(lambda shift: float(expit(care + shift).mean()) - scenario.wrong_share, -20, 20)
    share = np.ones(len(CROPS)) if scenario.evenly else np.bincount(true, minlength=len(CROPS)).astype(float)
    others = np.tile(share, (len(CROPS), 1)) * (1 - np.eye(len(CROPS)))
    bound = (others / others.sum(axis=1, keepdims=True)).cumsum(axis=1)
    other = np.minimum((rng.random((len(true), 1)) > bound[true]).sum(axis=1), len(CROPS) - 1)
    return np.where(rng.random(len(true)) < expit(care + level), other, true)


def _declared(
    true: NDArray[np.int64], holding: NDArray[np.intp], area: NDArray[np.float64], scenario: Scenario, *, seed: int
) -> NDArray[np.bool_]:
    """(N,) DECLARED of the parcels, by holding, the small ones less often."""
    rng = stream(seed, "who declares")
    silent = np.isin(true, [CROPS.index(crop) for crop in SILENT_CROPS])
    odds = (
        rng.normal(0, HOLDING_SPREAD, int(holding.max()) + 1)[holding]
        + 0.4 * np.log(area)
        - np.log(scenario.silence) * silent
    )
    level = brentq(lambda shift: float(expit(odds + shift).mean()) - DECLARED, -20, 20)
    return np.asarray(rng.random(len(area)) < expit(odds + level))


def cells(one: Case, *, reviews: int, seed: int) -> dict[str, list[float]]:
    """Every region and crop: true ha, the estimate and its interval, the figures of others, and the region's ha."""
    sample = _reviewed(one, reviews, seed=seed)
    arguments = one.parcels, one.predictions, one.legend
    table = estimate_areas(*arguments, reviews=sample, **OPEN).table
    key = ["nuts_id", "crop"]
    rows = table[table["level"] == NUTS3].set_index(key).sort_index()
    others = compare_estimators(*arguments, reviews=sample).set_index([*key, "estimator"])["area_ha"].unstack()
    parcels = one.parcels.assign(crop=[f"{LOCAL}{name}" for name in one.found])
    true = parcels.groupby(key)["area_ha"].sum().reindex(rows.index, fill_value=0.0)
    figures = {
        "true": true,
        "estimate": rows["estimate_ha"],
        "low": rows["ci95_low_ha"],
        "high": rows["ci95_high_ha"],
        "region": true.groupby("nuts_id").transform("sum"),
        **{str(name): others[name].reindex(rows.index) for name in others},
    }
    return {name: [round(float(value), 6) for value in values] for name, values in figures.items()}


def reviewed_cells(one: Case, *, seed: int) -> list[dict[str, Any]]:
    """`cells` for each number of reviews."""
    return [{"reviews": n, **cells(one, reviews=n, seed=seed)} for n in REVIEWS]


def _reviewed(one: Case, budget: int, *, seed: int) -> pd.DataFrame | None:
    """A sample by the product's design, with what truly grows."""
    if not budget:
        return None
    sample = draw_area_sample(one.parcels, one.predictions, one.legend, budget=budget, seed=seed)
    truth = dict(zip(one.parcels["parcel_id"], one.found, strict=True))
    return sample.assign(found_code=sample["parcel_id"].map(truth))


def measure(
    store: Store, *, parcels: int, seeds: Sequence[int], scenarios: Sequence[Scenario] = SCENARIOS
) -> list[dict[str, Any]]:
    """One row per population, scenario and number of reviews: `cells` with their names. Runs are kept in the store."""
    runs, rows = [(seed, scenario) for seed in seeds for scenario in scenarios], []
    grown: dict[int, Grown] = {}

    def run(seed: int, scenario: Scenario) -> dict[str, Any]:
        if seed not in grown:
            grown.clear()
            grown[seed] = grow(parcels=parcels, season=FIRST_SEASON + seed, seed=seed)
        one = case(grown[seed], scenario, seed=seed)
        return {"lists": reviewed_cells(one, seed=seed)}

    code = _code()
    for seed, scenario in track(runs, "areas", total=len(runs), unit="populations"):
        asked = {"scenario": asdict(scenario), "parcels": parcels, "seed": seed, "code": code}
        found = kept(store, "areas", asked, partial(run, seed, scenario))
        rows += [{"scenario": scenario.name, "seed": seed, **one} for one in found["lists"]]
    return rows


def _code() -> str:
    """Hash of the modules that a kept run depends on."""
    root = Path(cropmap.__file__).parent
    making = [Path(__file__).with_name(f"{name}.py") for name in ("areas", "flags_classifier", "flags_season")]
    return files_hash([*making, *(root / "statistics").glob("*.py"), *(root / "simulation").glob("*.py")])


def table(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per scenario and number of reviews: how many intervals hold the truth, and root mean square errors in per cent of
    the region's area, ours beside the others'."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for one in rows:
        groups.setdefault((one["scenario"], one["reviews"]), []).append(one)
    return [_line(scenario, reviews, group) for (scenario, reviews), group in groups.items()]


def _line(scenario: str, reviews: int, group: list[dict[str, Any]]) -> dict[str, Any]:
    def figure(name: str) -> NDArray[np.float64]:
        """(populations, cells)"""
        return np.array([one[name] for one in group])

    true, region = figure("true"), figure("region")
    covered = (figure("low") <= true) & (true <= figure("high"))
    rare = true < RARE * region
    errors = {name: (figure(name) - true) / region for name in group[0] if name in ("estimate", *OTHERS)}
    rmse = {name: float(np.sqrt((error**2).mean())) for name, error in errors.items()}
    bias = {name: float(np.abs(error.mean(axis=0)).mean()) for name, error in errors.items()}
    return {
        "scenario": scenario,
        "reviews": reviews,
        "cells": covered.size,
        "coverage": f"{covered.mean():.3f}",
        "of rare crops": f"{covered[rare].mean():.3f}",
        "half width, %": f"{100 * ((figure('high') - figure('low')) / 2 / region).mean():.3f}",
        **{f"RMSE {name}, %": f"{100 * rmse[name]:.3f}" if name in rmse else "" for name in ("estimate", *OTHERS)},
        "to register scaled": f"{rmse['estimate'] / rmse['register scaled']:.2f}",
        "to difference": f"{rmse['estimate'] / rmse['difference']:.2f}" if "difference" in rmse else "",
        "bias to mapped's": f"{bias['estimate'] / bias['mapped']:.3f}",
    }
