"""A delivery that is cut off is refused, and one that says that it is a part is read only where that is allowed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
import shapely

from cropmap.agency import Agency
from cropmap.errors import DeclarationFileError
from cropmap.sources.declarations.inspection import inspect_file
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import Declarations, read_declarations
from cropmap.stages.declared import read_declared
from tests.data.make_sources_declarations import make_frame, make_legend, square

ROWS = 40
LEGEND = make_legend("056")


def fields() -> gpd.GeoDataFrame:
    return make_frame([(f"P{i:03d}", "056", square(i % 8, i // 8)) for i in range(ROWS)], "id", "code")


def read(path: Path, **layout: Any) -> Declarations:
    profile = Profile(**{"columns": {"parcel_id": "id", "crop_code": "code"}, "crs": "EPSG:3035", **layout})
    return read_declarations(path, legend=LEGEND, profile=profile)


def write_csv(frame: gpd.GeoDataFrame, path: Path) -> None:
    lines = [f'{row.id},{row.code},"{row.geometry.wkt}"' for row in frame.itertuples()]
    path.write_text("\n".join(["id,code,wkt", *lines]) + "\n")


WRITERS: dict[str, Callable[[gpd.GeoDataFrame, Path], None]] = {
    "d.gml": lambda frame, path: frame.to_file(path, driver="GML"),
    "d.geojson": lambda frame, path: frame.to_file(path),
    "d.geojsonl": lambda frame, path: frame.to_file(path, driver="GeoJSONSeq"),
    "d.fgb": lambda frame, path: frame.to_file(path),
    "d.gpkg": lambda frame, path: frame.to_file(path),
    "d.kml": lambda frame, path: frame.to_crs(4326).to_file(path, driver="KML"),
    "d.mif": lambda frame, path: frame.to_file(path, driver="MapInfo File"),
    "d.parquet": lambda frame, path: frame.to_parquet(path),
    "d.shp": lambda frame, path: frame.to_file(path),
    "d.sqlite": lambda frame, path: frame.to_file(path, driver="SQLite"),
    "d.csv": write_csv,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("share", [0.3, 0.62, 0.91, 0.985])
@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.slow
def test_a_file_that_breaks_off_is_refused_in_one_line(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    WRITERS[name](fields(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DeclarationFileError) as caught:
        read(path, crs=None if name == "d.kml" else "EPSG:3035")
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("size", [16, 39, 95, 99])
def test_a_database_that_is_cut_off_in_its_header(tmp_path: Path, size: int) -> None:
    path = tmp_path / "d.gpkg"
    fields().to_file(path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DeclarationFileError, match=r"d\.gpkg: the file is cut off or damaged: its header is not whole"):
        read(path)


@pytest.mark.parametrize("name", ["d.gml", "d.geojson", "d.geojsonl", "d.gpkg", "d.shp", "d.csv", "d.fgb"])
def test_the_whole_file_is_read(tmp_path: Path, name: str) -> None:
    WRITERS[name](fields(), tmp_path / name)
    found = read(tmp_path / name, crs="EPSG:4326" if name == "d.geojsonl" else "EPSG:3035")
    assert len(found.accepted) == ROWS


@pytest.mark.slow
def test_every_place_in_the_last_line_of_a_csv(tmp_path: Path) -> None:
    """Cut within the last row: refused, unless nothing but its end is lost."""
    path = tmp_path / "d.csv"
    write_csv(fields(), path)
    whole = path.read_bytes()
    last = len(whole) - whole.rstrip(b"\n").rfind(b"\n") - 2
    harmless = 0
    for missing in range(1, last):
        path.write_bytes(whole[:-missing])
        try:
            harmless += len(read(path).accepted) == ROWS
        except DeclarationFileError as error:
            assert "cut off" in str(error) or "cannot be read as CSV" in str(error)  # noqa: PT017
    assert harmless == 1, "the line's end"


def test_a_csv_without_a_last_line_end_is_whole(tmp_path: Path) -> None:
    write_csv(fields(), tmp_path / "d.csv")
    (tmp_path / "d.csv").write_bytes((tmp_path / "d.csv").read_bytes().rstrip(b"\n"))
    assert len(read(tmp_path / "d.csv").accepted) == ROWS


def test_a_gml_that_breaks_off_has_its_schema_beside_it(tmp_path: Path) -> None:
    fields().to_file(tmp_path / "d.gml", driver="GML")
    assert (tmp_path / "d.xsd").exists()
    text = (tmp_path / "d.gml").read_text()
    (tmp_path / "d.gml").write_text(text[: len(text) // 2])
    with pytest.raises(DeclarationFileError, match="the XML ends or breaks at line"):
        read(tmp_path / "d.gml")
    (tmp_path / "d.gml").write_text(text.replace("P020", "P0<20", 1))
    with pytest.raises(DeclarationFileError, match="the XML ends or breaks at line"):
        read(tmp_path / "d.gml")


def test_reading_gml_leaves_nothing_beside_it_and_believes_nothing_there(tmp_path: Path) -> None:
    fields().to_file(tmp_path / "d.gml", driver="GML")
    (tmp_path / "d.xsd").unlink()
    (tmp_path / "d.gfs").write_text(
        "<GMLFeatureClassList><GMLFeatureClass><Name>d</Name><ElementPath>d</ElementPath>"
        "<DatasetSpecificInfo><FeatureCount>7</FeatureCount></DatasetSpecificInfo></GMLFeatureClass>"
        "</GMLFeatureClassList>"
    )
    assert len(read(tmp_path / "d.gml").accepted) == ROWS
    (tmp_path / "d.gfs").unlink()
    assert len(read(tmp_path / "d.gml").accepted) == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["d.gml"]


def shapefile(folder: Path) -> Path:
    fields().to_file(folder / "d.shp")
    return folder / "d.shp"


@pytest.mark.parametrize(("suffix", "what"), [(".shp", "bytes"), (".dbf", "bytes"), (".shx", "outlines")])
def test_each_part_of_a_shapefile(tmp_path: Path, suffix: str, what: str) -> None:
    part = shapefile(tmp_path).with_suffix(suffix)
    part.write_bytes(part.read_bytes()[:-60])
    with pytest.raises(DeclarationFileError, match=what):
        read(tmp_path / "d.shp")


def test_a_table_of_another_shapefile(tmp_path: Path) -> None:
    shapefile(tmp_path)
    fields().head(30).to_file(tmp_path / "other.shp")
    shutil.copy(tmp_path / "other.dbf", tmp_path / "d.dbf")
    with pytest.raises(DeclarationFileError, match="it has 40 outlines, and the table beside it 30 rows"):
        read(tmp_path / "d.shp")


@pytest.mark.parametrize("last", ['P1,056,{0},"two\nlines, and ""quotes"""', "P1,056,{0},", 'P1,056,{0},"x"'])
def test_a_last_record_that_is_whole_without_a_line_end(tmp_path: Path, last: str) -> None:
    text = f"id,code,wkt,note\n{last.format(chr(34) + square(0).wkt + chr(34))}"
    (tmp_path / "d.csv").write_text(text)
    assert len(read(tmp_path / "d.csv").accepted) == 1
    (tmp_path / "d.csv").write_text(text + '\nP2,056,"POLY')
    with pytest.raises(DeclarationFileError, match="within quotes"):
        read(tmp_path / "d.csv")


