"""Outlines lie where they are, or the file is refused: lost datums, other grids, degrees, axes."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely

from cropmap.agency import Agency
from cropmap.errors import DeclarationFileError, RegionFileError
from cropmap.schemas import EPSG_WGS84
from cropmap.sources.coordinate_systems import Placement, choose_crs, parse_crs, place, transformer_to
from cropmap.sources.declarations.inspection import inspect_file
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import Declarations, read_declarations
from cropmap.sources.regions import read_regions
from cropmap.stages.declared import read_declared
from tests.data.make_sources_declarations import make_frame, make_legend, write_csv

LEGEND = make_legend("056")
GAUSS_KRUGER = (
    'PROJCS["{name}",GEOGCS["{datum}",DATUM["{datum}",SPHEROID["bessel",6377397.155,299.1528128]{shift}],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",12],PARAMETER["scale_factor",1],'
    'PARAMETER["false_easting",4500000],PARAMETER["false_northing",0],UNIT["Meter",1]]'
)
UTM = (
    'PROJCS["unnamed",GEOGCS["{datum}",DATUM["{datum}",SPHEROID[{spheroid}]],PRIMEM["Greenwich",0],'
    'UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",500000],'
    'PARAMETER["False_Northing",0],PARAMETER["Central_Meridian",9],PARAMETER["Scale_Factor",0.9996],'
    'PARAMETER["Latitude_Of_Origin",0],UNIT["Meter",1]]'
)
BAVARIA = (4_478_000, 5_363_000)
HELMERT = ",TOWGS84[598.1,73.7,418.2,0.202,0.045,-2.455,6.7]"


def boxes(x: float, y: float, *, edge: float = 100.0) -> Any:
    return np.array([shapely.box(x + n * edge, y, x + (n + 0.9) * edge, y + edge) for n in range(3)], dtype=object)


def gauss_kruger(datum: str = "unknown", *, shift: str = "", name: str = "unnamed") -> str:
    return GAUSS_KRUGER.format(datum=datum, shift=shift, name=name)


def metres_apart(shapes: Any, crs: object, truth: object) -> float:
    (x, y), (a, b) = (
        pyproj.Transformer.from_crs(each, EPSG_WGS84, always_xy=True).transform(*shapes[0].centroid.coords[0])
        for each in (crs, truth)
    )
    return float(pyproj.Geod(ellps="WGS84").inv(x, y, a, b)[2])


LOST = {
    "unknown": gauss_kruger(),
    "D_unknown": gauss_kruger("D_unknown"),
    "a name of nobody's": gauss_kruger("Potsdam_neu"),
    "a null shift": gauss_kruger(shift=",TOWGS84[0,0,0,0,0,0,0]"),
    "PROJ text": "+proj=tmerc +lat_0=0 +lon_0=12 +k=1 +x_0=4500000 +y_0=0 +ellps=bessel +units=m +no_defs",
    "with heights": f'COMPD_CS["both",{gauss_kruger()},VERT_CS["h",VERT_DATUM["h",2005],UNIT["m",1]]]',
}


@pytest.mark.parametrize("text", LOST.values(), ids=LOST.keys())
@pytest.mark.slow
def test_a_lost_datum_is_refused_with_the_metres_and_the_grid_it_fits(text: str) -> None:
    with pytest.raises(DeclarationFileError) as caught:
        choose_crs(text, None, boxes(*BAVARIA), where="fields.shp")
    message = str(caught.value)
    assert "\n" not in message
    assert "outlines would lie 86 to 149 m off. Set declarations.crs, such as EPSG:31468" in message
    crs, notes = choose_crs(text, "EPSG:31468", boxes(*BAVARIA), where="fields.shp")
    assert crs.to_epsg() == 31468
    assert len(notes) == 1
    assert "declarations.crs says EPSG:31468 (DHDN / 3-degree Gauss-Kruger zone 4) and is used, " in notes[0]


def test_an_international_ellipsoid_without_a_datum_is_ed50_or_nothing() -> None:
    text = UTM.format(datum="unknown", spheroid='"intl",6378388,297')
    refused = place(parse_crs(text, ""), boxes(700_000, 5_365_000))
    assert refused.fits[0] == "EPSG:23032"
    assert "120 to 121 m" in refused.refused


def test_a_grid_used_where_its_datum_leads_nowhere_is_refused() -> None:
    refused = place(parse_crs("EPSG:31275", ""), boxes(5_500_000, 5_000_000))
    assert "about 373 m off" in refused.refused
    assert refused.fits == ("EPSG:8677",)


RIGHT = {
    "a datum by ESRI's name": (gauss_kruger("D_Deutsches_Hauptdreiecksnetz"), "EPSG:31468", BAVARIA),
    "a shift of its own": (gauss_kruger(shift=HELMERT), "EPSG:31468", BAVARIA),
    "no name but ETRS89": (
        UTM.format(datum="D_ETRS_1989", spheroid='"GRS_1980",6378137,298.257222101'),
        "EPSG:25832",
        (700_000, 5_365_000),
    ),
    "GRS 80 without a datum": (
        UTM.format(datum="D_unknown", spheroid='"GRS80",6378137,298.257222101'),
        "EPSG:25832",
        (700_000, 5_365_000),
    ),
    "WGS 84 without a datum": (
        UTM.format(datum="D_unknown", spheroid='"WGS84",6378137,298.257223563'),
        "EPSG:32632",
        (700_000, 5_365_000),
    ),
    "with heights": ("EPSG:5698", "EPSG:2154", (700_000, 6_600_000)),
    "three dimensions": ("EPSG:4979", "EPSG:4326", (11.7, 48.4)),
}


@pytest.mark.parametrize(("text", "truth", "at"), RIGHT.values(), ids=RIGHT.keys())
@pytest.mark.slow
def test_what_leads_to_wgs_84_is_read_at_its_place(text: str, truth: str, at: tuple[float, float]) -> None:
    shapes = boxes(*at, edge=100.0 if at[0] > 360 else 0.001)
    crs, notes = choose_crs(text, None, shapes, where="fields.shp")
    assert metres_apart(shapes, crs, truth) < 3
    told = "unknown" in text or "TOWGS84" in text
    assert bool(notes) == told, "what cannot be known is told"


USELESS = {
    "a local system": 'LOCAL_CS["site",LOCAL_DATUM["site",0],UNIT["m",1],AXIS["E",EAST],AXIS["N",NORTH]]',
    "geocentric": "EPSG:4978",
    "heights alone": "EPSG:5783",
    "a grid file that is not here": gauss_kruger(shift=',EXTENSION["PROJ4_GRIDS","BETA2007.gsb"]'),
    "no CRS at all": "EPSG:999999",
    "garbage": "GEOGCS[[[",
}


@pytest.mark.parametrize("text", USELESS.values(), ids=USELESS.keys())
def test_a_crs_that_places_nothing_is_one_line(text: str) -> None:
    with pytest.raises(DeclarationFileError) as caught:
        choose_crs(text, None, boxes(*BAVARIA), where="fields.shp")
    assert "\n" not in str(caught.value)


def test_degrees_and_metres_are_told_apart() -> None:
    metres, degrees = boxes(700_000, 5_365_000), boxes(11.7, 48.4, edge=0.001)
    assert "are no degrees (700045 5365050)" in place(parse_crs("OGC:CRS84", ""), metres).refused
    assert "look like degrees (11.70045 48.40050)" in place(parse_crs("EPSG:25832", ""), degrees).refused
    one_wrong = np.append(degrees, metres[:1])
    assert not place(parse_crs("EPSG:4326", ""), one_wrong).refused, "one row is rejected, not the file"


@pytest.mark.slow
def test_other_units_zones_and_axes_are_noted() -> None:
    feet = UTM.format(datum="D_ETRS_1989", spheroid='"GRS_1980",6378137,298.257222101').replace(
        'UNIT["Meter",1]', 'UNIT["Foot_US",0.3048006096012192]'
    )
    assert (
        "outside Europe: another CRS, zone or unit?" in place(parse_crs(feet, ""), boxes(700_000, 5_365_000)).notes[-1]
    )
    turned = place(parse_crs("EPSG:25832", ""), boxes(5_365_000, 700_000)).notes
    assert "set axis_order: northing_first" in turned[0]
    latitude_first = place(parse_crs("EPSG:4326", ""), boxes(48.4, 11.7, edge=0.001)).notes
    assert "would lie at 11.70 N 48.40 E" in latitude_first[0]
    reunion = place(parse_crs("EPSG:2975", ""), boxes(340_000, 7_660_000))
    assert reunion.notes == (), "a region overseas is none the worse"


def test_a_coarse_transformation_is_noted_with_its_metres() -> None:
    notes = place(parse_crs("EPSG:4230", ""), boxes(30.0, 60.0, edge=0.001)).notes
    assert "to WGS 84 to within 7 m only" in notes[0]


def test_the_same_crs_given_twice_is_no_news() -> None:
    _, notes = choose_crs("EPSG:4326", "OGC:CRS84", boxes(11.7, 48.4, edge=0.001), where="d.geojson")
    assert notes == ()


def test_no_shapes_no_verdict() -> None:
    empty = np.array([None, shapely.Polygon()], dtype=object)
    assert choose_crs("EPSG:25832", None, empty, where="d")[1] == ()


# --- through files -----------------------------------------------------------------------------------------------


def read(path: Path, **layout: Any) -> Declarations:
    profile = Profile(**{"columns": {"parcel_id": "id", "crop_code": "code"}, **layout})
    return read_declarations(path, legend=LEGEND, profile=profile)


def written(path: Path, *, prj: str | None) -> Path:
    frame = make_frame([("P1", "056", boxes(*BAVARIA)[0])], "id", "code")
    frame.set_crs("EPSG:31468", allow_override=True).to_file(path / "d.shp")
    if prj is None:
        (path / "d.prj").unlink()
    else:
        (path / "d.prj").write_text(prj)
    return path / "d.shp"


@pytest.mark.parametrize("prj", [None, "", "not a CRS at all", "PROJCS[", "\x00\x01\x02"])
@pytest.mark.slow
def test_a_shapefile_without_a_readable_prj_needs_declarations_crs(tmp_path: Path, prj: str | None) -> None:
    path = written(tmp_path, prj=prj)
    with pytest.raises(DeclarationFileError, match=r"Set declarations\.crs") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    placed = read(path, crs="EPSG:31468").accepted.geometry.iloc[0].centroid
    assert (placed.x, placed.y) == pytest.approx((11.70202, 48.40489), abs=1e-5)


def test_a_wrong_crs_in_the_file_is_overridden_with_a_note(tmp_path: Path) -> None:
    path = written(tmp_path, prj=gauss_kruger(name="unnamed"))
    found = read(path, crs="EPSG:31468")
    assert len(found.accepted) == 1
    assert "148 m apart" in found.notes[0] or "149 m apart" in found.notes[0]


def test_axis_order_holds_for_wkt_and_geojson(tmp_path: Path) -> None:
    box = shapely.box(11.70, 48.40, 11.702, 48.402)
    turned = shapely.transform(box, lambda xy: xy[:, ::-1])
    csv = write_csv(tmp_path / "d.csv", ["id;code;wkt", f"P1;056;{turned.wkt}"])
    gpd.GeoDataFrame({"id": ["P1"], "code": ["056"]}, geometry=[turned], crs=4326).to_file(tmp_path / "d.geojson")
    for found in (
        read(csv, crs="EPSG:4326", axis_order="northing_first"),
        read(tmp_path / "d.geojson", axis_order="northing_first"),
    ):
        assert found.accepted.geometry.iloc[0].equals_exact(box, 1e-9, normalize=True)
        assert found.notes == ()
    assert "set axis_order: northing_first" in read(tmp_path / "d.geojson").notes[0]


@pytest.mark.slow
def test_boundaries_without_a_datum_are_refused(tmp_path: Path) -> None:
    regions = gpd.GeoDataFrame(
        {"NUTS_ID": ["DE21B"], "LEVL_CODE": [3], "NUTS_NAME": ["x"]},
        geometry=[boxes(*BAVARIA, edge=10_000)[0]],
        crs=parse_crs(gauss_kruger(), ""),
    )
    regions.to_parquet(tmp_path / "NUTS_RG_2024.parquet")
    with pytest.raises(RegionFileError, match="names no datum"):
        read_regions(tmp_path / "NUTS_RG_2024.parquet", nuts_version=2024, codes=["DE21B"])


# --- real cases --------------------------------------------------------------------------------------------------

CASES = "cases/input"


@pytest.mark.shared_data
@pytest.mark.slow
def test_a_prj_without_a_datum(shared_data: Path) -> None:
    folder = shared_data / CASES / "01-prj-without-datum"
    with pytest.raises(DeclarationFileError, match=r"86 to 149 m off\. Set declarations\.crs, such as EPSG:31468"):
        read_declared(Agency.read(folder / "agency.yaml"), season=2024)
    found = read_declared(Agency.read(folder / "with-crs" / "agency.yaml"), season=2024)
    truth = pd.read_csv(folder / "truth_wgs84.csv").set_index("parcel_id").loc[found.accepted["parcel_id"]]
    centres = found.accepted.geometry.to_crs(3035).centroid.to_crs(4326)
    off = pyproj.Geod(ellps="WGS84").inv(truth["lon"], truth["lat"], centres.x, centres.y)[2]
    assert len(off) == 12
    assert np.max(off) < 3, "the accuracy of DHDN's transformation"
    assert "149 m apart" in found.notes[0]


@pytest.mark.shared_data
def test_a_geojson_in_metres(shared_data: Path) -> None:
    folder = shared_data / CASES / "02-geojson-projected-without-crs"
    with pytest.raises(DeclarationFileError, match="its coordinates are no degrees"):
        read_declared(Agency.read(folder / "agency.yaml"), season=2024)
    found = read_declared(Agency.read(folder / "with-crs" / "agency.yaml"), season=2024)
    assert (len(found.accepted), len(found.rejected)) == (12, 0)
    look = inspect_file(folder / "fields.geojson", legends=[make_legend("115")])
    assert any("its coordinates are no degrees" in note for note in look.notes)
    given = inspect_file(folder / "fields.geojson", legends=[make_legend("115")], crs="EPSG:25832")
    assert not any("no degrees" in note for note in given.notes)
    assert "crs: EPSG:25832" in given.proposal


GML = {
    "http-4258-latlon": None,
    "pl-short-2180-northing-first": "northing_first",
    "pl-urn-2180-northing-first": None,
    "pl-urn-2180-easting-first-wrong": "easting_first",
    "short-4326-latlon": "northing_first",
    "short-4326-lonlat": None,
    "urn-25832-multisurface": None,
    "urn-3035-easting-first-wrong": "easting_first",
    "urn-3035-northing-first": None,
    "urn-31468-northing-first": None,
    "urn-4326-latlon": None,
    "xml-25832-easting": None,
}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", GML)
@pytest.mark.slow
def test_gml_lies_where_it_is_with_the_axis_order_it_needs(shared_data: Path, name: str) -> None:
    agency = Agency.read(shared_data / CASES / "10-gml-axes" / name / "agency.yaml")
    section = agency.declarations.model_copy(update={"axis_order": GML[name]})
    found = read_declared(agency.model_copy(update={"declarations": section}), season=2024)
    assert (len(found.accepted), found.notes) == (6, ())
    centre = found.accepted.set_index("parcel_id").geometry["P0"].centroid
    there = (16.99978, 52.33) if name.startswith("pl") else (11.70393, 48.40726)
    if not name.startswith("pl"):
        assert (centre.x, centre.y) == pytest.approx(there, abs=3e-5)
    else:
        polish = pyproj.Transformer.from_crs(2180, 4326, always_xy=True).transform(360_100, 500_100)
        assert (centre.x, centre.y) == pytest.approx(polish, abs=1e-6)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["urn-3035-easting-first-wrong", "short-4326-latlon"])
def test_where_nothing_lies_in_the_regions_the_other_axis_order_is_tried(shared_data: Path, name: str) -> None:
    found = read_declared(Agency.read(shared_data / CASES / "10-gml-axes" / name / "agency.yaml"), season=2024)
    assert found.accepted.empty
    assert any(f"with declarations.axis_order: {GML[name]}, 6 of 6 do" in note for note in found.notes)


def test_kept_transformers_are_those_of_their_own_crs() -> None:
    """PROJ is asked once for each CRS, and no CRS gets another's answer."""
    unnamed = pyproj.CRS.from_proj4("+proj=laea +lat_0=52 +lon_0=10 +ellps=GRS80 +units=m")
    shifted = pyproj.CRS.from_proj4("+proj=laea +lat_0=52 +lon_0=11 +ellps=GRS80 +units=m")
    assert transformer_to(unnamed, 4326) is transformer_to(pyproj.CRS.from_wkt(unnamed.to_wkt()), 4326)
    for crs, lon in ((unnamed, 10.0), (shifted, 11.0), (unnamed, 10.0)):
        assert transformer_to(crs, 4326).transform(0, 0) == pytest.approx((lon, 52.0))
    assert transformer_to(unnamed, 3035).transform(0, 0) == pytest.approx((4_321_000, 3_210_000))


