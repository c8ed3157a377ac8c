"""The list of mismatches over many populations of simulated Brittany: settings, the runs that are kept, the figures.

Every run is kept in the store under the hash of its setting, seed and the code that it depends on, so that a study that
was cut short goes on. Ten populations share a season (its fields and its weather); holdings, crops, stands and
declarations differ from seed to seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import cropmap
from cropmap.legends import Legend
from cropmap.progress import Counter
from cropmap.provenance import files_hash
from cropmap.simulation.crops import CROPS
from cropmap.store import Store
from tests.studies.flags import Case, row
from tests.studies.flags_classifier import Light, Projection, out_of_fold
from tests.studies.flags_reference import Reference, learn
from tests.studies.flags_season import Grown, grow
from tests.studies.kept import kept
from tests.studies.mismatches import Pattern, atypical, declare, joint_shares, law

PARCELS: Final = 25_000
SEEDS_PER_SEASON: Final = 10
LEGEND: Final = "fr_breizhcrops13"
UNDER_TRAINED: Final = Light(hidden=16, epochs=1)


@dataclass(frozen=True)
class Setting:
    name: str
    pattern: Pattern
    wrong_share: float
    atypical: float = 0.0
    """share of the parcels that carry another crop's signal and are declared as if they did not"""
    light: Light = field(default_factory=Light)


MAIN: Final = tuple(
    Setting(f"{pattern}, {share:.0%}", pattern, share) for share in (0.03, 0.01, 0.05) for pattern in Pattern
)
SHOWN: Final = tuple(setting for setting in MAIN if setting.wrong_share == 0.03)
STRESS: Final = (
    Setting("none planted", Pattern.UNIFORM, 0.0),
    Setting("under-trained", Pattern.CLASS_AND_REGION, 0.03, light=UNDER_TRAINED),
    Setting("0.3 % atypical", Pattern.CLASS_AND_REGION, 0.03, atypical=0.003),
    Setting("1 % atypical", Pattern.CLASS_AND_REGION, 0.03, atypical=0.01),
)


