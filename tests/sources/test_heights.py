"""Outlines with heights and measures: read in two dimensions in every container, or refused in one line."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

from cropmap.errors import DeclarationFileError
from cropmap.sources.declarations.inspection import inspect_file
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import Declarations, read_declarations
from cropmap.sources.files.vector_files import read_rows
from cropmap.sources.files.vector_formats import MORE_THAN_PLANE
from cropmap.sources.regions import read_regions
from tests.data.make_sources_declarations import make_legend
from tests.sources.test_regions import make_regions

LEGEND = make_legend("311")
WIDTH, HEIGHT = 0.0015, 0.001
CORNERS = ((5.0, 50.4), (5.01, 50.4))
"""lower left corners of the two parcels, degrees"""
HECTARES = 1.186
"""0.0015 by 0.001 degrees at 50.4 N: 106.6 m by 111.3 m"""
HEIGHTS = {"Z": (120.0,), "M": (7.0,), "ZM": (120.0, 7.0)}
KINDS = {"Z": "Polygon Z", "M": "Measured Polygon", "ZM": "Measured 3D Polygon"}


def ring(corner: tuple[float, float], more: tuple[float, ...] = ()) -> list[tuple[float, ...]]:
    west, south = corner
    east, north = round(west + WIDTH, 6), round(south + HEIGHT, 6)
    return [(x, y, *more) for x, y in ((west, south), (east, south), (east, north), (west, north), (west, south))]


def wkt(dimension: str, corner: tuple[float, float], *, several: bool = False, blank: str = " ") -> str:
    text = ", ".join(" ".join(map(str, position)) for position in ring(corner, HEIGHTS[dimension]))
    return f"MULTIPOLYGON{blank}{dimension} ((({text})))" if several else f"POLYGON{blank}{dimension} (({text}))"


def drawn(dimension: str, *, several: bool = False) -> tuple[np.ndarray, list[np.ndarray], list[str]]:
    """ISO WKB of the two parcels, and their attributes as pyogrio writes them; the second of several parts."""
    shapes = shapely.from_wkt([wkt(dimension, CORNERS[0]), wkt(dimension, CORNERS[1], several=several)])
    columns = [np.array(["P1", "P2"], dtype=object), np.array(["311", "311"], dtype=object)]
    return shapely.to_wkb(shapes, output_dimension=4, flavor="iso"), columns, ["parcel", "code"]


def read(path: Path, crs: str | None = None) -> Declarations:
    profile = Profile(columns={"parcel_id": "parcel", "crop_code": "code"}, crs=crs)
    return read_declarations(path, legend=LEGEND, profile=profile)


def assert_flat(path: Path, *, crs: str | None = None, noted: bool = True) -> None:
    found = read(path, crs)
    assert found.rejected.empty
    assert found.accepted["parcel_id"].tolist() == ["P1", "P2"]
    assert not found.accepted.geometry.has_z.any()
    assert found.accepted["area_ha"].tolist() == pytest.approx([HECTARES] * 2, abs=5e-4)
    for shape, (west, south) in zip(found.accepted.geometry, CORNERS, strict=True):
        assert shape.bounds == pytest.approx((west, south, west + WIDTH, south + HEIGHT), abs=1e-9)
    looked = inspect_file(path, legends=[LEGEND], crs=crs)
    assert (looked.rows, looked.without_geometry, looked.invalid) == (2, 0, 0)
    assert (MORE_THAN_PLANE in found.notes, MORE_THAN_PLANE in looked.notes) == (noted, noted)


FORMATS = {
    "gpkg": "GPKG",
    "shp": "ESRI Shapefile",
    "fgb": "FlatGeobuf",
    "gdb": "OpenFileGDB",
    "sqlite": "SQLite",
    "geojson": "GeoJSON",
    "geojsonl": "GeoJSONSeq",
    "gml": "GML",
    "kml": "KML",
    "mif": "MapInfo File",
}
LEFT_OUT_BY_THE_WRITER = {
    ("geojson", "M"),
    ("geojsonl", "M"),
    ("gml", "M"),
    ("kml", "M"),
    ("mif", "Z"),
    ("mif", "M"),
    ("mif", "ZM"),
}


@pytest.mark.parametrize("dimension", HEIGHTS)
@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.slow
def test_every_format_of_gdal(tmp_path: Path, ending: str, dimension: str) -> None:
    path = tmp_path / f"d.{ending}"
    outlines, columns, names = drawn(dimension)
    pyogrio.raw.write(
        path, outlines, columns, names, geometry_type=KINDS[dimension], crs="EPSG:4326", driver=FORMATS[ending]
    )
    assert_flat(path, noted=(ending, dimension) not in LEFT_OUT_BY_THE_WRITER)


@pytest.mark.parametrize("dimension", HEIGHTS)
def test_a_geopackage_of_any_kind_of_geometry(tmp_path: Path, dimension: str) -> None:
    """OGR's kinds 0x80000000 (wkbUnknown25D), 2000 and 3000, which pyogrio does not know."""
    path = tmp_path / "d.gpkg"
    outlines, columns, names = drawn(dimension, several=True)
    pyogrio.raw.write(path, outlines, columns, names, geometry_type="Unknown", crs="EPSG:4326", driver="GPKG")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE gpkg_geometry_columns SET z=?, m=?", ("Z" in dimension, "M" in dimension))
    database.close()
    assert_flat(path)