GREEK_GRID = (
    'PROJCS["unnamed",GEOGCS["{datum}",DATUM["{datum}",SPHEROID["GRS_1980",6378137,298.257222101]{shift}],'
    'PRIMEM["Greenwich",0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["False_Easting",500000],PARAMETER["False_Northing",0],PARAMETER["Central_Meridian",24],'
    'PARAMETER["Scale_Factor",0.9996],PARAMETER["Latitude_Of_Origin",0],UNIT["Meter",1]]'
)
THESSALY = (413_000, 4_317_000)


@pytest.mark.parametrize(("datum", "shift"), [("D_GRS_1980", ""), ("unknown", ""), ("x", ",TOWGS84[0,0,0,0,0,0,0]")])
@pytest.mark.slow
def test_an_ellipsoid_that_is_wgs_84s_is_no_datum_of_its_own(datum: str, shift: str) -> None:
    """Greece's datum stands on GRS 80, and lies 324 m from WGS 84: no other in Europe does so."""
    refused = place(parse_crs(GREEK_GRID.format(datum=datum, shift=shift), ""), boxes(*THESSALY))
    assert "its grid is that of EPSG:2100 (GGRS87 / Greek Grid)" in refused.refused
    assert "324 m away" in refused.refused
    assert refused.fits == ("EPSG:2100",)