def test_a_broken_record_of_a_sequence(tmp_path: Path) -> None:
    fields().to_crs(4326).to_file(tmp_path / "d.ndjson", driver="GeoJSONSeq")
    text = (tmp_path / "d.ndjson").read_text()
    for broken in (text.replace('"P000"', '"P000"x'), text.replace('"P020"', '"P020"x')):
        (tmp_path / "d.ndjson").write_text(broken)
        with pytest.raises(DeclarationFileError, match="it has 40 records, of which 39 can be read"):
            read(tmp_path / "d.ndjson", crs=None)


@pytest.mark.parametrize("encoding", ["utf-16", "windows-1250", "iso-8859-2", "iso-8859-1", "utf-8-sig"])
def test_gml_in_the_encodings_that_it_comes_in(tmp_path: Path, encoding: str) -> None:
    said = encoding.removesuffix("-sig")
    text = answer("").replace('<?xml version="1.0"?>', f'<?xml version="1.0" encoding="{said}"?>')
    (tmp_path / "d.gml").write_bytes(text.replace(">P7<", ">Pé7<").encode(encoding))
    assert "Pé7" in set(read(tmp_path / "d.gml", crs=None).accepted["parcel_id"])


def test_gml_of_several_coordinate_systems(tmp_path: Path) -> None:
    (tmp_path / "d.gml").write_text(answer("").replace("EPSG::25832", "EPSG::25833", 3))
    with pytest.raises(DeclarationFileError, match=r"its outlines are in several CRSs \(25832, 25833\)"):
        read(tmp_path / "d.gml", crs="EPSG:25832")