@pytest.mark.parametrize("kind", ["POLYHEDRALSURFACE", "TIN", "TRIANGLE"])
def test_a_layer_of_another_kind_is_read_for_what_its_rows_hold(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "d.gpkg"
    outlines, columns, names = drawn("Z")
    pyogrio.raw.write(path, outlines, columns, names, geometry_type="Unknown", crs="EPSG:4326", driver="GPKG")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE gpkg_geometry_columns SET geometry_type_name=?, z=1", (kind,))
    database.close()
    assert_flat(path)


@pytest.mark.parametrize("dimension", HEIGHTS)
@pytest.mark.parametrize("kind", ["CURVEPOLYGON", "MULTISURFACE"])
def test_curved_kinds_of_a_geopackage(tmp_path: Path, kind: str, dimension: str) -> None:
    """The same bytes as those of POLYGON and MULTIPOLYGON, but for the codes of their kinds: rings are lines (2)."""
    path = tmp_path / "d.gpkg"
    more = {"Z": 1000, "M": 2000, "ZM": 3000}[dimension]

    def word(number: int) -> bytes:
        return number.to_bytes(4, "little")

    outlines = []
    for corner in CORNERS:
        positions = np.array(ring(corner, HEIGHTS[dimension]))
        line = b"\x01" + word(2 + more) + word(len(positions)) + positions.astype("<f8").tobytes()
        curved = b"\x01" + word(10 + more) + word(1) + line
        outlines.append(curved if kind == "CURVEPOLYGON" else b"\x01" + word(12 + more) + word(1) + curved)
    _, columns, names = drawn(dimension)
    pyogrio.raw.write(
        path, np.array(outlines, dtype=object), columns, names, geometry_type="Unknown", crs="EPSG:4326", driver="GPKG"
    )
    with sqlite3.connect(path) as database:
        statement = "UPDATE gpkg_geometry_columns SET geometry_type_name=?, z=?, m=?"
        database.execute(statement, (kind, "Z" in dimension, "M" in dimension))
    database.close()
    assert_flat(path, noted="Z" in dimension)  # GDAL drops measures where it draws arcs as lines


@pytest.mark.parametrize("dimension", HEIGHTS)
@pytest.mark.parametrize("flavor", ["iso", "extended"])
def test_parquet(tmp_path: Path, dimension: str, flavor: str) -> None:
    shapes = shapely.from_wkt([wkt(dimension, CORNERS[0]), wkt(dimension, CORNERS[1], several=True)])
    outlines = shapely.to_wkb(shapes, output_dimension=4, flavor=flavor)
    table = pa.table({"parcel": ["P1", "P2"], "code": ["311", "311"], "geometry": outlines})
    pq.write_table(table, tmp_path / "plain.parquet")
    assert_flat(tmp_path / "plain.parquet", crs="EPSG:4326")
    column = {"encoding": "WKB", "geometry_types": [f"Polygon {dimension}"]}
    about = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    pq.write_table(table.replace_schema_metadata({b"geo": json.dumps(about).encode()}), tmp_path / "geo.parquet")
    assert_flat(tmp_path / "geo.parquet")


TEXTS: dict[str, Callable[[str, tuple[float, float]], str]] = {
    "WKT": lambda dimension, corner: wkt(dimension, corner),
    "without a blank": lambda dimension, corner: wkt(dimension, corner, blank=""),
    "without the letter": lambda dimension, corner: wkt(dimension, corner).replace(f" {dimension} ", " "),
    "EWKT": lambda dimension, corner: f"SRID=4326;{wkt(dimension, corner)}",
    "WKB": lambda dimension, corner: shapely.to_wkb(
        shapely.from_wkt(wkt(dimension, corner)), hex=True, output_dimension=4, flavor="iso"
    ),
    "EWKB": lambda dimension, corner: shapely.to_wkb(
        shapely.from_wkt(wkt(dimension, corner)), hex=True, output_dimension=4, flavor="extended"
    ),
}


@pytest.mark.parametrize("dimension", HEIGHTS)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.slow
def test_csv(tmp_path: Path, text: str, dimension: str) -> None:
    lines = [f'P{number};311;"{TEXTS[text](dimension, corner)}"' for number, corner in enumerate(CORNERS, 1)]
    (tmp_path / "d.csv").write_text("\n".join(["parcel;code;drawn", *lines]) + "\n")
    assert_flat(tmp_path / "d.csv", crs="EPSG:4326")


@pytest.mark.parametrize("dimension", HEIGHTS)
def test_geojson_in_a_csv(tmp_path: Path, dimension: str) -> None:
    texts = [json.dumps({"type": "Polygon", "coordinates": [ring(each, HEIGHTS[dimension])]}) for each in CORNERS]
    lines = [f"P{number};311;{json.dumps(text)[1:-1]}" for number, text in enumerate(texts, 1)]
    lines = [line.replace("\\", "") for line in lines]
    (tmp_path / "d.csv").write_text("\n".join(["parcel;code;geojson", *lines]) + "\n")
    assert_flat(tmp_path / "d.csv", crs="EPSG:4326", noted=dimension != "ZM")


# --- GML -----------------------------------------------------------------------------------------------------------

IN_2D, IN_3D = "urn:ogc:def:crs:EPSG::4258", "urn:ogc:def:crs:EPSG::4937"
BY_HTTP = "http://www.opengis.net/def/crs/EPSG/0/4937"
COMPOUND = "urn:ogc:def:crs,crs:EPSG::4258,crs:EPSG::5730"
TWO, THREE = ' srsDimension="2"', ' srsDimension="3"'


def positions(corner: tuple[float, float], numbers: int, *, first: str = "northing") -> str:
    """Latitude before longitude, as EPSG has it, unless eastings are first."""
    more = (120.0,) * (numbers - 2)
    places = ring(corner)
    return " ".join(
        " ".join(map(str, (*((y, x) if first == "northing" else (x, y)), *more))) for x, y in (p[:2] for p in places)
    )


def polygon(text: str, *, srs: str = IN_2D, on_polygon: str = "", on_list: str = "") -> str:
    return (
        f'<gml:Polygon gml:id="g" srsName="{srs}"{on_polygon}><gml:exterior><gml:LinearRing><gml:posList{on_list}>'
        f"{text}</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon>"
    )


def surfaces(text: str, on_top: str) -> str:
    patch = polygon(text).replace(f' srsName="{IN_2D}"', "")
    return (
        f'<gml:MultiSurface gml:id="m" srsName="{IN_2D}"{on_top}><gml:surfaceMember>{patch}</gml:surfaceMember>'
        "</gml:MultiSurface>"
    )


def envelope(numbers: int, stated: str) -> str:
    low, high = ("50.4 5.0 100", "50.5 5.1 130") if numbers == 3 else ("50.4 5.0", "50.5 5.1")
    return (
        f'<gml:boundedBy><gml:Envelope srsName="{IN_2D}"{stated}><gml:lowerCorner>{low}</gml:lowerCorner>'
        f"<gml:upperCorner>{high}</gml:upperCorner></gml:Envelope></gml:boundedBy>"
    )


def write_gml(path: Path, outlines: list[str], head: str = "") -> Path:
    members = "".join(
        f'<gml:featureMember><ogr:f gml:id="f.{number}"><ogr:geom>{outline}</ogr:geom>'
        f"<ogr:parcel>P{number}</ogr:parcel>"
        "<ogr:code>311</ogr:code></ogr:f></gml:featureMember>"
        for number, outline in enumerate(outlines, 1)
    )
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><ogr:FeatureCollection xmlns:ogr="http://ogr.maptools.org/" '
        f'xmlns:gml="http://www.opengis.net/gml/3.2">{head}{members}</ogr:FeatureCollection>'
    )
    return path