@pytest.mark.slow
def test_a_grid_under_the_datum_of_another_is_told_with_the_metres() -> None:
    stereo = (
        'PROJCS["Stereo_70",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137,298.257223563]],'
        'PRIMEM["Greenwich",0],UNIT["Degree",0.0174532925199433]],PROJECTION["Double_Stereographic"],'
        'PARAMETER["False_Easting",500000],PARAMETER["False_Northing",500000],PARAMETER["Central_Meridian",25],'
        'PARAMETER["Scale_Factor",0.99975],PARAMETER["Latitude_Of_Origin",46],UNIT["Meter",1]]'
    )
    greek = GREEK_GRID.format(datum="WGS_1984", shift="").replace("298.257222101", "298.257223563")
    for text, at, says in (
        (stereo, (500_000, 500_000), r"EPSG:3844 .* 124 m away"),
        (
            greek.replace('"GRS_1980",6378137,298.257222101', '"WGS 84",6378137,298.257223563'),
            THESSALY,
            r"EPSG:2100 .* 324 m away",
        ),
    ):
        found = place(parse_crs(text, ""), boxes(*at))
        assert not found.refused
        assert any(re.search(says, note) for note in found.notes)


def test_krovak_counted_to_the_south_and_west_is_told_from_the_grid_counted_to_the_east_and_north() -> None:
    (note,) = (n for n in place(parse_crs("EPSG:5513", ""), boxes(-665_000, -1_080_000)).notes if "negative" in n)
    assert "such as EPSG:5514 for EPSG:5513" in note
    assert place(parse_crs("EPSG:5514", ""), boxes(-665_000, -1_080_000)).notes == ()


