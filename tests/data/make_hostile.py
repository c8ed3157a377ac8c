"""Declaration files that point elsewhere: at a file of this machine that is not theirs, or at a host."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import shapely

SECRET = "CANARY-7f3a"  # a word, not a password
RING = [[-2.9562, 48.2579], [-2.9552, 48.2579], [-2.9552, 48.2589], [-2.9562, 48.2589], [-2.9562, 48.2579]]
ROOT = (
    '<{0}:FeatureCollection xmlns:ogr="http://ogr.maptools.org/" xmlns:gml="http://www.opengis.net/gml/3.2" '
    'xmlns:wfs="http://www.opengis.net/wfs/2.0" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" {1}>'
)


@dataclass
class Host:
    url: str
    calls: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def listening() -> Iterator[Host]:
    """A host on the loopback that notes who calls, and has nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = Host(f"http://127.0.0.1:{server.getsockname()[1]}")

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    caller, _ = server.accept()
                    with caller:
                        found.calls.append(caller.recv(400).split(b"\r\n")[0])
                        caller.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        threading.Thread(target=listen, daemon=True).start()
        yield found


def feature(**values: str) -> dict[str, object]:
    return {"type": "Feature", "properties": values, "geometry": {"type": "Polygon", "coordinates": [RING]}}


def canary(folder: Path) -> Path:
    """A file of somebody else that any driver of GDAL would read."""
    path = folder / "canary.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature(id=SECRET, code="056")]}))
    return path


def make_hostile(folder: Path, file: Path, url: str) -> list[Path]:
    """One file of each kind; those that look like a GeoPackage, JSON, … and those that say what they are."""
    made = [
        *_virtual(folder, file, url),
        *_geopackages(folder, file, url),
        *_json(folder, file, url),
        *_gml(folder, file, url),
        *_kml(folder, url),
        *_mapinfo(folder, file),
        *_shapefiles(folder, file, url),
        *_links(folder),
    ]
    return [*made, *_archives(folder, file, url)]


def _written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def vrt(target: str) -> str:
    return (
        f'<OGRVRTDataSource><OGRVRTLayer name="d"><SrcDataSource>{target}</SrcDataSource>'
        "<SrcLayer>canary</SrcLayer><GeometryType>wkbPolygon</GeometryType>"
        f"<LayerSRS>EPSG:4326</LayerSRS></OGRVRTLayer></OGRVRTDataSource>"
    )


def _virtual(folder: Path, file: Path, url: str) -> list[Path]:
    """Descriptions of data elsewhere, under every name."""
    texts = {
        "vrt-file": vrt(str(file)),
        "vrt-host": vrt(f"/vsicurl/{url}/vrt.csv"),
        "vrt-csv": vrt(f"CSV:{file}"),
        "wfs": f"<OGRWFSDataSource><URL>{url}/wfs</URL></OGRWFSDataSource>",
        "gpsbabel": vrt(f"GPSBabel:csv:{file}"),
        "gdalg": json.dumps(
            {
                "type": "gdal_streamed_alg",
                "command_line": f"gdal vector pipeline ! read "
                f"/vsicurl/{url}/g.geojson ! write --of stream streamed_dataset",
            }
        ),
        "tiles": json.dumps({"tilejson": "3.0.0", "tiles": [f"{url}/{{z}}/{{x}}/{{y}}.pbf"]}),
        "csw": f"<OGRCSWDataSource><URL>{url}/csw</URL></OGRCSWDataSource>",
    }
    endings = (".vrt", ".gpkg", ".json", ".xml", "", ".shp", ".gml")
    made = [
        (kind, ending)
        for kind in texts
        for ending in endings
        if kind == "vrt-file" or ending in ("", ".gpkg", ".xml" if texts[kind].startswith("<") else ".json")
    ]
    return [_written(folder, f"{kind}-as{ending}", texts[kind]) for kind, ending in made]


def _geopackages(folder: Path, file: Path, url: str) -> list[Path]:
    statements = {
        "virtual-ogr": f"CREATE VIRTUAL TABLE v USING VirtualOGR('{file}')",
        "virtual-ogr-host": f"CREATE VIRTUAL TABLE v USING VirtualOGR('/vsicurl_streaming/{url}/v.geojson')",
        "virtual-shape": f"CREATE VIRTUAL TABLE v USING VirtualShape('{file}', 'UTF-8', 4326)",
        "virtual-text": f"CREATE VIRTUAL TABLE v USING VirtualText('{file}', 'UTF-8', 1, COMMA, NONE, ',')",
        "virtual-json": f"CREATE VIRTUAL TABLE v USING VirtualGeoJSON('{file}')",
        "virtual-hidden": f"CREATE /* x */ VIRTUAL/**/TABLE v USING/**/VirtualText('{file}','UTF-8',1,COMMA,NONE,',')",
    }
    calls = {
        "geocode": f"ogr_geocode('x','geometry','QUERY_TEMPLATE={url}/geocode?q=%s')",
        "pixel": f"gdal_get_pixel_value('{file}',1,'pixel',0,0)",
        "load-layers": f"ogr_datasource_load_layers('{file}')",
        "extension": "load_extension('/tmp/extension.so')",
        "read-file": f"readfile('{file}')",
    }
    made = [_geopackage(folder / f"{name}.gpkg", [_schema("table", sql)]) for name, sql in statements.items()]
    made += [
        _geopackage(folder / f"view-{name}.gpkg", [f"CREATE VIEW v AS SELECT 1 AS number, {call} AS code FROM base"])  # noqa: S608
        for name, call in calls.items()
    ]
    elsewhere = f"UPDATE gpkg_spatial_ref_sys SET definition='{url}/crs' WHERE srs_id=4326"  # noqa: S608
    return [*made, _geopackage(folder / "crs-at-host.gpkg", [elsewhere])]