def measure(store: Store, settings: Sequence[Setting], *, parcels: int, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """One row per setting and seed: `flags.row` with the setting's name and the seed."""
    code = _code()
    rows = []
    with Counter("flags", total=len(settings) * len(seeds), unit="runs") as counter:
        season = _Season(parcels, _season_of(seeds[0]))
        for seed in seeds:
            season = season if season.number == _season_of(seed) else _Season(parcels, _season_of(seed))
            population = _Population(season, seed)
            for setting in settings:
                asked = {"setting": asdict(setting), "parcels": parcels, "seed": seed, "code": code}
                rows.append(kept(store, "flags", asked, partial(_run, population, setting)))
                counter.add()
    return rows


def _season_of(seed: int) -> int:
    return 1 + seed // SEEDS_PER_SEASON


@dataclass(frozen=True)
class _Season:
    parcels: int
    number: int

    @cached_property
    def reference(self) -> Reference:
        """Learnt when the first run asks for it."""
        return learn(parcels=self.parcels, season=self.number)


@dataclass(frozen=True)
class _Population:
    season: _Season
    seed: int

    @cached_property
    def grown(self) -> Grown:
        """Grown when the first run asks for it."""
        return grow(parcels=self.season.parcels, season=self.season.number, seed=self.seed)


def _run(population: _Population, setting: Setting) -> dict[str, Any]:
    case = planted(population.grown, setting, population.season.reference, seed=population.seed)
    return {"setting": setting.name, "seed": population.seed, **row(case, seed=population.seed)}


def planted(grown: Grown, setting: Setting, reference: Reference | None, *, seed: int) -> Case:
    """The population with its declarations and a classifier; the reference knows nothing of atypical parcels."""
    true = atypical(grown.crop, share=setting.atypical, seed=seed)
    shares = joint_shares(true, grown.region)
    drawn_from = law(setting.pattern, wrong_share=setting.wrong_share, shares=shares, seed=seed)
    declared = declare(true, grown.region, drawn_from, seed=seed)
    inputs = Projection.of(grown.features)(grown.features)
    return Case(
        crops=CROPS,
        true=true,
        declared=declared,
        region=grown.region,
        observations=grown.observations,
        legend=Legend.read(LEGEND),
        score=lambda without: out_of_fold(
            inputs, declared, grown.folds, classes=len(CROPS), without=without, light=setting.light, seed=seed
        ),
        reference=None if reference is None else reference.right(grown, declared, drawn_from),
        declared_given_crop=drawn_from[grown.region, :, declared],
    )


def _code() -> str:
    """Hash of the modules that a kept run depends on."""
    root = Path(cropmap.__file__).parent
    names = ("adaptation", "assess", "case", "channel", "gates", "guards", "suspects", "verdict")
    judging = [root / "assessments" / f"{name}.py" for name in names]
    making = [Path(__file__).with_name(f"flags{part}.py") for part in ("", "_classifier", "_reference", "_season")]
    making.append(Path(__file__).with_name("mismatches.py"))
    return files_hash([*judging, *making, *(root / "simulation").glob("*.py")])


def table(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per setting and target: mean realised rate (90th percentile), runs within 1.5 times the target, recall."""
    return [line for group in _by_setting(rows) for line in _lines(group)]


def _by_setting(rows: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in rows:
        groups.setdefault(one["setting"], []).append(one)
    return list(groups.values())


def _lines(group: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = []
    for index, first in enumerate(group[0]["lists"]):
        target, lists = first["target"], [one["lists"][index] for one in group]
        rates, found = np.array([rate(one) for one in lists]), _recall(group, lists)
        line = {
            "setting": group[0]["setting"],
            "seeds": len(group),
            "target": f"{target:.0%}",
            "refused": sum(one["refused"] for one in group),
            "flags": round(_mean(one["flags"] for one in lists)),
            "rate": f"{rates.mean():.3f} ({np.quantile(rates, 0.9):.3f})",
            "within 1.5 x": f"{(rates <= 1.5 * target).mean():.0%}",
            "recall": f"{found:.2f}",
        }
        if group[0]["reference"]:
            ideal = [one["reference"][index] for one in group]
            best = _recall(group, ideal)
            line |= {
                "reference's rate": f"{_mean(rate(one) for one in ideal):.3f}",
                "its recall": f"{best:.2f}",
                "ratio": f"{found / best:.2f}" if best else "",
            }
        lines.append(line)
    return lines


def peer_table(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Realised rate / recall of each rule, and of the other rankings at the same number of flags: our list's order,
    whatever the guards refused, the law known, the reference. `ours - its`: mean difference of the rates, and its
    standard error. Runs in which a rule flags nothing are left out."""
    lines = []
    for group in _by_setting(rows):
        for rule in group[0]["peers"]:
            runs = [one for one in group if one["peers"][rule]["flags"]]
            if not runs:
                continue
            theirs = [one["peers"][rule] for one in runs]
            beside = {name: [one["beside"][name] for one in theirs] for name in theirs[0]["beside"] if name != rule}
            ours = beside.pop("list")
            further = np.array([rate(one) - rate(other) for one, other in zip(ours, theirs, strict=True)])
            lines.append(
                {
                    "setting": group[0]["setting"],
                    "runs": len(runs),
                    "rule": rule,
                    "flags": round(_mean(one["flags"] for one in theirs)),
                    "its rate": f"{_mean(map(rate, theirs)):.3f}",
                    "its recall": f"{_recall(runs, theirs):.2f}",
                    "our rate": f"{_mean(map(rate, ours)):.3f}",
                    "our recall": f"{_recall(runs, ours):.2f}",
                    "ours - its": f"{further.mean():+.3f} ± {_standard_error(further):.3f}",
                    **{
                        f"{name}'s rate": f"{_mean(map(rate, hits)):.3f}"
                        for name, hits in beside.items()
                        if name != "p(declared)"
                    },
                }
            )
    return lines


def _standard_error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def rate(hits: dict[str, Any]) -> float:
    """Share of a list that is right; 0 where nothing is flagged."""
    return hits["false"] / hits["flags"] if hits["flags"] else 0.0


def _recall(group: list[dict[str, Any]], lists: list[dict[str, Any]]) -> float:
    """Of all wrong declarations of all runs."""
    wrong = sum(one["wrong"] for one in group)
    return sum(one["flags"] - one["false"] for one in lists) / wrong if wrong else 0.0


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
