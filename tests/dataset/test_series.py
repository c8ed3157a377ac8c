from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from cropmap.dataset.series import Series, build_series, calendar_season, read_tidy_series
from cropmap.errors import ObservationFileError
from cropmap.schemas import BANDS, REFLECTANCE_NODATA
from cropmap.seasons import Season

SEASON = Season(2018, date(2017, 10, 1), date(2018, 12, 31))


def observations(*rows: tuple[str, str, float, int]) -> pa.Table:
    """(parcel, ISO day, clear pixels of 10, DN of B02); the other bands count up from it, B12 is missing."""
    columns = {
        "parcel_id": [row[0] for row in rows],
        "sensed_at": [datetime.fromisoformat(f"{row[1]}T10:15").replace(tzinfo=UTC) for row in rows],
        "clear_pixels": pa.array([row[2] for row in rows], pa.float32()),
        "total_pixels": pa.array([10.0] * len(rows), pa.float32()),
    }
    for position, band in enumerate(BANDS):
        values = [row[3] + position if band != "B12" else REFLECTANCE_NODATA for row in rows]
        columns[band] = pa.array(values, pa.int16())
    return pa.table(columns)


def built(table: pa.Table, *parcels: str, min_clear_fraction: float = 0.5, season: Season = SEASON) -> Series:
    return build_series(table, parcel_ids=parcels, season=season, min_clear_fraction=min_clear_fraction)


def test_a_series_holds_days_reflectance_and_clear_fraction_in_time_order() -> None:
    table = observations(("007", "2018-03-02", 8, 1200), ("1", "2018-01-01", 10, 500), ("007", "2017-12-30", 6, -30))
    series = built(table, "1", "007")
    assert series.parcel_ids.tolist() == ["007", "1"]
    assert series.offsets.tolist() == [0, 2, 3]
    assert series.day_of_year.tolist() == [-1, 61, 1]
    np.testing.assert_allclose(series.clear_fraction, [0.6, 0.8, 1.0])
    np.testing.assert_allclose(series.reflectance[:, 0], [-0.003, 0.12, 0.05], atol=1e-7)
    np.testing.assert_allclose(series.reflectance[1, 1:9], np.arange(1201, 1209) / 10_000, atol=1e-7)
    assert np.isnan(series.reflectance[:, 9]).all()
    assert series.last_days() == [date(2018, 3, 2), date(2018, 1, 1)]


def test_cloudy_rows_rows_outside_the_window_and_other_parcels_are_dropped() -> None:
    table = observations(
        ("a", "2018-05-01", 4.9, 1),
        ("a", "2018-05-02", 5, 2),
        ("b", "2018-05-02", 10, 3),
        ("a", "2017-09-30", 10, 4),
        ("a", "2019-01-01", 10, 5),
    )
    assert built(table, "a").day_of_year.tolist() == [122]


def test_a_row_without_any_band_is_dropped_even_if_it_counts_as_clear() -> None:
    table = observations(("a", "2018-05-01", 10, 1))
    for position, band in enumerate(BANDS):
        index = table.column_names.index(band)
        table = table.set_column(index, band, pa.array([REFLECTANCE_NODATA if position else 900], pa.int16()))
    assert len(built(table, "a").day_of_year) == 1
    table = table.set_column(table.column_names.index("B02"), "B02", pa.array([REFLECTANCE_NODATA], pa.int16()))
    assert len(built(table, "a").day_of_year) == 0


def test_a_parcel_without_observations_stays_with_an_empty_series() -> None:
    series = built(observations(("b", "2018-05-01", 10, 1)), "a", "b", "c")
    assert series.lengths.tolist() == [0, 1, 0]
    assert series.last_days() == [None, date(2018, 5, 1), None]


def test_the_clearest_of_several_rows_of_one_day_stays() -> None:
    table = observations(("a", "2018-05-01", 6, 100), ("a", "2018-05-01", 9, 200), ("a", "2018-05-01", 7, 300))
    series = built(table, "a")
    assert series.reflectance[:, 0].tolist() == [pytest.approx(0.02)]


def test_rows_in_any_order_give_the_same_series() -> None:
    table = observations(*((p, f"2018-0{m}-11", 10 - m / 2, 100 * m) for m in (1, 2, 3) for p in ("x", "y")))
    assert built(table, "x", "y").hash == built(table.take([5, 0, 3, 1, 4, 2]), "y", "x").hash


def test_what_was_not_yet_sensed_does_not_exist() -> None:
    table = observations(("a", "2018-05-01", 10, 1), ("a", "2018-06-01", 10, 2))
    assert built(table, "a", season=SEASON.until(date(2018, 5, 1))).day_of_year.tolist() == [121]


def test_taking_some_parcels_keeps_their_rows() -> None:
    table = observations(("a", "2018-01-05", 10, 1), ("c", "2018-01-07", 10, 3), ("c", "2018-01-09", 10, 4))
    taken = built(table, "a", "b", "c").take(np.array([1, 2]))
    assert taken.parcel_ids.tolist() == ["b", "c"]
    assert taken.offsets.tolist() == [0, 0, 2]
    assert taken.day_of_year.tolist() == [7, 9]


