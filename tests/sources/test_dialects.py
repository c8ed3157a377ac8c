"""Tables as databases and spreadsheets write them: CSV dialects, numbers, Parquet without metadata, code pages."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from cropmap.errors import DeclarationFileError
from cropmap.sources.declarations.inspection import inspect_file
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import Declarations, read_declarations
from cropmap.sources.files.numbers import read_numbers
from tests.data.make_sources_declarations import make_frame, make_legend, square, write_csv

LEGEND = make_legend("056", "1200")
COLUMNS = {"parcel_id": "id", "crop_code": "code"}


def read(path: Path, *, crs: str | None = "EPSG:3035", **layout: Any) -> Declarations:
    profile = Profile(columns=layout.pop("columns", COLUMNS), crs=crs, **layout)
    found = read_declarations(path, legend=LEGEND, profile=profile)
    seen = inspect_file(path, legends=[LEGEND], crs=crs, encoding=layout.get("encoding"))
    assert seen.rows == found.row_count, "an inspection sees the same rows"
    assert seen.without_geometry == 0
    return found


WRITTEN: dict[str, Callable[[shapely.Polygon], str]] = {
    "wkt": lambda shape: shape.wkt,
    "ewkt": lambda shape: f"SRID=3035;{shape.wkt}",
    "EWKT without a system": lambda shape: f"srid=0; {shape.wkt}",
    "hex WKB": lambda shape: shapely.to_wkb(shape, hex=True),
    "hex EWKB": lambda shape: shapely.to_wkb(shapely.set_srid(shape, 3035), hex=True, include_srid=True),
    "bytea": lambda shape: "\\x" + shapely.to_wkb(shape, hex=True).lower(),
    "SQL Server": lambda shape: "0x" + shapely.to_wkb(shape, hex=True, byte_order=0),
    "GeoJSON": lambda shape: shapely.to_geojson(shape).replace('"', '""'),
}


@pytest.mark.parametrize("way", WRITTEN)
@pytest.mark.parametrize("column", ["geom", "outline_of_field"])
@pytest.mark.slow
def test_outlines_in_a_column_whatever_its_name(tmp_path: Path, way: str, column: str) -> None:
    if way == "GeoJSON" and column != "geom":
        pytest.skip("text in braces may be anything: such a column has to be named")
    rows = [f'P{i};056;"{WRITTEN[way](square(i))}"' for i in range(3)]
    found = read(write_csv(tmp_path / "d.csv", [f"id;code;{column}", *rows]))
    assert list(found.accepted["parcel_id"]) == ["P0", "P1", "P2"]
    assert list(found.accepted["area_ha"]) == pytest.approx([1.0] * 3)


def test_the_outlines_say_their_crs(tmp_path: Path) -> None:
    rows = [f'P{i},056,"SRID=3035;{square(i).wkt}"' for i in range(2)]
    found = read(write_csv(tmp_path / "d.csv", ["id,code,geom", *rows]), crs=None)
    assert list(found.accepted["area_ha"]) == pytest.approx([1.0, 1.0])
    mixed = [rows[0], rows[1].replace("3035", "25832")]
    with pytest.raises(DeclarationFileError, match=r"several coordinate systems \(3035, 25832\)"):
        read(write_csv(tmp_path / "m.csv", ["id,code,geom", *mixed]), crs=None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("above", [[], ["sep=;"], ["", '"sep=;"', ""]])
@pytest.mark.slow
def test_encodings_that_a_file_shows_and_lines_above_the_header(
    tmp_path: Path, encoding: str, above: list[str]
) -> None:
    rows = [f'Mähwiese {i};056;"{square(i).wkt}"' for i in range(3)]
    found = read(write_csv(tmp_path / "d.csv", [*above, "id;code;wkt", *rows], encoding=encoding))
    assert list(found.accepted["parcel_id"]) == ["Mähwiese 0", "Mähwiese 1", "Mähwiese 2"]


@pytest.mark.parametrize("header", [" id ; code; wkt", "\ufeff\ufeffid;code;wkt", "id\u00a0;CODE ;wkt"])
def test_blanks_and_marks_around_the_names_of_columns(tmp_path: Path, header: str) -> None:
    path = write_csv(tmp_path / "d.csv", [header, f'P1;056;"{square(0).wkt}"'])
    found = read_declarations(path, legend=LEGEND, profile=Profile(columns=COLUMNS, crs="EPSG:3035"))
    assert found.accepted["parcel_id"].tolist() == ["P1"]


@pytest.mark.parametrize(("header", "end"), [("", ";"), (";", ""), (";", ";"), (";;", ";;")])
def test_a_delimiter_at_the_end_of_the_rows_or_of_the_header(tmp_path: Path, header: str, end: str) -> None:
    rows = [f'P{i};056;"{square(i).wkt}"{end}' for i in range(3)]
    found = read(write_csv(tmp_path / "d.csv", [f"id;code;wkt{header}", *rows]))
    assert list(found.accepted["parcel_id"]) == ["P0", "P1", "P2"]
    ragged = [*rows, f"P3{end}", f'P4;056;"{square(4).wkt}"{end}']
    path = write_csv(tmp_path / "d.csv", ["sep=;", f"id;code;wkt{header}", *ragged])
    found = read_declarations(path, legend=LEGEND, profile=Profile(columns=COLUMNS, crs="EPSG:3035"))
    assert list(found.accepted["row_number"]) == [1, 2, 3, 5]
    assert found.rejected[["row_number", "reason"]].to_numpy().tolist() == [[4, "UNUSABLE_ROW"]]


@pytest.mark.parametrize("cell", ['="{}"', '"=""{}"""'])
def test_a_formula_that_keeps_the_zeros_is_the_text_within(tmp_path: Path, cell: str) -> None:
    rows = [f"{cell.format(f'00{i}')};{cell.format('056')};{square(i).wkt}" for i in range(3)]
    found = read(write_csv(tmp_path / "d.csv", ["id;code;wkt", *rows]))
    assert list(found.accepted["parcel_id"]) == ["000", "001", "002"]
    assert set(found.accepted["crop_code"]) == {"056"}


