"""What the review loop promises, counted on simulated populations whose truth is known.

A population is 25,000 declarations with a crop, a region, a truth and a P(right): that of a model which knows
everything (calibrated), or one that is deliberately wrong about itself. Every campaign draws a fresh population, and
goes through the same functions as a season: the list, the sample, the findings, the certificate, the intervals.
"""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from cropmap.assessments.certification import Certificate, certify
from cropmap.assessments.intervals import exact_share, weighted_share
from cropmap.assessments.review_sample import Sample, draw_sample
from cropmap.assessments.verdict import CONFORM_RIGHT, largest_list
from cropmap.progress import track
from cropmap.schemas import Finding, ReviewPart, Verdict

PARCELS: Final = 25_000
PARCEL_IDS: Final = pd.Series([f"{number:06d}" for number in range(PARCELS)])
DELTA: Final = 0.10
BUDGET: Final = 300
CAMPAIGNS: Final = 200
REPETITIONS: Final = 1_000
CROPS: Final = {"corn": 0.3, "meadow": 0.3, "wheat": 0.2, "barley": 0.1, "rape": 0.06, "orchard": 0.04}
VERDICTS: Final = [str(verdict) for verdict in Verdict]
REGIONS: Final = ("FRH01", "FRH02", "FRH03", "FRH04")
SEPARATION: Final = 3.3
"""standard deviations between the signals of right and wrong declarations: at 3 % mismatches and a 10 % list two
thirds of the wrong ones are on it, as in the simulated seasons"""
UNSEEN: Final = 0.03
"""parcels that cannot be assessed"""
SCORES: Final = ("calibrated", "overconfident", "unlearnt crop", "atypical .3 %", "atypical 1 %", "worthless")
TARGETS: Final = (0.05, 0.10, 0.20)
RATES: Final = (0.01, 0.03, 0.05)
CONTROLS: Final = ((300, 0.8), (540, 240 / 540), (1_240, 240 / 1_240))
"""(budget, share for the list): 240 in the list, and 60, 300 or 1,000 outside"""


@dataclass(frozen=True)
class Setting:
    scores: str
    """one of SCORES"""
    rate: float
    """share of wrong declarations"""
    target: float
    unvisited: float = 0.0
    """share of the sample that nobody visited"""
    unclear: float = 0.0
    """share of the sample that nobody could judge"""


def measure(*, quick: bool = False) -> list[dict[str, Any]]:
    """Certification: violations of the bound, and how often anything is certified."""
    settings = [Setting("calibrated", rate, target) for target in TARGETS for rate in RATES]
    settings += [Setting(scores, 0.03, target) for scores in SCORES[1:] for target in TARGETS]
    settings += [
        Setting("calibrated", 0.03, target, unvisited=unvisited, unclear=0.05)
        for target, unvisited in ((0.10, 0.0), (0.10, 0.1), (0.20, 0.1))
    ]
    campaigns = 10 if quick else CAMPAIGNS
    return [
        _certified(setting, campaigns)
        for setting in track(settings, "certification", total=len(settings), unit="settings")
    ]


def measure_intervals(*, quick: bool = False) -> list[dict[str, Any]]:
    """The control sample: how often the 95 % intervals cover the truth."""
    settings = [(Setting("calibrated", 0.03, 0.10), *control) for control in CONTROLS]
    settings += [(Setting("calibrated", rate, 0.10), *CONTROLS[-1]) for rate in (0.01, 0.05)]
    repetitions = 20 if quick else REPETITIONS
    return [
        _covered(*one, repetitions) for one in track(settings, "control sample", total=len(settings), unit="settings")
    ]


def population(setting: Setting, rng: np.random.Generator) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """(assessments as a run publishes them, which declarations are wrong)."""
    crop = rng.choice(len(CROPS), size=PARCELS, p=list(CROPS.values()))
    wrong = rng.random(PARCELS) < setting.rate
    signal = rng.normal(size=PARCELS) + SEPARATION * (wrong | _looks_wrong(setting.scores, crop, rng))
    odds = logit(1 - setting.rate) - SEPARATION * (signal - SEPARATION / 2)
    if setting.scores == "worthless":
        odds = rng.permutation(odds)
    right = expit(odds * (1.5 if setting.scores == "overconfident" else 1.0))
    seen = rng.random(PARCELS) >= UNSEEN
    verdict = np.where(right >= CONFORM_RIGHT, VERDICTS.index(Verdict.CONFORM), VERDICTS.index(Verdict.INCONCLUSIVE))
    verdict[largest_list(right, target=setting.target, candidates=seen)] = VERDICTS.index(Verdict.MISMATCH)
    verdict[~seen] = VERDICTS.index(Verdict.NOT_ASSESSABLE)
    frame = pd.DataFrame(
        {
            "parcel_id": PARCEL_IDS,
            "verdict": pd.Categorical.from_codes(verdict, pd.Index(VERDICTS)),
            "right_probability": np.where(seen, right, np.nan),
            "crop_group": pd.Categorical.from_codes(crop, pd.Index(list(CROPS))),
            "nuts_id": pd.Categorical.from_codes(rng.integers(len(REGIONS), size=PARCELS), pd.Index(REGIONS)),
        }
    )
    return frame, wrong


