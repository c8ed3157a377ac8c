"""What the catalogue of PostgreSQL, its counters and its planner tell a reader with SQL."""

# ruff: noqa: S608  names that the catalogue gives

from __future__ import annotations

import json
import time
from typing import Any, Final

import psycopg
from psycopg import sql

from cropmap.database.connection import Connection

READER: Final = "cropmap_reader"
OF_PARCELS: Final = frozenset(
    {
        "parcel",
        "declaration",
        "rejection",
        "notice",
        "acquisition",
        "prediction",
        "assessment",
        "review_parcel",
        "review",
    }
)
RELATIONS: Final = """
SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v')
      AND has_column_privilege(c.oid, a.attnum, 'SELECT')
GROUP BY n.nspname, c.relname ORDER BY 1, 2
"""
SIZES: Final = ("relpages", "relallvisible", "relallfrozen", "wal_", "buffers_", "extend", "xmin")
"""parts of names of columns that count pages, bytes and transactions: they tell how much there is in all tables
together, to some hundred rows"""
ONLY: Final = {"pg_stats": " WHERE schemaname = 'public'", "pg_class": " WHERE relnamespace = 'public'::regnamespace"}
"""of our tables: the server counts those of its own catalogue when it likes"""
FILTERS: Final = (0.05, 1.0, 7.0, 20.0, 100.0, 300.0, 1000.0, 5000.0)


def settle(connection: Connection) -> None:
    """Counts every row, and lets counters be seen."""
    connection.execute("ANALYZE")
    connection.execute("SELECT pg_stat_force_next_flush()")
    connection.execute("SELECT 1")


def tells(one: Connection, same: Connection, other: Connection) -> set[str]:
    """relation.column of what a reader sees that is alike in the first two databases and not in the third.

    Both are read again: counters of the whole server go on, and what the server does of itself passes.
    """
    first, second, third, first_again, third_again = map(_seen, (one, same, other, one, other))
    return {
        name
        for name in first
        if first[name] == second.get(name) == first_again.get(name)
        and third.get(name) == third_again.get(name) != first[name]
    }


def is_size(name: str) -> bool:
    return any(part in name.partition(".")[2] for part in SIZES)


def _seen(connection: Connection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with connection.transaction():
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(READER)))
        for schema, name, columns in connection.execute(RELATIONS).fetchall():
            for some in (columns, *([column] for column in columns)):
                rows = _texts(connection, schema, name, some)
                if rows is not None:
                    values = zip(some, zip(*rows, strict=True), strict=True) if rows else ()
                    found |= {f"{name}.{column}": sorted(map(str, column_values)) for column, column_values in values}
                    if some is columns:
                        break
    return found


def _texts(connection: Connection, schema: str, name: str, columns: list[str]) -> list[tuple[Any, ...]] | None:
    """None where the role may not: some views call functions that are for administrators."""
    texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns)
    asked = sql.SQL("SELECT {} FROM {}{}").format(texts, sql.Identifier(schema, name), sql.SQL(ONLY.get(name, "")))
    try:
        with connection.transaction():
            return connection.execute(asked).fetchall()
    except psycopg.Error:
        return None


def estimates(connection: Connection, agency: str) -> dict[str, Any]:
    """Rows that EXPLAIN expects of the views of a reader, with and without a condition on each figure."""
    out: dict[str, Any] = {}
    with connection.transaction():
        connection.execute("SELECT set_config('cropmap.agency', %s, true)", (agency,))
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(READER)))
        for view in ("crop_statistic", "released_statistic", "statistic_release", "run_log"):
            out[view] = _expected(connection, f"SELECT agency FROM {view}")
        for view in ("crop_statistic", "released_statistic"):
            for figure in ("estimate_ha", "declared_ha", "n_parcels"):
                for value in FILTERS:
                    asked = f"SELECT agency FROM {view} WHERE {figure} <= {value}"
                    out[asked] = _expected(connection, asked)
    return out


def _expected(connection: Connection, statement: str) -> Any:
    row = connection.execute(f"EXPLAIN (FORMAT JSON, COSTS) {statement}".encode()).fetchone()
    assert row is not None
    plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return _rows(plan[0]["Plan"])


def _rows(plan: dict[str, Any]) -> list[Any]:
    below = [_rows(one) for one in plan.get("Plans", ())]
    return [plan["Node Type"], plan.get("Relation Name"), plan["Plan Rows"], *below]


def scans(connection: Connection, *, seconds: float = 3.0) -> dict[str, int]:
    """How often each table was looked at by sessions that have ended, by sequence or by index."""
    time.sleep(seconds)
    rows = connection.execute(
        "SELECT relname, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_user_tables"
        " WHERE schemaname = 'public'"
    ).fetchall()
    return {name: int(count) for name, count in rows}
