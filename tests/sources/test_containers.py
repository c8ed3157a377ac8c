"""Deliveries in every container, and archives that were not made to be read."""

from __future__ import annotations

import binascii
import gzip
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import inflate64
import py7zr
import pytest
import rarfile

from cropmap.errors import DeclarationFileError
from cropmap.sources.declarations.inspection import inspect_file
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import Declarations, read_declarations
from cropmap.sources.files.containers import opened
from tests.data.make_sources_declarations import make_frame, make_legend, square

LEGEND = make_legend("056", "1200")
NAMES = ("fields.shp", "fields.shx", "fields.dbf", "fields.prj", "fields.cpg")


def read(path: Path, member: str | None = None, **layout: str) -> Declarations:
    profile = Profile(columns={"parcel_id": "id", "crop_code": "code"}, member=member, **layout)
    inspected = inspect_file(path, legends=[LEGEND], member=member, crs=layout.get("crs"))
    found = read_declarations(path, legend=LEGEND, profile=profile)
    assert inspected.rows == found.row_count, "an inspection sees the same rows"
    return found


def ids(path: Path, member: str | None = None) -> list[str]:
    return list(read(path, member).accepted["parcel_id"])


@pytest.fixture
def shapefile(tmp_path: Path) -> Path:
    """Two parcels P1 and P2."""
    folder = tmp_path / "plain"
    folder.mkdir()
    make_frame([("P1", "056", square(0)), ("P2", "1200", square(1))], "id", "code").to_file(folder / "fields.shp")
    return folder / "fields.shp"


