"""Rows of one holding, or of a whole season, erased from every table that has any; and the record that they were.

Only the owner of the tables may: no other role removes a row of a published run (decision 0080). Runs, statistics,
releases and counts stay. The record says when and how much, and of a holding a keyed hash alone.
"""

# ruff: noqa: S608  statements of constants

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from cropmap.database import audit
from cropmap.database.connection import Connection, database_errors
from cropmap.errors import DatabaseError, InputError

PERSONAL_COLUMNS: Final = ("parcel_id", "parcel_ids", "holding_id", "wkb")
"""a table with one of these holds rows of single parcels or holdings"""
RUNS: Final = "(SELECT run_id FROM run WHERE agency = %(agency)s AND season = %(season)s)"
SEASON: Final = "agency = %(agency)s AND season = %(season)s"
PARCELS: Final = "(%(whole)s OR parcel_id = ANY(%(parcel_ids)s))"
MARK_ASSESSMENTS: Final = f"""
CREATE TEMPORARY TABLE erased_assessment ON COMMIT DROP AS
SELECT run_id, parcel_id FROM assessment
WHERE run_id IN {RUNS} AND ({PARCELS} OR holding_id = %(holding_id)s)
"""
REVIEWS: Final = "review_parcel p JOIN erased_assessment USING (run_id, parcel_id)"
ERASE: Final[Mapping[str, str]] = {
    "review": f"DELETE FROM review v USING {REVIEWS} WHERE (v.campaign_id, v.parcel_id) = (p.campaign_id, p.parcel_id)",
    "review_parcel": "DELETE FROM review_parcel p USING erased_assessment e"
    " WHERE (p.run_id, p.parcel_id) = (e.run_id, e.parcel_id)",
    "assessment": "DELETE FROM assessment a USING erased_assessment e"
    " WHERE (a.run_id, a.parcel_id) = (e.run_id, e.parcel_id)",
    "prediction": f"DELETE FROM prediction WHERE run_id IN {RUNS} AND {PARCELS}",
    "notice": f"DELETE FROM notice WHERE {SEASON}"
    f" AND ({PARCELS} OR (notice = 'OVERLAP' AND split_part(detail, ' with ', 2) = ANY(%(parcel_ids)s)))",
    "rejection": f"DELETE FROM rejection WHERE {SEASON} AND reason <> 'HOLDING_ERASED'"
    f" AND ({PARCELS} OR (source_file = %(source_file)s AND row_number = ANY(%(row_numbers)s)))",
    "declaration": f"DELETE FROM declaration WHERE {SEASON} AND ({PARCELS} OR holding_id = %(holding_id)s)",
    "parcel": f"DELETE FROM parcel WHERE {SEASON} AND {PARCELS}",
    "audit_entry": "UPDATE audit_entry SET parcel_ids = CASE WHEN %(whole)s THEN '{}' ELSE ARRAY("
    " SELECT id FROM unnest(parcel_ids) id WHERE id <> ALL(%(parcel_ids)s) ORDER BY id) END"
    f" WHERE {SEASON} AND cardinality(parcel_ids) > 0 AND (%(whole)s OR parcel_ids && %(parcel_ids)s)",
}
"""what erases from each table, in the order of their references. An entry of the audit log stays without the parcel"""
TABLES_WITH_PERSONAL_COLUMNS: Final = """
SELECT DISTINCT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped
      AND a.attname = ANY(%s)
"""
PARCELS_OF: Final = f"""
SELECT parcel_id FROM declaration WHERE {SEASON} GROUP BY parcel_id
HAVING bool_or(holding_id = %(holding_id)s)
   AND coalesce((array_agg(holding_id ORDER BY version DESC))[1], %(holding_id)s) = %(holding_id)s
ORDER BY parcel_id
"""
"""a parcel that another holding has declared since is that one's"""
IS_NAMED: Final = f"""
SELECT EXISTS (SELECT FROM declaration WHERE {SEASON} AND holding_id = %(holding_id)s)
    OR EXISTS (SELECT FROM assessment WHERE run_id IN {RUNS} AND holding_id = %(holding_id)s)
"""
OUTLINES_OF: Final = f"""
SELECT wkb FROM parcel WHERE {SEASON} AND {PARCELS}
UNION SELECT wkb FROM declaration WHERE {SEASON} AND {PARCELS} AND wkb IS NOT NULL
"""
RECORD_HOLDING: Final = """
INSERT INTO erasure (agency, season, holding_hash, erased_at, removed)
SELECT agency, %(season)s, sha256(key || convert_to(%(holding_id)s, 'UTF8')), %(erased_at)s, %(removed)s
FROM erasure_key WHERE agency = %(agency)s
"""
RECORD_SEASON: Final = """
INSERT INTO erasure (agency, season, erased_at, removed)
VALUES (%(agency)s, %(season)s, %(erased_at)s, %(removed)s)
"""


