"""What a delivered file may not do: take its rows from another file. In: a path; out: nothing, or one line that says
what refers where.

The drivers that follow references by their nature are gone (`drivers`). These stay within formats that are wanted: a
MapInfo table that is a view of others, a table of SQLite or GeoPackage that a module reads from another file, and a
symbolic link among the files of a delivery.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from cropmap.errors import DeclarationFileError

_REFERRING_TAB: Final = re.compile(rb"isseamless|create\s+view|open\s+table", re.IGNORECASE)
_TAB_BYTES: Final = 1 << 20
_TOPOLOGY: Final = re.compile(rb"\"type\"\s*:\s*\"Topology\"")
_HEAD_BYTES: Final = 1 << 13
ANY_POINTS_BELOW: Final = 10_000_000
POINTS_PER_BYTE: Final = 4
"""of a TopoJSON: a border is shared by two outlines of each of its objects, and takes six bytes a point at least"""
_SQLITE: Final = b"SQLite format 3\x00"
_GAP: Final = r"(?:\s|/\*.*?\*/|--[^\n]*\n)+"
_VIRTUAL: Final = re.compile(rf"CREATE{_GAP}(?:TEMP(?:ORARY)?{_GAP})?VIRTUAL\b", re.IGNORECASE | re.DOTALL)
_MODULE: Final = re.compile(
    r"""CREATE\s+VIRTUAL\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|\w+)\s+USING\s+"?(\w+)"?""",
    re.IGNORECASE,
)
_OWN_MODULES: Final = frozenset(
    {
        "rtree",
        "rtree_i32",
        "geopoly",
        "fts3",
        "fts4",
        "fts5",
        "virtualspatialindex",
        "virtualelementary",
        "virtualknn",
        "virtualknn2",
    }
)
"""modules that keep their data in the database itself: indexes, and what SpatiaLite puts into each of its databases"""


def refuse_references(source: str) -> None:
    """Raises DeclarationFileError for a MapInfo table that only points to other tables (a seamless one, or a view), and
    for a database with a table that a module reads from elsewhere."""
    path = Path(source)
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                _refuse_modules(path)
        _refuse_repeats(path)
    tables = [path] if path.suffix.lower() == ".tab" else []
    if path.is_dir():
        tables = [inner for inner in path.iterdir() if inner.suffix.lower() == ".tab"]
    for table in tables:
        if not table.is_file():
            continue
        with table.open("rb") as file:
            text = file.read(_TAB_BYTES + 1)
            if len(text) > _TAB_BYTES:
                raise DeclarationFileError(
                    f"{table.name} has more than {_TAB_BYTES:,} bytes, too many for the description of a MapInfo table",
                    where=source,
                    mend="Name a text file .tsv; or save the parcels as GeoPackage",
                )
            if _REFERRING_TAB.search(text):
                raise DeclarationFileError(
                    "refers to other tables (a seamless table or a view)",
                    where=source,
                    mend="Save the parcels themselves as a table, or as GeoPackage",
                )


def _refuse_repeats(path: Path) -> None:
    """Raises DeclarationFileError for a TopoJSON whose outlines repeat its arcs until they fill the memory."""
    with path.open("rb") as file:
        if not (head := file.read(_HEAD_BYTES)).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return
        file.seek(max(path.stat().st_size - _HEAD_BYTES, 0))
        if not _TOPOLOGY.search(head + file.read()):
            return
    try:
        document = json.loads(path.read_bytes())
        lengths = [len(arc) for arc in document["arcs"]]
        points = _points(document["objects"], lengths)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return  # no TopoJSON: opening it raises the error
    if points > max(ANY_POINTS_BELOW, POINTS_PER_BYTE * path.stat().st_size):
        raise DeclarationFileError(
            f"its outlines repeat its arcs to {points:,} points", where=str(path), mend="Save it as GeoPackage"
        )


def _points(node: Any, lengths: Sequence[int]) -> int:
    """Of all outlines below a node; they name an arc by its number, or by -1 less than its number where it runs
    backwards."""
    if isinstance(node, bool) or not isinstance(node, int | list | dict):
        return 0
    if isinstance(node, int):
        number = node if node >= 0 else -1 - node
        return lengths[number] if number < len(lengths) else 0
    if isinstance(node, list):
        return sum(_points(each, lengths) for each in node)
    if "type" not in node:  # the objects by their names
        return sum(_points(each, lengths) for each in node.values())
    return sum(_points(node[key], lengths) for key in ("arcs", "geometries") if key in node)


def refuse_links(path: Path) -> None:
    """Raises DeclarationFileError where a part of the delivery is a symbolic link to another folder. The path itself
    may be one: a person named it."""
    homes = {path.resolve().parent, path.parent.resolve()}
    for part in _parts(path):
        if not part.is_symlink():
            continue
        true = part.resolve()
        if not (true.is_relative_to(path.resolve()) if path.is_dir() else true.parent in homes):
            raise DeclarationFileError(
                f"its part {part.name[:80]!r} is a link to another folder",
                where=str(path),
                mend="Put the file itself in the place of the link",
            )


def _parts(path: Path) -> Iterator[Path]:
    """What is read along with a file: those of its name with other endings, or all that a folder holds."""
    if path.is_dir():
        yield from path.rglob("*")
        return
    stem = path.stem.lower()
    for other in path.parent.iterdir():
        if other.name != path.name and other.name.lower().startswith((f"{stem}.", f"{path.name.lower()}-")):
            yield other


def _refuse_modules(path: Path) -> None:
    for statement in _schema(path):
        module = _MODULE.match(statement)
        if _VIRTUAL.match(statement) and (module is None or module[1].lower() not in _OWN_MODULES):
            raise DeclarationFileError(
                f"has a table that is read from elsewhere by {module[1][:40] if module else 'a module'}",
                where=str(path),
                mend="Save the parcels themselves as GeoPackage",
            )


def _schema(path: Path) -> list[str]:
    """The statements by which a database says what it holds; those in its log, where there is one, too."""
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.is_file() and log.stat().st_size else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as database:
            database.text_factory = lambda text: text.decode("utf-8", "replace")
            database.execute("PRAGMA writable_schema = ON")  # a statement that SQLite refuses is shown all the same
            rows = database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    except sqlite3.Error as error:
        raise DeclarationFileError(
            f"cannot be read as SQLite ({' '.join(str(error).split())[:120]})",
            where=str(path),
            mend="Fetch it again, or save it as GeoPackage or GeoParquet",
        ) from error
    return [str(row[0]) for row in rows]
