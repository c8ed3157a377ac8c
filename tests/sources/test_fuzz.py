"""Damaged files of every format: refused in one line, or read with every row accounted for; never a foreign error.

The seed is fixed, so that a failure comes again; `tests.fuzzing` says how many inputs are tried.
"""

from __future__ import annotations

import gzip
import random
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest

from cropmap.errors import CropmapError
from cropmap.sources.declarations import read_declarations
from cropmap.sources.inspection import inspect_file
from cropmap.sources.profiles import Profile
from tests.data.make_sources_declarations import make_frame, make_legend, square
from tests.fuzzing import inputs

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
    "gpkg": _file("d.gpkg"), "shp": _file("d.shp"), "fgb": _file("d.fgb"), "geojson": _file("d.geojson"),
    "parquet": _file("d.parquet"), "tab": _file("d.tab"), "gml": _gml,
    "csv": _text("d.csv", "id;code;ha;wkt", ";", "utf-8"), "utf16": _text("u.csv", "id\tcode\tha\twkt", "\t", "utf-16"),
    "zip": _packed(".zip"), "7z": _packed(".7z"), "tar.gz": _packed(".tar.gz"), "gz": _packed(".gz"),
}  # fmt: skip


CRS_OF = {"d.csv": "EPSG:3035", "u.csv": "EPSG:3035"}
"""of the files that cannot say it"""


def mutated(data: bytes, random_: random.Random) -> bytes:
    """Bits flipped, bytes set to what readers stumble over, cut off, doubled, or a stretch moved or zeroed."""
    changed = bytearray(data)
    for _ in range(random_.choice((1, 1, 2, 5, 20))):
        if not changed:
            return bytes(changed)
        at, length = random_.randrange(len(changed)), random_.randrange(1, 40)
        kind = random_.randrange(8)
        if kind == 0:
            changed[at] ^= 1 << random_.randrange(8)
        elif kind == 1:
            changed[at] = random_.choice(b"\x00\x01\x7f\x80\xff\"';,\n")
        elif kind == 2:
            del changed[at:]
        elif kind == 3:
            changed[at:at] = changed[at : at + length]
        elif kind == 4:
            changed[at : at + length] = bytes(min(length, len(changed) - at))
        elif kind == 5:
            changed[at : at + 4] = random_.choice((b"\xff" * 4, b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f"))
        elif kind == 6:
            del changed[at : at + length]
        else:
            other = random_.randrange(len(changed))
            changed[at : at + length] = changed[other : other + length]
    return bytes(changed)


def _told(read: Callable[[], object]) -> str:
    """The message of a refusal, empty where it was read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # of readers that a damaged file stopped half-way
            read()
    except CropmapError as error:
        return str(error)
    return ""


def _read(path: Path) -> None:
    columns = {"parcel_id": "id", "crop_code": "code", "area": "ha"}
    found = read_declarations(path, legend=LEGEND, profile=Profile(columns=columns, crs=CRS_OF.get(path.name)))
    assert len(found.accepted) + len(found.rejected) == found.row_count
    assert found.accepted.geometry.is_valid.all()


@pytest.mark.parametrize("kind", MAKERS)
def test_damage_is_one_line_or_counted(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path)
    _read(path)
    parts = [path, *(each for each in sorted(path.parent.iterdir()) if each.stem == path.stem and each != path)]
    parts = parts if path.suffix in (".shp", ".tab") else [path]
    whole = {part: part.read_bytes() for part in parts}
    for number in range(inputs("declarations", len(MAKERS))):
        random_ = random.Random(f"{kind} {number}")  # noqa: S311  a fuzz test, no secret
        part = random_.choice(parts)
        for each, data in whole.items():
            each.write_bytes(mutated(data, random_) if each == part else data)
        crs = random_.choice((None, "EPSG:3035"))
        for read in (lambda: _read(path), lambda crs=crs: inspect_file(path, legends=[LEGEND], crs=crs)):
            try:
                message = _told(read)
            except Exception as error:
                pytest.fail(f"{kind} {number} ({part.name}): {type(error).__name__}: {error}")
            assert len(message.splitlines()) <= 1, f"{kind} {number}: {message}"
            assert not message or str(tmp_path) in message, f"{kind} {number} does not say where: {message}"
