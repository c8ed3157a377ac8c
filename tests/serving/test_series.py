"""A parcel's series from files of whole tiles, of which the last ones stay in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.observations.files import ROW_GROUP, write_observation
from cropmap.schemas import BANDS, REFLECTANCE_NODATA
from cropmap.store import Store
from serving.errors import ObservationsUnavailableError
from serving.series import ObservationFile, SeriesReader
from tests.s3_server import STRANGER, S3Server


def write(store: Store, name: str, *, day: int, b04: Sequence[int], parcels: Sequence[str] = ("A", "B")) -> None:
    metadata = {"item_id": name, "datetime": datetime(2018, 5, day, tzinfo=UTC).isoformat(), "tile": "30UVU"}
    columns = {"parcel_id": list(parcels), "clear_pixels": [3.0] * len(parcels), "total_pixels": [4.0] * len(parcels)}
    bands = {band: list(b04) if band == "B04" else [REFLECTANCE_NODATA] * len(parcels) for band in BANDS}
    schema = OBSERVATION_SCHEMA.with_metadata({**metadata, "processing_baseline": "02.06"})
    write_observation(store, name, pa.table({**columns, **bands}, schema=schema))


def test_a_series_is_by_time_and_of_this_parcel(store: Store) -> None:
    write(store, "late", day=9, b04=[100, 200])
    write(store, "early", day=2, b04=[300, 400])
    write(store, "elsewhere", day=4, b04=[7], parcels=["C"])
    series = SeriesReader(store).read([ObservationFile(name, "1") for name in ("late", "early", "elsewhere")], "B")
    assert [(one["sensed_at"], one["clear_fraction"], one["reflectance"]["B04"]) for one in series] == [
        (datetime(2018, 5, 2, tzinfo=UTC), 0.75, 0.04),
        (datetime(2018, 5, 9, tzinfo=UTC), 0.75, 0.02),
    ]
    assert math.isnan(series[0]["reflectance"]["B08"])


def test_a_file_that_was_written_anew_is_read_anew(store: Store) -> None:
    reader = SeriesReader(store)
    write(store, "one", day=2, b04=[100, 200])
    assert reader.read([ObservationFile("one", "1")], "A")[0]["reflectance"]["B04"] == 0.01
    write(store, "one", day=2, b04=[500, 600])
    assert reader.read([ObservationFile("one", "2")], "A")[0]["reflectance"]["B04"] == 0.05


def test_what_is_kept_is_not_read_again_and_is_bounded(store: Store) -> None:
    reader = SeriesReader(store, cache_bytes=100)
    for name, day in (("one", 2), ("two", 3)):
        write(store, name, day=day, b04=[day, day])
    files = [ObservationFile("one", "1"), ObservationFile("two", "1")]
    assert len(reader.read(files, "A")) == 2
    store.remove("two")
    assert len(reader.read(files[1:], "A")) == 1, "the last file that was used stays"
    store.remove("one")
    with pytest.raises(ObservationsUnavailableError):
        reader.read(files, "A")


def test_of_a_large_tile_the_row_group_of_the_parcel_alone_is_read(store: Store) -> None:
    many = [f"{2 * number:06d}" for number in range(ROW_GROUP + 2)]
    write(store, "large", day=9, b04=range(len(many)), parcels=many)
    write(store, "small", day=2, b04=[7], parcels=many[-1:])
    write(store, "empty", day=3, b04=[], parcels=[])
    files = [ObservationFile(name, "1") for name in ("large", "small", "empty")]
    expected = {
        many[0]: [0],
        many[ROW_GROUP - 1]: [ROW_GROUP - 1],
        many[ROW_GROUP]: [ROW_GROUP],
        many[-1]: [7, len(many) - 1],
        "000001": [],
        f"{2 * ROW_GROUP - 1:06d}": [],  # between two row groups
        "999999": [],
    }
    for reader in (SeriesReader(store), SeriesReader(Store(store.root), cache_bytes=100)):
        for parcel, values in [*expected.items(), *expected.items()]:
            series = reader.read(files, parcel)
            assert [round(one["reflectance"]["B04"] * 10_000) for one in series] == values, parcel


def test_a_row_group_whose_identifiers_have_no_statistics(store: Store) -> None:
    long = ["A" * 5_000, "B" * 5_000]
    write(store, "one", day=2, b04=[100, 200], parcels=long)
    reader = SeriesReader(store)
    assert [reader.read([ObservationFile("one", "1")], parcel)[0]["reflectance"]["B04"] for parcel in long] == [
        0.01,
        0.02,
    ]


def test_no_file_is_an_empty_series(store: Store) -> None:
    assert SeriesReader(store).read([], "A") == []


def test_a_bucket_that_refuses_the_key_is_the_servers_failure(
    s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.store_environment(STRANGER).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ObservationsUnavailableError):
        SeriesReader(Store(f"s3://{s3_bucket}/prefix")).read([ObservationFile("one", "1")], "A")
