"""Squares of one hectare on the equal-area grid, so that every area can be computed by hand."""

from __future__ import annotations

import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely import Polygon, box

from cropmap.schemas import RejectReason
from cropmap.sources.declarations.file_quality import FileWarning, Warnings, claimed_above, find_warnings, summarise
from cropmap.sources.declarations.identifiers import malformed
from cropmap.sources.declarations.overlaps import find_overlaps

X, Y = 4_000_000.0, 3_000_000.0


def square(column: float, row: float = 0.0, *, width: float = 100.0, height: float = 100.0) -> Polygon:
    """A hectare at a place counted in hundreds of metres."""
    return box(X + 100 * column, Y + 100 * row, X + 100 * column + width, Y + 100 * row + height)


def accepted(*shapes: Polygon, **columns: list[object]) -> gpd.GeoDataFrame:
    n = len(shapes)
    frame = gpd.GeoDataFrame(
        {
            "parcel_id": [f"P{number:03d}" for number in range(1, n + 1)],
            "crop_code": ["BTH"] * n,
            "holding_id": ["H1"] * n,
            "declared_area_ha": [shape.area / 10_000 for shape in shapes],
            "area_ha": [shape.area / 10_000 for shape in shapes],
            "row_number": list(range(11, n + 11)),
            "repaired": [False] * n,
        },
        geometry=list(shapes),
        crs=3035,
    )
    return frame.assign(**columns)


def found(warnings: Warnings) -> list[tuple[str, int]]:
    return list(zip(warnings.table["warning"], warnings.table["row_number"], strict=True))


def look(frame: gpd.GeoDataFrame, *, claims_area: bool = True, names_holdings: bool = True) -> Warnings:
    return find_warnings(frame, claims_area=claims_area, names_holdings=names_holdings)


def test_good_parcels_that_touch_have_no_warning() -> None:
    warnings = look(accepted(square(0), square(1), square(0, 1)))
    assert found(warnings) == []
    assert len(warnings.overlaps) == 0


def test_overlaps_have_area_and_share_of_the_smaller() -> None:
    # the second covers the western 20 m of the first, and is half as high: 20 x 50 m of its 100 x 50 m
    shapes = np.array([square(1), square(0.2, width=100, height=50), square(5)], dtype=object)
    overlaps = find_overlaps(shapes)
    assert (overlaps.first.tolist(), overlaps.second.tolist()) == ([0], [1])
    assert overlaps.area_ha.tolist() == [pytest.approx(0.1)]
    assert overlaps.share.tolist() == [pytest.approx(0.2)]
    assert overlaps.shapes[0].bounds == (X + 100, Y, X + 120, Y + 50)


@pytest.mark.parametrize(
    ("depth_m", "height_m", "pairs"),
    [(0.9, 100, 0), (1.1, 100, 1), (1.1, 90, 0)],  # below the share; above both; below 0.01 ha
)
def test_small_overlaps_do_not_count(depth_m: float, height_m: float, pairs: int) -> None:
    other = square(1 - depth_m / 100, height=height_m)
    assert len(find_overlaps(np.array([square(0), other], dtype=object))) == pairs


def test_an_overlapping_parcel_is_named_once_and_a_pair_counted_once() -> None:
    warnings = look(accepted(square(0), square(0.5), square(1.4)))  # 0.5 ha of 1 and 2, 0.1 ha of 2 and 3
    table = warnings.table
    assert found(warnings) == [("OVERLAP", 11), ("OVERLAP", 12), ("OVERLAP", 13)]
    assert table["area_ha"].round(6).tolist() == [0.5, 0.6, 0.1]
    assert table["detail"].tolist() == ["0.5000 ha with P002", "0.5000 ha with P001", "0.1000 ha with P002"]
    quality = summarise(
        file="a.gpkg",
        source_hash="",
        accepted=accepted(square(0), square(0.5), square(1.4)),
        rejected=rejected(),
        warnings=warnings,
    )
    overlap = next(check for check in quality.checks if check.name == FileWarning.OVERLAP)
    assert (overlap.rows, round(overlap.area_ha, 6)) == (3, 0.6)