A, B = CORNERS
GMLS = {
    "on the polygon": [polygon(positions(each, 3), on_polygon=THREE) for each in CORNERS],
    "on the list of positions": [polygon(positions(each, 3), on_list=THREE) for each in CORNERS],
    "by the system alone": [polygon(positions(each, 3), srs=IN_3D) for each in CORNERS],
    "by the system's address alone": [polygon(positions(each, 3), srs=BY_HTTP) for each in CORNERS],
    "by a compound system alone": [polygon(positions(each, 3), srs=COMPOUND) for each in CORNERS],
    "eastings first": [
        polygon(positions(each, 3, first="easting"), srs="EPSG:4258", on_polygon=THREE) for each in CORNERS
    ],
    "surfaces": [surfaces(positions(each, 3), THREE) for each in CORNERS],
    "a polygon and surfaces": [polygon(positions(A, 3), on_polygon=THREE), surfaces(positions(B, 3), THREE)],
    "flat and not": [polygon(positions(A, 2)), surfaces(positions(B, 3), THREE)],
}


@pytest.mark.parametrize("form", GMLS)
def test_gml_in_three_dimensions(tmp_path: Path, form: str) -> None:
    assert_flat(write_gml(tmp_path / "d.gml", GMLS[form]))


def test_two_numbers_in_a_system_of_three_where_the_file_says_so(tmp_path: Path) -> None:
    outlines = [polygon(positions(each, 2), srs=IN_3D, on_polygon=TWO) for each in CORNERS]
    assert_flat(write_gml(tmp_path / "d.gml", outlines), noted=False)


