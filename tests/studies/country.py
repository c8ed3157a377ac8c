"""A country of small tiles: parcels, regions, an agency file, and a STAC API with every item of a season.

All dates of a tile name the same files of some kilobytes, so that a season of 10,000 acquisitions fits anywhere; its
items have the number of assets and the size of those of Earth Search.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import shapely
import yaml
from rasterio.transform import Affine
from rasterio.warp import transform_bounds

from cropmap.schemas import BANDS, RESOLUTION_M
from cropmap.simulation.register import write_vector
from cropmap.simulation.scenes import ASSET_KEYS, COLLECTION, SCALE, write_raster, write_whole

EPSG: Final = 32630
YEAR: Final = 2018
SIZE_PX: Final = 256
"""of a tile at 10 m"""
ACROSS: Final = 8
"""parcels of a tile, each way"""
PITCH_M: Final = SIZE_PX * 10 / ACROSS
WEST_M: Final = 300_000.0
NORTH_M: Final = 5_900_040.0
COLUMNS: Final = 4
APART_M: Final = 50_040.0
LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
CODES: Final = ("BTH", "MIS", "CZH", "ORH")
PAGE: Final = 100
MORE_ASSETS: Final = 24
"""beside the eleven that are read: the same bands as JP2, previews, metadata"""


def make_country(folder: Path, *, tiles: int, dates: int) -> Path:
    """Writes agency.yaml and what it names; the agency file. A folder that is finished is left as it is."""
    agency = folder / "agency.yaml"
    if agency.is_file():
        return agency
    origins = {f"30U{LETTERS[n // 24]}{LETTERS[n % 24]}": _origin(n) for n in range(tiles)}
    for number, (tile, origin) in enumerate(origins.items()):
        _write_files(folder / "scenes" / tile, origin, seed=number)
    items = [item for tile, origin in origins.items() for item in _items(folder, tile, origin, dates=dates)]
    items.sort(key=lambda item: str(item["properties"]["datetime"]))
    write_whole(folder / "items.json", json.dumps(items).encode())
    _write_register(folder, list(origins.values()))
    document = {
        "agency": "every-day",
        "simulated": True,
        "regions": {"nuts_version": 2024, "boundaries": "nuts.geojson", "codes": ["FRH0"]},
        "acquisitions": {"catalog": "http://127.0.0.1:1/", "trusted": [str(folder / "scenes")]},
        "declarations": {
            "path": "declarations.gpkg",
            "columns": {"parcel_id": "parcel_id", "crop_code": "crop_code", "holding_id": "holding_id"},
        },
        "legend": "fr_breizhcrops13",
    }
    write_whole(agency, yaml.safe_dump(document, sort_keys=False).encode())
    return agency


def _origin(number: int) -> tuple[float, float]:
    return WEST_M + APART_M * (number % COLUMNS), NORTH_M - APART_M * (number // COLUMNS)


def _write_files(folder: Path, origin: tuple[float, float], *, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for band in (*BANDS, "SCL"):
        resolution = RESOLUTION_M[band]
        shape = (SIZE_PX * 10 // resolution,) * 2
        values = np.full(shape, 4, np.uint8) if band == "SCL" else rng.integers(1200, 4000, shape).astype(np.uint16)
        write_raster(folder / f"{band}.tif", values, Affine(resolution, 0, origin[0], 0, -resolution, origin[1]))


def _items(folder: Path, tile: str, origin: tuple[float, float], *, dates: int) -> Iterator[dict[str, Any]]:
    side = SIZE_PX * 10
    box = transform_bounds(f"EPSG:{EPSG}", "EPSG:4326", origin[0], origin[1] - side, origin[0] + side, origin[1])
    assets = {key: _asset(folder / "scenes" / tile, band) for band, key in ASSET_KEYS.items()}
    others = {f"other-{n}": {**assets["blue"], "href": f"https://example.org/{tile}/{n}"} for n in range(MORE_ASSETS)}
    for number in range(dates):
        sensed_at = datetime(YEAR, 1, 2, 11, tzinfo=UTC) + timedelta(days=360 / dates * number)
        name = f"S2A_{tile}_{sensed_at:%Y%m%d}_0_L2A"
        yield {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": name,
            "collection": COLLECTION,
            "bbox": list(box),
            "geometry": shapely.geometry.mapping(shapely.box(*box)),
            "properties": {
                "datetime": sensed_at.isoformat(),
                "platform": "sentinel-2a",
                "grid:code": f"MGRS-{tile}",
                "s2:processing_baseline": "05.00",
                "s2:datatake_id": f"GS2A_{sensed_at:%Y%m%dT%H%M%S}_038058_N05.00",
                "eo:cloud_cover": 3.0,
                "proj:epsg": EPSG,
                "earthsearch:boa_offset_applied": True,
            },
            "links": [],
            "assets": {**assets, **others},
        }


def _asset(folder: Path, band: str) -> dict[str, Any]:
    resolution = RESOLUTION_M[band]
    raster: dict[str, Any] = {"nodata": 0, "data_type": "uint8", "spatial_resolution": resolution}
    if band != "SCL":
        raster |= {"data_type": "uint16", "bits_per_sample": 16, "scale": SCALE, "offset": 0.0}
    return {
        "href": str(folder / f"{band}.tif"),
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "title": f"{band} - {resolution}m",
        "roles": ["data", "reflectance"],
        "gsd": resolution,
        "raster:bands": [raster],
        "eo:bands": [{"name": ASSET_KEYS[band], "description": band, "center_wavelength": 0.5}],
    }


def _write_register(folder: Path, origins: list[tuple[float, float]]) -> None:
    corners = [
        (left + PITCH_M * (column + 0.1), top - PITCH_M * (row + 0.9))
        for left, top in origins
        for row in range(ACROSS)
        for column in range(ACROSS)
    ]
    x, y = np.array(corners).T
    outlines = shapely.box(x, y, x + 0.8 * PITCH_M, y + 0.8 * PITCH_M)
    numbers = np.arange(len(outlines))
    parcels = gpd.GeoDataFrame(
        {
            "parcel_id": [f"{number:07d}" for number in numbers],
            "holding_id": [f"{number // 5:06d}" for number in numbers],
            "crop_code": np.array(CODES)[numbers % len(CODES)],
        },
        geometry=outlines,
        crs=EPSG,
    )
    write_vector(folder / "declarations.gpkg", parcels.to_crs(4326), layer="declarations")
    west, south, east, north = parcels.to_crs(4326).total_bounds
    middle = (west + east) / 2
    halves = [shapely.box(west - 1, south - 1, middle, north + 1), shapely.box(middle, south - 1, east + 1, north + 1)]
    whole = shapely.union_all(halves)
    rows = {"FR": whole, "FRH": whole, "FRH0": whole, "FRH01": halves[0], "FRH02": halves[1]}
    regions = gpd.GeoDataFrame(
        {
            "NUTS_ID": list(rows),
            "LEVL_CODE": [len(code) - 2 for code in rows],
            "CNTR_CODE": "FR",
            "NAME_LATN": list(rows),
            "NUTS_NAME": list(rows),
        },
        geometry=list(rows.values()),
        crs=4326,
    )
    write_vector(folder / "nuts.geojson", regions, layer="nuts")


class Api:
    """A STAC API of these items, and what it was asked."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.searches = 0
        self.pages = 0
        parts = [items[at : at + PAGE] for at in range(0, len(items), PAGE)]
        self.features = [json.dumps(part) for part in parts]

    def landing(self, root: str) -> str:
        search = {"rel": "search", "href": f"{root}search", "method": "POST", "type": "application/geo+json"}
        conforms = ["https://api.stacspec.org/v1.0.0/item-search"]
        return json.dumps(
            {"type": "Catalog", "id": "x", "stac_version": "1.0.0", "conformsTo": conforms, "links": [search]}
        )

    def page(self, root: str, asked: dict[str, Any]) -> str:
        number = int(asked.get("token") or 0)
        self.pages += 1
        self.searches += number == 0
        links = []
        if number + 1 < len(self.features):
            body = {**asked, "token": str(number + 1)}
            links = [{"rel": "next", "href": f"{root}search", "method": "POST", "body": body}]
        return f'{{"type": "FeatureCollection", "features": {self.features[number]}, "links": {json.dumps(links)}}}'


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, Api]]:
    """The API of a country at an address of this machine, in a thread."""
    api = Api(json.loads((folder / "items.json").read_text()))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            collection = self.path.endswith(f"collections/{COLLECTION}")
            self._answer(json.dumps({"id": COLLECTION}) if collection else api.landing(self._root()))

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(api.page(self._root(), asked))

        def _root(self) -> str:
            return f"http://{self.headers['Host']}/"

        def _answer(self, text: str) -> None:
            data = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
