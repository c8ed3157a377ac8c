"""A delivered file that takes its rows from another file is refused, and one that only looks like it is not."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from cropmap.errors import DeclarationFileError
from cropmap.sources.files import references
from cropmap.sources.files.references import refuse_links, refuse_references


def database(path: Path, *statements: str) -> Path:
    """With statements that this machine's SQLite may have no module for: they are written as they are."""
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE parcels (id TEXT)")
        file.execute("PRAGMA writable_schema = ON")
        for number, statement in enumerate(statements):
            file.execute(
                "INSERT INTO sqlite_master VALUES ('table', ?, ?, 0, ?)", (f"t{number}", f"t{number}", statement)
            )
    file.close()
    return path


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIRTUAL TABLE t0 USING csv(filename='/etc/passwd')",
        "CREATE VIRTUAL TABLE t0 USING VirtualOGR('/etc/passwd')",
        'create virtual table "a ""b" using virtualshape(x)',
        "CREATE VIRTUAL TABLE IF NOT EXISTS 'x y' USING vrt(z)",
        "CREATE/* */VIRTUAL TABLE t0 USING rtree(id)",  # a comment hides the module from the pattern
        "CREATE -- x\n VIRTUAL TABLE t0 USING dbstat",
    ],
)
def test_a_table_that_a_module_reads_from_elsewhere(tmp_path: Path, statement: str) -> None:
    with pytest.raises(DeclarationFileError, match="has a table that is read from elsewhere by"):
        refuse_references(str(database(tmp_path / "x.sqlite", statement)))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIRTUAL TABLE t0 USING rtree(id, minx, maxx, miny, maxy)",
        'CREATE VIRTUAL TABLE "rtree_parcels_geom" USING RTree(id, minx)',
        "CREATE VIRTUAL TABLE SpatialIndex USING VirtualSpatialIndex()",
        "CREATE TABLE t0 (virtual TEXT)",
        "CREATE VIEW t0 AS SELECT 'CREATE VIRTUAL TABLE x USING csv'",
    ],
)
def test_indexes_and_words_are_no_references(tmp_path: Path, statement: str) -> None:
    refuse_references(str(database(tmp_path / "x.sqlite", statement)))


def test_a_database_that_is_damaged_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 200)
    with pytest.raises(DeclarationFileError, match="cannot be read as SQLite"):
        refuse_references(str(path))


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ('!table\n!version 300\nDefinition Table\n  Type NATIVE Charset "x"\n', False),
        ('Open Table "other.tab"\nCreate View parcels As Select * From other\n', True),
        ('"IsSeamless" = "TRUE"', True),
        ("CREATE   VIEW x", True),
        ("createview", False),
    ],
)
def test_a_mapinfo_table_that_points_to_others(tmp_path: Path, text: str, refused: bool) -> None:
    path = tmp_path / "x.TAB"
    path.write_text(text)
    for source in (path, tmp_path):  # alone, and in a folder of tables
        if refused:
            with pytest.raises(DeclarationFileError, match="refers to other tables"):
                refuse_references(str(source))
        else:
            refuse_references(str(source))


def test_a_description_of_more_than_a_megabyte_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.tab"
    path.write_bytes(b"x" * (1 << 20))
    refuse_references(str(path))
    path.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(DeclarationFileError, match="too many for the description of a MapInfo table"):
        refuse_references(str(path))


def topology(*arcs: Any, lengths: tuple[int, ...] = (10, 5)) -> str:
    return json.dumps(
        {
            "type": "Topology",
            "arcs": [[[0, 0]] * length for length in lengths],
            "objects": {
                "parcels": {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "arcs": list(arcs)}]}
            },
        }
    )


@pytest.mark.parametrize(
    ("arcs", "points"),
    [
        ([[0]], 10),
        ([[0, 1]], 15),
        ([[-1, -2]], 15),  # backwards: -1 is arc 0
        ([[[0]], [[1], [1]]], 20),  # a multipolygon, with a hole
        ([[7]], 0),  # no such arc
        ([[True]], 0),
    ],
)
def test_points_are_counted_along_the_arcs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arcs: list[Any], points: int
) -> None:
    """One point less is allowed than there are: the refusal names their number."""
    path = tmp_path / "x.json"
    path.write_text(topology(*arcs))
    monkeypatch.setattr(references, "POINTS_PER_BYTE", 0)
    monkeypatch.setattr(references, "ANY_POINTS_BELOW", points)
    refuse_references(str(path))
    if points:
        monkeypatch.setattr(references, "ANY_POINTS_BELOW", points - 1)
        with pytest.raises(DeclarationFileError, match=f"repeat its arcs to {points:,} points"):
            refuse_references(str(path))


@pytest.mark.parametrize(
    "text", ['{"type": "Topology"', '{"type": "Topology", "arcs": 5, "objects": {}}', '{"type": "Feature"}']
)
def test_what_is_no_topology_is_left_to_whoever_opens_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    refuse_references(str(path))


def test_a_part_that_is_a_link_to_another_folder(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    other.mkdir()
    (other / "x.dbf").write_text("secret")
    (home / "x.shp").write_text("")
    refuse_links(home / "x.shp")
    (home / "y.dbf").symlink_to(other / "x.dbf")
    refuse_links(home / "x.shp")  # a link of another name is no part of it
    (home / "x.dbf").symlink_to(other / "x.dbf")
    with pytest.raises(DeclarationFileError, match=r"its part 'x\.dbf' is a link to another folder"):
        refuse_links(home / "x.shp")


def test_links_within_the_folder_and_the_file_that_a_person_named(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    other.mkdir()
    (home / "true.dbf").write_text("")
    (home / "x.shp").write_text("")
    (home / "x.dbf").symlink_to(home / "true.dbf")
    refuse_links(home / "x.shp")
    named = other / "x.shp"
    named.symlink_to(home / "x.shp")
    (other / "x.dbf").symlink_to(home / "x.dbf")
    refuse_links(named)


def test_of_a_folder_every_part_lies_within_it(tmp_path: Path) -> None:
    folder = tmp_path / "x.gdb"
    (folder / "deep").mkdir(parents=True)
    (folder / "a").write_text("")
    (folder / "deep" / "b").symlink_to(folder / "a")
    refuse_links(folder)
    (tmp_path / "c").write_text("")
    (folder / "deep" / "c").symlink_to(tmp_path / "c")
    with pytest.raises(DeclarationFileError, match="its part 'c' is a link"):
        refuse_links(folder)
