"""Small random seasons, published and released in a real database: what is written, and what is true of it.

Every season of `small_seasons` becomes one of an agency of its own. A second edition follows in two of three: areas
revised, declarations amended, or parcels reviewed; it is released or only published. One in eight has a later season.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from cropmap.contracts.tables import ASSESSMENT_COLUMNS, PREDICTION_COLUMNS, STATISTIC_COLUMNS
from cropmap.database.connection import Connection
from cropmap.database.publishing import publish
from cropmap.database.releases import Release, rows_hash, store_release
from cropmap.database.runs import begin_run, ensure_season
from cropmap.dissemination.revisions import with_stage
from cropmap.legends import Legend
from cropmap.schemas import Reason, ReleaseStage, Verdict
from cropmap.stages.run_report import RunReport
from cropmap.statistics.areas import Estimated, estimate_areas, open_areas
from cropmap.statistics.confidentiality import internal_reasons
from cropmap.statistics.hiding import EarlierRelease
from cropmap.statistics.release import OpenTable
from tests.studies.small_seasons import SmallSeason, small_season

YEAR: Final = 2018
STARTED: Final = datetime(2018, 11, 1, tzinfo=UTC)
CHANGES: Final = ("areas revised", "declarations amended", "parcels reviewed")
REVISION: Final = 0.05
AMENDED: Final = 0.04
REVIEWED: Final = 80
WRONG: Final = 0.05
STAGES: Final = (ReleaseStage.FIRST, ReleaseStage.PROVISIONAL)


@dataclass(frozen=True)
class Edition:
    """A run, and the release that was made of it."""

    agency: str
    season: int
    run_id: str
    number: int | None
    """of the release; None where the run was published alone"""
    small: SmallSeason
    made: Estimated
    truth: OpenTable

    @property
    def internal(self) -> bool:
        return bool(internal_reasons(self.made.report))


def agency_of(seed: int) -> str:
    return f"agency{seed:05d}"


def editions(seed: int, legend: Legend) -> Iterator[Edition]:
    """In the order in which they are published; the same seed gives the same."""
    rng = np.random.default_rng((seed, 21))
    small = small_season(seed, legend)
    first = _edition(seed, YEAR, 1, small, legend, earlier=None, before=None)
    yield first
    if seed % 3:
        changed, reviews = _changed(small, CHANGES[seed % len(CHANGES)], rng)
        earlier = None if first.internal else _public(first)
        yield _edition(seed, YEAR, 2, changed, legend, earlier=earlier, before=first, reviews=reviews)
    if seed % 8 == 0:
        later, _ = _changed(small, "areas revised", rng)
        yield _edition(seed, YEAR + 1, 1, later, legend, earlier=None, before=None)


def _public(edition: Edition) -> EarlierRelease:
    return EarlierRelease(edition.run_id, edition.made.table, edition.made.report.disclosure.already_published)


def _edition(
    seed: int,
    season: int,
    position: int,
    small: SmallSeason,
    legend: Legend,
    *,
    earlier: EarlierRelease | None,
    before: Edition | None,
    reviews: pd.DataFrame | None = None,
) -> Edition:
    known = {name: value for name, value in small.rules.items() if name.startswith("min_holdings")}
    made = estimate_areas(small.parcels, small.scored, legend, earlier=earlier, reviews=reviews, **small.rules)
    truth = open_areas(small.parcels, small.scored, legend, reviews=reviews, **known)
    numbers = 1 + (before is not None and before.number is not None)
    is_released = not internal_reasons(made.report) and (position == 1 or seed % 2 == 0)
    run_id = f"{agency_of(seed)}-{season}-{position}"
    return Edition(agency_of(seed), season, run_id, numbers if is_released else None, small, made, truth)


def _changed(small: SmallSeason, how: str, rng: np.random.Generator) -> tuple[SmallSeason, pd.DataFrame | None]:
    parcels = small.parcels
    if how == "areas revised":
        lift = rng.uniform(1 - REVISION, 1 + REVISION, len(parcels))
        return replace(small, parcels=parcels.assign(area_ha=parcels["area_ha"] * lift)), None
    codes = parcels["crop_code"].dropna().unique()
    if how == "declarations amended" and len(codes):
        moved = rng.random(len(parcels)) < AMENDED
        amended = parcels["crop_code"].mask(moved, pd.Series(rng.choice(codes, len(parcels)), dtype=object))
        return replace(small, parcels=parcels.assign(crop_code=amended)), None
    declared = parcels[parcels["crop_code"].notna() & (parcels["area_ha"] > 0)]
    if declared.empty:
        return small, None
    share = np.minimum(REVIEWED * declared["area_ha"] / declared["area_ha"].sum(), 1.0)
    chosen = rng.random(len(declared)) < share
    drawn, share = declared[chosen], share[chosen]
    found = drawn["crop_code"].mask(rng.random(len(drawn)) < WRONG, rng.choice(codes))
    reviews = {"parcel_id": drawn["parcel_id"], "found_code": found, "inclusion_probability": share}
    return small, pd.DataFrame(reviews)


def write(connection: Connection, edition: Edition, *, parcels: pd.DataFrame | None = None) -> None:
    """Publishes the run, and releases it. `parcels`: other ones than those that its table was made from."""
    key: dict[str, Any] = {"agency": edition.agency, "season": edition.season}
    at = STARTED + timedelta(days=7 * int(edition.run_id.rsplit("-", 1)[1]), weeks=52 * (edition.season - YEAR))
    ensure_season(connection, **key)
    begin_run(connection, run_id=edition.run_id, **key, as_of=None, code_version="0.1.0", started_at=at)
    shown = edition.small.parcels if parcels is None else parcels
    statistics = edition.made.table[list(STATISTIC_COLUMNS)]
    publish(
        connection,
        run_id=edition.run_id,
        **key,
        parcels=shown,
        predictions=predictions(shown),
        assessments=assessments(shown),
        statistics=statistics,
        model_version="transformer 7",
        published_at=at,
        nuts_version=2024,
        n_acquisitions=70,
        report=run_report(edition, shown).as_json(),
    )
    if edition.number is not None:
        _release(connection, edition, statistics, key, at)


def _release(
    connection: Connection, edition: Edition, rows: pd.DataFrame, key: Mapping[str, Any], at: datetime
) -> None:
    stage = STAGES[edition.number - 1] if edition.number else STAGES[0]
    flagged = with_stage(rows, stage)
    release = Release(
        **key,
        number=edition.number or 1,
        stage=stage,
        run_id=edition.run_id,
        as_of=None,
        nuts_version=2024,
        note=None,
        content_hash=rows_hash(flagged),
        released_at=at,
    )
    store_release(connection, release, flagged)


def run_report(edition: Edition, parcels: pd.DataFrame) -> RunReport:
    """Its counts follow the parcels that are published with it."""
    statistics = edition.made.report.model_copy(update={"parcels": len(parcels)})
    return RunReport(statistics=statistics)


def predictions(parcels: pd.DataFrame) -> pd.DataFrame:
    frame = parcels[["parcel_id"]].assign(
        crop="wheat", probability=0.75, second_crop="maize", second_probability=0.125, n_observations=12
    )
    return frame.assign(scored_by="fold 2", last_observation=None, out_of_distribution=0.5).reindex(
        columns=list(PREDICTION_COLUMNS)
    )


def assessments(parcels: pd.DataFrame) -> pd.DataFrame:
    declared = parcels[parcels["crop_code"].notna()]
    frame = declared[["parcel_id"]].assign(
        declared_code=declared["crop_code"],
        declared_crop="wheat",
        predicted_crop="wheat",
        declared_probability=0.75,
        right_probability=0.75,
        verdict=Verdict.CONFORM,
        reason=Reason.DECLARED_CROP_SUPPORTED,
        priority=declared["area_ha"] * 0.25,
    )
    return frame.reindex(columns=list(ASSESSMENT_COLUMNS))
