"""The store: whole objects or none."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cropmap.errors import ConfigurationError
from cropmap.store import Store


def test_an_interrupted_write_leaves_nothing(store: Store) -> None:
    store.write_bytes("runs/a.txt", b"first")
    with pytest.raises(TypeError), store.writing("runs/a.txt") as sink:
        sink.writelines([b"half", "not bytes"])
    assert store.read_bytes("runs/a.txt") == b"first"
    assert store.names("runs") == ["runs/a.txt"]


def test_names_are_those_of_whole_objects(store: Store) -> None:
    store.write_bytes("b/2", b"")
    store.write_bytes("b/10/x", b"")
    store.local_path("b/.writing-123").write_bytes(b"half")
    assert store.names("b") == ["b/10/x", "b/2"]
    assert store.names("nothing") == []


def test_tables_keep_their_types(store: Store) -> None:
    table = pa.table({"parcel_id": ["007"], "B02": pa.array([-32768], pa.int16())})
    store.write_table("t.parquet", table)
    assert store.read_table("t.parquet").equals(table)


def test_a_store_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="CROPMAP_STORE"):
        Store("gopher://x/y")