def packed(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.filename, info.compress_type = name, method
            archive.writestr(info, data)
    return path


def parts(shapefile: Path, name: str = "{}") -> dict[str, bytes]:
    return {name.format(part): shapefile.with_name(part).read_bytes() for part in NAMES}


@pytest.mark.slow
def test_archives_in_archives(tmp_path: Path, shapefile: Path) -> None:
    inner = packed(tmp_path / "inner.zip", parts(shapefile))
    middle = packed(tmp_path / "middle.zip", {"a/inner.zip": inner.read_bytes()})
    outer = packed(tmp_path / "outer.zip", {"b/middle.zip": middle.read_bytes(), "readme.pdf": b"%PDF"})
    assert ids(outer) == ["P1", "P2"]
    other = packed(tmp_path / "other.zip", parts(shapefile, "other-{}"))
    both = packed(tmp_path / "both.zip", {"one.zip": inner.read_bytes(), "two.zip": other.read_bytes()})
    with pytest.raises(DeclarationFileError, match=r"holds 2 vector files \(one.zip/fields.shp, two.zip/other-fields"):
        read(both)
    for member in ("one.zip", "one*", "two.zip/other-fields.shp", "other-*"):
        assert ids(both, member) == ["P1", "P2"]


def test_a_member_beside_an_inner_archive_is_meant_first(tmp_path: Path, shapefile: Path) -> None:
    files = parts(shapefile) | {"more.zip": packed(tmp_path / "i.zip", parts(shapefile)).read_bytes()}
    assert ids(packed(tmp_path / "d.zip", files)) == ["P1", "P2"]


def test_a_geodatabase_with_its_files_at_the_root(tmp_path: Path) -> None:
    frame = make_frame([("P1", "056", square(0))], "id", "code")
    frame.to_file(tmp_path / "parcels.gdb", layer="parcels", driver="OpenFileGDB")
    files = {each.name: each.read_bytes() for each in (tmp_path / "parcels.gdb").iterdir()}
    assert ids(packed(tmp_path / "parcels.gdb.zip", files)) == ["P1"]
    assert ids(packed(tmp_path / "d.zip", {f"Lieferung/2024/{name}": data for name, data in files.items()})) == ["P1"]
    named = {f"x/parcels.gdb/{name}": data for name, data in files.items()}
    assert ids(packed(tmp_path / "n.zip", named), "parcels.gdb") == ["P1"]


@pytest.mark.parametrize("name", ["Lieferung\\2024\\{}", "C:\\data\\{}", "/srv/{}", "Fl\u00e4chen/{}", "./{}"])
def test_names_of_members(tmp_path: Path, shapefile: Path, name: str) -> None:
    assert ids(packed(tmp_path / "d.zip", parts(shapefile, name))) == ["P1", "P2"]


def test_parts_of_a_shapefile_in_other_cases(tmp_path: Path, shapefile: Path) -> None:
    files = {name.upper() if name.endswith("dbf") else name: data for name, data in parts(shapefile).items()}
    assert ids(packed(tmp_path / "d.zip", files)) == ["P1", "P2"]


def test_utf_8_names_without_a_mark(tmp_path: Path, shapefile: Path) -> None:
    path = packed(tmp_path / "d.zip", parts(shapefile, "Fl\u00e4che-{}"))
    marked = path.read_bytes()
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = marked.find(signature)
        while start >= 0:
            marked = marked[: start + at + 1] + b"\x00" + marked[start + at + 2 :]
            start = marked.find(signature, start + 4)
    path.write_bytes(marked)
    assert ids(path, "Fl\u00e4che-fields.shp") == ["P1", "P2"]


@pytest.mark.slow
def test_other_containers(tmp_path: Path, shapefile: Path) -> None:
    with tarfile.open(tmp_path / "d.tar.gz", "w:gz") as archive:
        archive.add(shapefile.parent, "delivery")
    with tarfile.open(tmp_path / "d.tar", "w") as archive:
        archive.add(shapefile.parent, "delivery")
    with py7zr.SevenZipFile(tmp_path / "d.7z", "w") as archive:
        archive.writeall(shapefile.parent, "delivery")
    for name in ("d.tar.gz", "d.tar", "d.7z"):
        assert ids(tmp_path / name) == ["P1", "P2"], name
    frame = make_frame([("P1", "056", square(0))], "id", "code").to_crs(4326)
    frame.to_file(tmp_path / "d.geojson")
    (tmp_path / "d.geojson.gz").write_bytes(gzip.compress((tmp_path / "d.geojson").read_bytes()))
    assert ids(tmp_path / "d.geojson.gz") == ["P1"]


def test_a_single_file_is_known_by_its_content(tmp_path: Path) -> None:
    make_frame([("P1", "056", square(0))], "id", "code").to_file(tmp_path / "d.gpkg")
    (tmp_path / "download").write_bytes(gzip.compress((tmp_path / "d.gpkg").read_bytes()))
    assert ids(tmp_path / "download") == ["P1"]
    assert ids(packed(tmp_path / "other", {"export": (tmp_path / "d.gpkg").read_bytes()})) == ["P1"]


def rar(files: dict[str, bytes], method: int = 0x30) -> bytes:
    """RAR 4 with stored members (technote.txt of RAR 4.11); 0x33 says that they are compressed."""

    def block(kind: int, flags: int, body: bytes) -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", binascii.crc32(head) & 0xFFFF) + head

    parts = [b"Rar!\x1a\x07\x00", block(0x73, 0, b"\0" * 6)]
    for name, data in files.items():
        entry = struct.pack(
            "<IIBIIBBHI", len(data), len(data), 3, binascii.crc32(data), 0x5000_0000, 29, method, len(name), 0o100644
        )
        parts.append(block(0x74, 0x8000, entry + name.encode()) + data)
    return b"".join([*parts, block(0x7B, 0x4000, b"")])


def test_rar(tmp_path: Path, shapefile: Path) -> None:
    (tmp_path / "d.rar").write_bytes(rar(parts(shapefile)))
    assert ids(tmp_path / "d.rar") == ["P1", "P2"]


def test_rar_without_a_reader(tmp_path: Path, shapefile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d.rar").write_bytes(rar(parts(shapefile), method=0x33))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(rarfile, "CURRENT_SETUP", None)
    with pytest.raises(DeclarationFileError, match=r"d\.rar: no reader for RAR archives is installed. Install unrar"):
        read(tmp_path / "d.rar")


def test_deflate64_as_the_windows_explorer_packs_what_is_large(tmp_path: Path, shapefile: Path) -> None:
    body, directory = b"", b""
    for name, data in parts(shapefile).items():
        deflater = inflate64.Deflater()
        squeezed = deflater.deflate(data) + deflater.flush()
        common = struct.pack("<HHHHHIIIHH", 21, 0, 9, 0, 33, zlib.crc32(data), len(squeezed), len(data), len(name), 0)
        directory += b"PK\x01\x02" + b"\x15\x00" + common + b"\0" * 10 + struct.pack("<I", len(body)) + name.encode()
        body += b"PK\x03\x04" + common + name.encode() + squeezed
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 5, 5, len(directory), len(body), 0)
    (tmp_path / "d.zip").write_bytes(body + directory + end)
    assert ids(tmp_path / "d.zip") == ["P1", "P2"]


@pytest.mark.slow
def test_a_shapefile_without_its_index(tmp_path: Path, shapefile: Path) -> None:
    shapefile.with_suffix(".shx").unlink()
    assert ids(shapefile) == ["P1", "P2"]
    assert not shapefile.with_suffix(".shx").exists(), "nothing is written beside a delivery"
    assert ids(packed(tmp_path / "d.zip", parts_there(shapefile))) == ["P1", "P2"]


def parts_there(shapefile: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in shapefile.parent.iterdir()}


@pytest.mark.parametrize("ending", [".shp", ".dbf"])
def test_a_shapefile_that_is_cut_off(tmp_path: Path, shapefile: Path, ending: str) -> None:
    part = shapefile.with_suffix(ending)
    part.write_bytes(part.read_bytes()[:-60])
    for path in (shapefile, packed(tmp_path / "d.zip", parts_there(shapefile))):
        with pytest.raises(DeclarationFileError, match=rf"fields{ending} is cut off: it should have \d+ bytes"):
            read(path)


def encrypted(path: Path) -> Path:
    """Marked as encrypted, which is all that a reader without the password sees."""
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(signature)
        while start >= 0:
            data[start + at] |= 1
            start = data.find(signature, start + 4)
    path.write_bytes(bytes(data))
    return path


def test_archives_under_a_password(tmp_path: Path, shapefile: Path) -> None:
    encrypted(packed(tmp_path / "d.zip", parts(shapefile)))
    with py7zr.SevenZipFile(tmp_path / "d.7z", "w", password="secret") as archive:
        archive.writeall(shapefile.parent, "delivery")
    for name in ("d.zip", "d.7z"):
        with pytest.raises(DeclarationFileError, match=rf"{name}: the archive is under a password. Unpack it"):
            read(tmp_path / name)


def bomb(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("fields.gpkg", "w") as file:
        for _ in range(300):
            file.write(b"\0" * (1 << 20))
    return path


def nested_bomb(path: Path) -> Path:
    return packed(path, {"inner.zip": bomb(path.with_name("inner.zip")).read_bytes()})


def gzip_bomb(path: Path) -> Path:
    with gzip.open(path, "wb") as file:
        file.write(b"SQLite format 3")
        for _ in range(300):
            file.write(b"\0" * (1 << 20))
    return path


def tar_bomb(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("fields.gpkg")
        member.size = 300 << 20
        with Path("/dev/zero").open("rb") as zeros:
            archive.addfile(member, zeros)
    return path


@pytest.mark.parametrize(
    ("name", "make"), [("d.zip", bomb), ("d.zip", nested_bomb), ("d.gpkg.gz", gzip_bomb), ("d.tar.gz", tar_bomb)]
)
@pytest.mark.slow
def test_bombs(tmp_path: Path, name: str, make: Callable[[Path], Path]) -> None:
    with pytest.raises(DeclarationFileError, match=r"(KB|MB|bytes) would unpack to \d+\.\d [MG]B or more") as caught:
        read(make(tmp_path / name))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.slow
def test_too_many_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for number in range(50_001):
            archive.writestr(str(number), b"")
    with pytest.raises(DeclarationFileError, match="the archive has 50001 members"):
        read(tmp_path / "d.zip")


def test_members_that_lead_outside(tmp_path: Path, shapefile: Path) -> None:
    for name in ("../{}", "a/../../{}", "..\\{}"):
        with pytest.raises(DeclarationFileError, match=r"leads out of the archive"):
            read(packed(tmp_path / "d.zip", parts(shapefile, name)))
    before = sorted(tmp_path.rglob("*"))
    with opened(packed(tmp_path / "d.zip", parts(shapefile, "/" + str(tmp_path)[1:] + "/{}"))) as source:
        assert not Path(source).is_relative_to(tmp_path / "plain")
    assert sorted(tmp_path.rglob("*")) == before, "unpacked into a folder of ours, and gone again"


def test_links_are_no_members(tmp_path: Path, shapefile: Path) -> None:
    link = zipfile.ZipInfo("fields.shp")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr(link, str(shapefile))
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "fields.shp").symlink_to(shapefile)
    with tarfile.open(tmp_path / "d.tar", "w") as archive:
        archive.add(folder, "delivery")
    with py7zr.SevenZipFile(tmp_path / "d.7z", "w") as archive:
        archive.writeall(folder, "delivery")
    for name in ("d.zip", "d.tar", "d.7z"):
        with pytest.raises(DeclarationFileError, match=r"the archive holds 0 vector files"):
            read(tmp_path / name)


def test_what_is_unpacked_does_not_stay(tmp_path: Path, shapefile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "unpacking"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    assert ids(packed(tmp_path / "d.zip", parts(shapefile))) == ["P1", "P2"]
    assert not list(place.iterdir())
