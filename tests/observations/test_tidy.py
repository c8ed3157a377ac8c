from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cropmap.errors import ObservationFileError
from cropmap.observations.files import read_observations
from cropmap.observations.tidy import Imported, export_tidy, import_tidy
from cropmap.schemas import BANDS, REFLECTANCE_NODATA
from cropmap.seasons import Season
from cropmap.store import Store

MAY_7, MAY_17 = datetime(2018, 5, 7, 11, 6, tzinfo=UTC), datetime(2018, 5, 17, 11, 6, tzinfo=UTC)
SEASON = Season(2018, date(2018, 1, 1), date(2018, 12, 31))


def written(folder: Path, **columns: object) -> Path:
    path = folder / "tidy.parquet"
    pd.DataFrame(columns).to_parquet(path)
    return path


def taken(store: Store, source: Path, *parcels: str) -> Imported:
    return import_tidy(store, source, agency="a", season=SEASON, parcel_ids=parcels or ("007", "1", "2"))


def test_out_and_in_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    bands = {band: np.round(np.linspace(0.01, 0.5, 3) + i / 1000, 4) for i, band in enumerate(BANDS)}
    bands["B11"] = np.array([-0.0123, np.nan, 1.6])
    source = written(
        tmp_path,
        parcel_id=["007", "007", "1"],
        datetime=[MAY_17, MAY_7, MAY_7],
        clear_fraction=[0.25, 0.0, 1.0],
        n_pixels=[40.0, 40.0, 3.5],
        **bands,
    )
    names = taken(store, source).names
    assert names == tuple(f"observations/a/2018/imported/201805{day}.parquet" for day in ("07", "17"))
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

    files = [store.read_bytes(name) for name in names]
    assert taken(store, out).names == names
    assert [store.read_bytes(name) for name in names] == files
    assert export_tidy(store, names, out, parcel_ids=["1"]) == 1


def test_a_subset_of_bands_and_a_cloud_fraction(store: Store, tmp_path: Path) -> None:
    source = written(
        tmp_path, parcel_id=["1", "2"], datetime=[date(2018, 5, 7)] * 2, cloud_fraction=[0.2, np.nan], B08=[0.3, 0.4]
    )
    (row, other) = read_observations(store, taken(store, source).names).to_pylist()
    assert row["sensed_at"] == datetime(2018, 5, 7, tzinfo=UTC)
    assert row["clear_pixels"] / row["total_pixels"] == pytest.approx(0.8)
    assert (row["B08"], row["B02"]) == (3000, REFLECTANCE_NODATA)
    assert other["clear_pixels"] == 0  # unknown is not clear


@pytest.mark.parametrize("time", ["sensed_at", "datetime", "date", "day"])
@pytest.mark.parametrize(("blue", "narrow"), [("B2", "b8a"), ("b02", "B8A_mean"), ("B02_mean", "B8a")])
def test_bands_and_days_are_found_under_the_names_in_use(
    store: Store, tmp_path: Path, time: str, blue: str, narrow: str
) -> None:
    columns = {narrow: [0.4], "B1": [0.9], "parcel_id": ["1"], "B10": [0.8], time: ["2018-05-07"], blue: [0.05]}
    (row,) = read_observations(store, taken(store, written(tmp_path, **columns)).names).to_pylist()
    assert (row["B02"], row["B8A"], row["B11"]) == (500, 4000, REFLECTANCE_NODATA)


def test_every_row_that_cannot_be_used_is_counted_and_the_others_are_kept(store: Store, tmp_path: Path) -> None:
    rows = [
        ("1", MAY_7, 1.0, 0.10),
        (None, MAY_7, 1.0, 0.10),
        ("", MAY_7, 1.0, 0.10),
        ("1", None, 1.0, 0.10),
        ("1", datetime(2017, 5, 7, tzinfo=UTC), 1.0, 0.10),
        ("stranger", MAY_7, 1.0, 0.10),
        ("2", MAY_17, 1.0, np.nan),
        ("2", MAY_7, 1.0, 2.01),
        ("2", MAY_7, 1.0, -0.21),
        ("1", MAY_17, 0.0, np.nan),  # wholly clouded: there is nothing to see, and that is known
        ("007", MAY_17, 0.6, 0.30),
        ("007", MAY_17, 0.9, 0.40),
        ("007", MAY_17, 0.9, 0.50),
    ]
    names = ("parcel_id", "datetime", "clear_fraction", "B04")
    source = written(tmp_path, **{name: [row[i] for row in rows] for i, name in enumerate(names)})
    done = taken(store, source)
    assert done.rows == 13
    assert done.rejected == {
        "DUPLICATE_PARCEL_DATE": 2,
        "MISSING_DATE": 1,
        "MISSING_PARCEL_ID": 2,
        "NO_BAND_VALUE": 1,
        "OUTSIDE_SEASON": 1,
        "REFLECTANCE_OUT_OF_RANGE": 2,
        "UNKNOWN_PARCEL": 1,
    }
    kept = read_observations(store, done.names).to_pandas()
    assert list(zip(kept["parcel_id"], kept["B04"], strict=True)) == [
        ("1", 1000),
        ("007", 4000),
        ("1", REFLECTANCE_NODATA),
    ]


