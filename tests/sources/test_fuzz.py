"""Damaged files of every format: refused in one line, or read with every row accounted for; never a foreign error.

The seed is fixed, so that a failure comes again; `tests.fuzzing` says how many inputs are tried.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import py7zr
import pyarrow.parquet as pq
import pytest

from cropmap.sources.declarations.inspection import inspect_file
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import read_declarations
from tests.data.make_sources_declarations import make_frame, make_legend, square
from tests.data.odd_tables import with_odd_columns
from tests.fuzzing import chances, inputs, mutated_bytes, survives

LEGEND = make_legend("056", "1200")
ROWS = [(f"P{i}", ("056", "1200")[i % 2], 1.0 + i / 100, square(i % 6, i // 6)) for i in range(12)]
Maker = Callable[[Path], Path]


def _file(name: str) -> Maker:
    def make(folder: Path) -> Path:
        frame = make_frame(ROWS, "id", "code", "ha")
        driver = {"driver": "MapInfo File"} if name.endswith(".tab") else {}
        frame.to_parquet(folder / name) if name.endswith("parquet") else frame.to_file(folder / name, **driver)
        return folder / name

    return make


def _text(name: str, header: str, delimiter: str, encoding: str) -> Maker:
    def make(folder: Path) -> Path:
        lines = [header] + [delimiter.join([i, c, f"{ha}", f'"{shape.wkt}"']) for i, c, ha, shape in ROWS]
        (folder / name).write_text("\n".join(lines) + "\n", encoding=encoding)
        return folder / name

    return make


def _gml(folder: Path) -> Path:
    path = folder / "d.gml"
    make_frame(ROWS, "id", "code", "ha").to_file(path, driver="GML")
    return path


def _packed(ending: str) -> Maker:
    def make(folder: Path) -> Path:
        inner = _file("fields.shp")(folder)
        parts = sorted(each for each in folder.iterdir() if each.stem == inner.stem)
        path = folder / f"d{ending}"
        if ending == ".zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for part in parts:
                    archive.write(part, part.name)
        elif ending == ".7z":
            with py7zr.SevenZipFile(path, "w") as archive:
                for part in parts:
                    archive.write(part, part.name)
        elif ending == ".tar.gz":
            with tarfile.open(path, "w:gz") as archive:
                for part in parts:
                    archive.add(part, part.name)
        else:
            flat = _file("flat.fgb")(folder)
            path = folder / "flat.fgb.gz"
            path.write_bytes(gzip.compress(flat.read_bytes(), mtime=0))
        return path

    return make


MAKERS: dict[str, Maker] = {
    "gpkg": _file("d.gpkg"),
    "shp": _file("d.shp"),
    "fgb": _file("d.fgb"),
    "geojson": _file("d.geojson"),
    "parquet": _file("d.parquet"),
    "tab": _file("d.tab"),
    "gml": _gml,
    "csv": _text("d.csv", "id;code;ha;wkt", ";", "utf-8"),
    "utf16": _text("u.csv", "id\tcode\tha\twkt", "\t", "utf-16"),
    "zip": _packed(".zip"),
    "7z": _packed(".7z"),
    "tar.gz": _packed(".tar.gz"),
    "gz": _packed(".gz"),
}


CRS_OF = {"d.csv": "EPSG:3035", "u.csv": "EPSG:3035"}
"""of the files that cannot say it"""


def _read(path: Path) -> None:
    columns = {"parcel_id": "id", "crop_code": "code", "area": "ha"}
    found = read_declarations(path, legend=LEGEND, profile=Profile(columns=columns, crs=CRS_OF.get(path.name)))
    assert len(found.accepted) + found.merged + len(found.rejected) == found.row_count
    assert found.accepted.geometry.is_valid.all()


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.slow
def test_damage_is_one_line_or_counted(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path)
    _read(path)
    parts = [path, *(each for each in sorted(path.parent.iterdir()) if each.stem == path.stem and each != path)]
    parts = parts if path.suffix in (".shp", ".tab") else [path]
    whole = {part: part.read_bytes() for part in parts}
    for number, chance in chances(kind, inputs("declarations", len(MAKERS) + 1)):
        part = chance.choice(parts)
        for each, data in whole.items():
            each.write_bytes(mutated_bytes(data, chance) if each == part else data)
        crs = chance.choice((None, "EPSG:3035"))
        for read in (lambda: _read(path), lambda crs=crs: inspect_file(path, legends=[LEGEND], crs=crs)):
            survives(read, (kind, number, part.name), names=path, heeding_warnings=True)


GEO = (b"", b"{}", b"[]", b"null", b"\xff", b"[" * 9_999, b'{"columns": 5}', b'{"primary_column": "x", "columns": {}}')
"""metadata of a GeoParquet that says nothing of it"""


@pytest.mark.slow
def test_a_sound_parquet_file_of_other_things(tmp_path: Path) -> None:
    path = MAKERS["parquet"](tmp_path)
    whole = pq.read_table(path)
    for number, chance in chances("odd columns", inputs("declarations", len(MAKERS) + 1)):
        table = with_odd_columns(whole, chance)
        if chance.random() < 0.3:
            table = table.replace_schema_metadata({**whole.schema.metadata, b"geo": chance.choice(GEO)})
        pq.write_table(table, path)
        for read in (lambda: _read(path), lambda: inspect_file(path, legends=[LEGEND], crs=None)):
            survives(read, number, names=path)