def _looks_wrong(scores: str, crop: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Right or wrong, these carry another crop's signal."""
    share = {"atypical .3 %": 0.003, "atypical 1 %": 0.01}.get(scores, 0.0)
    strange: NDArray[np.bool_] = rng.random(PARCELS) < share
    if scores == "unlearnt crop":
        strange |= (crop == len(CROPS) - 1) & (rng.random(PARCELS) < 0.5)
    return strange


def campaign(
    setting: Setting, rng: np.random.Generator, *, budget: int, list_share: float
) -> tuple[pd.DataFrame, NDArray[np.bool_], Sample, NDArray[np.object_]]:
    """(assessments, wrong, sample, findings of the sample)."""
    frame, wrong = population(setting, rng)
    seed = int(rng.integers(2**31))
    sample = draw_sample(frame, budget=budget, list_share=list_share, target=setting.target, seed=seed)
    place = sample.table["parcel_id"].astype(int).to_numpy()
    finding = np.where(wrong[place], str(Finding.WRONG), str(Finding.RIGHT)).astype(object)
    lost = rng.random(len(place))
    finding[lost < setting.unvisited + setting.unclear] = str(Finding.CANNOT_TELL)
    finding[lost < setting.unvisited] = None
    return frame, wrong, sample, finding


def _certified(setting: Setting, campaigns: int) -> dict[str, Any]:
    rows, why = [], Tally[str]()
    for number in range(campaigns):
        rng = np.random.default_rng([7, number])
        frame, wrong, sample, finding = campaign(setting, rng, budget=BUDGET, list_share=0.8)
        certificate = _certificate(setting, sample, finding)
        order = np.argsort(frame["right_probability"].to_numpy(), kind="stable")
        listed = order[(frame["verdict"] == str(Verdict.MISMATCH)).to_numpy()[order]]
        promised = listed[: certificate.certified_size]
        broken = len(promised) > 0 and float((~wrong[promised]).mean()) > setting.target
        rows.append((len(listed), float((~wrong[listed]).mean()), certificate.certified, broken, len(promised)))
        why[str(certificate.reason)] += 1
    size, false, certified, broken_, length = np.array(rows, dtype=float).T
    return {
        "scores": setting.scores,
        "rate": setting.rate,
        "target": setting.target,
        "unvisited": setting.unvisited,
        "unclear": setting.unclear,
        "campaigns": campaigns,
        "list": float(size.mean()),
        "right_share": float(false.mean()),
        "certified": float(certified.mean()),
        "violations": float(broken_.mean()),
        "certified_length": float((length / np.maximum(size, 1)).mean()),
        "mostly": why.most_common(1)[0][0],
    }


def _certificate(setting: Setting, sample: Sample, finding: NDArray[np.object_]) -> Certificate:
    listed = (sample.table["part"] == str(ReviewPart.LIST)).to_numpy()
    rank = sample.table["list_rank"].to_numpy()[listed].astype(np.int64)
    return certify(sample.grid, rank, finding[listed], target=setting.target, delta=DELTA)


def _covered(setting: Setting, budget: int, list_share: float, repetitions: int) -> dict[str, Any]:
    rows = []
    for number in range(repetitions):
        rng = np.random.default_rng([11, number])
        frame, wrong, sample, finding = campaign(setting, rng, budget=budget, list_share=list_share)
        off_list = (frame["verdict"] != str(Verdict.MISMATCH)).to_numpy()
        control = (sample.table["part"] == str(ReviewPart.CONTROL)).to_numpy()
        found = finding[control] == str(Finding.WRONG)
        weight = 1 / sample.table["inclusion_probability"].to_numpy()[control]
        low, high = weighted_share(weight, found, sample.table["stratum"].to_numpy()[control])
        truth, estimate = float(wrong[off_list].mean()), float(np.average(found, weights=weight))
        alarms = int((finding[~control] == str(Finding.RIGHT)).sum())
        listed = int((~off_list).sum())
        first, last = exact_share(alarms, sampled=int((~control).sum()), population=listed)
        false = float((~wrong[~off_list]).mean())
        rows.append((found.sum(), truth, estimate, low <= truth <= high, high - low, first <= false <= last))
    seen, truth_, estimate_, inside, width, alarms_inside = np.array(rows, dtype=float).mean(axis=0)
    return {
        "rate": setting.rate,
        "controls": budget - 240,
        "repetitions": repetitions,
        "misses_seen": float(seen),
        "miss_rate": float(truth_),
        "mean_estimate": float(estimate_),
        "covered": float(inside),
        "width": float(width),
        "false_alarms_covered": float(alarms_inside),
    }