def test_line_ends_of_old_macs(tmp_path: Path) -> None:
    rows = ["id;code;wkt", *(f"P{i};056;{square(i).wkt}" for i in range(3))]
    (tmp_path / "d.csv").write_bytes("\r".join(rows).encode())
    assert len(read(tmp_path / "d.csv").accepted) == 3


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "d.csv", ["id;id;code;note;note;wkt", f"P0;x;056;a;b;{square(0).wkt}"])
    with pytest.raises(DeclarationFileError, match=r"column 'id' is there more than once"):
        read(path)
    assert len(read(path, columns={"crop_code": "code"}).accepted) == 1


@pytest.mark.parametrize(
    ("written", "near", "meant"),
    [
        (["1.234,56", "0,5", "12", None], None, [1234.56, 0.5, 12, np.nan]),
        (["1,234.56", "3.5", "1,000"], None, [1234.56, 3.5, 1000]),
        (["1 234,56", "1\u00a0234", "12\u202f345,6"], None, [1234.56, 1234, 12345.6]),
        (["1'234.5", "1’234’567"], None, [1234.5, 1234567]),
        (["1.234.567", "1.234"], None, [1234567, 1234]),
        (["1.234", "0.523"], None, [1.234, 0.523]),
        (["1,234", "12345,678"], None, [1.234, 12345.678]),
        (["1.234", "2.345"], [1.2, 2.4], [1.234, 2.345]),
        (["1.234", "2.345"], [1200, 2400], [1234, 2345]),
        (["1.234", "950"], [1250, np.nan], [1234, 950]),
        (["12.5", "12,5", "+3", "-0,25", ".5", "1.2E+2"], None, [12.5, 12.5, 3, -0.25, 0.5, 120]),
        (["n/a", "1e999", "1.2.3", "12 ha", "1,23,4", "nan", "2.5"], None, [np.nan] * 6 + [2.5]),
    ],
)
def test_numbers(written: list[str | None], near: list[float] | None, meant: list[float]) -> None:
    numbers, unreadable = read_numbers(pd.Series(written, dtype=object), near)
    assert list(numbers) == pytest.approx(meant, nan_ok=True)
    assert unreadable == sum(np.isnan(value) for value, text in zip(meant, written, strict=True) if text)


@pytest.mark.parametrize("written", [["1.234", "2.345"], ["1.234", "1,234"], ["1.234", "0,5", "0.5"]])
def test_numbers_that_can_be_read_in_two_ways_are_refused(written: list[str]) -> None:
    with pytest.raises(DeclarationFileError, match=r"such as 1\.234.* can be read in two ways"):
        read_numbers(pd.Series(written, dtype=object))


