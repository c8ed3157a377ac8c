"""Features as GeoJSON and as FlatGeobuf, completed before anything is sent."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from pydantic_core import to_json

from cropmap.contracts.columns import Column, file_schema
from cropmap.database.features import Feature, FeatureKey
from serving.ogc.answers import Link
from serving.ogc.coordinates import Crs, Outlines, epsg, in_axis_order, transformed

GEOJSON: Final = "application/geo+json"
FLATGEOBUF: Final = "application/flatgeobuf"
GEOMETRY: Final = "geometry"


def feature_id(key: FeatureKey) -> str:
    return f"{key.agency}:{key.season}:{key.identifier}"


def key_of(text: str) -> FeatureKey | None:
    """The key of a feature by its id; None for a text that is none."""
    agency, season, identifier = [*text.split(":", 2), "", ""][:3]
    if not (
        season.isascii() and season.isdecimal() and len(season) == len("2018") and identifier and "\x00" not in text
    ):
        return None
    return FeatureKey(agency, int(season), identifier)


def to_geojson(features: Sequence[Feature], columns: Sequence[Column], crs: Crs, links: Sequence[Link]) -> bytes:
    """A FeatureCollection (RFC 7946, and coordinates as Part 2 of the standard orders them)."""
    head = {
        "type": "FeatureCollection",
        "numberReturned": len(features),
        "links": [link.model_dump(exclude_none=True) for link in links],
    }
    made = b",".join(_objects(features, columns, crs))
    return to_json(head)[:-1] + b',"features":[' + made + b"]}"


def to_geojson_feature(feature: Feature, columns: Sequence[Column], crs: Crs, links: Sequence[Link]) -> bytes:
    (made,) = _objects([feature], columns, crs)
    return made[:-1] + b',"links":' + to_json([link.model_dump(exclude_none=True) for link in links]) + b"}"


def to_flatgeobuf(features: Sequence[Feature], columns: Sequence[Column], crs: Crs) -> bytes:
    """A file with longitude or easting first, as the format wants it. Rows stay in their order: it has no index."""
    properties = [feature.properties for feature in features]
    data = {
        "id": pa.array([feature_id(feature.key) for feature in features], pa.string()),
        **{column.name: pa.array([row[column.name] for row in properties], column.kind.arrow) for column in columns},
        GEOMETRY: pa.array(shapely.to_wkb(transformed(_outlines(features), crs)), pa.binary()),
    }
    schema = pa.schema([pa.field("id", pa.string()), *file_schema(columns), pa.field(GEOMETRY, pa.binary())])
    file = io.BytesIO()
    pyogrio.write_arrow(
        pa.table(data, schema=schema),
        file,
        layer="features",
        driver="FlatGeobuf",
        geometry_name=GEOMETRY,
        geometry_type="Unknown",
        crs=epsg(crs),
        layer_options={"SPATIAL_INDEX": "NO"},
    )
    return file.getvalue()


def _objects(features: Sequence[Feature], columns: Sequence[Column], crs: Crs) -> list[bytes]:
    """Each feature as a JSON object."""
    wound = shapely.orient_polygons(_outlines(features))
    shapes = shapely.to_geojson(in_axis_order(transformed(wound, crs), crs))
    names = [column.name for column in columns]
    return [
        b'{"type":"Feature","id":%b,"geometry":%b,"properties":%b}'
        % (
            to_json(feature_id(feature.key)),
            shape.encode() if shape else b"null",
            to_json({name: feature.properties[name] for name in names}, inf_nan_mode="null"),
        )
        for feature, shape in zip(features, shapes, strict=True)
    ]


def _outlines(features: Sequence[Feature]) -> Outlines:
    outlines = np.empty(len(features), dtype=object)
    outlines[:] = [feature.outline for feature in features]
    return outlines
