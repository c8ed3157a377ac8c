"""The ledger of acquisitions: what was found, what is observed, what was set aside and why. A run resumes from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from psycopg.rows import class_row, kwargs_row
from psycopg.types.json import Jsonb

from cropmap.database.connection import Connection, database_errors
from cropmap.database.runs import ensure_season
from cropmap.errors import DatabaseError
from cropmap.schemas import AcquisitionStatus, AcquisitionWarning, QuarantineReason
from cropmap.sources.catalogs.acquisition import Acquisition, UnusableItem


@dataclass(frozen=True)
class LedgerEntry:
    item_id: str
    tile: str | None
    """None only for an item that was never usable"""
    sensed_at: datetime | None
    """None only for an item that was never usable"""
    processing_baseline: str | None
    status: str
    """an AcquisitionStatus"""
    object_name: str | None
    """the observation file, once observed"""
    n_parcels: int | None
    reason: str | None
    """a QuarantineReason, while quarantined"""
    detail: str | None
    document: dict[str, Any] | None
    parcel_set: str | None
    """whose outlines were observed; None before that, and for observations that another system made"""
    tried: str | None
    """what the attempt that quarantined it depended on; None where the catalogue set it aside"""
    warning: str | None
    """an AcquisitionWarning, while observed"""
    warning_detail: str | None
    offset_correction: float | None
    """reflectance that the observations were moved by, while the warning is OFFSET_CORRECTED"""

    @cached_property
    def acquisition(self) -> Acquisition:
        assert self.document is not None, f"{self.item_id} was never usable"
        return Acquisition.from_json(self.document)


@dataclass(frozen=True)
class ImportedObject:
    """Observations of one moment that another system made: a file of the store without an acquisition of ours."""

    item_id: str
    tile: str
    sensed_at: datetime
    object_name: str


COLUMNS: Final = ", ".join(LedgerEntry.__dataclass_fields__)

RECORD: Final = """
INSERT INTO acquisition (agency, season, item_id, tile, sensed_at, processing_baseline, document, status)
VALUES (%(agency)s, %(season)s, %(item_id)s, %(tile)s, %(sensed_at)s, %(processing_baseline)s, %(document)s, 'found')
ON CONFLICT (agency, season, item_id) DO UPDATE
SET tile = excluded.tile, sensed_at = excluded.sensed_at, processing_baseline = excluded.processing_baseline,
    document = excluded.document, status = 'found', object_name = NULL, n_parcels = NULL, parcel_set = NULL,
    reason = NULL, detail = NULL, tried = NULL, warning = NULL, warning_detail = NULL, offset_correction = NULL
WHERE acquisition.document IS DISTINCT FROM excluded.document
   OR (acquisition.status = 'quarantined' AND acquisition.tried IS NULL)
"""
OBSERVED: Final = """
UPDATE acquisition
SET status = 'observed', object_name = %(object_name)s, n_parcels = %(n_parcels)s, parcel_set = %(parcel_set)s,
    reason = NULL, detail = NULL, tried = NULL
WHERE (agency, season, item_id) = (%(agency)s, %(season)s, %(item_id)s)
"""
KNOWN: Final = """
SELECT item_id, document FROM acquisition
WHERE agency = %(agency)s AND season = %(season)s AND NOT (status = 'quarantined' AND tried IS NULL)
"""
IMPORTED: Final = """
INSERT INTO acquisition (agency, season, item_id, tile, sensed_at, status, object_name)
VALUES (%(agency)s, %(season)s, %(item_id)s, %(tile)s, %(sensed_at)s, 'observed', %(object_name)s)
ON CONFLICT (agency, season, item_id) DO NOTHING
"""
QUARANTINED: Final = """
INSERT INTO acquisition (agency, season, item_id, tile, sensed_at, status, reason, detail, tried)
VALUES (%(agency)s, %(season)s, %(item_id)s, %(tile)s, %(sensed_at)s, 'quarantined', %(reason)s, %(detail)s, %(tried)s)
ON CONFLICT (agency, season, item_id) DO UPDATE
SET status = 'quarantined', reason = excluded.reason, detail = excluded.detail, tried = excluded.tried,
    object_name = NULL, n_parcels = NULL, parcel_set = NULL, warning = NULL, warning_detail = NULL,
    offset_correction = NULL
WHERE (acquisition.reason, acquisition.detail, acquisition.tried)
      IS DISTINCT FROM (excluded.reason, excluded.detail, excluded.tried)