@pytest.mark.parametrize("numbers", [2, 3])
@pytest.mark.parametrize("where", ["on_polygon", "on_list"])
def test_an_envelope_of_another_dimension_than_the_outlines(tmp_path: Path, numbers: int, where: str) -> None:
    stated = {2: TWO, 3: THREE}
    outlines = [polygon(positions(each, numbers), **{where: stated[numbers]}) for each in CORNERS]
    path = write_gml(tmp_path / "d.gml", outlines, envelope(5 - numbers, stated[5 - numbers]))
    assert_flat(path, noted=numbers == 3)
    after = write_gml(tmp_path / "after.gml", GMLS["by the system alone"])
    assert_flat(after)  # the setting is that of one file


SIX = ((300000, 5600000), (300100, 5600000), (300200, 5600050), (300100, 5600100), (300000, 5600100), (300000, 5600000))
"""six positions of two numbers are four of three, and six of three are nine of two"""
UTM, UTM_WITH_HEIGHTS = "urn:ogc:def:crs:EPSG::25832", "urn:ogc:def:crs:EPSG::5555"
FLAT, RAISED = (" ".join(f"{x} {y}{z}" for x, y in SIX) for z in ("", " 100"))
UNSTATED = {
    "three numbers, two by the system": (polygon(positions(A, 3)), positions(A, 2)),
    "two numbers, three by the system": (polygon(positions(A, 2), srs=IN_3D), positions(A, 2)),
    "three numbers that fit pairs": (polygon(RAISED, srs=UTM), FLAT),
    "pairs that fit three numbers by the system": (polygon(FLAT, srs=UTM_WITH_HEIGHTS), FLAT),
}
CONTRADICTIONS = {
    "three numbers, two stated": polygon(positions(A, 3), on_polygon=TWO),
    "two numbers, three stated": polygon(positions(A, 2), on_list=THREE),
    "three numbers that fit pairs, two stated": polygon(RAISED, srs=UTM, on_list=TWO),
    "pairs that fit three numbers": polygon(FLAT, srs=UTM, on_polygon=THREE),
}