def _schema(kind: str, sql: str) -> str:
    quoted = sql.replace("'", "''")
    return f"INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql) VALUES('{kind}','v','v',0,'{quoted}')"


def _geopackage(path: Path, statements: Sequence[str]) -> Path:
    gpd.GeoDataFrame({"id": ["P1"], "code": ["056"]}, geometry=[shapely.Polygon(RING)], crs=4326).to_file(
        path, layer="base"
    )
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA writable_schema=ON")
        for statement in statements:
            database.execute(statement)
        contents = "INSERT INTO gpkg_contents(table_name,data_type,identifier,srs_id) VALUES('v','attributes','v',0)"
        database.execute(contents)
    database.close()
    return path


def _json(folder: Path, file: Path, url: str) -> list[Path]:
    systems = {
        "link": {"type": "link", "properties": {"href": f"{url}/crs", "type": "proj4"}},
        "url": {"type": "url", "properties": {"url": f"{url}/crs"}},
        "file": {"type": "link", "properties": {"href": f"file://{file}", "type": "proj4"}},
        "name": {"type": "name", "properties": {"name": f"/vsicurl/{url}/crs"}},
    }
    made = [
        _written(
            folder,
            f"crs-{name}.geojson",
            json.dumps({"type": "FeatureCollection", "crs": system, "features": [feature(id="P1", code="056")]}),
        )
        for name, system in systems.items()
    ]
    esri = {
        "geometryType": "esriGeometryPolygon",
        "spatialReference": {"wkt": f"{url}/esri"},
        "exceededTransferLimit": True,
        "features": [{"attributes": {"id": "P1", "code": "056"}, "geometry": {"rings": [RING]}}],
    }
    place = {"type": "Polygon", "coordinates": [RING]}
    json_fg = {
        "type": "FeatureCollection",
        "conformsTo": ["[ogc-json-fg-1-0.1:core]"],
        "coordRefSys": f"{url}/fg",
        "features": [feature(id="P1", code="056") | {"place": place, "time": None}],
    }
    return [
        *made,
        _written(folder, "esri.json", json.dumps(esri)),
        _written(folder, "json-fg.json", json.dumps(json_fg)),
    ]


def gml(code: str = "<ogr:code>056</ogr:code>", *, attributes: str = "", head: str = "", root: str = "ogr") -> str:
    ring = " ".join(f"{lat} {lon}" for lon, lat in RING)
    return (
        f'<?xml version="1.0"?>{head}{ROOT.format(root, attributes)}<gml:featureMember><ogr:f gml:id="f.1">'
        f'<ogr:geom><gml:Polygon srsName="urn:ogc:def:crs:EPSG::4326"><gml:exterior><gml:LinearRing><gml:posList>{ring}'
        f"</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon></ogr:geom><ogr:id>P1</ogr:id>{code}</ogr:f>"
        f"</gml:featureMember></{root}:FeatureCollection>"
    )


def _gml(folder: Path, file: Path, url: str) -> list[Path]:
    schema = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://ogr.maptools.org/">'
        f'<xs:import namespace="http://www.opengis.net/gml/3.2" schemaLocation="{url}/import.xsd"/>'
        f'<xs:include schemaLocation="{url}/include.xsd"/></xs:schema>'
    )
    (folder / "schema-beside.xsd").write_text(schema)
    describe = f"{url}/wfs?service=WFS&amp;version=2.0.0&amp;request=DescribeFeatureType&amp;typeName=ogr:f"
    entities = f'<!DOCTYPE x [<!ENTITY a SYSTEM "{file}"><!ENTITY b SYSTEM "{url}/entity">]>'
    texts = {
        "schema-at-host": gml(attributes=f'xsi:schemaLocation="http://ogr.maptools.org/ {url}/s.xsd"'),
        "schema-of-wfs": gml(attributes=f'xsi:schemaLocation="http://ogr.maptools.org/ {describe}"', root="wfs"),
        "schema-beside": gml(attributes='xsi:schemaLocation="http://ogr.maptools.org/ schema-beside.xsd"'),
        "xlink": gml(f'<ogr:code xlink:href="{url}/code.gml#x"/>'),
        "xlink-file": gml(f'<ogr:code xlink:href="{file}#x"/>'),
        "entities": gml("<ogr:code>&a;&b;</ogr:code>", head=entities),
        "crs-at-host": gml().replace("urn:ogc:def:crs:EPSG::4326", f"{url}/crs"),
    }
    return [_written(folder, f"{name}.gml", text) for name, text in texts.items()]