# --- a part by its own words -------------------------------------------------------------------------------------


def collection(**members: Any) -> str:
    features = json.loads(fields().to_json())["features"]
    return json.dumps({"type": "FeatureCollection"} | members | {"features": features})


def behind(**members: Any) -> str:
    features = json.loads(fields().to_json())["features"]
    return json.dumps({"type": "FeatureCollection", "features": features} | members)


NEXT = [{"rel": "self", "href": "https://a.example/?offset=0"}, {"rel": "next", "href": "https://a.example/?offset=40"}]
PARTS = {
    "numberMatched before": collection(numberMatched=25_113, numberReturned=40),
    "numberMatched behind": behind(numberMatched=25_113, numberReturned=40),
    "GeoServer": behind(totalFeatures=25_113),
    "numberReturned": behind(numberReturned=41),
    "a next link": behind(links=NEXT),
    "a next link before": collection(links=NEXT),
    "Esri": behind(exceededTransferLimit=True),
    "Esri, under properties": behind(properties={"exceededTransferLimit": True}),
    "Esri, before": collection(properties={"exceededTransferLimit": True}),
    "with a mark of its own in every feature": behind(numberMatched=41).replace('"id":', '"numberMatched": 1, "id":'),
}
WHOLES = {
    "nothing said": behind(),
    "all of them": behind(numberMatched=40, numberReturned=40),
    "all of them, though pages were joined": behind(numberMatched=40, links=NEXT),
    "nobody counted": behind(numberMatched="unknown", numberReturned=40),
    "Esri": behind(exceededTransferLimit=False),
    "no next": behind(links=NEXT[:1]),
    "the mark as an attribute": behind().replace('"code":', '"exceededTransferLimit": true, "code":'),
}


@pytest.mark.parametrize("text", PARTS.values(), ids=PARTS.keys())
@pytest.mark.slow
def test_a_page_of_geojson_is_no_register(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d.geojson"
    path.write_text(text)
    with pytest.raises(
        DeclarationFileError, match=r"it holds 40 .*Fetch all pages .* or set declarations\.allow_partial"
    ):
        read(path)
    found = read(path, allow_partial=True)
    assert len(found.accepted) == ROWS
    assert "read all the same (allow_partial)" in found.notes[0]
    look = inspect_file(path, legends=[LEGEND], crs="EPSG:3035")
    assert any("it holds 40 " in note for note in look.notes)


@pytest.mark.parametrize("text", WHOLES.values(), ids=WHOLES.keys())
def test_a_whole_geojson_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "d.geojson").write_text(text)
    found = read(tmp_path / "d.geojson")
    assert len(found.accepted) == ROWS
    assert not any("allow_partial" in note for note in found.notes)


def esri(*, exceeded: bool) -> str:
    features = [
        {
            "attributes": {"id": row.id, "code": row.code},
            "geometry": {"rings": [[list(xy) for xy in row.geometry.exterior.coords]]},
        }
        for row in fields().itertuples()
    ]
    answer = {
        "geometryType": "esriGeometryPolygon",
        "spatialReference": {"wkid": 3035},
        "fields": [{"name": name, "type": "esriFieldTypeString"} for name in ("id", "code")],
        "features": features,
    }
    return json.dumps(answer | ({"exceededTransferLimit": True} if exceeded else {}))