def test_the_tolerance_of_an_area_is_a_strip_along_its_edge() -> None:
    # a hectare has 400 m of edge: 1.5 m along it are 0.06 ha; 100 km of edge are cut at 1 ha
    above = claimed_above(
        np.array([1.06, 1.07, np.nan, 0.5, 50.0]),
        np.array([1.0, 1.0, 1.0, 1.0, 48.0]),
        np.array([400.0, 400.0, 400.0, 400.0, 100_000.0]),
    )
    assert above.tolist() == [pytest.approx(0, abs=1e-12), pytest.approx(0.01), 0, 0, pytest.approx(1.0)]


def test_what_is_small_thin_repaired_or_not_said() -> None:
    tiny, thin = square(2, width=15, height=15), square(4, width=2.5, height=400)  # 0.0225 ha; 2 x 1000 / 805 m
    frame = accepted(
        square(0),
        tiny,
        thin,
        square(6),
        square(8),
        square(10),
        repaired=[False, False, False, True, False, False],
        holding_id=["H1", "H1", "H1", "H1", None, "H1"],
        declared_area_ha=[1.0, 0.0225, 0.1, 1.0, 1.0, float("nan")],
    )
    assert found(look(frame)) == [
        ("CLAIMED_AREA_MISSING", 16),
        ("MISSING_HOLDING_ID", 15),
        ("REPAIRED_GEOMETRY", 14),
        ("SLIVER", 13),
        ("TINY_PARCEL", 12),
    ]
    nothing_said = look(frame, claims_area=False, names_holdings=False)
    assert found(nothing_said) == [("REPAIRED_GEOMETRY", 14), ("SLIVER", 13), ("TINY_PARCEL", 12)]


@pytest.mark.parametrize(
    ("identifier", "why"),
    [
        ("1,20E+10", "scientific"),
        ("0000", "stands for nothing"),
        ("NULL", "stands for nothing"),
        ("00\t1", "control"),
        ("12345", "another form"),
    ],
)
def test_damaged_identifiers(identifier: str, why: str) -> None:
    usual = [f"{number:06d}" for number in range(1, 40)]
    said = malformed(pd.Series([*usual, identifier]))
    assert said.iloc[:-1].isna().all()
    assert why in said.iloc[-1]


def test_a_file_with_several_forms_of_identifiers_has_no_usual_one() -> None:
    assert malformed(pd.Series(["A1", "B22", "17-4", "C9"] * 5)).isna().all()
    assert malformed(pd.Series([], dtype=object)).empty


def rejected(**columns: list[object]) -> pd.DataFrame:
    empty: dict[str, list[object]] = {name: [] for name in ("row_number", "parcel_id", "reason", "detail", "area_ha")}
    return pd.DataFrame(empty | columns)


def test_counts_add_up_and_examples_are_the_largest() -> None:
    frame = accepted(*(square(2 * column) for column in range(12)), repaired=[True] * 12)
    gone = rejected(
        row_number=[1, 2, 3],
        parcel_id=["A", None, "C"],
        detail=["", "", "code X"],
        area_ha=[2.0, float("nan"), 1.0],
        reason=[RejectReason.UNKNOWN_CODE, RejectReason.MISSING_PARCEL_ID, RejectReason.UNKNOWN_CODE],
    )
    quality = summarise(file="a.gpkg", source_hash="f", accepted=frame, rejected=gone, warnings=look(frame))
    assert (quality.rows, quality.accepted, quality.rejected, quality.with_warnings) == (15, 12, 3, 12)
    checks = {check.name: check for check in quality.checks}
    assert set(checks) == {*RejectReason, *FileWarning}
    assert sum(check.rows for check in quality.checks if check.rejects) == quality.rejected
    unknown = checks["UNKNOWN_CODE"]
    assert (unknown.rows, unknown.share, unknown.area_ha) == (2, 2 / 15, 3.0)
    assert [example["row_number"] for example in unknown.examples] == [1, 3]
    assert math.isnan(checks["MISSING_PARCEL_ID"].area_ha)
    assert checks["MISSING_PARCEL_ID"].examples == [{"row_number": 2, "parcel_id": None, "detail": ""}]
    assert checks["DUPLICATE_GEOMETRY"].rows == 0
    assert len(checks["REPAIRED_GEOMETRY"].examples) == 10
