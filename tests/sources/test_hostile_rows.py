"""One bad row is rejected with its reason, and its file is read."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from cropmap.errors import DeclarationFileError
from cropmap.sources.declarations.inspection import inspect_file
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import Declarations, read_declarations
from cropmap.sources.files.outline_text import from_wkb
from cropmap.sources.outlines import MAX_CROSSINGS, repair
from tests.data.make_sources_declarations import make_frame, make_legend, square, write_csv

LEGEND = make_legend("056", "1200")
GOOD = f'P1;056;"{square(0).wkt}"'
CURVE = (
    "CURVEPOLYGON(COMPOUNDCURVE(CIRCULARSTRING(3340000 2790000,3340100 2790100,3340200 2790000),"
    "(3340200 2790000,3340000 2790000)))"
)


def read(path: Path, **layout: Any) -> Declarations:
    columns = {"parcel_id": "id", "crop_code": "code"}
    found = read_declarations(path, legend=LEGEND, profile=Profile(columns=columns, crs="EPSG:3035", **layout))
    assert len(found.accepted) + len(found.rejected) == found.row_count
    return found


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (
            'P2;056;"POLYGON((3340000 2790000,inf 2790000,3340100 2790100,3340000 2790000))"',
            "INVALID_GEOMETRY",
            "a coordinate is no finite number",
        ),
        (
            'P2;056;"POLYGON((3340000 2790000,3340100 nan,3340100 2790100,3340000 2790000))"',
            "INVALID_GEOMETRY",
            "a coordinate is no finite number",
        ),
        (f'P2;056;"{CURVE}"', "INVALID_GEOMETRY", "not readable as a geometry"),
        (
            'P2;056;"GEOMETRYCOLLECTION(POINT(3340000 2790000))"',
            "INVALID_GEOMETRY",
            "a GeometryCollection without polygons",
        ),
        ('P2;056;"TIN(((0 0,1 0,1 1,0 0)))"', "INVALID_GEOMETRY", "not readable as a geometry"),
        ("P2;056", "UNUSABLE_ROW", "2 fields instead of 3"),
        ('P2;056;"POLYGON EMPTY";more;fields', "UNUSABLE_ROW", "5 fields instead of 3"),
        (f'P\0{2};056;"{square(1).wkt}"', "UNUSABLE_ROW", "id holds a NUL character"),
        (f'P\x1b[2J;056;"{square(1).wkt}"', "UNUSABLE_ROW", "id holds an escape character (U+001B)"),
        (f'P\x07;056;"{square(1).wkt}"', "UNUSABLE_ROW", "id holds U+0007"),
        (f'{"P" * 9000};056;"{square(1).wkt}"', "UNUSABLE_ROW", "id holds 9,000 characters"),
        (f'P2;{"0" * 9000};"{square(1).wkt}"', "UNUSABLE_ROW", "code holds 9,000 characters"),
    ],
)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.slow
def test_a_bad_row_is_counted_and_the_others_are_read(
    tmp_path: Path, row: str, reason: str, detail: str, last: bool
) -> None:
    other = f'P3;1200;"{square(2).wkt}"'
    rows = ["id;code;wkt", GOOD, other, row] if last else ["id;code;wkt", GOOD, row, other]
    path = write_csv(tmp_path / "d.csv", rows)
    found = read(path)
    assert list(found.accepted["parcel_id"]) == ["P1", "P3"]
    assert list(found.accepted["row_number"]) == ([1, 2] if last else [1, 3])
    (rejected,) = found.rejected.to_dict("records")
    assert (rejected["row_number"], rejected["reason"], rejected["detail"]) == (3 if last else 2, reason, detail)
    assert not any(control in str(rejected["parcel_id"]) for control in "\0\x07\x1b")
    assert len(str(rejected["parcel_id"])) < 100
    assert inspect_file(path, legends=[LEGEND], crs="EPSG:3035").rows == 3


def test_ragged_rows_keep_the_numbers_of_the_others(tmp_path: Path) -> None:
    """Blank lines are no rows; the line of a spreadsheet above the header is none either."""
    rows = [
        "sep=;",
        "id;code;wkt",
        GOOD,
        "",
        "x",
        f'P3;1200;"{square(2).wkt}"',
        "y;z;w;v",
        "",
        GOOD.replace("P1", "P4"),
    ]
    found = read(write_csv(tmp_path / "d.csv", rows))
    assert dict(zip(found.rejected["row_number"], found.rejected["reason"], strict=True)) == {
        2: "UNUSABLE_ROW",
        4: "UNUSABLE_ROW",
        5: "DUPLICATE_GEOMETRY",
    }
    assert list(found.accepted["row_number"]) == [1, 3]


def test_a_quotation_mark_that_swallows_rows_refuses_the_file(tmp_path: Path) -> None:
    rows = ["id;code;wkt", GOOD, 'P2;056;"POLYGON((', f'P3;1200;"{square(2).wkt}"', f"P4;1200;{square(3).wkt}"]
    with pytest.raises(DeclarationFileError, match=r"d\.csv: ") as caught:
        read(write_csv(tmp_path / "d.csv", rows))
    assert len(str(caught.value).splitlines()) == 1


def nested(depth: int, order: str) -> bytes:
    """A collection in a collection, in either byte order; readers that descend into it would exhaust the stack."""
    head = struct.pack(f"{order}BII", order == "<", 7, 1)
    return head * depth + struct.pack(f"{order}BII", order == "<", 7, 0)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["<", ">"])
def test_outlines_nested_too_deeply(tmp_path: Path, order: str) -> None:
    deep = nested(200_000, order)
    wkt = "GEOMETRYCOLLECTION(" * 100_000 + "POINT(1 1)" + ")" * 100_000
    json_ = '{""type"":""GeometryCollection"",""geometries"":[' * 20_000 + "]}" * 20_000
    good = shapely.to_wkb(square(0))
    pq.write_table(pa.table({"id": ["P1", "P2"], "code": ["056"] * 2, "wkb": [good, deep]}), tmp_path / "d.parquet")
    rows = ["id;code;geom", f"P1;056;{good.hex()}", *(f'P2;056;"{text}"' for text in (deep.hex(), wkt, json_))]
    for path in (tmp_path / "d.parquet", write_csv(tmp_path / "d.csv", rows)):
        found = read(path)
        assert list(found.accepted["parcel_id"]) == ["P1"]
        assert set(found.rejected["reason"]) == {"INVALID_GEOMETRY"}


def test_multipolygons_of_many_parts_are_not_deep(tmp_path: Path) -> None:
    many = shapely.MultiPolygon([shapely.box(i, j, i + 0.5, j + 0.5) for i in range(20) for j in range(20)])
    shapes = [many, shapely.force_3d(many), shapely.set_srid(many, 3035)]
    for byte_order in (0, 1):
        values = np.array([shapely.to_wkb(shape, include_srid=True, byte_order=byte_order) for shape in shapes], object)
        assert shapely.equals(from_wkb(values), many).all()


def test_a_column_of_large_outlines(tmp_path: Path) -> None:
    """More characters than Python's csv module takes by itself."""
    large = shapely.segmentize(square(0), 0.01)
    assert len(large.wkt) > 400_000
    found = read(write_csv(tmp_path / "d.csv", ["id;code;outline", f'P1;056;"{large.wkt}"']))
    assert list(found.accepted["area_ha"]) == pytest.approx([1.0])


