from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cropmap.errors import ObservationFileError
from cropmap.observations.files import read_observations
from cropmap.observations.tidy import export_tidy, import_tidy
from cropmap.schemas import BANDS, REFLECTANCE_NODATA
from cropmap.store import Store

MAY_7, MAY_17 = datetime(2018, 5, 7, 11, 6, tzinfo=UTC), datetime(2018, 5, 17, 11, 6, tzinfo=UTC)


def written(folder: Path, **columns: object) -> Path:
    path = folder / "tidy.parquet"
    pd.DataFrame(columns).to_parquet(path)
    return path


def test_out_and_in_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    bands = {band: np.round(np.linspace(0.01, 0.5, 3) + i / 1000, 4) for i, band in enumerate(BANDS)}
    bands["B11"] = np.array([-0.0123, np.nan, 1.6])
    source = written(
        tmp_path, parcel_id=["007", "007", "1"], datetime=[MAY_17, MAY_7, MAY_7],
        clear_fraction=[0.25, 0.0, 1.0], n_pixels=[40.0, 40.0, 3.5], **bands,
    )  # fmt: skip
    names = import_tidy(store, source, agency="a", season_year=2018)
    assert len(names) == 2
    stored = read_observations(store, names).to_pandas()
    assert stored["B11"].to_list() == [REFLECTANCE_NODATA, 16_000, -123]
    assert stored["clear_pixels"].to_list() == [0, 3.5, 10]

    out = tmp_path / "deep" / "again.parquet"
    assert export_tidy(store, names, out) == 3
    before = pd.read_parquet(source).sort_values(["datetime", "parcel_id"], ignore_index=True)
    after = pd.read_parquet(out)
    assert after.columns.to_list() == ["parcel_id", "datetime", "clear_fraction", "n_pixels", *BANDS]
    assert after["parcel_id"].to_list() == ["007", "1", "007"]
    assert after["datetime"].to_list() == before["datetime"].to_list()
    numbers = ["clear_fraction", "n_pixels", *BANDS]
    np.testing.assert_allclose(after[numbers], before[numbers], atol=1e-6)

    assert import_tidy(store, out, agency="a", season_year=2018) == names
    assert read_observations(store, names).to_pandas().equals(stored)
    assert export_tidy(store, names, out, parcel_ids=["1"]) == 1


def test_a_subset_of_bands_and_a_cloud_fraction(store: Store, tmp_path: Path) -> None:
    source = written(
        tmp_path, parcel_id=["1", "2"], datetime=[date(2018, 5, 7)] * 2, cloud_fraction=[0.2, np.nan], B08=[0.3, 0.4]
    )
    (row, other) = read_observations(store, import_tidy(store, source, agency="a", season_year=2018)).to_pylist()
    assert row["sensed_at"] == datetime(2018, 5, 7, tzinfo=UTC)
    assert row["clear_pixels"] / row["total_pixels"] == pytest.approx(0.8)
    assert (row["B08"], row["B02"]) == (3000, REFLECTANCE_NODATA)
    assert other["clear_pixels"] == 0  # unknown is not clear


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"parcel_id": ["1"], "B02": [0.1]}, "datetime"),
        ({"parcel_id": ["1"], "datetime": [MAY_7]}, "no band"),
        ({"parcel_id": [1], "datetime": [MAY_7], "B02": [0.1]}, "not text"),
        ({"parcel_id": ["1"], "datetime": ["May"], "B02": [0.1]}, "datetime is"),
        ({"parcel_id": ["1"], "datetime": [pd.NaT], "B02": [0.1]}, "without a datetime"),
        ({"parcel_id": ["1"], "datetime": [MAY_7], "B02": [1000.0]}, "divide by 10 000"),
        ({"parcel_id": ["1"], "datetime": [MAY_7], "B02": ["dark"]}, "no numbers"),
        ({"parcel_id": ["1", "1"], "datetime": [MAY_7] * 2, "B02": [0.1, 0.2]}, "twice"),
    ],
)
def test_tables_that_do_not_fit(store: Store, tmp_path: Path, columns: dict[str, object], says: str) -> None:
    source = written(tmp_path, **columns)
    with pytest.raises(ObservationFileError, match=says) as caught:
        import_tidy(store, source, agency="a", season_year=2018)
    assert str(source) in str(caught.value)
    assert store.names("observations") == []


def test_a_file_that_is_no_parquet(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("parcel_id,datetime\n")
    for source in (path, tmp_path / "absent.parquet"):
        with pytest.raises(ObservationFileError, match="Parquet"):
            import_tidy(store, source, agency="a", season_year=2018)
