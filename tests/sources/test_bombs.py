"""Small files that would fill the memory, or be read for ever: refused in one line, within seconds."""

from __future__ import annotations

import gzip
import json
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import py7zr
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from cropmap.sources.declarations.inspection import inspect_file
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import read_declarations
from cropmap.sources.files.geopackage import stated_systems
from tests.data.make_hostile import RING
from tests.data.make_sources_declarations import make_frame, make_legend, square
from tests.fuzzing import survives

LEGEND = make_legend("056")
ZEROS = bytes(1 << 20)
COUNT = "WITH c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c{}) SELECT x FROM c"
MANY = COUNT.format(" WHERE x < 99999")
OUTLINES = {
    "endless": f"SELECT base.fid, id, code, geom FROM ({COUNT.format('')}), base",  # noqa: S608
    "product": f"SELECT base.fid, id, code, geom FROM ({MANY}) a, ({MANY}) b, base",  # noqa: S608
    "large": "SELECT fid, id, hex(zeroblob(400000000)) AS code, geom FROM base",
}


def _view(kind: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "d.gpkg"
        make_frame([("P1", "056", square(0))], "id", "code").to_file(path, layer="base")
        with sqlite3.connect(path) as file:
            file.execute(f"CREATE VIEW v AS {OUTLINES[kind]}")
            file.execute("INSERT INTO gpkg_contents(table_name, data_type, srs_id) VALUES ('v', 'features', 3035)")
            file.execute("INSERT INTO gpkg_geometry_columns VALUES ('v', 'geom', 'POLYGON', 3035, 0, 0)")
        file.close()
        return path

    return make


def _header(kind: bytes) -> Callable[[Path], Path]:
    """A tar whose header has 400 MB."""

    def make(folder: Path) -> Path:
        info = tarfile.TarInfo("fields.csv")
        info.type, info.size = kind, 400 << 20
        with gzip.open(folder / "d.tar.gz", "wb", compresslevel=1) as file:
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            for _ in range(400):
                file.write(ZEROS)
        return folder / "d.tar.gz"

    return make


def _folders(folder: Path) -> Path:
    block = b"".join(_folder(f"{number}/") for number in range(1000))
    with gzip.open(folder / "d.tar.gz", "wb", compresslevel=1) as file:
        for _ in range(3):
            file.write(block)
    return folder / "d.tar.gz"


def _folder(name: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info.tobuf(tarfile.GNU_FORMAT)


def _seven_zip(folder: Path) -> Path:
    """The table itself is small; what stands before it has to be unpacked too."""
    with (folder / "junk.bin").open("wb") as file:
        file.truncate(300 << 20)
    with py7zr.SevenZipFile(folder / "d.7z", "w", filters=[{"id": py7zr.FILTER_ZSTD, "level": 1}]) as archive:
        archive.write(folder / "junk.bin", "junk.bin")
        archive.writestr('id,code,wkt\n1,056,"POINT(1 1)"\n', "d.csv")
    (folder / "junk.bin").unlink()
    return folder / "d.7z"


def _parquet(folder: Path) -> Path:
    rows = 2_000_000
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["056"]))
    outline = pa.DictionaryArray.from_arrays(same.indices, pa.array([shapely.to_wkb(shapely.Polygon(RING))]))
    pq.write_table(pa.table({"id": same, "code": same, "geometry": outline}), folder / "d.parquet")
    return folder / "d.parquet"


def _topology(folder: Path) -> Path:
    outline = {"type": "Polygon", "properties": {"id": "P1", "code": "056"}, "arcs": [[0] * 100_000]}
    arc = [[0, 0], *[[1, 1], [-1, 0]] * 5_000]
    objects = {"parcels": {"type": "GeometryCollection", "geometries": [outline]}}
    text = {"type": "Topology", "objects": objects, "arcs": [arc]}
    (folder / "d.topojson").write_text(json.dumps(text))
    return folder / "d.topojson"


def _map_info(folder: Path) -> Path:
    """What it refers to stands below what is searched."""
    text = f'!Table\n! Fields\n{" " * (1 << 20)}\nOpen Table "other"\nCreate View v As Select * From other\n'  # noqa: S608
    (folder / "d.tab").write_text(text)
    return folder / "d.tab"


BOMBS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "view without end": (_view("endless"), "interrupted"),
    "product of views": (_view("product"), "interrupted"),
    "large value of a view": (_view("large"), "too big"),
    "long name": (_header(tarfile.GNUTYPE_LONGNAME), "a header of 400.0 MB"),
    "pax": (_header(tarfile.XHDTYPE), "a header of 400.0 MB"),
    "folders": (_folders, "more than 2,000 entries"),
    "7z": (_seven_zip, "would unpack to 300.0 MB"),
    "rows": (_parquet, "announces 2,000,000 rows"),
    "repeated arcs": (_topology, "repeat its arcs to 1,000,"),
    "description": (_map_info, "more than 1,048,576 bytes"),
}


SMALLER = {
    "view without end": ("drivers.ANY_STEPS_BELOW", 2_000_000),
    "product of views": ("drivers.ANY_STEPS_BELOW", 2_000_000),
    "folders": ("archives.MAX_MEMBERS", 1_000),
}
"""bounds that take ten seconds to reach"""


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.slow
def test_a_bomb_is_refused_in_one_line(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, why = BOMBS[name]
    if name in SMALLER:
        bound, value = SMALLER[name]
        monkeypatch.setattr(f"cropmap.sources.files.{bound}", value)
    path = make(tmp_path)
    profile = Profile(columns={"parcel_id": "id", "crop_code": "code"}, layer="v" if path.suffix == ".gpkg" else None)
    for read in (
        lambda: read_declarations(path, legend=LEGEND, profile=profile),
        lambda: inspect_file(path, legends=[LEGEND]),
    ):
        said = survives(read, name, names=path)
        if read.__code__.co_names[0] == "read_declarations":
            assert why in said


def test_a_view_of_the_parcels_is_read(tmp_path: Path) -> None:
    path = _view("endless")(tmp_path)
    with sqlite3.connect(path) as file:
        file.execute("DROP VIEW v")
        file.execute("CREATE VIEW v AS SELECT fid, id, upper(code) AS code, geom FROM base")
    file.close()
    profile = Profile(columns={"parcel_id": "id", "crop_code": "code"}, layer="v")
    assert read_declarations(path, legend=LEGEND, profile=profile).accepted["parcel_id"].tolist() == ["P1"]


@pytest.mark.slow
def test_a_table_of_crss_without_end_states_nothing(tmp_path: Path) -> None:
    path = _view("endless")(tmp_path)
    with sqlite3.connect(path) as file:
        file.execute("ALTER TABLE gpkg_geometry_columns RENAME TO kept")
        columns = "x, 'geom', 'POLYGON', 3035, 0, 0"
        file.execute(
            "CREATE VIEW gpkg_geometry_columns(table_name, column_name, geometry_type_name, srs_id, z, m) AS "  # noqa: S608
            f"SELECT {columns} FROM ({COUNT.format('')})"
        )
    file.close()
    assert stated_systems(str(path), "base") == ()
