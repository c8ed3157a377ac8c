"""Every row is accepted or has one reason, in every format; identifiers and codes stay text."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
import shapely

from cropmap.contracts.tables import DECLARATION_COLUMNS, REJECTION_COLUMNS
from cropmap.errors import DeclarationFileError
from cropmap.schemas import RejectReason
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import Declarations, read_declarations
from cropmap.sources.files.vector_formats import PART_ROWS
from tests.data.make_sources_declarations import bow_tie, make_frame, make_legend, spiked, square, write_csv

COLUMNS = {"parcel_id": "id", "crop_code": "code"}
LEGEND = make_legend("056", "1200")


def read(path: Path, **changes: Any) -> Declarations:
    layout: dict[str, Any] = {"columns": COLUMNS} | changes
    legend = layout.pop("legend", LEGEND)
    found = read_declarations(path, legend=legend, profile=Profile(**layout))
    assert len(found.accepted) + found.merged + len(found.rejected) == found.row_count
    assert tuple(found.accepted.columns) == DECLARATION_COLUMNS
    assert tuple(found.rejected.columns) == REJECTION_COLUMNS
    return found


def reasons(found: Declarations) -> dict[int, str]:
    return dict(zip(found.rejected["row_number"], found.rejected["reason"], strict=True))


def gpkg(path: Path, *rows: tuple[Any, ...], names: tuple[str, ...] = ("id", "code")) -> Path:
    make_frame(rows, *names).to_file(path / "declarations.gpkg", layer="declarations")
    return path / "declarations.gpkg"


def test_accepted_declarations_are_sorted_flat_and_in_degrees(tmp_path: Path) -> None:
    high = shapely.force_3d(square(1, width_m=200, height_m=50), z=80)
    path = gpkg(tmp_path, (" P2 ", "1200", square(0)), ("P1", "056 ", high))
    found = read(path)
    assert list(found.accepted["parcel_id"]) == ["P1", "P2"]
    assert list(found.accepted["crop_code"]) == ["056", "1200"]
    assert list(found.accepted["row_number"]) == [2, 1]
    assert list(found.accepted["area_ha"]) == pytest.approx([1.0, 1.0])
    assert found.accepted["declared_area_ha"].isna().all()
    assert list(found.accepted["holding_id"]) == [None, None]
    assert found.accepted.crs.to_epsg() == 4326
    assert not found.accepted.has_z.any()
    centre = found.accepted.geometry.iloc[0].centroid
    assert -5 < centre.x < -1, "longitude first"
    assert 47 < centre.y < 49


FORMATS = {
    "declarations.gpkg": lambda frame, path: frame.to_file(path),
    "declarations.shp": lambda frame, path: frame.to_file(path),
    "declarations.fgb": lambda frame, path: frame.to_file(path),
    "declarations.geojson": lambda frame, path: frame.to_crs(4326).to_file(path),
    "declarations.parquet": lambda frame, path: frame.to_parquet(path),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same(tmp_path: Path, name: str) -> None:
    frame = make_frame(
        [("007", "056", "h1", 1.01, square(0)), ("12", "1200", "h2", 0.98, square(1))], "id", "code", "farm", "ha"
    )
    FORMATS[name](frame, tmp_path / name)
    found = read(tmp_path / name, columns=COLUMNS | {"holding_id": "farm", "area": "ha"})
    assert list(found.accepted["parcel_id"]) == ["007", "12"]
    assert list(found.accepted["crop_code"]) == ["056", "1200"]
    assert list(found.accepted["holding_id"]) == ["h1", "h2"]
    assert list(found.accepted["declared_area_ha"]) == [1.01, 0.98]
    assert list(found.accepted["area_ha"]) == pytest.approx([1.0, 1.0], abs=1e-4)


def test_numbers_become_the_text_a_person_would_write(tmp_path: Path) -> None:
    """Integer and float columns, as shapefiles store codes; an id beyond 2^53 keeps its last digit."""
    path = gpkg(tmp_path, (9007199254740993, 1200.0, square(0)), (9007199254740994, None, square(1)))
    found = read(path)
    assert list(found.accepted["parcel_id"]) == ["9007199254740993"]
    assert list(found.accepted["crop_code"]) == ["1200"]
    assert reasons(found) == {2: RejectReason.MISSING_CODE}


def test_csv_keeps_leading_zeros_and_reads_decimal_commas(tmp_path: Path) -> None:
    lines = [
        "id;code;ha;wkt",
        f'007;056;"1,04";{square(0).wkt}',
        f"008;1200;;{square(1).wkt}",
        "009;1200;1;POLYGON((",
        "010;1200;1; ",
    ]
    path = write_csv(tmp_path / "declarations.csv", lines, encoding="utf-8-sig")
    found = read(path, columns=COLUMNS | {"area": "ha"}, crs="EPSG:3035")
    assert list(found.accepted["parcel_id"]) == ["007", "008"]
    assert list(found.accepted["crop_code"]) == ["056", "1200"]
    assert list(found.accepted["declared_area_ha"].fillna(-1)) == [1.04, -1]
    assert reasons(found) == {3: RejectReason.INVALID_GEOMETRY, 4: RejectReason.EMPTY_GEOMETRY}


def test_each_defect_has_its_reason(tmp_path: Path) -> None:
    rows = [
        ("good", "056", square(0)),
        (None, "056", square(1)),
        ("  ", "056", square(2)),
        ("no code", None, square(3)),
        ("other code", "57", square(4)),
        ("no outline", "056", None),
        ("empty outline", "056", shapely.Polygon()),
        ("figure of eight", "056", bow_tie(5)),
        ("line", "056", shapely.LineString([(3_340_000, 2_790_000), (3_340_100, 2_790_000)])),
        ("spike", "056", spiked(6)),
        ("good", "1200", square(7)),
        ("same outline", "1200", shapely.Polygon(square(0).exterior.coords[1:])),
    ]
    found = read(gpkg(tmp_path, *rows))
    assert list(found.accepted["parcel_id"]) == ["good", "spike"]
    assert list(found.accepted["repaired"]) == [False, True]
    assert list(found.accepted["area_ha"]) == pytest.approx([1.0, 1.0])
    assert found.accepted.is_valid.all()
    assert reasons(found) == {
        2: "MISSING_PARCEL_ID",
        3: "MISSING_PARCEL_ID",
        4: "MISSING_CODE",
        5: "UNKNOWN_CODE",
        6: "EMPTY_GEOMETRY",
        7: "EMPTY_GEOMETRY",
        8: "INVALID_GEOMETRY",
        9: "INVALID_GEOMETRY",
        11: "DUPLICATE_PARCEL_ID",
        12: "DUPLICATE_GEOMETRY",
    }
    details = dict(zip(found.rejected["row_number"], found.rejected["detail"], strict=True))
    assert details[5] == "code 57 is not in legend test"
    assert details[8].startswith("Self-intersection")
    assert details[9] == "a LineString is no parcel"
    assert details[11] == "row 1 has this id"
    assert details[12] == "row 1 has the same outline"
    assert set(found.rejected["source_file"]) == {"declarations.gpkg"}


def test_a_broken_row_never_pushes_out_a_good_one_of_its_id(tmp_path: Path) -> None:
    found = read(gpkg(tmp_path, ("P1", None, square(0)), ("P1", "056", square(0)), ("P1", "056", square(0))))
    assert list(found.accepted["row_number"]) == [2]
    assert reasons(found) == {1: RejectReason.MISSING_CODE, 3: RejectReason.DUPLICATE_PARCEL_ID}


@pytest.mark.parametrize(
    ("side_m", "declared", "unit", "accepted"),
    [
        (100, 1.25, "ha", True),
        (100, 1.26, "ha", False),
        (100, 0.74, "ha", False),
        (100, 12_400.0, "m2", True),
        (100, 12_600.0, "m2", False),
        (20, 0.13, "ha", True),  # three times 0.04 ha, but less than 0.1 ha away
        (20, 0.15, "ha", False),
    ],
)
def test_a_declared_area_may_differ_by_a_quarter(
    tmp_path: Path, side_m: float, declared: float, unit: str, accepted: bool
) -> None:
    outline = square(0, width_m=side_m, height_m=side_m)
    path = gpkg(tmp_path, ("P1", "056", declared, outline), names=("id", "code", "area"))
    found = read(path, columns=COLUMNS | {"area": "area"}, area_unit=unit)
    assert len(found.accepted) == accepted
    assert reasons(found) == ({} if accepted else {1: RejectReason.AREA_CONTRADICTS_GEOMETRY})


def test_coordinates_that_do_not_fit_the_crs(tmp_path: Path) -> None:
    lines = ["id,code,wkt", f'P1,056,"{square(0).wkt}"', 'P2,056,"POLYGON((-3 48,-3 48.001,-2.999 48.001,-3 48))"']
    found = read(write_csv(tmp_path / "d.csv", lines), crs="EPSG:4326")
    assert list(found.accepted["parcel_id"]) == ["P2"]
    assert reasons(found) == {1: RejectReason.INVALID_GEOMETRY}
    assert found.rejected["detail"][0] == "coordinates do not fit CRS WGS 84"


def test_two_columns_identify_a_parcel_together(tmp_path: Path) -> None:
    rows = [("b1", 1, "056", square(0)), ("b1", 2, "056", square(1)), ("b2", None, "056", square(2))]
    path = gpkg(tmp_path, *rows, names=("block", "part", "code"))
    found = read(path, columns={"parcel_id": "block+part", "crop_code": "code"})
    assert list(found.accepted["parcel_id"]) == ["b1-1", "b1-2"]
    assert reasons(found) == {3: RejectReason.MISSING_PARCEL_ID}


def test_the_feature_id_may_stand_for_a_missing_identifier(tmp_path: Path) -> None:
    found = read(
        gpkg(tmp_path, ("x", "056", square(0)), ("y", "056", square(1))), columns=COLUMNS | {"parcel_id": "fid"}
    )
    assert list(found.accepted["parcel_id"]) == ["1", "2"]


def test_a_zip_archive_is_opened_whatever_its_name(tmp_path: Path) -> None:
    path = gpkg(tmp_path, ("P1", "056", square(0)))
    with zipfile.ZipFile(tmp_path / "download", "w") as archive:
        archive.write(path, "a folder/declarations.gpkg")
    assert list(read(tmp_path / "download").accepted["parcel_id"]) == ["P1"]


def test_the_same_content_has_the_same_hash(tmp_path: Path) -> None:
    lines = ["id,code,wkt", f'P1,056,"{square(0).wkt}"']
    one, other = (read(write_csv(tmp_path / name, lines), crs="EPSG:3035") for name in ("a.csv", "b.csv"))
    changed = read(write_csv(tmp_path / "c.csv", [lines[0], lines[1].replace("056", "1200")]), crs="EPSG:3035")
    assert one.source_hash == other.source_hash != changed.source_hash


def test_a_missing_column_names_those_there(tmp_path: Path) -> None:
    path = gpkg(tmp_path, ("P1", "056", square(0)), names=("parcel", "crop_code"))
    with pytest.raises(
        DeclarationFileError, match=r"no column 'cropcode'.*Did you mean crop_code\?.*parcel, crop_code"
    ):
        read(path, columns={"parcel_id": "parcel", "crop_code": "cropcode"})


def test_a_mapping_without_crop_code(tmp_path: Path) -> None:
    with pytest.raises(DeclarationFileError, match=r"declarations.columns lacks crop_code"):
        read(tmp_path / "any.gpkg", columns={"parcel_id": "id"})


@pytest.mark.parametrize(
    ("name", "lines", "changes", "message"),
    [
        ("absent.gpkg", None, {}, "no such file"),
        ("d.gpkg", ["no geopackage"], {}, "GDAL cannot read it"),
        ("d.parquet", ["no parquet"], {}, "cannot be read as Parquet"),
        ("d.csv", ["id,code,wkt"], {"crs": "EPSG:3035"}, "the file has no rows"),
        ("d.csv", [""], {"crs": "EPSG:3035"}, "no column holds the geometry"),
        ("d.csv", ["id,code,shape", "1,2,3"], {"crs": "EPSG:3035"}, "no column holds the geometry"),
        ("d.csv", ["id,code,wkt", "P1,056,x"], {}, "the file carries no CRS"),
        ("d.csv", ["id,code,wkt", "P1,056,x"], {"crs": "EPSG:banana"}, "'EPSG:banana' is no CRS"),
        (
            "d.csv",
            ["id,code,wkt", "P1,056,POLYGON((0 0,1 0,1 1,0 0))"],
            {"crs": "EPSG:3035"},
            "Expected 3 columns, got 6",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(
    tmp_path: Path, name: str, lines: list[str] | None, changes: dict[str, Any], message: str
) -> None:
    if lines is not None:
        write_csv(tmp_path / name, lines)
    with pytest.raises(DeclarationFileError, match=message) as caught:
        read(tmp_path / name, **changes)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_empty_declarations_file(tmp_path: Path) -> None:
    make_frame([("P1", "056", square(0))], "id", "code").iloc[:0].to_file(tmp_path / "d.gpkg")
    with pytest.raises(DeclarationFileError, match="the file has no rows"):
        read(tmp_path / "d.gpkg")


def test_latin_1_text_is_not_guessed(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "d.csv", ["id,code,wkt", 'Mähwiese,056,"x"'], encoding="latin-1")
    with pytest.raises(DeclarationFileError, match="Save it as UTF-8"):
        read(path, crs="EPSG:3035")


def test_parquet_without_geometry_metadata(tmp_path: Path) -> None:
    make_frame([("P1", "056", square(0))], "id", "code").drop(columns="geometry").to_parquet(tmp_path / "d.parquet")
    with pytest.raises(DeclarationFileError, match="no column holds the geometry"):
        read(tmp_path / "d.parquet")


def test_a_column_of_lists(tmp_path: Path) -> None:
    make_frame([([1], "056", square(0))], "id", "code").to_parquet(tmp_path / "d.parquet")
    with pytest.raises(DeclarationFileError, match="column 'id' holds neither text nor numbers"):
        read(tmp_path / "d.parquet")


def test_several_layers_must_be_told_apart(tmp_path: Path) -> None:
    frame = make_frame([("P1", "056", square(0))], "id", "code")
    for layer in ("main", "catch"):
        frame.to_file(tmp_path / "d.gpkg", layer=layer)
    with pytest.raises(DeclarationFileError, match=r"2 layers with geometry.*one of: main, catch"):
        read(tmp_path / "d.gpkg")
    with pytest.raises(DeclarationFileError, match="no layer 'mian'"):
        read(tmp_path / "d.gpkg", layer="mian")
    assert len(read(tmp_path / "d.gpkg", layer="main").accepted) == 1


@pytest.mark.shared_data
@pytest.mark.parametrize(("agency", "count"), [("bavaria", 301), ("flanders", 19)])
def test_the_real_seasons_lose_no_declaration(shared_data: Path, agency: str, count: int) -> None:
    path = shared_data / agency / "declarations.gpkg"
    codes = set(gpd.read_file(path)["crop_code"])
    columns = {"parcel_id": "parcel_id", "crop_code": "crop_code", "area": "area_ha"}
    found = read(path, columns=columns, legend=make_legend(*codes))
    assert (len(found.accepted), found.row_count) == (count, count)
    assert pyogrio.read_info(path)["features"] == count


@pytest.mark.parametrize("suffix", ["gpkg", "parquet"])
def test_rows_of_one_part_are_held_against_those_of_another(tmp_path: Path, suffix: str) -> None:
    """A file of more rows than are read at a time: its last rows repeat, or belong to, its first ones."""
    count = PART_ROWS + 10
    rows = [(str(n), "056", "1.0", square(n % 200, n // 200)) for n in range(count)]
    rows[-3] = ("4", "1200", "1.0", square(0, 200))  # the identifier of row 5
    rows[-2] = ("new", "056", "1.0", shapely.reverse(square(1)))  # the outline of row 2
    rows[-1] = ("2", "056", "1.0", shapely.affinity.translate(square(2), 100, 0))  # a part of row 3
    frame = make_frame(rows, "id", "code", "area")
    path = tmp_path / f"d.{suffix}"
    frame.to_parquet(path) if suffix == "parquet" else frame.to_file(path)
    found = read(path, columns=COLUMNS | {"area": "area"})
    assert reasons(found) == {count - 2: "DUPLICATE_PARCEL_ID", count - 1: "DUPLICATE_GEOMETRY"}
    assert found.merged_parts.to_numpy().tolist() == [[count, 3, "2"]]
    accepted = found.accepted.set_index("parcel_id")
    assert accepted["area_ha"].to_dict()["2"] == pytest.approx(2.0, abs=1e-3)
    last = accepted.loc[str(count - 4)]
    assert last["row_number"] == count - 3
    x, y = last.geometry.centroid.coords[0]
    moved = gpd.GeoSeries([rows[count - 4][-1].centroid], crs=frame.crs).to_crs(4326)
    assert (x, y) == pytest.approx((moved.x[0], moved.y[0]), abs=1e-6)


def test_row_numbers_stand_for_identifiers_beyond_the_first_part(tmp_path: Path) -> None:
    rows = [("056", square(n % 200, n // 200)) for n in range(PART_ROWS + 2)]
    make_frame(rows, "code").to_parquet(tmp_path / "d.parquet")
    found = read(tmp_path / "d.parquet", columns={"crop_code": "code"})
    assert set(found.accepted["parcel_id"]) == {str(n) for n in range(1, PART_ROWS + 3)}