@dataclass(frozen=True)
class Subject:
    """Whose rows of a season are meant."""

    agency: str
    season: int
    parcel_ids: tuple[str, ...]
    """of a whole season all of them"""
    holding_id: str | None
    """None: the whole season"""
    source_file: str = ""
    row_numbers: tuple[int, ...] = ()
    """of the holding in that declarations file: rejected rows are stored without their holding"""

    @property
    def is_whole(self) -> bool:
        return self.holding_id is None

    @property
    def values(self) -> dict[str, Any]:
        return {
            "agency": self.agency,
            "season": self.season,
            "parcel_ids": list(self.parcel_ids),
            "holding_id": self.holding_id,
            "whole": self.is_whole,
            "source_file": self.source_file,
            "row_numbers": list(self.row_numbers),
        }


@database_errors()
def erased_holdings(
    connect: Callable[[], Connection], holdings: Collection[str], *, agency: str, season: int
) -> list[str]:
    """Those of the holdings that were erased from the season."""
    if not holdings:
        return []
    with connect() as connection:
        asked = (agency, season, list(holdings))
        return [name for (name,) in connection.execute("SELECT erased_holdings(%s, %s, %s::text[])", asked).fetchall()]


@database_errors()
def season_erased_at(connection: Connection, *, agency: str, season: int) -> datetime | None:
    """When the personal data of the whole season were removed; None where they were not."""
    row = connection.execute("SELECT season_erased_at(%s, %s)", (agency, season)).fetchone()
    assert row is not None, "a function without a table has one row"
    found: datetime | None = row[0]
    return found


@database_errors()
def subject_of_holding(connection: Connection, *, agency: str, season: int, holding_id: str) -> Subject | None:
    """The holding in a season; None where no row names it."""
    key = {"agency": agency, "season": season, "holding_id": holding_id}
    if connection.execute(IS_NAMED, key).fetchone() != (True,):
        return None
    parcels = tuple(parcel for (parcel,) in connection.execute(PARCELS_OF, key).fetchall())
    return Subject(agency, season, parcels, holding_id)


@database_errors()
def holding_erased_at(connection: Connection, *, agency: str, holding_id: str) -> datetime | None:
    """When the holding was last erased from a season of the agency; None where it was not."""
    row = connection.execute(
        "SELECT max(erased_at) FROM erasure JOIN erasure_key USING (agency)"
        " WHERE agency = %s AND holding_hash = sha256(key || convert_to(%s, 'UTF8'))",
        (agency, holding_id),
    ).fetchone()
    assert row is not None, "an aggregate has one row"
    found: datetime | None = row[0]
    return found


@database_errors()
def subject_of_season(connection: Connection, *, agency: str, season: int) -> Subject:
    rows = connection.execute(f"SELECT parcel_id FROM parcel WHERE {SEASON} ORDER BY 1", _key(agency, season))
    return Subject(agency, season, tuple(parcel for (parcel,) in rows.fetchall()), None)


@database_errors()
def outlines_of(connection: Connection, subject: Subject) -> list[bytes]:
    """Every outline (WKB, EPSG:4326) that its parcels have or had."""
    return [bytes(wkb) for (wkb,) in connection.execute(OUTLINES_OF, subject.values).fetchall()]


@database_errors()
def has_rejections(connection: Connection, subject: Subject, *, source_file: str) -> bool:
    asked = (subject.agency, subject.season, source_file)
    found = connection.execute(
        "SELECT EXISTS (SELECT FROM rejection WHERE (agency, season, source_file) = (%s, %s, %s))", asked
    ).fetchone()
    return found == (True,)


@database_errors()
def prune_audit(connection: Connection, agency: str, *, before: datetime, dry_run: bool = False) -> int:
    """`audit.prune`; with `dry_run` it only counts."""
    with connection.transaction(force_rollback=dry_run):
        return audit.prune(connection, agency, before=before)


