"""Numbered releases of a season's statistics: what they hold, and what changed between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import pandas as pd

from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.database import queries, releases, runs
from cropmap.database.connection import Connection, connect
from cropmap.database.releases import Release
from cropmap.dissemination.revisions import FORECAST, Revisions, revisions, with_stage
from cropmap.errors import InputError
from cropmap.results.published import published_run
from cropmap.schemas import Internal, ReleaseStage, ReleaseWord
from cropmap.settings import Settings
from cropmap.stages.context import SeasonContext, ready_database
from cropmap.stages.run_report import RunReport
from cropmap.statistics.confidentiality import internal_reasons

ORDER: Final = list(ReleaseStage)

WORDS: Final = {Internal.HOLDINGS_UNKNOWN: ReleaseWord.UNKNOWN_HOLDINGS}


@dataclass(frozen=True)
class Released:
    release: Release
    rows: pd.DataFrame
    """agency, season, number, stage, as_of, nuts_version, STATISTIC_COLUMNS, run_id"""
    is_new: bool
    before: Release | None
    """the release before it"""
    revisions: Revisions | None
    """against `before`; None for the first, and where the two are in different NUTS versions"""


def release_season(
    context: SeasonContext,
    stage: ReleaseStage,
    *,
    released_at: datetime,
    note: str | None = None,
    allowed: Collection[ReleaseWord] = (),
) -> Released:
    """Makes the published table of a season its next release; the latest one again changes nothing.

    Raises InputError where nothing is published, where the table is not for publication, where the season has been
    released at a later stage, and for a forecast that is called more than a first estimate. What a person answers for
    is named in `allowed`.
    """
    where = f"{context.agency.agency} {context.season.year}"
    with context.connect() as connection:
        known = releases.read_releases(connection, **context.key)
        last = known[-1] if known else None
        run, rows = _published(connection, context, where=where)
        if last is not None and (last.run_id, last.stage) == (run.run_id, stage):
            return _released(connection, last, known, is_new=False)
        _check(run, rows, stage, last, set(allowed), where=where)
        before = releases.read_rows(connection, last) if last is not None else None
        flagged = with_stage(rows, stage, before=before, before_stage=last.stage if last else None)
        release = Release(
            **context.key,
            number=len(known) + 1,
            stage=str(stage),
            run_id=run.run_id,
            as_of=run.as_of,
            nuts_version=run.nuts_version,
            note=note,
            content_hash=releases.rows_hash(flagged),
            released_at=released_at,
            simulated=bool(rows["simulated"].any()),
        )
        releases.store_release(connection, release, flagged)
        return _released(connection, replace(release, model_version=run.model_version), known, is_new=True)


def open_release(
    settings: Settings, *, agency: str | None, season: int, number: int | None = None, against: int | None = None
) -> Released:
    """A release and what changed since the one before it, or since `against`; the latest where no number is given.
    Raises InputError where there is none."""
    with connect(ready_database(settings)) as connection:
        known = releases.read_releases(connection, agency=agency, season=season)
        names = sorted({release.agency for release in known})
        if len(names) > 1:
            raise InputError(f"{', '.join(names)} released season {season}", where="--agency", mend="Name one")
        return _released(
            connection,
            _numbered(known, number, "--release", season),
            known,
            is_new=False,
            before=None if against is None else _numbered(known, against, "--against", season),
        )


def release_of_published(settings: Settings, *, agency: str, season: int) -> int | None:
    """Number of the last release that was made from the run that is published now; None where it was not released."""
    with connect(ready_database(settings)) as connection:
        pointer = queries.published_run(connection, agency=agency, season=season)
        made = [
            release.number
            for release in releases.read_releases(connection, agency=agency, season=season)
            if release.run_id == pointer
        ]
    return made[-1] if made else None


def list_releases(settings: Settings, *, agency: str | None, season: int | None) -> list[Mapping[str, object]]:
    """Every release with the number of its cells, of hidden ones, and whether its rows are those that were released."""
    with connect(ready_database(settings)) as connection:
        return [
            vars(release) | releases.count_rows(connection, release)
            for release in releases.read_releases(connection, agency=agency, season=season)
        ]


def _published(connection: Connection, context: SeasonContext, *, where: str) -> tuple[runs.Run, pd.DataFrame]:
    run = published_run(connection, **context.key)
    rows = pd.DataFrame(queries.statistics(connection, run_id=run.run_id))
    if rows.empty:
        raise InputError(
            f"run {run.run_id} has no statistics: it is a forecast before declarations",
            where=where,
            mend="Load the season's declarations, then `cropmap season run`",
        )
    return run, rows


def _check(
    run: runs.Run,
    rows: pd.DataFrame,
    stage: ReleaseStage,
    last: Release | None,
    allowed: set[ReleaseWord],
    *,
    where: str,
) -> None:
    for reason in internal_reasons(RunReport.of(run).statistics):
        if WORDS.get(reason) not in allowed:
            raise InputError(f"run {run.run_id} is for internal use: {reason.meaning}", where=where, mend=reason.mend)
    if bool(rows["simulated"].any()) and ReleaseWord.SIMULATION not in allowed:
        raise InputError(
            f"run {run.run_id} is a simulation: nothing in it was observed or declared",
            where=where,
            mend=f"Release a season of real inputs; for an exercise say --allow {ReleaseWord.SIMULATION}",
        )
    if last is not None and ORDER.index(stage) < ORDER.index(ReleaseStage(last.stage)):
        raise InputError(
            f"{last.name} is out already: a season does not become {stage} again",
            where=where,
            mend=f"Release it as {' or '.join(ORDER[ORDER.index(ReleaseStage(last.stage)) :])}",
        )
    if stage != ReleaseStage.FIRST and rows["obs_flag"].eq(FORECAST).any():
        raise InputError(f"run {run.run_id} is a forecast", where=where, mend="Release it as --stage first")


def _numbered(known: list[Release], number: int | None, option: str, season: int) -> Release:
    numbered = (
        known[-1]
        if known and number is None
        else next((release for release in known if release.number == number), None)
    )
    if numbered is None:
        what = f"season {season} has no release" + (f" {number}" if number is not None else "")
        mend = (
            f"There are: {', '.join(release.name for release in known)}"
            if known
            else "Make one by `cropmap stats release`"
        )
        raise InputError(what, where=option, mend=mend)
    return numbered


def _released(
    connection: Connection, release: Release, known: list[Release], *, is_new: bool, before: Release | None = None
) -> Released:
    rows = releases.read_rows(connection, release)
    if before is None:
        before = next((earlier for earlier in reversed(known) if earlier.number < release.number), None)
    changed = None
    if before is not None and before.nuts_version == release.nuts_version:
        changed = revisions(rows[list(STATISTIC_COLUMNS)], releases.read_rows(connection, before))
    return Released(release, rows, is_new, before, changed)
