from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from cropmap.observations import files
from cropmap.observations.coverage import TileCoverage, tile_coverage
from cropmap.observations.extract import observe
from cropmap.observations.files import (
    OBSERVATION_TABLE_SCHEMA,
    is_observed,
    iter_observations,
    observation_name,
    read_observations,
    write_observation,
)
from cropmap.observations.tiles import tile_grids
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.store import Store
from tests.data.make_scenes import flat_bands, make_acquisition, parcels_at

BOXES = {"01": (0, 0, 40, 40), "1": (40, 0, 100, 40), "02": (0, 40, 40, 80)}


def observed(
    store: Store, folder: Path, *, day: int, dn: int, parcels: list[str] | None = None, scene_class: int = 4
) -> tuple[str, Acquisition, TileCoverage]:
    acquisition = make_acquisition(
        folder,
        flat_bands(rows=4, cols=6, dn=dn, scene_class=scene_class),
        item_id=f"S2A_{day}",
        day=datetime(2018, 5, day, 11, 6, 21, 24_000, tzinfo=UTC),
    )
    boxes = {name: BOXES[name] for name in parcels or BOXES}
    coverage = tile_coverage(
        store,
        parcels_at(boxes),
        tile="30UVU",
        grids=tile_grids([acquisition]),
        inner_buffer_10m_m=0,
        inner_buffer_20m_m=0,
    )
    name = observation_name("bretagne", 2018, "30UVU", acquisition.item_id)
    write_observation(store, name, observe(acquisition, coverage))
    return name, acquisition, coverage


def test_names_say_where_a_row_belongs() -> None:
    assert observation_name("bretagne", 2018, "30UVU", "S2A_x") == "observations/bretagne/2018/30UVU/S2A_x.parquet"


def test_writing_twice_leaves_one_equal_copy(store: Store, tmp_path: Path) -> None:
    name, acquisition, coverage = observed(store, tmp_path, day=7, dn=900)
    before = store.read_bytes(name)
    write_observation(store, name, observe(acquisition, coverage))
    assert store.names("observations") == [name]
    assert store.read_bytes(name) == before


def test_what_counts_as_done(store: Store, tmp_path: Path) -> None:
    name, acquisition, coverage = observed(store, tmp_path, day=7, dn=900)
    assert is_observed(store, name, acquisition, coverage)
    assert not is_observed(store, name + "x", acquisition, coverage)
    assert not is_observed(store, name, replace(acquisition, processing_baseline="05.00"), coverage)
    _, _, fewer = observed(store, tmp_path, day=8, dn=900, parcels=["1"])
    assert not is_observed(store, name, acquisition, fewer)


def test_many_files_become_one_table(store: Store, tmp_path: Path) -> None:
    first, *_ = observed(store, tmp_path, day=7, dn=900, parcels=["01", "1"])
    second, *_ = observed(store, tmp_path, day=17, dn=1100)
    table = read_observations(store, [first, second])
    assert table.schema.equals(OBSERVATION_TABLE_SCHEMA)
    rows = [(r["parcel_id"], r["sensed_at"].day, r["item_id"], r["tile"], r["B8A"]) for r in table.to_pylist()]
    assert rows == [
        ("01", 7, "S2A_7", "30UVU", 900),
        ("1", 7, "S2A_7", "30UVU", 900),
        ("01", 17, "S2A_17", "30UVU", 1100),
        ("02", 17, "S2A_17", "30UVU", 1100),
        ("1", 17, "S2A_17", "30UVU", 1100),
    ]
    assert table["sensed_at"][0].as_py() == datetime(2018, 5, 7, 11, 6, 21, 24_000, tzinfo=UTC)


def test_some_parcels_of_many_files(store: Store, tmp_path: Path) -> None:
    first, *_ = observed(store, tmp_path, day=7, dn=900, parcels=["01", "02"])
    second, *_ = observed(store, tmp_path, day=17, dn=1100)
    table = read_observations(store, [first, second], parcel_ids=["1", "01", "elsewhere"])
    assert [(r["parcel_id"], r["sensed_at"].day) for r in table.to_pylist()] == [("01", 7), ("01", 17), ("1", 17)]
    assert read_observations(store, [first], parcel_ids=[]).num_rows == 0
    assert read_observations(store, []).schema.equals(OBSERVATION_TABLE_SCHEMA)


def test_one_file_in_memory_at_a_time(store: Store, tmp_path: Path) -> None:
    names = [observed(store, tmp_path, day=day, dn=900 + day)[0] for day in (3, 5)]
    tables = iter_observations(store, names)
    assert next(tables)["B02"].to_pylist() == [903] * 3
    assert next(tables)["B02"].to_pylist() == [905] * 3


def test_a_large_file_is_read_row_group_by_row_group(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROW_GROUP", 2)
    names = [observed(store, tmp_path, day=day, dn=900 + day)[0] for day in (3, 5)]
    tables = list(iter_observations(Store(store.root), names))
    assert [table["parcel_id"].to_pylist() for table in tables] == [["01", "02"], ["1"]] * 2
    assert [set(table["item_id"].to_pylist()) for table in tables] == [{"S2A_3"}, {"S2A_3"}, {"S2A_5"}, {"S2A_5"}]
    assert read_observations(store, names).num_rows == 6


def test_clouded_rows_can_be_left_out(store: Store, tmp_path: Path) -> None:
    cloudy, *_ = observed(store, tmp_path, day=3, dn=900, scene_class=8)
    clear, *_ = observed(store, tmp_path, day=5, dn=900)
    assert read_observations(store, [cloudy, clear]).num_rows == 6
    assert read_observations(store, [cloudy, clear], clear_only=True)["item_id"].to_pylist() == ["S2A_5"] * 3


def test_a_table_of_another_schema_is_a_mistake_of_ours(store: Store) -> None:
    with pytest.raises(AssertionError):
        write_observation(store, "observations/a.parquet", pa.table({"parcel_id": ["1"]}))
