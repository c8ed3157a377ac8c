"""`cropmap forget` and `cropmap season expire`: one holding, or seasons whose retention has ended, erased from all that
the installation holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, TypedDict

from cropmap.database import audit, erasure
from cropmap.database.connection import connect
from cropmap.errors import CropmapError, InputError
from cropmap.progress import Counter
from cropmap.results.erasure.explanations import keep_explanations
from cropmap.results.erasure.objects import Wanted, erase_objects, hashes_of
from cropmap.results.erasure.traces import Mask, mask_logs, remove_mapped
from cropmap.schemas import AuditAction
from cropmap.settings import Settings
from cropmap.sources.declarations.reading import rows_of_holding
from cropmap.stages.context import SeasonContext, ready_database
from cropmap.stages.declared import declarations_path
from cropmap.stages.work import claimed

log = logging.getLogger(__name__)

NOT_REACHED: Final = (
    "backups of the database and of the store: those made from {today} on do not hold it, delete those made before",
    "declarations files and other sources of the agency",
    "files that people exported, evidence pages and PDFs that were written to folders",
    "homes of other machines (their logs and mapped series), Prefect's own database, logs that a service collects",
    "copies that other agencies or services received",
    "the history of the shell in which the holding was named",
)
"""what a command cannot erase, for the person who has to"""


class ErasedSeason(TypedDict):
    season: int
    rows: dict[str, int]
    """by table"""
    objects: dict[str, int]
    """by kind; `unknown` objects are left alone"""
    files: dict[str, int]
    """of the home: mapped series and log files; error texts in MLflow"""
    explanations: str
    """of other parcels of the published run"""


class Erased(TypedDict):
    agency: str
    dry_run: bool
    seasons: list[ErasedSeason]
    audit_entries: int
    """that were removed because they were older than the agency keeps them"""
    not_reached: list[str]


@dataclass(frozen=True)
class Request:
    """What all seasons of one command share."""

    settings: Settings
    agency_file: Path
    data: Path | None
    clock: Callable[[], datetime]
    dry_run: bool = False
    on_step: Callable[[str], None] = lambda _: None
    """is told what is finished"""

    def open(self, season: int) -> SeasonContext:
        return SeasonContext.open(self.settings, self.agency_file, season=season, data=self.data)


def forget_holding(request: Request, *, agency: str, holding_id: str, season: int | None = None) -> Erased:
    """Erases a holding and its parcels from one season, or from every season of the agency.

    A holding that was erased before leaves nothing to do. Raises InputError for one that no season names and that was
    never erased, and for a login that is not the owner of the tables.
    """
    with connect(ready_database(request.settings)) as connection:
        erasure.require_owner(connection)
        seasons = [year for year in erasure.seasons_of(connection, agency) if season in (None, year)]
        found = [
            erasure.subject_of_holding(connection, agency=agency, season=y, holding_id=holding_id) for y in seasons
        ]
        subjects = [subject for subject in found if subject is not None]
        if not subjects and erasure.holding_erased_at(connection, agency=agency, holding_id=holding_id) is None:
            where = f"season {season} of agency {agency}" if season is not None else f"agency {agency}"
            raise InputError(
                f"no declaration of {where} names this holding",
                where="--holding",
                mend="Leading zeros count; rows that were never accepted are erased together with one that was",
            )
    return _answer(request, agency, [_erase(request, subject) for subject in subjects])


def expire_seasons(request: Request, *, agency: str, years: int, audit_years: int) -> Erased:
    """Erases the personal data of the seasons whose retention has ended: at the end of the year that lies `years` after
    the campaign year. Also removes audit entries that are older than `audit_years`. What was erased before is left."""
    now = request.clock().astimezone(UTC)
    with connect(ready_database(request.settings)) as connection:
        erasure.require_owner(connection)
        ended = [y for y in erasure.seasons_of(connection, agency) if now.date() > date(y + years, 12, 31)]
        known = [erasure.subject_of_season(connection, agency=agency, season=year) for year in ended]
        gone = [erasure.season_erased_at(connection, agency=agency, season=year) for year in ended]
    done = [_erase(request, subject) for subject, at in zip(known, gone, strict=True) if at is None]
    with connect(ready_database(request.settings)) as connection:
        pruned = erasure.prune_audit(
            connection, agency, before=datetime(now.year - audit_years, 1, 1, tzinfo=UTC), dry_run=request.dry_run
        )
    return {**_answer(request, agency, done), "audit_entries": pruned}


def _answer(request: Request, agency: str, done: list[ErasedSeason]) -> Erased:
    return {
        "agency": agency,
        "dry_run": request.dry_run,
        "seasons": done,
        "audit_entries": 0,
        "not_reached": [place.format(today=request.clock().date()) for place in NOT_REACHED],
    }


def _erase(request: Request, subject: erasure.Subject) -> ErasedSeason:
    """One season: objects first, then the rows, which say whose the parcels are."""
    context, task = request.open(subject.season), "season expire" if subject.is_whole else "forget"
    with claimed(context, task, clock=request.clock):
        subject, explanations = _with_file_rows(context, subject), ""
        if not subject.is_whole and not request.dry_run:
            explanations = keep_explanations(context, without=subject.parcel_ids)
            request.on_step("explanations")
        wanted = _wanted(context, subject)
        with Counter(f"erase {subject.season}", total=len(context.store.names("")), unit="objects") as counter:

            def looked_at(count: float) -> None:
                counter.add(count)
                request.on_step("object")

            objects = erase_objects(wanted, dry_run=request.dry_run, on_done=looked_at)
        request.on_step("objects")
        mask = Mask([*subject.parcel_ids, *filter(None, [subject.holding_id])])
        files = _erase_traces(request, context, subject, mask)
        request.on_step("files")
        rows = _erase_rows(request, context, subject, mask, {**objects, **files}, task)
        request.on_step("rows")
        if not request.dry_run:
            with context.connect() as connection:
                erasure.free_space(connection)
    return {"season": subject.season, "rows": rows, "objects": objects, "files": files, "explanations": explanations}


def _with_file_rows(context: SeasonContext, subject: erasure.Subject) -> erasure.Subject:
    """With the rows of the holding in the declarations file, by which rejected ones are found."""
    path = declarations_path(context.agency, season=subject.season)
    with context.connect() as connection:
        rejected = erasure.has_rejections(connection, subject, source_file=path.name)
    if subject.holding_id is None or not rejected:
        return subject
    try:
        numbers = rows_of_holding(path, context.agency.read_profile(), subject.holding_id)
    except CropmapError as error:
        log.warning("rejected rows of the holding cannot be told from others, and stay until the next load: %s", error)
        return subject
    return replace(subject, source_file=path.name, row_numbers=tuple(numbers))


def _wanted(context: SeasonContext, subject: erasure.Subject) -> Wanted:
    with context.connect() as connection:
        runs = erasure.runs_of(connection, **context.key)
        outlines = hashes_of(erasure.outlines_of(connection, subject))
        elsewhere = erasure.parcel_sets_elsewhere(connection, **context.key) if subject.is_whole else set()
    return Wanted(context.store, subject, frozenset(runs), outlines, frozenset(elsewhere))


def _erase_traces(request: Request, context: SeasonContext, subject: erasure.Subject, mask: Mask) -> dict[str, int]:
    """Mapped series, and of a holding also what log files and error texts in MLflow name; those of a season that ended
    years ago are gone, and its identifiers may be those of a later one."""
    found = {"mapped series": remove_mapped(context.datasets, subject.parcel_ids, dry_run=request.dry_run)}
    if not subject.is_whole:
        found["logs"] = mask_logs(request.settings.home_path, mask, dry_run=request.dry_run)
        if not request.dry_run:
            found["MLflow"] = _mask_tracked(context, mask)
    return {what: count for what, count in found.items() if count}


def _mask_tracked(context: SeasonContext, mask: Mask) -> int:
    from cropmap.model import registry, tracking  # mlflow, which a count does without

    experiment = f"cropmap/{context.agency.agency}"
    return tracking.mask_error_texts(context.mlflow_uri, experiment=experiment, tag=registry.DETAIL, mask=mask.text)


def _erase_rows(
    request: Request, context: SeasonContext, subject: erasure.Subject, mask: Mask, objects: dict[str, int], task: str
) -> dict[str, int]:
    with context.connect() as connection:

        def note(rows: int) -> None:
            audit.note(connection, **context.key, action=AuditAction.CHANGE, subject=task, parcel_ids=[], n_rows=rows)

        return erasure.erase_rows(
            connection,
            subject,
            mask=mask.text,
            objects=objects,
            erased_at=request.clock(),
            note=note,
            dry_run=request.dry_run,
        )