def test_esri_json(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(esri(exceeded=False))
    assert len(read(tmp_path / "d.json").accepted) == ROWS
    (tmp_path / "d.json").write_text(esri(exceeded=True))
    with pytest.raises(DeclarationFileError, match="exceededTransferLimit"):
        read(tmp_path / "d.json")


def answer(root: str, **attributes: str) -> str:
    """Forty parcels as a WFS hands them out."""
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    outlines = [shapely.box(7e5 + i * 99, 5.3e6, 7e5 + i * 99 + 90, 5.31e6) for i in range(ROWS)]
    parcels = "".join(
        f'<wfs:member><app:parcel gml:id="p.{i}"><app:id>P{i}</app:id><app:code>056</app:code><app:geom>'
        f'<gml:Polygon gml:id="g.{i}" srsName="urn:ogc:def:crs:EPSG::25832"><gml:exterior><gml:LinearRing><gml:posList>'
        + " ".join(f"{x:.0f} {y:.0f}" for x, y in outline.exterior.coords)
        + "</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon></app:geom></app:parcel></wfs:member>"
        for i, outline in enumerate(outlines)
    )
    return (
        f'<?xml version="1.0"?><wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs/2.0" '
        f'xmlns:gml="http://www.opengis.net/gml/3.2" xmlns:app="http://example.org/app"{said}>{parcels}{root}'
        "</wfs:FeatureCollection>"
    )


@pytest.mark.parametrize(
    ("said", "partial"),
    [
        ({"numberMatched": "25113", "numberReturned": "40"}, True),
        ({"numberMatched": "unknown", "numberReturned": "41"}, True),
        ({"numberMatched": "unknown", "numberReturned": "40", "next": "https://a.example/?startIndex=40"}, True),
        ({"numberOfFeatures": "60"}, True),
        ({"numberMatched": "40", "numberReturned": "40"}, False),
        ({"numberMatched": "unknown", "numberReturned": "40"}, False),
        ({"numberOfFeatures": "40"}, False),
        ({}, False),
    ],
)
def test_a_page_of_a_wfs(tmp_path: Path, said: dict[str, str], partial: bool) -> None:
    (tmp_path / "d.gml").write_text(answer("", **said))
    if partial:
        with pytest.raises(DeclarationFileError, match="it holds 40 "):
            read(tmp_path / "d.gml", crs=None)
    assert len(read(tmp_path / "d.gml", crs=None, allow_partial=True).accepted) == ROWS


def test_a_service_that_broke_off_or_failed(tmp_path: Path) -> None:
    path = tmp_path / "d.gml"
    path.write_text(answer("<wfs:truncatedResponse/>"))
    with pytest.raises(DeclarationFileError, match="truncatedResponse"):
        read(path, crs=None, allow_partial=True)
    path.write_text('<ows:ExceptionReport xmlns:ows="http://www.opengis.net/ows/1.1"/>')
    with pytest.raises(DeclarationFileError, match="it is the error message of a service"):
        read(path)


def test_a_geopackage_that_lost_rows(tmp_path: Path) -> None:
    fields().to_file(tmp_path / "d.gpkg", layer="d")
    pyogrio.write_dataframe(fields(), tmp_path / "d.gpkg", layer="other")
    import sqlite3

    with sqlite3.connect(tmp_path / "d.gpkg") as database:
        database.execute("UPDATE gpkg_ogr_contents SET feature_count = 25113 WHERE table_name = 'd'")
    with pytest.raises(DeclarationFileError, match="layer d announces 25,113 rows and has 40"):
        read(tmp_path / "d.gpkg", layer="d")
    assert len(read(tmp_path / "d.gpkg", layer="d", allow_partial=True).accepted) == ROWS


# --- real cases --------------------------------------------------------------------------------------------------


@pytest.mark.shared_data
@pytest.mark.parametrize("case", ["", "geojson", "esri-exceeded", "load-over-full"])
def test_an_answer_cut_at_a_page(shared_data: Path, case: str) -> None:
    agency = Agency.read(shared_data / "cases/input/11-wfs-answer-cut-at-page" / case / "agency.yaml")
    with pytest.raises(DeclarationFileError, match=r"of (25,113|60) features \(numberMatched\)"):
        read_declared(agency, season=2024)


@pytest.mark.shared_data
def test_a_shapefile_that_breaks_off_and_one_with_deleted_rows(shared_data: Path) -> None:
    folder = shared_data / "cases/input/09-containers"
    with pytest.raises(DeclarationFileError, match="cut off"):
        read_declared(Agency.read(folder / "shp-truncated" / "agency.yaml"), season=2024)
    deleted = read_declared(Agency.read(folder / "shp-deleted-dbf-rows" / "agency.yaml"), season=2024)
    assert deleted.row_count == 10


@pytest.mark.shared_data
def test_the_gml_that_was_cut_at_a_third(shared_data: Path) -> None:
    folder = shared_data / "cases/security/01-truncated-gml"
    layout = {"columns": {"parcel_id": "parcel_id", "crop_code": "crop_code"}, "crs": None}
    with pytest.raises(DeclarationFileError, match="the XML ends or breaks at line 1982"):
        read(folder / "truncated" / "declarations.gml", **layout)
    assert read(folder / "whole" / "declarations.gml", **layout).row_count == 600


def paged(folder: Path, form: str, *, count: int, following: str | None) -> Path:
    """A page as djangorestframework-gis writes it: `GeoJsonPagination`, and the default one around a collection."""
    collection = json.loads(fields().to_crs(4326).to_json(drop_id=True))
    head = {"count": count, "next": following, "previous": None}
    page = {"type": "FeatureCollection", **head, "features": collection["features"]}
    (folder / "d.geojson").write_text(json.dumps(page if form == "beside" else {**head, "results": collection}))
    return folder / "d.geojson"


@pytest.mark.parametrize("form", ["beside", "around"])
def test_a_page_that_states_the_count_of_all(tmp_path: Path, form: str) -> None:
    for following in ("https://register.example/parcels?page=2", None):
        with pytest.raises(DeclarationFileError, match=r"it holds 40 of 900 features \(count\)\. Fetch all pages"):
            read(paged(tmp_path, form, count=900, following=following), crs=None)
    assert len(read(paged(tmp_path, form, count=ROWS, following=None), crs=None).accepted) == ROWS


@pytest.mark.parametrize("relation", ["Next", "next last"])
def test_a_link_to_the_next_page_in_any_case_and_beside_others(tmp_path: Path, relation: str) -> None:
    collection = json.loads(fields().to_crs(4326).to_json(drop_id=True))
    collection["links"] = [{"rel": "self", "href": "a"}, {"rel": relation, "href": "b"}]
    (tmp_path / "d.geojson").write_text(json.dumps(collection))
    with pytest.raises(DeclarationFileError, match="more follow"):
        read(tmp_path / "d.geojson", crs=None)


@pytest.mark.parametrize("relation", ["next", "self"])
def test_a_page_of_gml_with_links_of_atom(tmp_path: Path, relation: str) -> None:
    path = tmp_path / "d.gml"
    fields().to_file(path, driver="GML")
    (tmp_path / "d.xsd").unlink()
    atom = "http://www.w3.org/2005/Atom"
    link = f'<atom:link xmlns:atom="{atom}" rel="{relation}" href="https://a.example/items?offset=40"/>'
    head, mark, rest = path.read_text().partition("<ogr:featureMember>")
    path.write_text(head + link + mark + rest)
    if relation == "next":
        with pytest.raises(DeclarationFileError, match=r"more follow \(a link named next\)"):
            read(path)
    else:
        assert len(read(path).accepted) == ROWS