@pytest.mark.parametrize("way", ["WKT 2", "PROJJSON", "a code", "a byte order mark"])
def test_a_prj_that_gdal_does_not_read(tmp_path: Path, way: str) -> None:
    shapes, bavaria = boxes(*BAVARIA), pyproj.CRS("EPSG:31468")
    frame = gpd.GeoDataFrame({"id": ["P0", "P1", "P2"], "code": "056"}, geometry=shapes, crs=bavaria)
    frame.to_file(tmp_path / "d.shp")
    text = {
        "WKT 2": bavaria.to_wkt("WKT2_2019"),
        "PROJJSON": bavaria.to_json(),
        "a code": "EPSG:31468",
        "a byte order mark": "\ufeff" + bavaria.to_wkt("WKT1_ESRI"),
    }[way]
    (tmp_path / "d.prj").write_text(text, encoding="utf-8")
    found = read_declarations(
        tmp_path / "d.shp", legend=LEGEND, profile=Profile(columns={"parcel_id": "id", "crop_code": "code"})
    )
    truth = frame.to_crs(EPSG_WGS84).geometry.to_numpy()
    assert found.notes == ()
    assert shapely.hausdorff_distance(found.accepted.geometry.to_numpy(), truth).max() < 1e-6
    assert inspect_file(tmp_path / "d.shp", legends=[LEGEND]).rows == 3


