"""Members of zip files: their addresses, their bytes, and archives that say otherwise than they hold."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from cropmap.sources.catalogs.zipped import archived, archived_address, read_member

CONTENT = bytes(range(256)) * 4_000
"""a megabyte that deflate makes small"""


def make(folder: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w", compression) as sink:
        sink.writestr("in/B02.jp2", CONTENT)
    return path


def said_size(archive: Path, size: int) -> None:
    """Writes another unpacked size into the list of members."""
    content = bytearray(archive.read_bytes())
    content[(at := content.rindex(b"PK\x01\x02") + 24) : at + 4] = struct.pack("<I", size)
    archive.write_bytes(content)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_bytes_of_a_member(tmp_path: Path, compression: int) -> None:
    assert read_member(make(tmp_path, compression), "in/B02.jp2") == CONTENT


def test_addresses() -> None:
    address = archived_address(Path("/a b/c.zip"), "d/e.jp2")
    assert address == "/vsizip/{/a b/c.zip}/d/e.jp2"
    assert archived(address) == (Path("/a b/c.zip"), "d/e.jp2")
    for other in ("/a/b.jp2", "/vsizip//a/c.zip/e.jp2", "/vsizip/{/vsizip/{/a.zip}/b.zip}/e.jp2", "/vsizip/{}/e.jp2"):
        assert archived(other) is None


@pytest.mark.parametrize("size", [1_000, len(CONTENT) - 1])
def test_a_member_that_unpacks_to_more_than_it_says(tmp_path: Path, size: int) -> None:
    archive = make(tmp_path)
    said_size(archive, size)
    with pytest.raises(OSError, match="Bad CRC-32"):
        read_member(archive, "in/B02.jp2")


def test_a_member_that_says_it_is_huge(tmp_path: Path) -> None:
    archive = make(tmp_path)
    said_size(archive, 600 << 20)
    with pytest.raises(OSError, match="it has 600 MB"):
        read_member(archive, "in/B02.jp2")


def test_a_member_with_another_byte(tmp_path: Path) -> None:
    archive = make(tmp_path, zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    content[500_000] ^= 1
    archive.write_bytes(content)
    with pytest.raises(OSError, match="Bad CRC-32"):
        read_member(archive, "in/B02.jp2")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"in/B03\.jp2"):
        read_member(make(tmp_path), "in/B03.jp2")
    with pytest.raises(FileNotFoundError):
        read_member(tmp_path / "b.zip", "in/B02.jp2")
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(OSError, match="not a zip file"):
        read_member(tmp_path / "b.zip", "in/B02.jp2")
