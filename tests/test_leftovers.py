"""Half-written files: whose they are, and when they are removed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cropmap.leftovers import PREFIX, is_partial, partial_name, remove_leftovers


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", ""]) as process:
        process.wait()
    return process.pid


def made(path: Path, *, hours_ago: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    moment = time.time() - 3600 * hours_ago
    os.utime(path, (moment, moment))
    return path


def of_process(pid: int) -> str:
    return partial_name().replace(f".{os.getpid()}.", f".{pid}.")


def test_a_name_is_new_each_time_and_says_whose_it_is() -> None:
    first, second = partial_name(), partial_name()
    assert first != second
    assert first.startswith(PREFIX)
    assert first.split(".")[2] == str(os.getpid()), "`.writing-host`, process, anything"


@pytest.mark.parametrize(
    ("path", "half"),
    [
        (".writing-x", True),
        ("a/.writing-x/b.parquet", True),
        ("a/b/.writing-x", True),
        ("a/x.writing-y", False),
        ("writing-x", False),
        ("a/.written-x", False),
    ],
)
def test_a_file_is_half_written_where_its_name_or_a_folder_above_says_so(path: str, half: bool) -> None:
    assert is_partial(path) is half


def test_several_processes_may_clean_at_once(tmp_path: Path, gone: int) -> None:
    for _ in range(20):
        folder = tmp_path / of_process(gone)
        for number in range(100):
            made(folder / str(number))
        start = threading.Barrier(4)

        def clean(_: int, start: threading.Barrier = start) -> list[Path]:
            start.wait()
            return remove_leftovers(tmp_path)

        with ThreadPoolExecutor(4) as pool:
            assert folder in {path for removed in pool.map(clean, range(4)) for path in removed}
        assert not folder.exists()


def test_what_a_living_process_writes_stays_however_old_it_is(tmp_path: Path) -> None:
    mine = made(tmp_path / partial_name(), hours_ago=1_000)
    assert remove_leftovers(tmp_path) == []
    assert mine.exists()


def test_what_a_process_that_ended_left_goes_at_once(tmp_path: Path, gone: int) -> None:
    left = made(tmp_path / "deep" / of_process(gone))
    folder = tmp_path / of_process(gone)
    made(folder / "inside.parquet")
    kept = made(tmp_path / "deep" / "whole.parquet", hours_ago=1_000)
    assert sorted(remove_leftovers(tmp_path)) == sorted([left, folder])
    assert not left.exists()
    assert not folder.exists()
    assert kept.exists()


@pytest.mark.parametrize(("hours_ago", "goes"), [(23.9, False), (24.1, True)])
def test_of_another_machine_it_goes_after_a_day_without_a_change(tmp_path: Path, hours_ago: float, goes: bool) -> None:
    """Which processes live on another machine, nobody here knows."""
    other = made(tmp_path / f"{PREFIX}elsewhere.1.abc", hours_ago=hours_ago)
    assert remove_leftovers(tmp_path) == ([other] if goes else [])


@pytest.mark.parametrize("name", [PREFIX, f"{PREFIX}x", f"{PREFIX}host.word.abc"])
def test_a_name_that_says_no_process_is_judged_by_its_age(tmp_path: Path, name: str) -> None:
    fresh = made(tmp_path / name, hours_ago=1)
    assert remove_leftovers(tmp_path) == []
    made(fresh, hours_ago=25)
    assert remove_leftovers(tmp_path) == [fresh]