MERCATOR = (
    'PROJCS["{name}",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137,{flattening}]],'
    'PRIMEM["Greenwich",0],UNIT["Degree",0.0174532925199433]],PROJECTION["Mercator"],PARAMETER["central_meridian",0],'
    'PARAMETER["scale_factor",1],PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["Meter",1]]'
)


@pytest.mark.parametrize("name", ["unnamed", "Google_Maps_Global_Mercator"])
@pytest.mark.slow
def test_web_mercator_without_its_sphere_is_refused(name: str) -> None:
    """Old programs could not write the sphere: 21 km to the north or south, and still in the same country."""
    shapes = boxes(-222_639, 6_106_855)
    refused = place(parse_crs(MERCATOR.format(name=name, flattening=298.257223563), ""), shapes)
    assert "that of web maps is of a sphere, 21,2" in refused.refused
    assert refused.mend.startswith("Set declarations.crs: EPSG:3857")
    (note,) = place(parse_crs("EPSG:3395", ""), shapes).notes
    assert "of a sphere, 21,2" in note, "GDAL takes a .prj without a name for it"
    for right in ("EPSG:3857", MERCATOR.format(name="WGS_84_Pseudo_Mercator", flattening=298.257223563)):
        assert place(parse_crs(right, ""), shapes) == Placement()