def _kml(folder: Path, url: str) -> list[Path]:
    ring = " ".join(f"{lon},{lat}" for lon, lat in RING)
    text = (
        '<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><NetworkLink><Link>'
        f"<href>{url}/link.kml</href></Link></NetworkLink><Placemark><name>P1</name><styleUrl>{url}/style.kml#x"
        f'</styleUrl><ExtendedData><SchemaData schemaUrl="{url}/schema.kml#s"><SimpleData name="code">056'
        "</SimpleData></SchemaData></ExtendedData><Polygon><outerBoundaryIs><LinearRing><coordinates>"
        f"{ring}</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></Document></kml>"
    )
    return [_written(folder, "network-link.kml", text)]


def _mapinfo(folder: Path, file: Path) -> list[Path]:
    """A view, and a seamless table whose rows name another folder's table."""
    victim = folder / "elsewhere"
    victim.mkdir()
    outline = [shapely.Polygon(RING)]
    gpd.GeoDataFrame({"id": [SECRET], "code": ["056"]}, geometry=outline, crs=4326).to_file(
        victim / "victim.tab", driver="MapInfo File"
    )
    view = '!Table\n!Version 100\nOpen Table "elsewhere/victim" Hide\nCreate View view As Select id,code From victim\n'
    index = gpd.GeoDataFrame({"Table": [str(victim / "victim.tab")]}, geometry=outline, crs=4326)
    index.to_file(folder / "seamless.tab", driver="MapInfo File")
    table = folder / "seamless.tab"
    table.write_text(
        table.read_text(encoding="latin-1") + 'begin_metadata\n"\\IsSeamless" = "TRUE"\nend_metadata\n',
        encoding="latin-1",
    )
    return [_written(folder, "view.tab", view), table]


def _shapefiles(folder: Path, file: Path, url: str) -> list[Path]:
    made = []
    for name, system in {"prj-host": f"{url}/prj", "prj-vsicurl": f"/vsicurl/{url}/prj", "prj-file": str(file)}.items():
        path = folder / f"{name}.shp"
        gpd.GeoDataFrame({"id": ["P1"], "code": ["056"]}, geometry=[shapely.Polygon(RING)], crs=4326).to_file(path)
        path.with_suffix(".prj").write_text(system)
        path.with_suffix(".cpg").write_text("../../encoding")
        made.append(path)
    return made


def _links(folder: Path) -> list[Path]:
    """Deliveries of several files, one of which is a link to a file of somebody else."""
    other = folder / "somebody-else"
    other.mkdir()
    theirs = gpd.GeoDataFrame({"id": [SECRET], "code": ["056"]}, geometry=[shapely.Polygon(RING)], crs=4326)
    ours = theirs.assign(id="P1")
    theirs.to_parquet(other / "v.parquet")
    theirs.to_file(other / "v.shp")
    theirs.to_file(other / "v.gdb", driver="OpenFileGDB")
    parts, database, table = folder / "linked.parquet", folder / "linked.gdb", folder / "linked.shp"
    parts.mkdir()
    ours.to_parquet(parts / "a.parquet")
    (parts / "b.parquet").symlink_to(other / "v.parquet")
    database.mkdir()
    for each in (other / "v.gdb").iterdir():
        (database / each.name).symlink_to(each)
    ours.to_file(table)
    table.with_suffix(".dbf").unlink()
    table.with_suffix(".dbf").symlink_to(other / "v.dbf")
    return [parts, database, table]


def _archives(folder: Path, file: Path, url: str) -> list[Path]:
    """Archives with a description of data elsewhere, a link to another file, or a member outside."""
    with zipfile.ZipFile(folder / "vrt.zip", "w") as archive:
        archive.writestr("decl.xml", vrt(f"/vsicurl/{url}/zip.csv"))
    with zipfile.ZipFile(folder / "vrt-as-gpkg.zip", "w") as archive:
        archive.writestr("decl.gpkg", vrt(str(file)))
    link = zipfile.ZipInfo("link.geojson")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(folder / "link.zip", "w") as archive:
        archive.writestr(link, str(file))
    with zipfile.ZipFile(folder / "up.zip", "w") as archive:
        archive.writestr("../outside.geojson", file.read_text().replace(SECRET, "P1"))
    with zipfile.ZipFile(folder / "absolute.zip", "w") as archive:
        archive.writestr("/tmp/outside.geojson", file.read_text().replace(SECRET, "P1"))  # noqa: S108  never written
    with tarfile.open(folder / "link.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("link.geojson")
        member.type, member.linkname = tarfile.SYMTYPE, str(file)
        archive.addfile(member)
    return [
        folder / name for name in ("vrt.zip", "vrt-as-gpkg.zip", "link.zip", "up.zip", "absolute.zip", "link.tar.gz")
    ]
