"""Queries of readers: serving, exports and reports. Every value is a parameter; no text of a caller becomes SQL.

Without `run_id` the answer is what is published; with it, that run's rows, published or replaced since.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import shapely
from psycopg import sql
from psycopg.rows import dict_row

from cropmap.contracts.columns import Table
from cropmap.contracts.tables import RUN_LOG, STORED_ASSESSMENT, STORED_STATISTIC
from cropmap.database.connection import Connection, database_errors
from cropmap.errors import InputError

Row = dict[str, Any]

# the columns that everybody may read who may read a run
RUNS: Final = """
SELECT run_id, agency, season, r.as_of, r.model_version, r.nuts_version, r.simulated, r.partial_regions
FROM published JOIN run r USING (agency, season, run_id)
"""
ONE_RUN: Final = """
SELECT run_id, agency, season, as_of, model_version, nuts_version, simulated, partial_regions
FROM run WHERE run_id = %(run_id)s
"""

STATISTICS: Final = """
SELECT agency, season, r.as_of, r.nuts_version, {columns}, run_id, coalesce(r.simulated, false) AS simulated,
       coalesce(s.nuts_id = ANY (r.partial_regions), false) AS partial_region
FROM ({runs}) r JOIN statistic s USING (run_id)
WHERE {filters} ORDER BY agency, season, s.nuts_id COLLATE "C", s.crop COLLATE "C", s.strucpro, s.concept
"""
ASSESSMENTS: Final = """
SELECT agency, season, {columns}, run_id, coalesce(r.simulated, false) AS simulated
FROM ({runs}) r JOIN assessment a USING (run_id)
WHERE {filters} ORDER BY a.list_order, a.parcel_id LIMIT {limit}
"""
PARCEL: Final = """
SELECT p.agency, p.season, s.simulated, p.parcel_id, p.home_tile, coalesce(y.nuts_id, p.nuts_id) AS nuts_id,
       coalesce(y.area_ha, d.area_ha) AS area_ha, r.run_id, p.wkb, to_jsonb(d) AS declaration,
       to_jsonb(y) || jsonb_build_object('model_version', r.model_version) AS prediction, to_jsonb(a) AS assessment
FROM parcel p
JOIN season s USING (agency, season)
LEFT JOIN ({runs}) r USING (agency, season)
LEFT JOIN declaration d ON (d.agency, d.season, d.parcel_id) = (p.agency, p.season, p.parcel_id) AND d.valid_to IS NULL
LEFT JOIN prediction y ON (y.run_id, y.parcel_id) = (r.run_id, p.parcel_id)
LEFT JOIN assessment a ON (a.run_id, a.parcel_id) = (r.run_id, p.parcel_id)
WHERE (p.agency, p.season, p.parcel_id) = (%(agency)s, %(season)s, %(parcel_id)s)
"""
AGREEMENT: Final = """
SELECT coalesce(a.holding_id, 'parcel ' || a.parcel_id) AS cluster, a.declared_crop, a.predicted_crop,
       count(*) AS parcels
FROM assessment a JOIN prediction p USING (run_id, parcel_id)
WHERE run_id = %(run_id)s AND a.declared_crop IS NOT NULL AND a.predicted_crop IS NOT NULL
      AND starts_with(p.scored_by, 'fold ')
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
PAGE_MEND: Final = "Give back `next` of the page before"
HIDDEN: Final = {"run_id", "parcel_id", "agency", "season", "wkb", "content_hash", "valid_to", "list_order"}
"""columns of the joined rows that say nothing of their own"""


@dataclass(frozen=True)
class Page:
    items: list[Row]
    next: str | None
    """where the next page begins (`after`); None after the last"""


@database_errors()
def published_seasons(connection: Connection, *, agency: str | None = None) -> list[Row]:
    """agency, season, simulated, as_of, published_at, model_version, run_id of all that is published."""
    return _rows(
        connection,
        "SELECT agency, season, s.simulated, r.as_of, p.published_at, r.model_version, run_id"
        " FROM published p JOIN run r USING (agency, season, run_id) JOIN season s USING (agency, season)"
        " WHERE %(agency)s::text IS NULL OR agency = %(agency)s ORDER BY agency, season",
        {"agency": agency},
    )