@pytest.mark.parametrize("change", ["the number", "the definition"])
def test_a_geopackage_that_states_two_systems_for_one_layer(tmp_path: Path, change: str) -> None:
    """Slovenia's grids of 1948 and 1996 have the same parameters: only the datum is 611 m apart."""
    path, ours = tmp_path / "d.gpkg", boxes(500_000, 111_000)
    make_frame([(f"P{n}", "056", box) for n, box in enumerate(ours)], "id", "code").set_crs(
        3912, allow_override=True
    ).to_file(path)
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        if change == "the number":
            file.execute("UPDATE gpkg_spatial_ref_sys SET organization_coordsys_id = 3794 WHERE srs_id = 3912")
        else:
            other = pyproj.CRS.from_epsg(3794).to_wkt("WKT1_GDAL")
            file.execute("UPDATE gpkg_spatial_ref_sys SET definition = ? WHERE srs_id = 3912", [other])
    says = r"two CRSs for its outlines, EPSG:\d+ .* and EPSG:\d+ .*, 611 m apart\. Set declarations\.crs"
    with pytest.raises(DeclarationFileError, match=says):
        read(path)
    assert len(read(path, crs="EPSG:3912").accepted) == 3


@pytest.mark.slow
def test_a_geopackage_whose_definition_is_no_crs_is_read_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "d.gpkg"
    make_frame([("P0", "056", boxes(500_000, 111_000)[0])], "id", "code").set_crs(3912, allow_override=True).to_file(
        path
    )
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE gpkg_spatial_ref_sys SET definition = 'undefined' WHERE srs_id = 3912")
    assert len(read(path).accepted) == 1


