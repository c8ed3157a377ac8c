"""STAC items as the three big catalogues write them, a static catalogue on disk, and a small STAC API on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cropmap.sources.catalogs.providers import GENERIC, built_in

COLLECTION = "sentinel-2-l2a"
EARTH_SEARCH, COPERNICUS, PLANETARY = 0, 1, 2
"""positions in the generic provider's keys of a band"""


def make_item(
    item_id: str = "S2A_30UVU_20180607_0_L2A",
    *,
    provider: int = EARTH_SEARCH,
    tile: str = "30UVU",
    moment: str = "2018-06-07T11:06:21Z",
    baseline: str | None = "02.06",
    offset: float | None = 0.0,
    bbox: Sequence[float] = (-3.2, 47.8, -3.0, 48.0),
    raster: Mapping[str, Any] | None = None,
    folder: str = ".",
    properties: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An item with every band; `raster` replaces the raster metadata of the reflectance bands, properties that are
    None are left out."""
    band_metadata = {"nodata": 0, "scale": 0.0001} | ({} if offset is None else {"offset": offset})
    assets = {}
    for band, keys in built_in(GENERIC).assets.items():
        metadata: Mapping[str, Any] = band_metadata if raster is None else raster
        content = {"raster:bands": [{"nodata": 0}]} if band == "SCL" else {"raster:bands": [dict(metadata)]}
        assets[keys[provider]] = {"href": f"{folder}/{item_id}/{band}.tif", "type": "image/tiff"} | content
    west, south, east, north = bbox
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": item_id,
        "collection": COLLECTION,
        "bbox": list(bbox),
        "stac_extensions": [],
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
        },
        "properties": {
            key: value
            for key, value in {
                "datetime": moment,
                "platform": "sentinel-2a",
                "s2:mgrs_tile": tile,
                "eo:cloud_cover": 12.5,
                "s2:processing_baseline": baseline,
                "proj:epsg": 32600 + int(tile[:2]),
                **(properties or {}),
            }.items()
            if value is not None
        },
        "links": [],
        "assets": assets,
    }


def write_catalog(folder: Path, items: Sequence[Mapping[str, Any] | str]) -> Path:
    """A static catalogue: catalog.json -> collection.json -> items (a text instead of an item is written as it is)."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"item{number}.json" for number in range(len(items))]
    for name, item in zip(names, items, strict=True):
        (folder / name).write_text(item if isinstance(item, str) else json.dumps(item))
    (folder / "collection.json").write_text(json.dumps(collection([{"rel": "item", "href": f"./{n}"} for n in names])))
    catalog = {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": "scenes",
        "description": "scenes of a test",
        "links": [{"rel": "child", "href": "./collection.json"}],
    }
    (folder / "catalog.json").write_text(json.dumps(catalog))
    return folder / "catalog.json"


def collection(links: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": COLLECTION,
        "description": "scenes of a test",
        "license": "proprietary",
        "links": links,
        "extent": {"spatial": {"bbox": [[-5, 47, 0, 49]]}, "temporal": {"interval": [["2018-01-01T00:00:00Z", None]]}},
    }


@contextmanager
def stac_api(
    items: Sequence[Mapping[str, Any]], *, page_size: int, busy_answers: int
) -> Iterator[tuple[str, list[Any]]]:
    """A STAC API on 127.0.0.1: yields its address and the bodies of the searches it saw.

    The first `busy_answers` searches are answered 503; a page holds `page_size` items and links to the next.
    """
    searches: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            root = f"http://{self.headers['Host']}"
            if self.path == "/":
                self._answer(200, _landing(root))
            elif self.path == "/collections":
                self._answer(200, {"collections": [collection([])], "links": []})
            else:
                self._answer(404, {"code": "NotFound", "description": self.path})

        def do_POST(self) -> None:
            search = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            searches.append(search)
            if len(searches) <= busy_answers:
                self._answer(503, {"description": "busy"})
                return
            start = int(search.get("token", 0))
            page = {"type": "FeatureCollection", "features": list(items[start : start + page_size]), "links": []}
            if start + page_size < len(items):
                href, body = f"http://{self.headers['Host']}/search", {**search, "token": str(start + page_size)}
                page["links"] = [{"rel": "next", "href": href, "method": "POST", "body": body}]
            self._answer(200, page)

        def _answer(self, status: int, document: Mapping[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Silent: the test asserts on `searches`."""

    with served(Handler) as url:
        yield url, searches


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """The address of a plain web server for `folder`."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            """Silent."""

    with served(Handler) as url:
        yield url


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _landing(root: str) -> dict[str, Any]:
    return {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": "api",
        "description": "an API of a test",
        "conformsTo": [
            "https://api.stacspec.org/v1.0.0/core",
            "https://api.stacspec.org/v1.0.0/collections",
            "https://api.stacspec.org/v1.0.0/item-search",
        ],
        "links": [
            {"rel": "self", "href": root},
            {"rel": "root", "href": root},
            {"rel": "data", "href": f"{root}/collections"},
            {"rel": "search", "href": f"{root}/search", "type": "application/geo+json", "method": "POST"},
        ],
    }
