"""The collections in words, and the links between the pages that describe them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import Request

from cropmap.contracts.columns import Kind
from cropmap.database.features import Bounds, FeatureKind
from cropmap.schemas import AccessRole
from serving.ogc.answers import COLUMNS, Collection, Extent, FeatureSchema, Link, Spatial, Temporal
from serving.ogc.coordinates import Crs
from serving.ogc.moments import interval_of
from serving.ogc.writing import FLATGEOBUF, GEOJSON
from serving.tables import JSON

ROOT: Final = "/ogc"
SCHEMA_JSON: Final = "application/schema+json"
TITLES: Final[Mapping[FeatureKind, str]] = {
    FeatureKind.PARCELS: "Parcels",
    FeatureKind.ASSESSMENTS: "Assessments of declarations",
    FeatureKind.REGIONS: "NUTS regions",
}
READERS: Final[Mapping[FeatureKind, tuple[AccessRole, ...]]] = {
    FeatureKind.PARCELS: (AccessRole.CONTROLLER,),
    FeatureKind.ASSESSMENTS: (AccessRole.CONTROLLER,),
    FeatureKind.REGIONS: (AccessRole.PUBLIC, AccessRole.STATISTICIAN, AccessRole.CONTROLLER),
}
"""whom a collection answers; the database holds each role to the same"""
DESCRIPTIONS: Final[Mapping[FeatureKind, str]] = {
    FeatureKind.PARCELS: (
        "Outlines of published seasons, with the current declaration and the crop of the published run. Personal data."
    ),
    FeatureKind.ASSESSMENTS: (
        "Outlines of published seasons, with the assessment of the declaration. A verdict decides nothing: it ranks "
        "what a person should look at. Personal data."
    ),
    FeatureKind.REGIONS: (
        "Outlines of the NUTS regions of published seasons, for keys of the role public those of released seasons. "
        "Figures are joined by nuts_id. A season that an earlier version loaded has its regions after its next run."
    ),
}
JSON_TYPES: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.TEXT: {"type": "string"},
    Kind.SMALL: {"type": "integer"},
    Kind.INTEGER: {"type": "integer"},
    Kind.SINGLE: {"type": "number"},
    Kind.REAL: {"type": "number"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.DATE: {"type": "string", "format": "date"},
    Kind.TIME: {"type": "string", "format": "date-time"},
}


def address(request: Request, path: str = "/") -> str:
    """A page below the landing page, as the request reached this API. Readers follow whole addresses only."""
    return f"{str(request.base_url).rstrip('/')}{ROOT}{path}"


def self_link(request: Request, media_type: str = JSON) -> Link:
    return Link(href=str(request.url), rel="self", type=media_type, title="this page")


def collection(request: Request, kind: FeatureKind, years: Sequence[int], bounds: Bounds | None) -> Collection:
    """One collection with what it covers of what the key may see: campaign years, and where their features lie."""
    here = f"/collections/{kind}"
    items = address(request, f"{here}/items")
    return Collection(
        id=kind,
        title=TITLES[kind],
        description=DESCRIPTIONS[kind],
        extent=_extent(years, bounds),
        crs=list(Crs),
        storageCrs=Crs.CRS84,
        links=[
            Link(href=address(request, here), rel="self", type=JSON, title="this collection"),
            Link(href=items, rel="items", type=GEOJSON, title="features as GeoJSON"),
            Link(href=f"{items}?f=fgb", rel="items", type=FLATGEOBUF, title="features as FlatGeobuf"),
            Link(href=address(request, f"{here}/schema"), rel="describedby", type=SCHEMA_JSON, title="properties"),
        ],
    )


def schema(kind: FeatureKind) -> FeatureSchema:
    """The properties with their types. Any property that is not required may be null."""
    properties: dict[str, Any] = {
        column.name: {**JSON_TYPES[column.kind], "description": column.description} for column in COLUMNS[kind]
    }
    required = [column.name for column in COLUMNS[kind] if not column.is_nullable]
    return FeatureSchema(
        title=TITLES[kind],
        type="object",
        properties={
            "type": {"type": "string", "const": "Feature"},
            "id": {"type": "string"},
            "geometry": {"type": "object", "description": "Polygon or MultiPolygon"},
            "properties": {"type": "object", "properties": properties, "required": required},
        },
    )


def _extent(years: Sequence[int], bounds: Bounds | None) -> Extent | None:
    if not years:
        return None
    covered = Temporal(interval=[(interval_of(min(years))[0], interval_of(max(years))[1])])
    return Extent(spatial=Spatial(bbox=[bounds], crs=Crs.CRS84) if bounds else None, temporal=covered)