def test_a_collection_keeps_its_polygons(tmp_path: Path) -> None:
    nested = shapely.GeometryCollection([shapely.GeometryCollection([square(0)]), shapely.Point(3_340_000, 2_790_000)])
    frame = make_frame([("P1", "056", nested), ("P2", "056", square(1))], "id", "code")
    frame.to_file(tmp_path / "d.gpkg")
    found = read(tmp_path / "d.gpkg")
    assert list(found.accepted["area_ha"]) == pytest.approx([1.0, 1.0])
    assert list(found.accepted["repaired"]) == [True, False]


def test_a_tangle_is_given_up_and_a_long_outline_is_not() -> None:
    """20,000 vertices that cross each other would take minutes to repair; a circle with one spike takes none."""
    steps = np.arange(10_000, dtype=float)
    zigzag = np.where(steps % 2, 1.0, -1.0)
    tangle = shapely.Polygon(np.vstack([np.c_[steps, zigzag], np.c_[steps[::-1], -zigzag[::-1] / 2]]))
    angle = np.linspace(0, 2 * np.pi, 20_000)
    circle = np.c_[100 * np.cos(angle), 100 * np.sin(angle)]
    spiked = shapely.Polygon(np.vstack([circle, [[120.0, 1.0], [120.0, 1.0], [110.0, 0.5], [130.0, 1.5]], circle[:1]]))
    shapes, _, hopeless = repair(np.array([tangle, shapely.Polygon(circle), spiked], dtype=object))
    assert list(hopeless) == [True, False, False]
    assert shapely.is_valid(shapes[1:]).all()
    assert MAX_CROSSINGS == 500


@pytest.mark.parametrize("name", ["d.gpkg", "d.fgb", "d.parquet"])
def test_coordinates_that_are_no_numbers_in_every_format(tmp_path: Path, name: str) -> None:
    broken = shapely.Polygon([(3_340_000, 2_790_000), (np.inf, 2_790_000), (3_340_100, 2_790_100)])
    frame = make_frame([("P1", "056", square(0)), ("P2", "056", broken)], "id", "code")
    frame.to_parquet(tmp_path / name) if name.endswith("parquet") else frame.to_file(tmp_path / name)
    found = read(tmp_path / name)
    assert list(found.accepted["parcel_id"]) == ["P1"]
    assert list(found.rejected["reason"]) == ["INVALID_GEOMETRY"]
