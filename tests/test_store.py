"""The store: whole objects or none."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cropmap.errors import ConfigurationError, DamagedObjectError, ObjectChangedError, StoreError
from cropmap.leftovers import partial_name
from cropmap.store import Store
from cropmap.terminal import write_out
from tests.fuzzing import inputs

SEED = 18
FLIPS = max(400, inputs("objects", 4))
"""cheap, so that there are more of them than of others"""


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Files of this process end at 4 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_interrupted_write_leaves_nothing(store: Store, full_disk: None) -> None:
    store.write_bytes("runs/a.txt", b"first")
    with pytest.raises(StoreError, match=r"runs/a.txt: cannot be written") as caught:
        store.write_bytes("runs/a.txt", b"x" * 5_000)
    assert "\n" not in str(caught.value)
    assert store.read_bytes("runs/a.txt") == b"first"
    assert [path.name for path in store.local_path("runs").iterdir()] == ["a.txt"]


def test_names_are_those_of_whole_objects(store: Store) -> None:
    store.write_bytes("b/2", b"")
    store.write_bytes("b/10/x", b"")
    store.local_path("b/.writing-123").write_bytes(b"half")
    store.local_path("b/.writing-456").mkdir()
    store.local_path("b/.writing-456/label.npy").write_bytes(b"half")
    assert store.names("b") == ["b/10/x", "b/2"]
    assert store.names("nothing") == []


def test_tables_keep_their_types(store: Store) -> None:
    table = pa.table({"parcel_id": ["007"], "B02": pa.array([-32768], pa.int16())})
    store.write_table("t.parquet", table)
    assert store.read_table("t.parquet").equals(table)


def test_a_store_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="CROPMAP_STORE"):
        Store("gopher://x/y")


def observed(rows: int = 200) -> pa.Table:
    draw = np.random.default_rng(SEED)
    table = pa.table(
        {
            "parcel_id": [f"P{number:05}" for number in range(rows)],
            "clear_pixels": pa.array(draw.uniform(0, 90, rows), pa.float32()),
            "B02": pa.array(draw.integers(-50, 4_000, rows), pa.int16()),
        }
    )
    return table.replace_schema_metadata({"item_id": "S2A_32UPU_20180505_0_L2A", "datetime": "2018-05-05T10:15:00"})


def arrays(data: bytes) -> dict[str, bytes]:
    with np.load(io.BytesIO(data), allow_pickle=False) as kept:
        return {name: kept[name].tobytes() for name in kept.files}


def an_npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, cells=np.arange(50), fractions=np.linspace(0, 1, 50, dtype=np.float32))
    return buffer.getvalue()


def damage(data: bytes, draw: np.random.Generator) -> bytes:
    """One bit, or a block of zeros or noise, or the end cut off."""
    kind, at = draw.integers(0, 10), int(draw.integers(0, len(data)))
    if kind < 7:
        return data[:at] + bytes([data[at] ^ (1 << int(draw.integers(0, 8)))]) + data[at + 1 :]
    if kind == 7:
        return data[:at]
    block = bytes(512) if kind == 8 else draw.bytes(512)
    return (data[:at] + block + data[at + 512 :])[: len(data)]


READINGS: dict[str, Callable[[Store], object]] = {
    "t.parquet": lambda store: (table := store.read_table("t.parquet"), table.schema.metadata),
    "rows.parquet": lambda store: store.read_table("rows.parquet", rows=pc.field("parcel_id") > "P00150"),
    "c.npz": lambda store: store.read("c.npz", arrays),
    "g.json": lambda store: store.read("g.json", json.loads),
}


@pytest.mark.parametrize("name", READINGS)
@pytest.mark.slow
def test_damaged_bytes_are_never_read_as_other_values(store: Store, name: str) -> None:
    store.write_table("t.parquet", observed(), row_group_size=64)
    store.write_table("rows.parquet", observed(), row_group_size=64)
    store.write_bytes("c.npz", an_npz())
    store.write_bytes("g.json", json.dumps({"10": {"epsg": 32632, "width": 10980}}).encode())
    path, draw = store.local_path(name), np.random.default_rng(SEED)
    whole, wanted, said = path.read_bytes(), READINGS[name](store), []
    for _ in range(FLIPS):
        path.write_bytes(damage(whole, draw))
        try:
            assert READINGS[name](Store(store.root)) == wanted
        except DamagedObjectError as error:
            said.append(str(error))
    assert len(said) > 0.8 * FLIPS
    assert all(line.startswith(f"{name}: is damaged (") and "\n" not in line for line in said)


def test_objects_without_a_digest_stay_readable(store: Store) -> None:
    pq.write_table(observed(), store.local_path("old.parquet"))
    store.local_path("old.json").write_text('{"a": 1}', encoding="utf-8")
    assert store.read_table("old.parquet").equals(observed())
    assert store.read("old.json", json.loads) == {"a": 1}
    store.local_path("old.json").write_text('{"a": ', encoding="utf-8")
    with pytest.raises(DamagedObjectError, match=r"old.json: is damaged"):
        store.read("old.json", json.loads)


def test_parquet_with_a_digest_is_parquet_for_everybody(store: Store) -> None:
    store.write_table("t.parquet", observed())
    assert pq.read_table(store.local_path("t.parquet")).equals(observed())


def test_a_file_for_people_has_no_digest(store: Store) -> None:
    store.write_bytes("quality.json", b"{}", digest=False)
    assert store.local_path("quality.json").read_bytes() == b"{}"


def test_a_damaged_object_is_recalled_as_none_and_made_again(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    assert store.recall("c.json", json.loads) is None
    store.write_bytes("c.json", b"[1, 2]")
    path = store.local_path("c.json")
    path.write_bytes(path.read_bytes().replace(b"[1, 2]", b"[1, 3]"))
    assert store.recall("c.json", json.loads) is None
    assert "c.json" in caplog.text
    store.write_bytes("c.json", b"[1, 2]")
    assert store.recall("c.json", json.loads) == [1, 2]


def test_what_a_killed_process_was_writing_is_removed(store: Store) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "from cropmap.leftovers import partial_name; print(partial_name())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    for name in (dead, f"datasets/{dead}/label.npy", f"datasets/{partial_name()}/label.npy", ".writing-old"):
        path = store.local_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    store.write_bytes("runs/a.txt", b"whole")
    os.utime(store.local_path(".writing-old"), (0, 0))
    assert sorted(store.clean()) == sorted([".writing-old", dead, f"datasets/{dead}"])
    assert store.names("runs") == ["runs/a.txt"]
    assert len(list(Path(store.root, "datasets").iterdir())) == 1  # of this process, which may still be writing


def test_an_object_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="runs/nothing: is not in the store"):
        store.read_bytes("runs/nothing")


def test_what_a_command_writes_for_people_is_what_it_says(tmp_path: Path) -> None:
    write_out(b"a;b\r\n1;2\r\n", tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_bytes() == b"a;b\r\n1;2\r\n"


@pytest.mark.parametrize("answer", [errno.EPERM, errno.EOPNOTSUPP])
def test_the_first_writer_wins_on_a_disk_without_links_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: int
) -> None:
    def link(*_: object) -> None:
        raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr(os, "link", link)
    store = Store(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda number: store.write_once("grids/1", b"%d" % number), range(8)))
    assert written.count(True) == 1
    assert store.read_bytes("grids/1") == b"%d" % written.index(True)
    with pytest.raises(ObjectChangedError):
        store.replace("grids/1", b"other", before=None)
    assert store.names("") == ["grids/1"]


def test_what_fails_while_rows_are_written_leaves_the_object_as_it_was(store: Store) -> None:
    table = pa.table({"a": [1, 2]})
    store.write_table("runs/a.parquet", table)

    def rows() -> Iterator[pa.Table]:
        yield table
        raise DamagedObjectError("is damaged", where="runs/b.parquet")

    with pytest.raises(DamagedObjectError, match=r"runs/b\.parquet: is damaged"):
        store.write_rows("runs/a.parquet", table.schema, rows())
    assert store.read_table("runs/a.parquet").equals(table)
    assert [path.name for path in store.local_path("runs").iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("digest", [True, False])
def test_damaged_rows_are_never_read_as_others(store: Store, digest: bool) -> None:
    table = pa.table({"a": np.arange(3_000), "b": [f"P{n}" for n in range(3_000)]})
    store.write_rows("runs/a.parquet", table.schema, [table.slice(0, 1_500), table.slice(1_500)])
    path = store.local_path("runs/a.parquet")
    if not digest:
        pq.write_table(table, path, write_page_checksum=True)
    whole = path.read_bytes()
    assert store.count_rows("runs/a.parquet") == 3_000
    for damaged in (whole[:200] + bytes([whole[200] ^ 4]) + whole[201:], whole[:-60], b"", b"garbage"):
        path.write_bytes(damaged)
        with pytest.raises(DamagedObjectError, match=r"runs/a\.parquet: is damaged"):
            list(store.read_rows("runs/a.parquet"))
        assert store.count_rows("runs/a.parquet") is None


def test_the_row_group_that_has_a_value_beside_one_that_lost_its_rows(tmp_path: Path) -> None:
    schema = pa.schema([("parcel_id", pa.string())])
    groups = [pa.table({"parcel_id": ids}, schema=schema) for ids in (["a", "c"], [], ["e", "g"])]
    for store in (Store(tmp_path), Store(tmp_path)):  # that wrote it, and that reads it for the first time
        if not store.exists("x.parquet"):
            store.write_rows("x.parquet", schema, groups)
        for value, rows in {"": "ac", "a": "ac", "b": "ac", "d": "eg", "g": "eg", "z": ""}.items():
            found = store.read_row_group("x.parquet", "parcel_id", value)
            assert found.rows["parcel_id"].to_pylist() == list(rows), value
            assert (found.number == len(found.lasts)) == (value == "z")
