"""Who may read which column: as the database itself grants it, so that the list cannot differ from what holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cropmap.database.connection import Connection, database_errors

ROLES: Final[Mapping[str, str]] = {
    "cropmap_reader": "SQL: reader",
    "cropmap_controller": "SQL: controller",
    "cropmap_server_public": "key: public",
    "cropmap_server_statistician": "key: statistician",
    "cropmap_server_operator": "key: operator",
    "cropmap_server_controller": "key: controller",
    "cropmap_server_administrator": "key: administrator",
}
"""roles of people and of keys, and their heading; the worker's role reads every table of its agency"""
READABLE: Final = """
SELECT c.relname, a.attname, array_agg(r.rolname::text ORDER BY r.rolname)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_roles r ON r.rolname = ANY (%s) AND has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT')
WHERE c.relkind IN ('r', 'v', 'm', 'p') AND c.relnamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
GROUP BY c.oid, a.attnum, a.attname ORDER BY c.relname, a.attnum
"""
PAGE: Final = """# Who may read which column

This page is for everybody who grants a role or a key, and for auditors. It lists every column of the database that
people with SQL or keys of the API may read. A column that is not listed is read by no role but that of the workers and
the owner of the tables. The login of the API reads the hashes of keys and passwords before it lets anybody in.

A role reads rows of its own agency alone, and of a run only what is published. A key reads them through the routes of
the API ([REST API](api.md)), people through the views. [Public tables](columns.md) explains the columns.

`make docs` writes this page from the grants of a new database. `cropmap db rights` prints those of the database in use.
"""


@dataclass(frozen=True)
class ColumnRights:
    table: str
    column: str
    roles: frozenset[str]
    """those of ROLES that may read it"""


@database_errors()
def column_rights(connection: Connection) -> list[ColumnRights]:
    """Every column that one of ROLES may read, in the order of tables and of their columns."""
    rows = connection.execute(READABLE, (list(ROLES),)).fetchall()
    return [ColumnRights(table, column, frozenset(roles)) for table, column, roles in rows]


def as_markdown(rights: Iterable[ColumnRights]) -> str:
    """A page with a table for each table of the database."""
    by_table: dict[str, list[ColumnRights]] = {}
    for one in rights:
        by_table.setdefault(one.table, []).append(one)
    return PAGE + "".join(f"\n## {table}\n\n{_table(columns)}" for table, columns in by_table.items())


def _table(columns: Sequence[ColumnRights]) -> str:
    head = ["column", *ROLES.values()]
    rows = [[f"`{one.column}`", *("yes" if role in one.roles else "" for role in ROLES)] for one in columns]
    lines = [head, ["---"] * len(head), *rows]
    return "".join("|" + "|".join(f" {cell} " if cell else " " for cell in line) + "|\n" for line in lines)
