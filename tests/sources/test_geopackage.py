"""Both ways in which a GeoPackage states the system of a layer."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from cropmap.sources.files.geopackage import stated_systems


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "x.gpkg"
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE gpkg_spatial_ref_sys (srs_id, organization, organization_coordsys_id, definition)"
        )
        database.execute("CREATE TABLE gpkg_geometry_columns (table_name, srs_id)")
        database.executemany(
            "INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?)",
            [
                (1, "EPSG", 3035, "PROJCS[...]"),
                (2, "epsg", 25832, ""),  # no definition
                (3, "esri", 102_003, "PROJCS[esri]"),  # not of EPSG
                (4, "NONE", "x", None),
            ],
        )
        database.executemany(
            "INSERT INTO gpkg_geometry_columns VALUES (?, ?)",
            [("Parcels", 1), ("blocks", 2), ("other", 3), ("nothing", 4), ("lost", 9)],
        )
    database.close()
    return path


@pytest.mark.parametrize(
    ("layer", "systems"),
    [
        ("Parcels", ("EPSG:3035", "PROJCS[...]")),
        ("parcels", ("EPSG:3035", "PROJCS[...]")),  # names of tables have no case
        ("blocks", ("EPSG:25832",)),
        ("other", ("PROJCS[esri]",)),
        ("nothing", ()),
        ("lost", ()),  # its system is in no table
        ("absent", ()),
    ],
)
def test_a_number_and_a_definition(package: Path, layer: str, systems: tuple[str, ...]) -> None:
    assert stated_systems(str(package), layer) == systems


def test_what_cannot_be_read_states_nothing(tmp_path: Path) -> None:
    text = tmp_path / "text.gpkg"
    text.write_text("no database")
    assert stated_systems(str(text), "parcels") == ()
    assert stated_systems(str(tmp_path / "absent.gpkg"), "parcels") == ()