def test_claims_with_marks_between_thousands_are_held_against_the_drawn_area(tmp_path: Path) -> None:
    rows = [f"P0;056;10.000;{square(0).wkt}", f"P1;056;30.000;{square(1).wkt}", f"P2;056;9.900;{square(2).wkt}"]
    columns = COLUMNS | {"area": "m2"}
    found = read(write_csv(tmp_path / "d.csv", ["id;code;m2;wkt", *rows]), columns=columns, area_unit="m2")
    assert list(found.accepted["declared_area_ha"]) == pytest.approx([1.0, 0.99])
    assert list(found.rejected["detail"]) == ["declared 3.00 ha, drawn 1.00 ha"]


def test_areas_that_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [f"P{i};056;{area};{square(i).wkt}" for i, area in enumerate(["1,0", "0,98", "unknown"])]
    path = write_csv(tmp_path / "d.csv", ["id;code;ha;wkt", *rows])
    found = read(path, columns=COLUMNS | {"area": "ha"})
    assert list(found.accepted["declared_area_ha"].fillna(-1)) == [1.0, 0.98, -1.0]
    assert "1 declared areas are no numbers" in caplog.text
    with pytest.raises(DeclarationFileError, match="3 values that are no numbers, such as 'P0'"):
        read(path, columns=COLUMNS | {"area": "id"})


# --- Parquet -----------------------------------------------------------------------------------------------------


def table(*rows: int, geometry: Callable[[shapely.Polygon], Any] = shapely.to_wkb, **more: str) -> pa.Table:
    columns = {"id": [f"P{i}" for i in rows], "code": ["056" for _ in rows]}
    columns |= {name: [value for _ in rows] for name, value in more.items()}
    return pa.table({**columns, "geometry": [geometry(square(i)) for i in rows]})


@pytest.mark.parametrize("way", ["wkb", "wkt", "hex"])
def test_parquet_without_metadata(tmp_path: Path, way: str) -> None:
    geometry: dict[str, Callable[[shapely.Polygon], Any]] = {
        "wkb": shapely.to_wkb,
        "wkt": shapely.to_wkt,
        "hex": lambda shape: shapely.to_wkb(shape, hex=True),
    }
    pq.write_table(table(0, 1, geometry=geometry[way]), tmp_path / "d.parquet")
    assert list(read(tmp_path / "d.parquet").accepted["area_ha"]) == pytest.approx([1.0, 1.0])
    with pytest.raises(DeclarationFileError, match="the file carries no CRS"):
        read(tmp_path / "d.parquet", crs=None)


def test_parquet_in_parts(tmp_path: Path) -> None:
    """Parts are read in the order of their names; the folders of partitions are columns, with their zeros."""
    folder = tmp_path / "d.parquet"
    for code in ("056", "1200"):
        (folder / f"kind={code}" / "region=A%2FB").mkdir(parents=True)
    pq.write_table(table(0, 1).drop_columns("code"), folder / "kind=056" / "region=A%2FB" / "part-0.parquet")
    pq.write_table(table(2).drop_columns("code"), folder / "kind=056" / "region=A%2FB" / "part-1.parquet")
    pq.write_table(table(3).drop_columns("code"), folder / "kind=1200" / "region=A%2FB" / "part-0.parquet")
    (folder / "_SUCCESS").touch()
    (folder / "_metadata.parquet").write_bytes(b"no part")
    found = read(folder, columns={"parcel_id": "id", "crop_code": "kind", "holding_id": "region"})
    assert list(found.accepted["parcel_id"]) == ["P0", "P1", "P2", "P3"]
    assert list(found.accepted["crop_code"]) == ["056", "056", "056", "1200"]
    assert set(found.accepted["holding_id"]) == {"A/B"}
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "d.parquet")
    packed = read(Path(archive), columns={"parcel_id": "id", "crop_code": "kind"})
    assert list(packed.accepted["parcel_id"]) == ["P0", "P1", "P2", "P3"]


