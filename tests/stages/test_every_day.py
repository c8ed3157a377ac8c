"""A run without anything new reads no observation file; what was damaged is found when it is read, at the latest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pytest

from cropmap.database import acquisitions as ledger
from cropmap.errors import DamagedObjectError
from cropmap.observations.files import read_observations
from cropmap.results.acquisitions import retry_acquisitions
from cropmap.stages import ingest
from cropmap.stages.context import SeasonContext
from cropmap.stages.finished import finished_ingest
from cropmap.stages.offsets import judge_offsets
from cropmap.stages.open_season import OpenSeason
from cropmap.store import Store
from tests.stages.conftest import NO_MODEL, observe_everything, open_context

T = TypeVar("T")


@pytest.fixture
def inputs(tiny_inputs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_inputs, tmp_path / "inputs"))


@pytest.fixture
def season(environment: None, inputs: Path, tmp_path: Path) -> SeasonContext:
    context = open_context(inputs, tmp_path, **NO_MODEL)
    observe_everything(context)
    judge_offsets(OpenSeason(context))
    judge_offsets(OpenSeason(context))  # the first one entered what it found; the second changed nothing
    return context


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the observation files that are read from now on, and of what parcels cover; each once."""
    seen: list[str] = []
    read, read_table = Store.read, Store.read_table

    def note(name: str) -> None:
        if name.startswith(("observations/", "coverage/")) and name not in seen:
            seen.append(name)

    def noted(store: Store, name: str, parse: Callable[[bytes], T]) -> T:
        note(name)
        return read(store, name, parse)

    def noted_table(store: Store, name: str, *columns: Any, **rows: Any) -> pa.Table:
        note(name)
        return read_table(store, name, *columns, **rows)

    monkeypatch.setattr(Store, "read", noted)
    monkeypatch.setattr(Store, "read_table", noted_table)
    return seen


def names_of(context: SeasonContext) -> list[str]:
    return context.store.names("observations")


def due(context: SeasonContext) -> dict[str, str]:
    season = OpenSeason(context)
    ingest.search_catalog(season)
    return ingest.pending_acquisitions(season, season.parcel_sets)


def test_nothing_new_reads_no_observation_and_changes_no_row(season: SeasonContext, read: list[str]) -> None:
    with season.connect() as connection:
        before = ledger.ledger_state(connection, **season.key)
    answer = finished_ingest(OpenSeason(season))
    assert answer is not None
    assert answer["acquisitions"]["observed"] == 8
    assert read == []
    with season.connect() as connection:
        assert ledger.ledger_state(connection, **season.key) == before


def test_a_file_that_was_touched_alone_is_read_once(season: SeasonContext, read: list[str]) -> None:
    name = names_of(season)[2]
    os.utime(season.store.local_path(name))
    assert due(season) == {}
    assert read == [name]
    read.clear()
    assert due(season) == {}
    assert read == []


@pytest.mark.parametrize("record", ["lost", "garbage"])
def test_without_the_record_every_file_is_read_once(season: SeasonContext, read: list[str], record: str) -> None:
    name = "checked/simulated-bretagne/2018.json"
    if record == "lost":
        season.store.remove(name)
    else:
        season.store.local_path(name).write_bytes(b"{")
    assert due(season) == {}
    assert sorted(read) == names_of(season)
    read.clear()
    assert due(season) == {}
    assert read == []


def lost(path: Path) -> None:
    path.unlink()


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def overwritten(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:80] + bytes([data[80] ^ 1]) + data[81:])


@pytest.mark.parametrize("damage", [lost, cut_off, overwritten])
def test_what_was_damaged_by_somebody_is_due_the_same_day(
    season: SeasonContext, damage: Callable[[Path], None]
) -> None:
    name = names_of(season)[3]
    damage(season.store.local_path(name))
    assert list(due(season)) == [Path(name).stem]
    observe_everything(season)
    assert due(season) == {}


def test_a_bit_that_a_disk_lost_is_found_by_whoever_reads_and_made_again(season: SeasonContext) -> None:
    """Neither size nor time says so."""
    name = names_of(season)[1]
    whole, path = read_observations(season.store, names_of(season)), season.store.local_path(name)
    status = path.stat()
    overwritten(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert due(season) == {}, "nobody has read it"
    fresh = open_store(season)
    with pytest.raises(DamagedObjectError, match="cropmap observe"):
        read_observations(fresh, names_of(season))
    assert list(due(season)) == [Path(name).stem]
    observe_everything(season)
    assert read_observations(season.store, names_of(season)).equals(whole)


def open_store(context: SeasonContext) -> Store:
    """As another process has it, which has read nothing."""
    return Store(context.store.root)


def test_other_parcels_or_other_items_are_seen(season: SeasonContext, inputs: Path, tmp_path: Path) -> None:
    wider = open_context(inputs, tmp_path, **NO_MODEL, observations={"inner_buffer_10m_m": 5.0})
    assert len(due(wider)) == 8
    item = sorted((inputs / "scenes").glob("*/S2*/*.json"))[0]
    item.write_text(
        item.read_text().replace('"file:checksum"', '"x"').replace("05.00", "05.01").replace("02.06", "02.07")
    )
    assert list(due(season)) == [item.stem]


def test_a_season_is_judged_again_where_its_ledger_changed(season: SeasonContext, read: list[str]) -> None:
    before = judge_offsets(OpenSeason(season))
    assert read == []
    with season.connect() as connection:
        (entry, *_) = ledger.read_acquisitions(connection, **season.key)
        ledger.mark_quarantined(connection, **season.key, item_id=entry.item_id, **REFUSED)
    retry_acquisitions(season, items=[entry.item_id])
    observe_everything(season)
    read.clear()
    assert judge_offsets(OpenSeason(season)) == before
    assert entry.tile in {Path(name).parent.name for name in read}


REFUSED: dict[str, Any] = {"reason": "UNREADABLE_FILE", "detail": "by hand", "tried": "x"}