@database_errors()
def has_season(connection: Connection, *, agency: str) -> bool:
    """Whether the agency has a season, published or not."""
    row = connection.execute("SELECT EXISTS (SELECT FROM season WHERE agency = %s)", (agency,)).fetchone()
    return bool(row and row[0])


@database_errors()
def season_before(connection: Connection, *, agency: str, season: int) -> int | None:
    """The agency's last season before this one, published or not; None where this is the first."""
    row = connection.execute(
        "SELECT max(season) FROM season WHERE agency = %s AND season < %s", (agency, season)
    ).fetchone()
    return row[0] if row else None


@database_errors()
def published_run(connection: Connection, *, agency: str, season: int) -> str | None:
    """run_id of what is published of the season; None where nothing is."""
    row = connection.execute(
        "SELECT run_id FROM published WHERE (agency, season) = (%s, %s)", (agency, season)
    ).fetchone()
    return str(row[0]) if row else None


@database_errors()
def statistics(
    connection: Connection,
    *,
    agency: str | None = None,
    season: int | None = None,
    run_id: str | None = None,
    nuts_id: str | None = None,
    level: int | None = None,
    crop: str | None = None,
) -> list[Row]:
    """Rows as of view `crop_statistic`; `nuts_id` is a region with all below it."""
    filters: dict[LiteralString, Any] = {
        "agency = %(agency)s": agency,
        "season = %(season)s": season,
        "starts_with(s.nuts_id, %(nuts_id)s)": nuts_id,
        "s.level = %(level)s": level,
        "s.crop = %(crop)s": crop,
    }
    values = {"agency": agency, "season": season, "nuts_id": nuts_id, "level": level, "crop": crop}
    return _rows(
        connection, _compose(STATISTICS, run_id, filters, _of("s", STORED_STATISTIC)), values | {"run_id": run_id}
    )


@database_errors()
def agreement(connection: Connection, *, run_id: str) -> list[Row]:
    """cluster (the holding, or the parcel alone where none is named), declared_crop, predicted_crop, parcels: counts of
    the run's declarations that were scored by a fold which did not see them. Those that several folds scored together
    (too small, class too rare) are left out: a neighbour or the same holding may have trained one of them."""
    return _rows(connection, AGREEMENT, {"run_id": run_id})


@database_errors()
def assessments(
    connection: Connection,
    *,
    agency: str,
    season: int,
    run_id: str | None = None,
    verdicts: Sequence[str] = (),
    nuts_id: str | None = None,
    declared_crop: str | None = None,
    holding_id: str | None = None,
    after: str | None = None,
    limit: int | None = 100,
) -> Page:
    """Assessments, the most urgent first (priority descending, then parcel_id); no priority comes last.

    `after` is the `next` of the page before: it stays with that page's run, also when another is published
    meanwhile. `limit` None gives all at once. Raises InputError for an `after` that no page gave out.
    """
    position = _position(after) if after else None
    # with the run as a constant the index gives the page in its order; joined from `published` all rows are sorted
    run_id = position["run"] if position else run_id or published_run(connection, agency=agency, season=season)
    if position and not _is_run_of(connection, position["run"], agency=agency, season=season):
        raise InputError("not the mark of a page of this season", where="after", mend=PAGE_MEND)
    if run_id is None:
        return Page([], None)
    filters: dict[LiteralString, Any] = {
        "agency = %(agency)s": agency,
        "season = %(season)s": season,
        # one verdict is an equality: then the index gives the page in its order, without a sort
        "a.verdict = %(verdict)s": verdicts[0] if len(verdicts) == 1 else None,
        "a.verdict = ANY(%(verdicts)s)": list(verdicts) if len(verdicts) > 1 else None,
        "starts_with(a.nuts_id, %(nuts_id)s)": nuts_id,
        "a.declared_crop = %(declared_crop)s": declared_crop,
        "a.holding_id = %(holding_id)s": holding_id,
        # a column, as policies let no index work on an expression
        "(a.list_order, a.parcel_id) > (-%(priority)s::float8, %(parcel_id)s)": position,
    }
    values = {
        "agency": agency,
        "season": season,
        "run_id": run_id,
        "verdicts": list(verdicts),
        "verdict": verdicts[0] if verdicts else None,
        "nuts_id": nuts_id,
        "declared_crop": declared_crop,
        "holding_id": holding_id,
        "priority": position and position["priority"],
        "parcel_id": position and position["parcel_id"],
    }
    # a limit that the planner does not know makes it plan each page anew
    most = sql.Literal(None if limit is None else limit + 1)
    rows = _rows(connection, _compose(ASSESSMENTS, run_id, filters, _of("a", STORED_ASSESSMENT), limit=most), values)
    if limit is None or len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], _token(rows[limit - 1]))