"""
WARNED: Final = """
UPDATE acquisition SET warning = %(warning)s, warning_detail = %(detail)s, offset_correction = %(correction)s
WHERE (agency, season, item_id) = (%(agency)s, %(season)s, %(item_id)s) AND status = 'observed'
  AND (warning, warning_detail, offset_correction) IS DISTINCT FROM (%(warning)s, %(detail)s, %(correction)s)
"""
AGAIN: Final = """
UPDATE acquisition SET status = 'found', reason = NULL, detail = NULL, tried = NULL
WHERE (agency, season, item_id) = (%(agency)s, %(season)s, %(item_id)s) AND status = 'quarantined'
  AND tried IS NOT NULL
"""


@database_errors()
def record_found(
    connection: Connection,
    *,
    agency: str,
    season: int,
    acquisitions: Iterable[Acquisition],
    unusable: Iterable[UnusableItem] = (),
) -> dict[str, Mapping[str, Any]]:
    """Enters what one search of the catalogue found, and what it set aside.

    An acquisition that is known keeps its state, unless its metadata changed (another baseline, another file) or the
    catalogue had set it aside and does no longer: then it is found anew. An item that is listed twice stays usable.
    Returns the documents of the acquisitions that were found as they were known, for `read_acquisitions`.
    """
    key = {"agency": agency, "season": season}
    found = {a.item_id: a for a in acquisitions}
    aside = [
        {**key, **asdict(item), "reason": str(item.reason), "tried": None}
        for item in unusable
        if item.item_id not in found
    ]
    with connection.transaction(), connection.cursor() as cursor:
        ensure_season(connection, agency=agency, season=season)
        known = dict(cursor.execute(KNOWN, key).fetchall())
        # a search finds the whole season anew: only what is new or changed is sent
        changed = [(a, document) for a in found.values() if known.get(a.item_id) != (document := a.to_json())]
        for name in {*known} - {*found} | {a.item_id for a, _ in changed}:
            known.pop(name, None)
        cursor.executemany(RECORD, [{**key, **_row(a), "document": Jsonb(document)} for a, document in changed])
        cursor.executemany(QUARANTINED, aside)
    return known


def _row(acquisition: Acquisition) -> dict[str, str | datetime | None]:
    return {
        "item_id": acquisition.item_id,
        "tile": acquisition.tile,
        "sensed_at": acquisition.sensed_at,
        "processing_baseline": acquisition.processing_baseline,
    }


@database_errors()
def record_imported(connection: Connection, *, agency: str, season: int, objects: Iterable[ImportedObject]) -> None:
    """Enters observations made elsewhere as observed; the same objects again change nothing."""
    rows = [{"agency": agency, "season": season, **asdict(item)} for item in objects]
    with connection.transaction(), connection.cursor() as cursor:
        ensure_season(connection, agency=agency, season=season)
        cursor.executemany(IMPORTED, rows)


@database_errors()
def mark_observed(
    connection: Connection,
    *,
    agency: str,
    season: int,
    item_id: str,
    object_name: str,
    n_parcels: int,
    parcel_set: str | None = None,
) -> None:
    """Notes the observation file of an acquisition. Raises DatabaseError when it is not in the ledger."""
    key = {"agency": agency, "season": season, "item_id": item_id}
    about = {"object_name": object_name, "n_parcels": n_parcels, "parcel_set": parcel_set}
    done = connection.execute(OBSERVED, key | about)
    if done.rowcount == 0:
        raise DatabaseError(f"acquisition {item_id} is not in the ledger", where=f"{agency} {season}")


@database_errors()
def mark_quarantined(
    connection: Connection, *, agency: str, season: int, item_id: str, reason: QuarantineReason, detail: str, tried: str
) -> None:
    """Sets an acquisition aside, with the reason, one line of detail, and what the attempt depended on."""
    values = {
        "agency": agency,
        "season": season,
        "item_id": item_id,
        "reason": str(reason),
        "detail": detail,
        "tried": tried,
    }
    with connection.transaction():
        ensure_season(connection, agency=agency, season=season)
        connection.execute(QUARANTINED, {**values, "tile": None, "sensed_at": None})


@database_errors()
def mark_warned(
    connection: Connection,
    *,
    agency: str,
    season: int,
    item_id: str,
    warning: AcquisitionWarning | None,
    detail: str,
    offset_correction: float | None = None,
) -> None:
    """Puts a warning beside an observed acquisition, or takes it away; others are left as they are.

    `offset_correction`, in reflectance, belongs to OFFSET_CORRECTED alone.
    """
    values = {"agency": agency, "season": season, "item_id": item_id}
    warned: dict[str, Any] = {"warning": None, "detail": None, "correction": None}
    if warning:
        warned = {"warning": str(warning), "detail": detail, "correction": offset_correction}
    connection.execute(WARNED, values | warned)


@database_errors()
def find_again(connection: Connection, *, agency: str, season: int, item_id: str) -> None:
    """Makes an acquisition that could not be observed due again; one that the catalogue set aside stays aside."""
    connection.execute(AGAIN, {"agency": agency, "season": season, "item_id": item_id})


@database_errors()
def read_acquisitions(
    connection: Connection,
    *,
    agency: str,
    season: int,
    status: AcquisitionStatus | None = None,
    beside: Sequence[str] = (),
    documents: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> list[LedgerEntry]:
    """The season's ledger by sensing time and item; items without a time come last. Those of `beside` are left out.

    `documents` were read already, by item: they are half of what a ledger takes to read.
    """

    def entry(*, item_id: str, document: Mapping[str, Any] | None, **others: Any) -> LedgerEntry:
        known = documents.get(item_id, document)
        return LedgerEntry(item_id=item_id, document=None if known is None else dict(known), **others)

    columns = COLUMNS.replace("document", "CASE WHEN item_id <> ALL(%s) THEN document END AS document")
    with connection.cursor(row_factory=kwargs_row(entry)) as cursor:
        return cursor.execute(
            f"SELECT {columns} FROM acquisition WHERE agency = %s AND season = %s"  # noqa: S608  our own field names
            " AND (%s::text IS NULL OR status = %s) AND item_id <> ALL(%s)"
            ' ORDER BY sensed_at NULLS LAST, item_id COLLATE "C"',
            (list(documents), agency, season, status, status, list(beside)),
        ).fetchall()


@database_errors()
def read_reasons(connection: Connection, *, agency: str, season: int) -> dict[str, str]:
    """The QuarantineReason of every acquisition that is quarantined, by item."""
    return dict(
        connection.execute(
            "SELECT item_id, reason FROM acquisition WHERE agency = %s AND season = %s AND status = 'quarantined'",
            (agency, season),
        ).fetchall()
    )


@database_errors()
def read_acquisition(connection: Connection, *, agency: str, season: int, item_id: str) -> LedgerEntry:
    """One entry. Raises DatabaseError when it is not in the ledger."""
    with connection.cursor(row_factory=class_row(LedgerEntry)) as cursor:
        entry = cursor.execute(
            f"SELECT {COLUMNS} FROM acquisition WHERE agency = %s AND season = %s AND item_id = %s",  # noqa: S608
            (agency, season, item_id),
        ).fetchone()
    if entry is None:
        raise DatabaseError(f"acquisition {item_id} is not in the ledger", where=f"{agency} {season}")
    return entry


@database_errors()
def read_versions(connection: Connection, *, agency: str, season: int, tile: str) -> dict[str, str]:
    """By item: another text whenever its row changed, as it does where an acquisition was observed anew."""
    return dict(
        connection.execute(
            "SELECT item_id, xmin::text FROM acquisition WHERE agency = %s AND season = %s AND tile = %s",
            (agency, season, tile),
        ).fetchall()
    )


@database_errors()
def observed_files(connection: Connection, *, agency: str, season: int, tiles: Sequence[str]) -> list[tuple[str, str]]:
    """(object name, version) of every observation file of these tiles, and of none, by sensing time.

    The version is that of the ledger's row: another one whenever the acquisition was observed anew.
    """
    return connection.execute(
        "SELECT object_name, xmin::text FROM acquisition WHERE agency = %s AND season = %s AND status = 'observed'"
        ' AND (tile = ANY(%s) OR tile IS NULL) ORDER BY sensed_at NULLS LAST, item_id COLLATE "C"',
        (agency, season, list(tiles)),
    ).fetchall()


@database_errors()
def ledger_state(connection: Connection, *, agency: str, season: int) -> str:
    """Another text whenever the ledger says anything else of an acquisition; the server makes it."""
    row = connection.execute(
        "SELECT count(*) || ' ' || coalesce(md5(string_agg(item_id || ' ' || xmin::text, ' ' ORDER BY item_id)), '')"
        " FROM acquisition WHERE agency = %s AND season = %s",
        (agency, season),
    ).fetchone()
    assert row is not None, "an aggregate has one row"
    return str(row[0])


@database_errors()
def count_acquisitions(connection: Connection, *, agency: str, season: int) -> dict[tuple[str, str | None], int]:
    """(status, reason or warning) -> acquisitions."""
    rows = connection.execute(
        "SELECT status, coalesce(reason, warning), count(*) FROM acquisition WHERE agency = %s AND season = %s"
        " GROUP BY 1, 2",
        (agency, season),
    ).fetchall()
    return {(status, why): n for status, why, n in rows}
