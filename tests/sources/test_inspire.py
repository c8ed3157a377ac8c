"""INSPIRE land use as member states publish it: the crop is a link, and the proposed profile reads it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyproj
import pytest
import shapely
import yaml

from cropmap.legends import Legend, LegendEntry
from cropmap.sources.declarations.inspection import Inspection, inspect_file
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import Declarations, read_declarations

CROPS = {
    "311": "Froment d'hiver",
    "0201": "Maïs ensilage",
    "321": "Orge d'hiver",
    "411": "Colza d'hiver",
    "901": "Pommes de terre",
    "62": "Prairie permanente",
}
LEGEND = Legend("test", tuple(LegendEntry(code, name, None, None, "") for code, name in CROPS.items()), "0")
ROWS = 24
ETRS89 = "http://www.opengis.net/def/crs/EPSG/0/4258"
Crop = Callable[[str, str], str]


def surface(number: int) -> str:
    corners = list(shapely.box(5.0 + 0.002 * number, 50.4, 5.0015 + 0.002 * number, 50.401).exterior.coords)
    text = " ".join(f"{y:.6f} {x:.6f}" for x, y in corners)
    return (
        f'<gml:MultiSurface gml:id="m{number}" srsName="{ETRS89}"><gml:surfaceMember><gml:Polygon gml:id="g{number}">'
        f"<gml:exterior><gml:LinearRing><gml:posList>{text}</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon>"
        "</gml:surfaceMember></gml:MultiSurface>"
    )


def member(feature: str, number: int, inside: str) -> str:
    prefix = feature.partition(":")[0]
    return (
        f'<{feature} gml:id="{prefix}.{number}"><{prefix}:inspireId><base:Identifier><base:localId>P{number:03d}'
        f"</base:localId><base:namespace>BE.SPW</base:namespace></base:Identifier></{prefix}:inspireId>"
        f"<{prefix}:geometry>{surface(number)}</{prefix}:geometry>"
        f'<{prefix}:hilucsLandUse xlink:href="http://inspire.ec.europa.eu/codelist/HILUCSValue/1_1_1_Commercial" '
        f'xlink:title="Commercial agricultural production"/>{inside}'
        f"<{prefix}:observationDate>2024-05-31</{prefix}:observationDate></{feature}>"
    )


def land_use(
    crop: Crop,
    *,
    version: str = "4.0",
    root: str = "gml:FeatureCollection",
    within: str = "gml:featureMember",
    feature: str = "elu:ExistingLandUseObject",
    dataset: bool = True,
    together: bool = False,
) -> str:
    schemas = "".join(
        f' xmlns:{name}="http://inspire.ec.europa.eu/schemas/{name}/{version}"' for name in ("elu", "plu", "lunom")
    )
    members = [
        member(feature, number, crop(*each))
        for number, each in zip(range(ROWS), itertools.cycle(CROPS.items()), strict=False)
    ]
    if dataset:
        members.insert(
            0,
            f'<elu:ExistingLandUseDataSet gml:id="DS"><elu:extent>{surface(999)}</elu:extent>'
            "<elu:name>GSAA</elu:name></elu:ExistingLandUseDataSet>",
        )
    parts = ["".join(members)] if together else members
    body = "".join(f"<{within}>{part}</{within}>" for part in parts)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><{root} gml:id="c" xmlns:gml="http://www.opengis.net/gml/3.2" '
        'xmlns:wfs="http://www.opengis.net/wfs/2.0" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xmlns:base="http://inspire.ec.europa.eu/schemas/base/3.3"{schemas}>{body}</{root}>'
    )


def linked(href: str, *, title: bool = True) -> Crop:
    def crop(code: str, name: str) -> str:
        said = f' xlink:title="{name}"' if title else ""
        return f'<elu:specificLandUse xlink:href="{href.format(code)}"{said}/>'

    return crop


WALLONIA = linked("http://geoservices.wallonie.be/codelist/CULT/{}")
SHARE = (
    "<elu:specificPresence><lunom:SpecificPresence><lunom:specificPercentage><lunom:SpecificPercentage>"
    '<lunom:specificValue xlink:href="http://a.example/CULT/{}"/><lunom:percentage>100</lunom:percentage>'
    "</lunom:SpecificPercentage></lunom:specificPercentage></lunom:SpecificPresence></elu:specificPresence>"
)
FORMS = {
    "href and title": land_use(WALLONIA),
    "3.0, an answer of a WFS": land_use(WALLONIA, version="3.0", root="wfs:FeatureCollection", within="wfs:member"),
    "a spatial data set": land_use(WALLONIA, root="base:SpatialDataSet", within="base:member", dataset=False),
    "featureMembers": land_use(WALLONIA, within="gml:featureMembers", dataset=False, together=True),
    "href only": land_use(linked("https://a.example/codes/{}", title=False)),
    "a slash at the end": land_use(linked("https://a.example/codes/{}/", title=False)),
    "a fragment": land_use(linked("https://a.example/codes.xml#{}", title=False)),
    "a query": land_use(linked("https://a.example/codes?code={}", title=False)),
    "a URN": land_use(linked("urn:x-agency:crop:{}", title=False)),
    "the code alone": land_use(linked("{}", title=False)),
    "title only": land_use(lambda _, name: f'<elu:specificLandUse xlink:title="{name}"/>'),
    "words for codes": land_use(linked("https://registry.example/de.iacs/CropValue/a_long_word_for_crop_{}")),
    "text with a code space": land_use(
        lambda code, _: f'<elu:specificLandUse codeSpace="http://a.example">{code}</elu:specificLandUse>', version="3.0"
    ),
    "a share of the ground": land_use(lambda code, _: SHARE.format(code)),
    "planned land use": land_use(
        lambda code, name: WALLONIA(code, name).replace("elu:", "plu:"), feature="plu:ZoningElement", dataset=False
    ),
    "a group beside the crop": land_use(
        lambda code, name: linked("http://a.example/group/arable")("", "Arable") + WALLONIA(code, name)
    ),
    "a group behind the crop": land_use(
        lambda code, name: WALLONIA(code, name) + linked("http://a.example/group/arable")("", "Arable")
    ),
}


def both(path: Path) -> tuple[Inspection, dict[str, Any], Declarations]:
    """What is said of a file, the profile that is proposed, and what comes out through it."""
    found = inspect_file(path, legends=[LEGEND])
    proposal: dict[str, Any] = yaml.safe_load(found.proposal)
    return found, proposal, read_declarations(path, legend=LEGEND, profile=Profile.model_validate(proposal))


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
@pytest.mark.slow
def test_the_crop_is_found_whatever_the_form(tmp_path: Path, text: str) -> None:
    (tmp_path / "d.gml").write_text(text, encoding="utf-8")
    found, proposal, read = both(tmp_path / "d.gml")
    assert found.notes == ()
    assert found.layer.rows == ROWS
    assert proposal["columns"]["parcel_id"] == "localId"
    assert dict(zip(read.accepted["parcel_id"], read.accepted["crop_code"], strict=True)) == {
        f"P{number:03d}": code for number, code in zip(range(ROWS), itertools.cycle(CROPS), strict=False)
    }
    west, south, east, north = read.accepted.total_bounds
    assert (5 <= west < east < 5.1, 50.3 < south < north < 50.5) == (True, True)


def test_two_crops_of_one_list_are_not_guessed(tmp_path: Path) -> None:
    text = land_use(lambda code, name: WALLONIA(code, name) + WALLONIA("0201", "Maïs ensilage"))
    (tmp_path / "d.gml").write_text(text, encoding="utf-8")
    found, _, read = both(tmp_path / "d.gml")
    assert "specificLandUse_href holds several values in some rows" in found.notes[0]
    assert set(read.accepted["crop_code"]) == {"0201"}, "the same crop twice is one"
    assert len(read.accepted) == ROWS // len(CROPS)
    assert set(read.rejected["reason"]) == {"MISSING_CODE"}


def test_one_link_with_a_title_in_two_languages_is_one_crop(tmp_path: Path) -> None:
    text = land_use(lambda code, name: WALLONIA(code, name) + WALLONIA(code, f"{name} (en)"))
    (tmp_path / "d.gml").write_text(text, encoding="utf-8")
    _, _, read = both(tmp_path / "d.gml")
    assert len(read.accepted) == ROWS
    assert set(read.accepted["crop_code"]) == set(CROPS)


def test_a_file_in_which_no_outline_can_be_read_is_inspected(tmp_path: Path) -> None:
    text = FORMS["href and title"].replace("gml:posList>", "gml:coordinates>").replace(f' srsName="{ETRS89}"', "")
    (tmp_path / "d.gml").write_text(text, encoding="utf-8")
    assert inspect_file(tmp_path / "d.gml", legends=[LEGEND]).layer.rows == ROWS


@pytest.mark.parametrize(
    ("name", "epsg"),
    [("ETRS89_UTM32", 25832), ("ETRS89_UTM31", 25831), ("DE_DHDN_3GK2", 31466), ("DE_DHDN_3GK3_NI100", 31467)],
)
@pytest.mark.slow
def test_the_names_of_germanys_surveys_for_their_grids(tmp_path: Path, name: str, epsg: int) -> None:
    to_grid = pyproj.Transformer.from_crs(4258, epsg, always_xy=True)

    def in_grid(found: re.Match[str]) -> str:
        latitude, longitude = (tuple(map(float, found[1].split()[start::2])) for start in (0, 1))
        return " ".join(f"{x:.2f} {y:.2f}" for x, y in zip(*to_grid.transform(longitude, latitude), strict=True))

    text = FORMS["href and title"].replace(ETRS89, f"urn:adv:crs:{name}")
    text = re.sub(r"(?<=<gml:posList>)([^<]*)", in_grid, text)
    (tmp_path / "d.gml").write_text(text, encoding="utf-8")
    _, proposal, read = both(tmp_path / "d.gml")
    assert "crs" not in proposal
    assert len(read.accepted) == ROWS
    assert read.accepted.total_bounds == pytest.approx((5.0, 50.4, 5.0475, 50.401), abs=1e-6)


def in_metres(text: str, epsg: int, *, northing_first: bool, height: str = "") -> str:
    to_grid = pyproj.Transformer.from_crs(4258, epsg, always_xy=True)

    def in_grid(found: re.Match[str]) -> str:
        latitude, longitude = (tuple(map(float, found[1].split()[start::2])) for start in (0, 1))
        pairs = zip(*to_grid.transform(longitude, latitude), strict=True)
        written = (f"{y:.2f} {x:.2f}" if northing_first else f"{x:.2f} {y:.2f}" for x, y in pairs)
        return " ".join(each + height for each in written)

    return re.sub(r"(?<=<gml:posList>)([^<]*)", in_grid, text)


WITH_HEIGHTS = {
    "urn:ogc:def:crs,crs:EPSG::3044,crs:EPSG::5783": (3044, True),
    "urn:ogc:def:crs,crs:EPSG::25832,crs:EPSG::5783": (25832, False),
    "urn:ogc:def:crs:EPSG::25832": (25832, False),
}


@pytest.mark.parametrize("height", ["", " 123.4"], ids=["flat", "heights"])
@pytest.mark.parametrize("name", WITH_HEIGHTS)
@pytest.mark.slow
def test_positions_have_as_many_numbers_as_their_rings_close_with(tmp_path: Path, name: str, height: str) -> None:
    """No srsDimension says it; the name of a system with heights is written over flat outlines, and the other way."""
    epsg, northing_first = WITH_HEIGHTS[name]
    text = in_metres(FORMS["href and title"], epsg, northing_first=northing_first, height=height)
    (tmp_path / "d.gml").write_text(text.replace(ETRS89, name), encoding="utf-8")
    _, _, read = both(tmp_path / "d.gml")
    assert len(read.accepted) == ROWS
    assert read.accepted.total_bounds == pytest.approx((5.0, 50.4, 5.0475, 50.401), abs=1e-6)


@pytest.mark.parametrize("name", [ETRS89, "urn:ogc:def:crs:EPSG::4258", "EPSG:4258"])
@pytest.mark.parametrize("where", ["polygons", "features"])
@pytest.mark.slow
def test_the_crs_may_stand_within_a_surface_or_beside_it(tmp_path: Path, where: str, name: str) -> None:
    text = FORMS["href and title"].replace(f' srsName="{ETRS89}"', "")
    if where == "polygons":
        text = text.replace("<gml:Polygon ", f'<gml:Polygon srsName="{name}" ')
    else:
        box = f'<gml:boundedBy><gml:Envelope srsName="{name}"/></gml:boundedBy><elu:inspireId>'
        text = text.replace("<elu:inspireId>", box)
    if name.startswith("EPSG"):  # longitude first
        text = re.sub(r"(5\d\.\d+) (\d\.\d+)", r"\2 \1", text)
    (tmp_path / "d.gml").write_text(text, encoding="utf-8")
    _, _, read = both(tmp_path / "d.gml")
    assert len(read.accepted) == ROWS
    assert read.accepted.total_bounds == pytest.approx((5.0, 50.4, 5.0475, 50.401), abs=1e-6)


def test_an_outline_that_is_nil_is_one_row_rejected(tmp_path: Path) -> None:
    text = FORMS["href and title"].replace(
        f"<elu:geometry>{surface(3)}</elu:geometry>", '<elu:geometry xsi:nil="true" nilReason="unknown"/>'
    )
    (tmp_path / "d.gml").write_text(text, encoding="utf-8")
    _, _, read = both(tmp_path / "d.gml")
    assert len(read.accepted) == ROWS - 1
    assert list(read.rejected["parcel_id"]) == ["P003"]


def test_a_gfs_left_by_a_desktop_gis_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "d.gml").write_text(FORMS["href and title"], encoding="utf-8")
    (tmp_path / "d.gfs").write_text(
        "<GMLFeatureClassList><GMLFeatureClass><Name>ExistingLandUseObject</Name>"
        "<ElementPath>ExistingLandUseObject</ElementPath><GeometryElementPath>geometry</GeometryElementPath>"
        "<PropertyDefn><Name>localId</Name><ElementPath>inspireId|Identifier|localId</ElementPath>"
        "<Type>String</Type></PropertyDefn></GMLFeatureClass></GMLFeatureClassList>"
    )
    _, proposal, read = both(tmp_path / "d.gml")
    assert proposal["columns"]["crop_code"] == "specificLandUse_href"
    assert len(read.accepted) == ROWS


def test_flattened_into_another_format(tmp_path: Path) -> None:
    """As an OGC API hands it out: `specificLanduseHref`."""
    crops = list(itertools.islice(itertools.cycle(CROPS), ROWS))
    shapes = [shapely.box(5.0 + 0.002 * i, 52.4, 5.0015 + 0.002 * i, 52.401) for i in range(ROWS)]
    gpd.GeoDataFrame(
        {
            "localId": [f"NL.{i}" for i in range(ROWS)],
            "specificLanduseHref": [f"http://data.example/gewascodes/{code}" for code in crops],
            "hilucsLanduseHref": "http://inspire.ec.europa.eu/codelist/HILUCSValue/1_1_1",
        },
        geometry=shapes,
        crs=4326,
    ).to_file(tmp_path / "d.geojson")
    _, proposal, read = both(tmp_path / "d.geojson")
    assert proposal["columns"] == {"parcel_id": "localId", "crop_code": "specificLanduseHref"}
    assert sorted(read.accepted["crop_code"]) == sorted(crops)
