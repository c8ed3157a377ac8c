"""Tables that another system made: where things stand in them, and which rows can be used."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cropmap.errors import ObservationFileError
from cropmap.observations.tables import (
    REASONS,
    Layout,
    Rows,
    band_of,
    count_rejects,
    outside_season,
    read_layout,
    read_rows,
)
from cropmap.schemas import RowReject
from cropmap.seasons import Season


@pytest.mark.parametrize(
    ("column", "band"),
    [
        ("B02", "B02"),
        ("B2", "B02"),
        ("b02", "B02"),
        ("B02_mean", "B02"),
        ("b8a_MEAN", "B8A"),
        ("B12", "B12"),
        ("B123", "B123"),  # no band has three digits
        ("B02_std", "B02_std"),
        ("B", "B"),
        ("B²", "B²"),  # a digit of a kind that is no number
        ("blue", "blue"),
    ],
)
def test_the_band_that_a_column_means(column: str, band: str) -> None:
    assert band_of(column) == band


def layout(**columns: pa.DataType) -> Layout:
    return read_layout(pa.schema(list(columns.items())), where="a test")


def test_columns_are_found_under_the_names_in_use() -> None:
    found = layout(
        parcel_id=pa.string(), day=pa.date32(), date=pa.date32(), B8=pa.float32(), b2_mean=pa.float32(), x=pa.int8()
    )
    assert found.time == "date", "the first of the names for a day"
    assert dict(found.bands) == {"B02": "b2_mean", "B08": "B8"}, "in spectral order"
    assert (found.clear, found.cloud, found.pixels) == (None, None, None)
    assert not found.numeric_ids


def test_a_clear_share_is_read_before_a_cloudy_one() -> None:
    both = {"parcel_id": pa.string(), "day": pa.date32(), "B02": pa.float32(), "cloud_fraction": pa.float32()}
    assert (layout(**both).clear, layout(**both).cloud) == (None, "cloud_fraction")
    found = layout(**both, clear_fraction=pa.float32())
    assert (found.clear, found.cloud) == ("clear_fraction", None)


@pytest.mark.parametrize(
    ("kind", "numeric"), [(pa.string(), False), (pa.int64(), True), (pa.dictionary(pa.int8(), pa.int32()), True)]
)
def test_parcels_may_be_numbers(kind: pa.DataType, numeric: bool) -> None:
    assert layout(parcel_id=kind, day=pa.date32(), B02=pa.float32()).numeric_ids is numeric


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["day", "B02"], "missing columns"),
        (["parcel_id", "B02"], "no date column"),
        (["parcel_id", "day", "blue"], "no Sentinel-2 band"),
        (["parcel_id", "day", "B2", "B02"], r"a band stands in several columns: \{'B02': \['B2', 'B02'\]\}"),
        (["parcel_id", "parcel_id", "day", "B02"], "two columns parcel_id"),
        (["parcel_id", "day", "day", "B02"], "two columns day"),
    ],
)
def test_a_table_that_nobody_could_read(names: list[str], said: str) -> None:
    schema = pa.schema([(name, pa.string() if name == "parcel_id" else pa.float32()) for name in names])
    with pytest.raises(ObservationFileError, match=said):
        read_layout(schema, where="a test")


def test_a_parcel_is_text_or_a_whole_number() -> None:
    with pytest.raises(ObservationFileError, match="parcel_id is double, not text"):
        layout(parcel_id=pa.float64(), day=pa.date32(), B02=pa.float32())


def rows(**columns: Any) -> Rows:
    """One row or several of a table with two bands, all right where nothing else is said."""
    n = len(next(iter(columns.values())))
    plain: dict[str, Any] = {"parcel_id": ["a"] * n, "day": ["2018-06-01"] * n, "B02": [0.1] * n, "B03": [0.2] * n}
    table = pa.table(plain | columns)
    return read_rows(table, read_layout(table.schema, where="a test"), where="a test")


def reasons(found: Rows) -> list[RowReject | None]:
    return [REASONS[code] if code >= 0 else None for code in found.reject]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"B02": [-0.2]}, None),  # an atmospheric correction falls a little below zero
        ({"B02": [-0.21]}, RowReject.REFLECTANCE_OUT_OF_RANGE),
        ({"B02": [2.0], "B03": [0.1]}, None),
        ({"B02": [2.01], "B03": [0.1]}, RowReject.REFLECTANCE_OUT_OF_RANGE),
        ({"B02": [0.0], "B03": [0.1]}, None),
        ({"B02": [0.0], "B03": [None]}, RowReject.NO_BAND_VALUE),  # 0 in every band is what fills up
        ({"B02": [None], "B03": [None], "clear_fraction": [0.0]}, None),  # clouded: nothing was to be seen
        ({"parcel_id": [""]}, RowReject.MISSING_PARCEL_ID),
        ({"parcel_id": pa.array([None], pa.string())}, RowReject.MISSING_PARCEL_ID),
        ({"day": [""]}, RowReject.MISSING_DATE),
        ({"day": pa.array([None], pa.date32())}, RowReject.MISSING_DATE),
        ({"day": [date(1899, 12, 31)]}, RowReject.MISSING_DATE),  # no day of an observation
        ({"day": [date(1900, 1, 1)]}, None),
        ({"day": [date(2199, 12, 31)]}, None),
        ({"day": [date(2200, 1, 1)]}, RowReject.MISSING_DATE),
        (
            {"parcel_id": [""], "day": [""], "B02": [2.5], "B03": [0.1]},
            RowReject.MISSING_PARCEL_ID,
        ),  # the first of them
    ],
)
def test_which_rows_are_set_aside(columns: dict[str, Any], reason: RowReject | None) -> None:
    assert reasons(rows(**columns)) == [reason]


@pytest.mark.parametrize(
    "day",
    ["2018-06-01", "2018-06-01T23:59:59Z", date(2018, 6, 1), datetime(2018, 6, 1, 23, 59)],  # noqa: DTZ001 - as tables have it
)
def test_a_day_in_every_type(day: Any) -> None:
    """1 June 2018 is 17,683 days after 1 January 1970: 48 years of 365 days, 12 leap days, and 151 days."""
    assert 48 * 365 + 12 + 151 == 17_683
    assert rows(day=[day]).day.tolist() == [17_683]


def test_a_day_before_1970_counts_downwards() -> None:
    moment = datetime(1969, 12, 31, 1, 0)  # noqa: DTZ001 - as tables have it
    assert rows(day=[moment]).day.tolist() == [-1]


@pytest.mark.parametrize(
    ("columns", "clear"),
    [
        ({"B02": [0.1]}, 1.0),  # nothing is said: clear
        ({"clear_fraction": [0.25]}, 0.25),
        ({"cloud_fraction": [0.25]}, 0.75),
        ({"clear_fraction": pa.array([None], pa.float32())}, 0.0),  # not known: clouded
        ({"cloud_fraction": pa.array([None], pa.float32())}, 0.0),
        ({"clear_fraction": [1.005]}, 1.0),  # somebody rounded
        ({"clear_fraction": [-0.5]}, 0.0),
    ],
)
def test_the_share_that_was_clear(columns: dict[str, Any], clear: float) -> None:
    assert rows(**columns).clear_fraction.tolist() == [pytest.approx(clear)]


def test_percentages_are_no_shares() -> None:
    with pytest.raises(ObservationFileError, match="column clear_fraction reaches 80"):
        rows(clear_fraction=[0.5, 80.0])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"B02": [1200.0], "B03": [900.0]}, "median reflectance is 1050"),
        ({"B02": ["x"]}, "is no number"),
        ({"day": [5]}, "column day holds no dates"),
        ({"day": ["1.6.2018"]}, "column day holds no dates"),
    ],
)
def test_a_table_that_is_refused_as_a_whole(columns: dict[str, Any], said: str) -> None:
    with pytest.raises(ObservationFileError, match=said):
        rows(**columns)


def test_rejects_are_counted_by_reason() -> None:
    found = rows(B02=[0.1, 3.0, 3.0, 0.1], parcel_id=["a", "a", "a", ""])
    assert count_rejects(found.reject) == {"REFLECTANCE_OUT_OF_RANGE": 2, "MISSING_PARCEL_ID": 1}


def test_both_ends_of_a_window_belong_to_the_season() -> None:
    """From 1 to 3 June 2018, days 17,683 to 17,685."""
    season = Season(2018, date(2018, 6, 1), date(2018, 6, 3))
    assert outside_season(np.arange(17_682, 17_687), season).tolist() == [True, False, False, False, True]
