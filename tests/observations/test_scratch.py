"""Remote JPEG 2000: fetched once, kept within a bound while it is read, and gone afterwards."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyarrow import fs
from rasterio.transform import Affine

from cropmap.errors import CropmapError, SceneError
from cropmap.observations import raster_access
from cropmap.observations import scratch as scratch_of_process
from cropmap.observations.grids import Grid, Window
from cropmap.observations.ranges import CHUNK_BYTES
from cropmap.observations.raster import read_grid, read_window
from cropmap.observations.raster_access import fetch
from cropmap.observations.scratch import Scratch, is_copied
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.providers import in_use
from cropmap.sources.catalogs.sign_in.pace import used_of
from tests.data.make_sources_catalog import served
from tests.data.sign_in_services import of, provider
from tests.s3_server import S3Server

SIZE = 400
GRID = Grid(epsg=32630, transform=(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_400_000.0), width=SIZE, height=SIZE)
Put = Callable[[str, bytes], str]


@pytest.fixture
def scenes(tmp_path: Path) -> list[bytes]:
    """JPEG 2000 files as the archives have them: lossless, in tiles."""
    made = []
    for number in range(3):
        path = tmp_path / f"{number}.jp2"
        values = np.random.default_rng(number).integers(1, 4000, (1, SIZE, SIZE)).astype("uint16")
        profile: dict[str, Any] = {"blockxsize": 256, "blockysize": 256, "QUALITY": "100", "REVERSIBLE": "YES"}
        with rasterio.open(
            path,
            "w",
            driver="JP2OpenJPEG",
            width=SIZE,
            height=SIZE,
            count=1,
            dtype="uint16",
            crs="EPSG:32630",
            transform=Affine(*GRID.transform),
            **profile,
        ) as file:
            file.write(values)
        made.append(path.read_bytes())
    return made


def values_of(number: int) -> Any:
    return np.random.default_rng(number).integers(1, 4000, (SIZE, SIZE)).astype("uint16")


@pytest.fixture
def put(s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Put:
    for name, value in s3_server.aws_environment().items():
        monkeypatch.setenv(name, value)
    bucket = fs.S3FileSystem(
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=s3_server.endpoint,
        region=os.environ["AWS_REGION"],
    )

    def put_object(name: str, data: bytes) -> str:
        with bucket.open_output_stream(f"{s3_bucket}/{name}") as sink:
            sink.write(data)
        return f"s3://{s3_bucket}/{name}"

    return put_object


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    before = scratch_of_process.scratch()
    folder = tmp_path / "scratch"
    scratch_of_process.use(folder, 10_000_000)
    yield folder
    scratch_of_process.use(before.folder, before.most_bytes)


def test_what_is_copied() -> None:
    assert is_copied("s3://eodata/B02_10m.jp2")
    assert is_copied("https://x/B02.JP2?signed=1")
    assert not is_copied("s3://bucket/B02.tif")
    assert not is_copied("/data/B02.jp2")


def test_a_window_is_that_of_the_file_and_nothing_is_left(put: Put, scenes: list[bytes], folder: Path) -> None:
    href = put("a/B02.jp2", scenes[0])
    values = read_window(href, GRID, Window(10, 20, 30, 40))
    assert np.array_equal(values, values_of(0)[10:40, 20:60])
    assert list(folder.iterdir()) == []


def test_files_ahead_are_there_before_they_are_read_within_the_bound(
    put: Put, scenes: list[bytes], tmp_path: Path
) -> None:
    folder, size = tmp_path / "few", len(scenes[0])
    hrefs = [put(f"b/{number}.jp2", data) for number, data in enumerate(scenes)]
    scratch = Scratch(folder, most_bytes=size + size // 2)
    with scratch.ahead({href: len(data) for href, data in zip(hrefs, scenes, strict=True)}):
        for number, href in enumerate(hrefs):
            with scratch.copied(href) as path:
                assert path.read_bytes() == scenes[number]
                lying = sum(file.stat().st_size for file in folder.iterdir())
                assert lying <= 2.6 * size, "the one that is read, and one ahead"
            assert not path.exists()
    assert list(folder.iterdir()) == []


def test_what_was_not_read_is_removed(put: Put, scenes: list[bytes], folder: Path) -> None:
    hrefs = [put(f"c/{number}.jp2", data) for number, data in enumerate(scenes)]
    with scratch_of_process.scratch().ahead(dict.fromkeys(hrefs)):
        pass
    assert not folder.exists() or list(folder.iterdir()) == []


def test_many_readers_get_what_they_asked_for(put: Put, scenes: list[bytes], tmp_path: Path) -> None:
    """More files than fit, asked for by several at once: nobody waits for ever."""
    hrefs = {put(f"d/{turn}-{number}.jp2", scenes[number]): number for turn in range(4) for number in range(3)}
    scratch = Scratch(tmp_path / "tight", most_bytes=len(scenes[0]))

    def read(part: list[str]) -> bool:
        with scratch.ahead(dict.fromkeys(part)):
            return all(_content(scratch, href) == scenes[hrefs[href]] for href in part)

    parts = [list(hrefs)[at : at + 3] for at in range(0, 12, 3)]
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, parts, timeout=120))


def _content(scratch: Scratch, href: str) -> bytes:
    with scratch.copied(href) as path:
        return path.read_bytes()


def test_a_truncated_file_is_set_aside_with_its_reason(put: Put, scenes: list[bytes], folder: Path) -> None:
    href = put("e/cut.jp2", scenes[0][: len(scenes[0]) // 2])
    with pytest.raises(SceneError) as caught:
        read_window(href, GRID, Window(0, 0, SIZE, SIZE))
    assert caught.value.reason == QuarantineReason.UNREADABLE_FILE
    assert caught.value.where == href
    assert str(folder) not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_a_file_of_another_length_than_its_item_says(put: Put, scenes: list[bytes], folder: Path) -> None:
    href = put("f/short.jp2", scenes[0])
    scratch = scratch_of_process.scratch()
    with (
        scratch.ahead({href: len(scenes[0]) + 1}),
        pytest.raises(SceneError, match="its item says"),
        scratch.copied(href),
    ):
        pass


@contextmanager
def in_parts(content: bytes, *, answers: Callable[[int], tuple[int, int]]) -> Iterator[str]:
    """A server of one file by ranges, at the address that it gives. `answers`: number of the request beyond the first 4
    MiB -> its status, and how many bytes its end is cut off by."""
    beyond = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()

        def do_GET(self) -> None:
            nonlocal beyond
            first, last = (int(at) for at in self.headers.get("Range", "bytes=0-0")[6:].split("-"))
            part, (status, cut) = content[first : last + 1], (206, 0)
            if first >= CHUNK_BYTES:
                beyond += 1
                status, cut = answers(beyond)
            part = part if status == 206 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(part)))
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
            self.end_headers()
            self.wfile.write(part[: len(part) - cut])
            self.close_connection = cut > 0

    with served(Handler) as url:
        yield f"{url}B02.jp2"


def long_file(scenes: list[bytes]) -> bytes:
    """More than one part of a copy; what follows an image is of none."""
    return scenes[0] + bytes(3 * CHUNK_BYTES // 2)


def test_a_file_whose_end_broke_off_is_fetched_again(scenes: list[bytes], folder: Path) -> None:
    content, scratch = long_file(scenes), scratch_of_process.scratch()
    with (
        in_parts(content, answers=lambda n: (206, 1000 if n == 1 else 0)) as href,
        scratch.ahead({href: len(content)}),
        scratch.copied(href) as path,
    ):
        assert path.read_bytes() == content


def test_what_came_of_a_copy_that_fails_counts_towards_the_quota(
    scenes: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raster_access, "WAITS_S", (0.01, 0.01))
    with in_parts(long_file(scenes), answers=lambda _: (403, 0)) as href:
        one = provider("broken", hosts=[of(href)], limits={"quota": {"bytes": 1e9, "days": 30}})
        in_use.use(one)
        used_of.cache_clear()
        with pytest.raises(SceneError):
            fetch(href, tmp_path / "copy.jp2")
        assert used_of(one).unnoted >= CHUNK_BYTES


def test_a_file_that_is_not_there(put: Put, scenes: list[bytes], folder: Path) -> None:
    missing = put("g/there.jp2", scenes[0]).replace("there", "absent")
    with pytest.raises(SceneError, match="cannot be read"):
        read_window(missing, GRID, Window(0, 0, 8, 8))


def test_a_full_disk_is_no_fault_of_the_scene(
    put: Put, scenes: list[bytes], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    href = put("h/B02.jp2", scenes[0])
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(CropmapError, match="CROPMAP_SCRATCH") as caught:
        read_window(href, GRID, Window(0, 0, 8, 8))
    assert not isinstance(caught.value, SceneError)
    assert "No space left" in str(caught.value)


def test_a_limit_on_what_is_written_is_no_fault_of_the_scene(put: Put, scenes: list[bytes], folder: Path) -> None:
    """A quota of a user, like a limit of the process, leaves the disk with room."""
    href = put("j/B02.jp2", scenes[0])
    grid, before = read_grid(href), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(scenes[0]) // 2, before[1]))
    try:
        with pytest.raises(CropmapError, match="CROPMAP_SCRATCH") as caught:
            read_window(href, grid, Window(0, 0, 8, 8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not isinstance(caught.value, SceneError)
    assert list(folder.iterdir()) == []


def test_copies_of_a_killed_process_are_removed(put: Put, scenes: list[bytes], folder: Path) -> None:
    folder.mkdir()
    make = "import sys; from cropmap.leftovers import partial_name; open(f'{sys.argv[1]}/{partial_name()}', 'w')"
    subprocess.run([sys.executable, "-c", make, str(folder)], check=True)
    assert len(list(folder.iterdir())) == 1
    read_window(put("i/B02.jp2", scenes[0]), GRID, Window(0, 0, 8, 8))
    assert list(folder.iterdir()) == []