def test_parts_of_geoparquet_that_differ_in_crs(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    frame = make_frame([("P0", "056", square(0))], "id", "code")
    frame.to_parquet(tmp_path / "d" / "a.parquet")
    frame.to_crs(25830).to_parquet(tmp_path / "d" / "b.parquet")
    with pytest.raises(DeclarationFileError, match="its parts differ in CRS"):
        read(tmp_path / "d", crs=None)


@pytest.mark.parametrize("schema", [True, False])
def test_identifiers_of_type_uuid(tmp_path: Path, schema: bool) -> None:
    """RFC 9562 writes 16 bytes as 8-4-4-4-12 hexadecimal digits."""
    written = pa.array([bytes(16), bytes(range(16))], pa.uuid())
    pq.write_table(table(0, 1).set_column(0, "id", written), tmp_path / "d.parquet", store_schema=schema)
    assert list(read(tmp_path / "d.parquet").accepted["parcel_id"]) == [
        "00000000-0000-0000-0000-000000000000",
        "00010203-0405-0607-0809-0a0b0c0d0e0f",
    ]


def test_a_row_of_wkb_that_is_none(tmp_path: Path) -> None:
    broken = table(0, 1).set_column(2, "geometry", pa.array([shapely.to_wkb(square(0)), b"\x01\x03rubbish"]))
    pq.write_table(broken, tmp_path / "d.parquet")
    found = read(tmp_path / "d.parquet")
    assert list(found.accepted["parcel_id"]) == ["P0"]
    assert list(found.rejected["reason"]) == ["INVALID_GEOMETRY"]


# --- code pages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stated", ["ANSI 1250", "WINDOWS-1250", "1250", "CP1250"])
def test_code_pages_in_the_words_of_other_programs(tmp_path: Path, stated: str) -> None:
    make_frame([("Ječmen ozimý", "056", square(0))], "id", "code").to_file(tmp_path / "d.shp", encoding="CP1250")
    (tmp_path / "d.cpg").write_text(stated)
    assert list(read(tmp_path / "d.shp", crs=None).accepted["parcel_id"]) == ["Ječmen ozimý"]


def test_a_wrong_encoding_is_named(tmp_path: Path) -> None:
    make_frame([("Ječmen ozimý", "056", square(0))], "id", "code").to_file(tmp_path / "d.shp", encoding="CP1250")
    (tmp_path / "d.cpg").write_text("UTF-8")
    message = r"the text of column 'id' is in another encoding than UTF-8.*Set declarations\.encoding, such as CP1250"
    with pytest.raises(DeclarationFileError, match=message):
        read(tmp_path / "d.shp", crs=None)
    assert list(read(tmp_path / "d.shp", crs=None, encoding="CP1250").accepted["parcel_id"]) == ["Ječmen ozimý"]


def test_coordinates_in_columns_are_read_row_by_row_where_one_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GeoParquet's own encodings. shapely ends the process at a polygon without rings among others."""
    monkeypatch.setattr("cropmap.sources.files.vector_formats.PART_ROWS", 3)
    several = shapely.MultiPolygon([square(0), square(1)])
    shapes = [several, None, shapely.Polygon(), square(2), shapely.MultiPolygon(), square(3), square(4)]
    frame = make_frame([(f"P{n}", "056", shape) for n, shape in enumerate(shapes)], "id", "code")
    frame.to_parquet(tmp_path / "d.parquet", geometry_encoding="geoarrow")
    found = read_declarations(tmp_path / "d.parquet", legend=LEGEND, profile=Profile(columns=COLUMNS))
    assert found.claims["parcel_id"].tolist() == ["P0", "P3", "P5", "P6"]
    assert found.claims["area_ha"].tolist() == pytest.approx([2.0, 1.0, 1.0, 1.0])
    assert dict(found.rejected[["row_number", "reason"]].to_numpy().tolist()) == {
        2: "EMPTY_GEOMETRY",
        3: "INVALID_GEOMETRY",
        5: "EMPTY_GEOMETRY",
    }


def test_a_ring_of_one_point_costs_its_row_alone(tmp_path: Path) -> None:
    make_frame([(f"P{n}", "056", square(n)) for n in range(3)], "id", "code").to_parquet(
        tmp_path / "d.parquet", geometry_encoding="geoarrow"
    )
    table = pq.read_table(tmp_path / "d.parquet")
    place = table.schema.get_field_index("geometry")
    outlines = table.column(place).to_pylist()
    outlines[1] = [outlines[1][0][:1]]
    column = pa.array(outlines, table.schema.field(place).type)
    pq.write_table(table.set_column(place, table.schema.field(place), column), tmp_path / "d.parquet")
    found = read_declarations(tmp_path / "d.parquet", legend=LEGEND, profile=Profile(columns=COLUMNS))
    assert found.claims["parcel_id"].tolist() == ["P0", "P2"]
    assert found.rejected["reason"].tolist() == ["INVALID_GEOMETRY"]