@database_errors()
def parcel(
    connection: Connection, *, agency: str, season: int, parcel_id: str, run_id: str | None = None
) -> Row | None:
    """One parcel with its current `declaration`, and `prediction` and `assessment` of the run, each None where there
    is none; `geometry` as GeoJSON in EPSG:4326. None where the parcel is not in the register."""
    values = {"agency": agency, "season": season, "parcel_id": parcel_id, "run_id": run_id}
    rows = _rows(connection, _compose(PARCEL, run_id, {}), values)
    if not rows:
        return None
    row = rows[0]
    row["geometry"] = shapely.geometry.mapping(shapely.from_wkb(row.pop("wkb")))
    for name in ("declaration", "prediction", "assessment"):
        row[name] = row[name] and {k: v for k, v in row[name].items() if k not in HIDDEN}
    return row


@database_errors()
def run_log(
    connection: Connection,
    *,
    agency: str | None = None,
    season: int | None = None,
    limit: int = 100,
    counted: bool = True,
) -> list[Row]:
    """Rows of view `run_log`, the latest start first. `counted`: with the number of parcels, which operators may not
    read."""
    columns = [sql.Identifier(name) for name in RUN_LOG.names if counted or name != "n_parcels"]
    statement: LiteralString = (
        "SELECT {columns} FROM run_log WHERE (%(agency)s::text IS NULL OR agency = %(agency)s)"
        " AND (%(season)s::int IS NULL OR season = %(season)s) ORDER BY started_at DESC, run_id LIMIT %(limit)s"
    )
    values = {"agency": agency, "season": season, "limit": limit}
    return _rows(connection, sql.SQL(statement).format(columns=sql.SQL(", ").join(columns)), values)


def _rows(connection: Connection, statement: LiteralString | sql.Composed, values: Row) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, values).fetchall()


def _of(alias: str, table: Table) -> sql.Composed:
    """The columns of a product's table; `run_id` is that of the run beside it."""
    return sql.SQL(", ").join(sql.Identifier(alias, column.name) for column in table.without("run_id"))


def _compose(
    statement: LiteralString,
    run_id: str | None,
    filters: dict[LiteralString, Any],
    columns: sql.Composable | None = None,
    **others: sql.Composable,
) -> sql.Composed:
    """The statement with its columns, the source of runs, and those filters whose value is given."""
    wanted = [sql.SQL(text) for text, value in filters.items() if value is not None] or [sql.SQL("true")]
    runs = sql.SQL(RUNS if run_id is None else ONE_RUN)
    parts = {"columns": columns or sql.SQL(""), "runs": runs, "filters": sql.SQL(" AND ").join(wanted), **others}
    return sql.SQL(statement).format(**parts)


def _token(row: Row) -> str:
    priority = "-Infinity" if row["priority"] is None else row["priority"]
    return base64.urlsafe_b64encode(json.dumps([row["run_id"], priority, row["parcel_id"]]).encode()).decode()


def _position(token: str) -> Row:
    try:
        run, priority, parcel_id = json.loads(base64.urlsafe_b64decode(token.encode()))
        return {"run": text_of(run), "priority": float(priority), "parcel_id": text_of(parcel_id)}
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise InputError("not the mark of a page", where="after", mend=PAGE_MEND) from error


def _is_run_of(connection: Connection, run_id: str, *, agency: str, season: int) -> bool:
    row = connection.execute(
        "SELECT FROM run WHERE (run_id, agency, season) = (%s, %s, %s)", (run_id, agency, season)
    ).fetchone()
    return row is not None


def text_of(value: object) -> str:
    """Raises ValueError for a NUL or half a character, which no text of PostgreSQL holds."""
    if b"\x00" in (text := str(value)).encode():
        raise ValueError("NUL in a text")
    return text