ROME = (
    'PROJCS["Monte_Mario_Rome_Italy_1",GEOGCS["unknown",DATUM["D_unknown",SPHEROID["International_1924",6378388,297]],'
    'PRIMEM["Rome",12.45233333333333],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["False_Easting",1500000],PARAMETER["False_Northing",0],PARAMETER["Central_Meridian",-3.45233333333333],'
    'PARAMETER["Scale_Factor",0.9996],PARAMETER["Latitude_Of_Origin",0],UNIT["Meter",1]]'
)


KROVAK = (
    "+proj=krovak +lat_0=49.5 +lon_0=24.8333333333333 +alpha=30.2881397527778 +k=0.9999 +x_0=0 +y_0=0 +ellps=bessel"
)
LAMBERT_II = (
    "+proj=lcc +lat_1=46.8 +lat_0=46.8 +lon_0=0 +k_0=0.99987742 +x_0=600000 +y_0=2200000 +ellps=clrk80ign +pm=paris"
)


@pytest.mark.parametrize(
    ("text", "at", "there", "fits"),
    [
        (ROME, (1_500_000, 4_983_000), "45.00 N 9.00 E", "EPSG:3003"),  # -3.452 from Rome, which is at 12.452
        (KROVAK, (-568_991, -1_050_539), "50.21 N 16.85 E", "EPSG:5514"),  # the example of EPSG's note 7-2
        (LAMBERT_II, (622_000, 2_222_000), "47.00 N 2.63 E", "EPSG:27572"),  # 22 km from Paris, at 2.337
    ],
)
@pytest.mark.slow
def test_a_lost_datum_is_spoken_of_in_degrees_from_greenwich(
    text: str, at: tuple[float, float], there: str, fits: str
) -> None:
    refused = place(parse_crs(text, ""), boxes(*at))
    assert f"leads to WGS 84 at {there}" in refused.refused
    assert refused.fits[0] == fits
    far = re.findall(r"(\d+) m off|(\d+) to", refused.refused)
    assert all(int(number) < 1000 for pair in far for number in pair if number), "a datum, not a meridian"


@pytest.mark.slow
def test_a_grid_without_a_datum_is_not_taken_for_that_of_another_country() -> None:
    """UTM zone 35 on GRS 80 is Finland's TM35FIN (EPSG:3067), and one of the Balkans (EPSG:9391)."""
    (note,) = place(parse_crs("+proj=utm +zone=35 +ellps=GRS80 +units=m", ""), boxes(403_000, 7_099_000)).notes
    assert "taken as WGS 84" in note
