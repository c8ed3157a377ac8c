"""Numbers moved by a correction of the offset, and moved back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.observations import zonal
from cropmap.observations.corrections import CORRECTION, correction_of, with_correction
from cropmap.observations.files import correct_observation, write_observation
from cropmap.schemas import BANDS, REFLECTANCE_NODATA
from cropmap.store import Store

ROWS = 200


def table(values: np.ndarray[tuple[int], np.dtype[np.int16]]) -> pa.Table:
    return pa.table(
        [
            pa.array([f"{n:04d}" for n in range(len(values))]),
            *(pa.array(np.full(len(values), size, np.float32)) for size in (7, 9)),
            *(pa.array(values) for _ in BANDS),
        ],
        schema=OBSERVATION_SCHEMA.with_metadata({"item_id": "S2A_1", "offset": "{}"}),
    )


def test_it_is_what_the_other_offset_gives_from_the_pixels() -> None:
    means = np.random.default_rng(3).uniform(1, 12_000, 10_000)
    stated, right = (zonal.stored_reflectance(means, scale=1e-4, offset=offset) for offset in (-0.1, 0.0))
    assert with_correction(table(stated), 0.1)["B04"].to_numpy().tolist() == right.tolist()


@pytest.mark.parametrize("correction", [0.1, -0.1])
def test_there_and_back_again(correction: float) -> None:
    values = np.random.default_rng(4).integers(-3_000, 31_000, ROWS).astype(np.int16)
    values[::7] = REFLECTANCE_NODATA
    before = table(values)
    moved = with_correction(before, correction)
    assert correction_of(moved.schema) == correction
    assert moved.schema.metadata[b"item_id"] == b"S2A_1"
    assert (moved["B8A"].to_numpy() == REFLECTANCE_NODATA).tolist() == (values == REFLECTANCE_NODATA).tolist()
    assert moved["clear_pixels"].equals(before["clear_pixels"])
    assert with_correction(moved, correction).equals(moved)
    back = with_correction(moved, 0.0)
    assert back.equals(before)
    assert CORRECTION not in back.schema.metadata


def test_a_file_is_corrected_once(tmp_path: Path) -> None:
    store, name = Store(tmp_path), "observations/a/2024/30UVU/x.parquet"
    write_observation(store, name, table(np.arange(ROWS, dtype=np.int16)))
    first = store.local_path(name).read_bytes()
    for _ in range(2):
        correct_observation(store, name, 0.1)
        assert store.read_table(name)["B02"].to_pylist() == list(range(1_000, 1_000 + ROWS))
    correct_observation(store, name, 0.0)
    assert store.local_path(name).read_bytes() == first
    correct_observation(store, "observations/a/2024/30UVU/gone.parquet", 0.1)
