"""The random forest's calendar: each band interpolated to fixed slots; and the table of a folder."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cropmap.dataset.series import Series
from cropmap.errors import InputError
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from tests.model.problems import make_dataset
from tests.studies.accuracy import SEASON_DAYS, SLOT_DAYS, calendar_features, measure_folder


def test_bands_are_interpolated_between_observations_and_held_outside() -> None:
    series = Series(
        parcel_ids=np.array(["a", "b"]),
        offsets=np.array([0, 2, 2]),
        day_of_year=np.array([47, 77], np.int16),
        reflectance=np.array([[0.1, np.nan], [0.4, 0.6]], np.float32),
        clear_fraction=np.ones(2, np.float32),
        bands=("B04", "B08"),
        day_zero=date(2017, 12, 31),
    )
    slots = np.arange(SEASON_DAYS[0], SEASON_DAYS[1] + 1, SLOT_DAYS)
    features = calendar_features(series).reshape(2, len(slots), 2)
    assert slots[:4].tolist() == [32, 47, 62, 77]
    np.testing.assert_allclose(features[0, :5, 0], [0.1, 0.1, 0.25, 0.4, 0.4], atol=1e-6)
    np.testing.assert_allclose(features[0, :, 1], 0.6, atol=1e-6)
    assert not features[1].any()


def test_a_folder_is_judged_by_networks_and_forest(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    _write_folder(tmp_path)
    settings = Settings(home=tmp_path / "home", threads=1)
    short = TrainingConfig(min_steps=4, max_steps=4)
    rows = measure_folder(settings, tmp_path, thinned=False, seeds=range(2), config=short)
    assert [row["method"] for row in rows] == [*Architecture, "random forest"]
    assert {(row["data"], row["n"], row["classes"]) for row in rows} == {("whole", 89, 3)}
    for row in rows:
        found = re.fullmatch(r"(\S+) \((\S+)-(\S+)\)", row["oa"])
        assert found, row["oa"]
        mean, low, high = map(float, found.groups())
        assert low <= mean <= high
        assert re.findall(r"FRH\d\d", row["oa by fold"]) == ["FRH01", "FRH02", "FRH03"]
    assert rows[-1]["oa"] >= "0.9"  # easy for a forest: crops differ in when they are green


def test_a_small_folder_cannot_be_thinned(tmp_path: Path) -> None:
    _write_folder(tmp_path)
    with pytest.raises(InputError, match="89 parcels leave nothing to thin"):
        measure_folder(Settings(home=tmp_path / "home"), tmp_path, thinned=True, seeds=range(1))


def _write_folder(folder: Path) -> None:
    """The tiny problem as files: a parcel without any observation stands in none of the rows."""
    dataset = make_dataset()
    series = dataset.series
    owner = np.repeat(series.parcel_ids, series.lengths)
    dates = [series.day_zero + timedelta(days=int(day)) for day in series.day_of_year]
    columns = {band: series.reflectance[:, c] for c, band in enumerate(series.bands)}
    table = pa.table({"parcel_id": owner, "date": dates, "clear_fraction": series.clear_fraction, **columns})
    pq.write_table(table, folder / "observations.parquet")
    crops = [f"{p},{dataset.crops[k]}" for p, k in zip(series.parcel_ids, dataset.label, strict=True)]
    folds = [f"{p},{dataset.folds.names[k]}" for p, k in zip(series.parcel_ids, dataset.folds.fold, strict=True)]
    (folder / "labels.csv").write_text("\n".join(["parcel_id,crop_code", *crops]))
    (folder / "folds.csv").write_text("\n".join(["parcel_id,fold", *folds]))