@pytest.mark.parametrize("case", UNSTATED)
def test_a_ring_closes_with_as_many_numbers_as_it_has_for_a_position(tmp_path: Path, case: str) -> None:
    """Nothing but the system's name says how many there are, and it says otherwise."""
    outline, flat = UNSTATED[case]
    (shape,) = read_rows(write_gml(tmp_path / "d.gml", [outline]), ["parcel"]).geometry
    numbers = list(map(float, flat.split()))
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    expected = shapely.Polygon([(y, x) for x, y in pairs] if flat != FLAT else pairs)  # degrees: northings first
    assert not shapely.has_z(shape)
    assert shapely.equals(shape, expected)


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_numbers_are_never_put_together_wrongly(tmp_path: Path, case: str) -> None:
    path = write_gml(tmp_path / "d.gml", [CONTRADICTIONS[case]])
    with pytest.raises(DeclarationFileError, match="positions to have as many numbers as srsDimension says") as raised:
        read(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("case", ["three numbers, two stated", "two numbers, three stated"])
def test_inspection_says_why_no_row_comes_out(tmp_path: Path, case: str) -> None:
    path = write_gml(tmp_path / "d.gml", [CONTRADICTIONS[case]])
    assert inspect_file(path, legends=[LEGEND]).notes[0].startswith("row 1 has an outline that cannot be read")


# --- regions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsg", [4979, 7423])
@pytest.mark.parametrize("kind", ["Polygon Z", "Unknown", "GeometryCollection Z"])
def test_boundaries_with_heights(tmp_path: Path, kind: str, epsg: int) -> None:
    """EPSG:4979 has three axes, EPSG:7423 adds Europe's heights to ETRS89."""
    flat = gpd.read_file(make_regions(tmp_path / "flat.gpkg")).to_crs(4326)
    shapes = [shapely.force_3d(shape, 100.0) for shape in flat.geometry]
    shapes = [shapely.GeometryCollection([shape]) for shape in shapes] if "Collection" in kind else shapes
    path = tmp_path / "heights.gpkg"
    frame = gpd.GeoDataFrame(flat.drop(columns="geometry"), geometry=shapes, crs=epsg)
    pyogrio.write_dataframe(frame, path, geometry_type=kind)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE gpkg_geometry_columns SET z=1")
    database.close()
    found, expected = (
        read_regions(each, nuts_version=2024, codes=["FRH0"]).table for each in (path, tmp_path / "flat.gpkg")
    )
    assert found["nuts_id"].tolist() == expected["nuts_id"].tolist()
    assert not found.geometry.has_z.any()
    for own, other in zip(found.geometry, expected.geometry, strict=True):
        assert own.hausdorff_distance(other) < 0.01