@pytest.mark.parametrize("held_bytes", [1, 2**20])
def test_many_row_groups_in_any_order_give_one_file_a_day(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_bytes: int
) -> None:
    monkeypatch.setattr("cropmap.observations.tidy.BATCH_ROWS", 4)
    monkeypatch.setattr("cropmap.observations.spill.HELD_BYTES", held_bytes)
    ids = [f"{number:02d}" for number in range(10)]
    rows = [(parcel, date(2018, 5, day), (day + int(parcel)) / 100) for day in (7, 17, 27) for parcel in ids]
    order = np.random.default_rng(3).permutation(len(rows))
    table = pa.table({name: [rows[k][i] for k in order] for i, name in enumerate(("parcel_id", "date", "B02"))})
    pq.write_table(table, tmp_path / "many.parquet", row_group_size=7)

    done = taken(store, tmp_path / "many.parquet", *ids)
    assert [Path(name).stem for name in done.names] == ["20180507", "20180517", "20180527"]
    stored = read_observations(store, done.names)
    assert stored["B02"].to_pylist() == [100 * (day + parcel) for day in (7, 17, 27) for parcel in range(10)]


def test_numbers_are_compared_as_text(store: Store, tmp_path: Path) -> None:
    source = written(tmp_path, parcel_id=[1, 7], datetime=[MAY_7] * 2, B02=[0.1, 0.2])
    done = taken(store, source)  # 007 and 7 are two parcels
    assert (done.numeric_ids, done.rejected) == (True, {"UNKNOWN_PARCEL": 1})
    with pytest.raises(ObservationFileError, match="leading zeros are lost"):
        taken(store, source, "007", "001")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"parcel_id": ["1"], "B02": [0.1]}, "no date column"),
        ({"B02": [0.1], "datetime": [MAY_7]}, "missing columns ['parcel_id']"),
        ({"parcel_id": ["1"], "datetime": [MAY_7]}, "no Sentinel-2 band"),
        ({"parcel_id": ["1"], "datetime": [MAY_7], "B2": [0.1], "b02": [0.1]}, "in several columns"),
        ({"parcel_id": ["1"], "datetime": ["0000-01-01"], "B02": [0.1]}, "{'MISSING_DATE': 1}"),
        ({"parcel_id": ["1"], "datetime": [date(9999, 12, 31)], "B02": [0.1]}, "{'MISSING_DATE': 1}"),
        ({"parcel_id": [1.5], "datetime": [MAY_7], "B02": [0.1]}, "not text"),
        ({"parcel_id": ["1"], "datetime": ["May"], "B02": [0.1]}, "holds no dates"),
        ({"parcel_id": ["1"], "datetime": [20180507], "B02": [0.1]}, "holds no dates (its type is int64)"),
        (
            {"parcel_id": ["1"], "datetime": np.array(["NaT"], dtype="datetime64[ns]"), "B02": [0.1]},
            "{'MISSING_DATE': 1}",
        ),
        ({"parcel_id": ["1"], "datetime": [MAY_7], "B02": [1000.0]}, "divide by 10 000"),
        ({"parcel_id": ["1"], "datetime": [MAY_7], "B02": ["dark"]}, "no number"),
        ({"parcel_id": ["9"], "datetime": [MAY_7], "B02": [0.1]}, "none of 1 rows can be used ({'UNKNOWN_PARCEL': 1})"),
    ],
)
def test_tables_that_do_not_fit(store: Store, tmp_path: Path, columns: dict[str, object], says: str) -> None:
    source = written(tmp_path, **columns)
    with pytest.raises(ObservationFileError) as caught:
        taken(store, source)
    assert says in str(caught.value)
    assert str(source) in str(caught.value)
    assert store.names("observations") == []


def test_a_file_that_is_no_parquet(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("parcel_id,datetime\n")
    for source in (path, tmp_path / "absent.parquet"):
        with pytest.raises(ObservationFileError, match="Parquet"):
            taken(store, source)


def test_a_column_twice_is_refused(store: Store, tmp_path: Path) -> None:
    for name in ("parcel_id", "date", "clear_fraction"):
        columns = {
            "parcel_id": pa.array(["1"]),
            "date": pa.array([date(2018, 5, 7)]),
            "B02": pa.array([0.1]),
            "clear_fraction": pa.array([1.0]),
        }
        table = pa.table(columns).append_column(name, columns[name])
        pq.write_table(table, tmp_path / "twice.parquet")
        with pytest.raises(ObservationFileError, match=f"there are two columns {name}. Keep one of them"):
            taken(store, tmp_path / "twice.parquet")


def test_a_name_that_is_no_text_is_one_line(store: Store, tmp_path: Path) -> None:
    path = written(tmp_path, parcel_id=["1"], date=[date(2018, 5, 7)], B02=[0.1])
    path.write_bytes(path.read_bytes().replace(b"parcel_id", b"parcel\xff\xfe\xfd"))
    with pytest.raises(ObservationFileError, match=r"tidy\.parquet: cannot be read as Parquet \('utf-8'"):
        taken(store, path)


@pytest.mark.parametrize(
    ("name", "reaches"), [("clear_fraction", 87.0), ("cloud_fraction", 12.0), ("clear_fraction", 255.0)]
)
def test_percentages_are_no_shares(store: Store, tmp_path: Path, name: str, reaches: float) -> None:
    """Cut at 1 they would make every look with a clear pixel a clear one."""
    source = written(tmp_path, parcel_id=["1", "2"], date=["2018-05-07"] * 2, B02=[0.1, 0.1], **{name: [0.0, reaches]})
    with pytest.raises(ObservationFileError, match=rf"column {name} reaches {reaches:g}. A share is 0-1 here"):
        taken(store, source)


def test_a_row_of_zeros_is_filled_up_and_no_black_field(store: Store, tmp_path: Path) -> None:
    source = written(
        tmp_path, parcel_id=["007", "1", "2"], date=["2018-05-07"] * 3, B02=[0.0, 0.0, 0.1], B03=[0.0, 0.01, 0.1]
    )
    assert taken(store, source).rejected == {"NO_BAND_VALUE": 1}
