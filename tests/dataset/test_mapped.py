"""Mapped series are those of `build_series`, bit for bit, however the rows are spread over files and parts."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cropmap.dataset import mapped
from cropmap.dataset.mapped import KEPT_FOLDERS, Observed, map_observed
from cropmap.dataset.series import build_series
from cropmap.errors import StoreError
from cropmap.leftovers import PREFIX
from cropmap.observations.files import OBSERVATION_TABLE_SCHEMA
from cropmap.schemas import BANDS, REFLECTANCE_NODATA
from cropmap.seasons import Season
from cropmap.sources.mapped_outlines import OutlineFile

SEASON = Season(2018, date(2018, 1, 1), date(2018, 12, 31))
IDS = np.array(sorted(f"p{number}" for number in range(60)))


def file_of(random: np.random.Generator, *, tile: str, day: int) -> pa.Table:
    """Some parcels of all, a few that no register has, on one day: cloudy, without a band and tied rows among them."""
    ids = sorted(random.choice([*IDS, "a", "p1 and more"], 40, replace=False).tolist())
    total = random.integers(0, 4, 40).astype(np.float32) * 25
    values = random.integers(-50, 6000, (40, len(BANDS))).astype(np.int16)
    values[random.random(values.shape) < 0.1] = REFLECTANCE_NODATA
    values[random.random(40) < 0.1] = REFLECTANCE_NODATA
    sensed_at = datetime(2018, 1, 1, 10, tzinfo=UTC) + timedelta(days=day)
    one = pa.array(np.zeros(40, np.int32))
    columns = {
        "parcel_id": pa.array(ids).dictionary_encode(),
        "sensed_at": pa.array([sensed_at] * 40, pa.timestamp("us", tz="UTC")),
        "tile": pa.DictionaryArray.from_arrays(one, [tile]),
        "item_id": pa.DictionaryArray.from_arrays(one, [f"{tile} {day}"]),
        "clear_pixels": (total * random.choice([0.0, 0.4, 0.8, 1.0], 40)).astype(np.float32),
        "total_pixels": total,
        **{band: values[:, column] for column, band in enumerate(BANDS)},
    }
    return pa.table(columns, schema=OBSERVATION_TABLE_SCHEMA)


def season_of_files(seed: int) -> list[pa.Table]:
    random = np.random.default_rng(seed)
    return [
        file_of(random, tile=tile, day=int(day))
        for day in random.integers(-20, 380, 25)
        for tile in ("30UVU", "30UWU")  # both see the same parcels on the same day
    ]


def mapped_from(root: Path, tables: list[pa.Table], *, key: str = "key") -> Observed:
    ids = pa.array(IDS)
    return map_observed(root, key, lambda: iter(tables), parcel_ids=ids, season=SEASON, min_clear_fraction=0.5)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("parcels", [7, 60, 8_192])
def test_the_arrays_are_those_of_all_rows_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, parcels: int
) -> None:
    monkeypatch.setattr(mapped, "PART_PARCELS", parcels)
    monkeypatch.setattr(mapped, "HELD_BYTES", 4_000)
    tables = season_of_files(seed)
    found, whole = mapped_from(tmp_path, tables), pa.concat_tables(tables).unify_dictionaries()
    wanted = build_series(whole, parcel_ids=IDS, season=SEASON, min_clear_fraction=0.5)
    assert len(wanted.day_of_year) > 200
    assert found.series.hash == wanted.hash
    assert isinstance(found.series.reflectance, np.memmap)
    np.testing.assert_array_equal(found.series.reflectance, wanted.reflectance)
    largest = whole.group_by("parcel_id").aggregate([("total_pixels", "max")]).to_pandas().set_index("parcel_id")
    np.testing.assert_array_equal(found.pixels, largest["total_pixels_max"].reindex(IDS).fillna(0))


def test_it_is_made_once_and_again_where_it_is_damaged_or_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tables = season_of_files(1)
    first = mapped_from(tmp_path, tables)
    assert mapped_from(tmp_path, []).series.hash == first.series.hash, "no table was read"
    for name in ("reflectance.npy", "pixels.npy", "facts.json", "offsets.npy"):
        path = tmp_path / "key" / name
        data = path.read_bytes()
        path.unlink()  # not written through what the first one has mapped
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
        assert mapped_from(tmp_path, tables).series.hash == first.series.hash
        assert caplog.text.count("is damaged; it is made again") == 1
        caplog.clear()
    shutil.rmtree(tmp_path / "key")
    assert mapped_from(tmp_path, tables).series.hash == first.series.hash


def test_other_bytes_of_the_same_hash_are_not_opened(tmp_path: Path) -> None:
    tables = season_of_files(1)
    first = mapped_from(tmp_path, tables)
    for name, other in (("reflectance", b"'>f4'"), ("pixels", b"'>f4'"), ("clear_fraction", b"'<i4'")):
        path = tmp_path / "key" / f"{name}.npy"
        data = path.read_bytes()
        path.unlink()  # not written through what the first one has mapped
        path.write_bytes(data.replace(b"'<f4'", other))  # the hash sees bytes, not what they mean
        again = mapped_from(tmp_path, tables)
        np.testing.assert_array_equal(again.series.reflectance, first.series.reflectance)
        np.testing.assert_array_equal(again.series.clear_fraction, first.series.clear_fraction)
        np.testing.assert_array_equal(again.pixels, first.pixels)


def test_a_season_that_nobody_saw_has_files_too(tmp_path: Path) -> None:
    found = mapped_from(tmp_path, [OBSERVATION_TABLE_SCHEMA.empty_table()])
    assert (found.series.lengths == 0).all()
    assert mapped_from(tmp_path, season_of_files(1)).series.hash == found.series.hash


def test_what_was_opened_longest_ago_is_removed_and_what_was_killed_half_way_too(tmp_path: Path) -> None:
    tables = season_of_files(2)
    killed = tmp_path / f"{PREFIX}elsewhere"
    killed.mkdir()
    (tmp_path / PREFIX).mkdir()
    names = [f"key {number}" for number in range(KEPT_FOLDERS + 2)]
    seen = [mapped_from(tmp_path, tables, key=name) for name in names]
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(PREFIX)}
    assert left == set(names[-KEPT_FOLDERS:])
    assert np.array_equal(seen[0].series.reflectance, seen[-1].series.reflectance, equal_nan=True), "it stays mapped"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match=r"cannot be written \(Not a directory\)"):
        mapped_from(tmp_path / "file" / "datasets", season_of_files(1))
    with pytest.raises(StoreError, match=r"the outlines cannot be written \(Not a directory\)"):
        OutlineFile(tmp_path / "file" / "datasets")