@database_errors()
def seasons_of(connection: Connection, agency: str) -> list[int]:
    rows = connection.execute("SELECT season FROM season WHERE agency = %s ORDER BY season", (agency,)).fetchall()
    return [season for (season,) in rows]


@database_errors()
def runs_of(connection: Connection, *, agency: str, season: int) -> list[str]:
    return [run for (run,) in connection.execute(f"{RUNS[1:-1]} ORDER BY 1", _key(agency, season)).fetchall()]


@database_errors()
def parcel_sets_elsewhere(connection: Connection, *, agency: str, season: int) -> set[str]:
    """Parcel sets that observations of other seasons are of."""
    asked = (agency, season)
    found = connection.execute(
        "SELECT DISTINCT parcel_set FROM acquisition WHERE (agency, season) <> (%s, %s) AND parcel_set IS NOT NULL",
        asked,
    )
    return {name for (name,) in found.fetchall()}


@database_errors()
def require_owner(connection: Connection) -> None:
    """Raises InputError where the login is not the owner of the tables, DatabaseError where a table with personal
    columns is one that nothing here erases from."""
    owns = connection.execute(
        "SELECT pg_has_role(current_user, relowner, 'MEMBER') FROM pg_class WHERE oid = 'erasure'::regclass"
    ).fetchone()
    if owns != (True,):
        raise InputError(
            "only the owner of the tables may erase rows of published runs",
            where="CROPMAP_DATABASE_URL",
            mend="Run it with the login that runs `cropmap db upgrade`",
        )
    if unknown := sorted(tables_with_personal_columns(connection) - ERASE.keys()):
        raise DatabaseError(
            f"{', '.join(unknown)}: nothing here erases from it, and it has columns of parcels or holdings",
            mend="Remove the table, or install the version of cropmap that made it",
        )


@database_errors()
def tables_with_personal_columns(connection: Connection) -> set[str]:
    rows = connection.execute(TABLES_WITH_PERSONAL_COLUMNS, (list(PERSONAL_COLUMNS),)).fetchall()
    return {name for (name,) in rows}


@database_errors()
def erase_rows(
    connection: Connection,
    subject: Subject,
    *,
    mask: Callable[[str], str],
    objects: Mapping[str, int],
    erased_at: datetime,
    note: Callable[[int], None],
    dry_run: bool = False,
) -> dict[str, int]:
    """Erases the rows, masks what error texts of runs name, writes the record and calls `note` with the number of rows,
    in one transaction. Returns rows by table; with `dry_run` the transaction is taken back."""
    counts: dict[str, int] = {}
    with connection.transaction(force_rollback=dry_run):
        connection.execute("DROP TABLE IF EXISTS pg_temp.erased_assessment")
        connection.execute(MARK_ASSESSMENTS, subject.values)
        connection.execute("ANALYZE erased_assessment")
        for table, statement in ERASE.items():
            counts[table] = connection.execute(statement, subject.values).rowcount
        counts["run"] = _mask_details(connection, subject, mask)
        _record(connection, subject, {"rows": counts, "objects": dict(objects)}, erased_at)
        note(sum(counts.values()))
    return {table: count for table, count in counts.items() if count}


@database_errors()
def free_space(connection: Connection) -> None:
    """Has the server overwrite what was erased, as far as no transaction still sees it; outside of any transaction."""
    connection.execute(SQL("VACUUM {}").format(SQL(", ").join(map(Identifier, ERASE))))


def _mask_details(connection: Connection, subject: Subject, mask: Callable[[str], str]) -> int:
    rows = connection.execute(
        f"SELECT run_id, detail FROM run WHERE {SEASON} AND detail IS NOT NULL", subject.values
    ).fetchall()
    changed: Sequence[tuple[str, str]] = [(mask(detail), run) for run, detail in rows if mask(detail) != detail]
    for row in changed:
        connection.execute("UPDATE run SET detail = %s WHERE run_id = %s", row)
    return len(changed)


def _record(connection: Connection, subject: Subject, removed: Mapping[str, Any], erased_at: datetime) -> None:
    values = subject.values | {"erased_at": erased_at, "removed": Jsonb(removed)}
    connection.execute("INSERT INTO erasure_key (agency) VALUES (%(agency)s) ON CONFLICT DO NOTHING", values)
    connection.execute(RECORD_SEASON if subject.is_whole else RECORD_HOLDING, values)


def _key(agency: str, season: int) -> dict[str, Any]:
    return {"agency": agency, "season": season}