@pytest.mark.parametrize("fraction", ["clear_fraction", "cloud_fraction"])
@pytest.mark.parametrize("days", [["2018-02-01", "2018-02-11"], [date(2018, 2, 1), date(2018, 2, 11)]])
def test_a_tidy_table_with_some_bands_becomes_a_series(fraction: str, days: list[date]) -> None:
    table = pa.table(
        {"parcel_id": ["a", "a"], "date": days, "B08": [0.4, 0.5], "B04": [0.1, None], fraction: [0.25, 0.75]}
    )
    series = read_tidy_series(table, season=SEASON, min_clear_fraction=0.5).series
    assert series.bands == ("B04", "B08")
    if fraction == "clear_fraction":
        assert series.day_of_year.tolist() == [42]
        assert np.isnan(series.reflectance[0, 0])
        assert series.reflectance[0, 1] == pytest.approx(0.5)
    else:
        assert series.day_of_year.tolist() == [32]
        np.testing.assert_allclose(series.reflectance, [[0.1, 0.4]])


def test_the_season_of_a_table_is_the_year_of_most_rows() -> None:
    days = np.array(["2017-11-30", "2018-02-01", "2018-03-01"], "datetime64[D]").astype(np.int64)
    assert calendar_season(days) == Season(2018, date(2017, 11, 30), date(2018, 3, 1))
    stray = np.append(days, 0)  # a date that somebody left at zero
    assert calendar_season(stray) == Season(2018, date(2017, 1, 1), date(2018, 3, 1))


def test_rows_of_a_tidy_table_that_are_not_used_are_counted() -> None:
    rows = [
        ("a", "2018-02-01", 1.0, 0.1),
        ("a", "2018-02-01", 0.9, 0.2),
        ("a", "2018-02-11", 0.4, 0.1),
        ("a", "2018-02-21", 1.0, None),
        ("a", "2018-03-01", 1.0, 2.5),
        ("a", "1970-01-01", 1.0, 0.1),
        ("a", None, 1.0, 0.1),
        (None, "2018-02-01", 1.0, 0.1),
        ("b", "2018-02-01", 1.0, None),
        ("not asked for", "2018-02-01", 1.0, 0.1),
    ]
    names = ("parcel_id", "date", "clear_fraction", "B04")
    table = pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})
    read = read_tidy_series(table, min_clear_fraction=0.5, parcel_ids=["a", "b"])
    assert read.series.lengths.tolist() == [1, 0]
    np.testing.assert_allclose(read.series.reflectance, [[0.1]])
    assert read.excluded == {
        "DUPLICATE_PARCEL_DATE": 1,
        "MISSING_DATE": 1,
        "MISSING_PARCEL_ID": 1,
        "NO_BAND_VALUE": 2,
        "OUTSIDE_SEASON": 1,
        "REFLECTANCE_OUT_OF_RANGE": 1,
        "TOO_CLOUDY": 1,
    }


def test_bands_in_any_order_and_spelling_give_the_same_series() -> None:
    one = pa.table({"parcel_id": ["a"], "date": ["2018-02-01"], "B02": [0.1], "B8A": [0.4], "B12": [0.2]})
    other = pa.table({"b8a": [0.4], "B12_mean": [0.2], "date": ["2018-02-01"], "B2": [0.1], "parcel_id": ["a"]})
    first, second = (read_tidy_series(table, season=SEASON, min_clear_fraction=0.5).series for table in (one, other))
    assert first.bands == ("B02", "B8A", "B12")
    assert first.hash == second.hash


def test_a_cut_at_a_day_is_what_would_have_been_built_then() -> None:
    table = observations(
        *((p, f"2018-0{m}-11", 10, 100 * m) for m in (1, 2, 3) for p in ("x", "y")),
        ("late", "2018-03-12", 10, 7),
        ("autumn", "2017-11-01", 10, 8),
    )
    whole = built(table, "x", "y", "late", "autumn", "never")
    for day in (date(2017, 10, 31), date(2018, 2, 11), date(2018, 3, 11), date(2018, 12, 31)):
        assert whole.until(day).hash == built(table, "x", "y", "late", "autumn", "never", season=SEASON.until(day)).hash
    assert whole.until(date(2018, 2, 11)).lengths.tolist() == [1, 0, 0, 2, 2]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"date": ["2018-01-01"], "B04": [0.1]}, "missing columns ['parcel_id']"),
        ({"parcel_id": ["a"], "date": ["2018-01-01"], "ndvi": [0.1]}, "no Sentinel-2 band"),
        ({"parcel_id": ["a"], "B04": [0.1]}, "no date column"),
        ({"parcel_id": ["a"], "date": ["May"], "B04": [0.1]}, "column date holds no dates"),
        ({"parcel_id": ["a"], "date": pa.array([None], pa.string()), "B04": [0.1]}, "none of 1 rows can be used"),
        ({"parcel_id": ["a"], "date": ["2018-01-01"], "B04": [1200.0]}, "reflectance is 1200. Reflectance is 0-1 here"),
        ({"parcel_id": ["a"], "date": ["2018-01-01"], "B04": ["dark"]}, "a band or fraction is no number"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_in_one_line(columns: dict[str, object], message: str) -> None:
    with pytest.raises(ObservationFileError, match=r"^t\.parquet: ") as caught:
        read_tidy_series(pa.table(columns), season=SEASON, min_clear_fraction=0, where="t.parquet")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
