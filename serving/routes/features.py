"""GET /ogc: OGC API Features, Parts 1 and 2, over the parcels, the assessments and the regions of published seasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from shapely.geometry.base import BaseGeometry

from cropmap.database import features
from cropmap.database.connection import Connection
from cropmap.database.features import Feature, FeatureKind, FeaturePage, Wanted
from cropmap.schemas import Reason, Verdict
from serving.access import OpenConnection, Reader, RecordedReader, note_read, require_role
from serving.errors import NotFoundError, Problem
from serving.known import require_agency, require_published
from serving.names import AgencyQuery, CropQuery, LevelQuery
from serving.ogc import answers
from serving.ogc.answers import COLUMNS, Link
from serving.ogc.asked import (
    AskedForm,
    CodeQuery,
    CollectionPath,
    CountryQuery,
    CrsQuery,
    EditionQuery,
    FeaturePath,
    Form,
    NameQuery,
    NutsOfQuery,
    OgcRoute,
    ParcelOfQuery,
    Place,
    RegionQuery,
    Seasons,
)
from serving.ogc.collections import READERS, ROOT, SCHEMA_JSON, TITLES, address, collection, schema, self_link
from serving.ogc.coordinates import Crs
from serving.ogc.writing import FLATGEOBUF, GEOJSON, key_of, to_flatgeobuf, to_geojson, to_geojson_feature
from serving.tables import JSON, json_answer

MOST_REGIONS: Final = 1_000
"""regions of one answer: an outline takes far more than that of a parcel"""
CONFORMS: Final = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
)
ABOUT: Final = "Outlines of parcels, with the crop and the assessment that were published last, and of NUTS regions."
MISSING: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "there is no such collection or feature, or it is not of the key's agency"}
}
NOT_PUBLISHED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {GEOJSON: {}, FLATGEOBUF: {}}},
    404: {"model": Problem, "description": "nothing is published of the agency"},
}


router = APIRouter(prefix=ROOT, tags=["features"], route_class=OgcRoute)
parcels = APIRouter(prefix=ROOT, tags=["features"], route_class=OgcRoute)
"""the routes that answer with parcels"""


@router.get("", include_in_schema=False)
@router.get("/", response_model=answers.LandingPage)
def landing_page(request: Request) -> Response:
    """The landing page of OGC API Features. A geographic information system is given this address."""
    api = str(request.base_url).rstrip("/")
    links = [
        self_link(request),
        Link(href=address(request, "/api"), rel="service-desc", type=JSON, title="description for programs"),
        Link(href=f"{api}/docs", rel="service-doc", type="text/html", title="description for people"),
        Link(href=address(request, "/conformance"), rel="conformance", type=JSON, title="conformance classes"),
        Link(href=address(request, "/collections"), rel="data", type=JSON, title="collections"),
    ]
    return json_answer(answers.LandingPage(title="cropmap", description=ABOUT, links=links))


@router.get("/api")
def api_description(request: Request) -> dict[str, Any]:
    """The OpenAPI description of the routes below `/ogc`, with their addresses from there."""
    whole = request.app.openapi()
    below = {path.removeprefix(ROOT): about for path, about in whole["paths"].items() if path.startswith(ROOT)}
    return {**whole, "servers": [{"url": address(request, "")}], "paths": below}


@router.get("/conformance", response_model=answers.Conformance)
def conformance() -> Response:
    """The conformance classes that these routes implement."""
    return json_answer(answers.Conformance(conformsTo=list(CONFORMS)))


@router.get("/collections", response_model=answers.Collections)
def collections(request: Request, reader: Reader) -> Response:
    """The collections that the key may read, with what they cover of its agencies."""
    role = request.state.key_holder.role
    with reader() as connection:
        described = [_described(request, connection, kind) for kind in FeatureKind if role in READERS[kind]]
    page = answers.Collections(links=[self_link(request)], collections=described, crs=list(Crs))
    return json_answer(page.model_dump(exclude_none=True))


@router.get("/collections/{collection_id}", response_model=answers.Collection, responses=MISSING)
def one_collection(request: Request, reader: Reader, collection_id: CollectionPath) -> Response:
    """One collection: what it covers, its coordinate systems, and where its features are."""
    kind = _kind(request, collection_id)
    with reader() as connection:
        described = _described(request, connection, kind)
    return json_answer(described.model_dump(exclude_none=True))


@router.get(
    "/collections/{collection_id}/schema",
    response_model=answers.FeatureSchema,
    responses={**MISSING, 200: {"content": {SCHEMA_JSON: {}}}},
)
def feature_schema(request: Request, collection_id: CollectionPath) -> Response:
    """The properties of the features of a collection, with their types."""
    return Response(json_answer(schema(_kind(request, collection_id))).body, media_type=SCHEMA_JSON)


@parcels.get("/collections/parcels/items", response_model=answers.ParcelFeatures, responses=NOT_PUBLISHED)
def parcel_features(
    request: Request,
    reader: RecordedReader,
    form: Form,
    place: Place,
    seasons: Seasons,
    agency: AgencyQuery = None,
    parcel_id: ParcelOfQuery = None,
    nuts_id: NutsOfQuery = None,
    crop_code: CodeQuery = None,
    crop: CropQuery = None,
) -> Response:
    """Parcels of published seasons, page by page in the order of agency, campaign year and parcel.

    Follow the link `next` until there is none. A filter by a property takes the whole value.
    """
    equal = {"parcel_id": parcel_id, "nuts_id": nuts_id, "crop_code": crop_code, "crop": crop}
    return _items(request, reader, FeatureKind.PARCELS, form, _wanted(agency, seasons, place, equal))


@parcels.get("/collections/assessments/items", response_model=answers.AssessmentFeatures, responses=NOT_PUBLISHED)
def assessment_features(
    request: Request,
    reader: RecordedReader,
    form: Form,
    place: Place,
    seasons: Seasons,
    agency: AgencyQuery = None,
    parcel_id: ParcelOfQuery = None,
    nuts_id: NutsOfQuery = None,
    declared_code: CodeQuery = None,
    declared_crop: CropQuery = None,
    predicted_crop: CropQuery = None,
    verdict: Annotated[Verdict | None, Query(description="what the evidence says of the declaration")] = None,
    reason: Annotated[Reason | None, Query(description="why this verdict")] = None,
) -> Response:
    """Assessments of published seasons, page by page in the order of agency, campaign year and parcel.

    Follow the link `next` until there is none. A filter by a property takes the whole value. `/assessments` has the
    order in which a person should look at them, and the holding.
    """
    equal = {
        "parcel_id": parcel_id,
        "nuts_id": nuts_id,
        "declared_code": declared_code,
        "declared_crop": declared_crop,
        "predicted_crop": predicted_crop,
        "verdict": verdict,
        "reason": reason,
    }
    return _items(request, reader, FeatureKind.ASSESSMENTS, form, _wanted(agency, seasons, place, equal))


@parcels.get(
    "/collections/parcels/items/{feature_id:path}",
    response_model=answers.ParcelFeature,
    responses={200: {"content": {GEOJSON: {}}}, **MISSING},
)
def parcel_feature(
    request: Request, reader: RecordedReader, feature_id: FeaturePath, crs: CrsQuery = Crs.CRS84
) -> Response:
    """One parcel by the `id` of its feature."""
    return _item(request, reader, FeatureKind.PARCELS, feature_id, crs)


@parcels.get(
    "/collections/assessments/items/{feature_id:path}",
    response_model=answers.AssessmentFeature,
    responses={200: {"content": {GEOJSON: {}}}, **MISSING},
)
def assessment_feature(
    request: Request, reader: RecordedReader, feature_id: FeaturePath, crs: CrsQuery = Crs.CRS84
) -> Response:
    """One assessment by the `id` of its feature."""
    return _item(request, reader, FeatureKind.ASSESSMENTS, feature_id, crs)


@router.get("/collections/regions/items", response_model=answers.RegionFeatures, responses=NOT_PUBLISHED)
def region_features(
    request: Request,
    reader: Reader,
    form: Form,
    place: Place,
    seasons: Seasons,
    agency: AgencyQuery = None,
    nuts_id: RegionQuery = None,
    level: LevelQuery = None,
    country: CountryQuery = None,
    name: NameQuery = None,
    national_name: NameQuery = None,
    nuts_version: EditionQuery = None,
) -> Response:
    """NUTS regions of published seasons, page by page in the order of agency, campaign year and code.

    A key of the role public sees those of released seasons. Follow the link `next` until there is none. No page has
    more than 1,000. A filter by a property takes the whole value. Figures are joined by `nuts_id` from `/releases`.
    """
    equal = {
        "nuts_id": nuts_id,
        "level": level,
        "country": country,
        "name": name,
        "national_name": national_name,
        "nuts_version": nuts_version,
    }
    return _items(request, reader, FeatureKind.REGIONS, form, _wanted(agency, seasons, place, equal))


@router.get(
    "/collections/regions/items/{feature_id:path}",
    response_model=answers.RegionFeature,
    responses={200: {"content": {GEOJSON: {}}}, **MISSING},
)
def region_feature(request: Request, reader: Reader, feature_id: FeaturePath, crs: CrsQuery = Crs.CRS84) -> Response:
    """One region by the `id` of its feature."""
    return _item(request, reader, FeatureKind.REGIONS, feature_id, crs)


def _kind(request: Request, collection_id: str) -> FeatureKind:
    """Raises NotFoundError, and RoleRefusedError for a collection that the key may not read."""
    if collection_id not in list(FeatureKind):
        raise NotFoundError("there is no such collection", where=collection_id, mend=f"See {ROOT}/collections")
    kind = FeatureKind(collection_id)
    require_role(request, *READERS[kind])
    return kind


def _described(request: Request, connection: Connection, kind: FeatureKind) -> answers.Collection:
    seasons = features.seasons(connection, kind)
    bounds = request.app.state.extents.of(connection, kind, seasons)
    return collection(request, kind, [season["season"] for season in seasons], bounds)


def _wanted(
    agency: str | None,
    seasons: tuple[int | None, int | None],
    place: BaseGeometry | None,
    equal: Mapping[str, str | int | None],
) -> Wanted:
    given = {name: value for name, value in equal.items() if value is not None}
    return Wanted(agency, *seasons, within=place, equal=given)


def _items(request: Request, reader: OpenConnection, kind: FeatureKind, form: AskedForm, wanted: Wanted) -> Response:
    limit = min(form.limit, MOST_REGIONS) if kind is FeatureKind.REGIONS else form.limit
    with reader() as connection:
        if kind is FeatureKind.REGIONS:
            require_agency(connection, agency=wanted.agency)
        else:
            require_published(connection, agency=wanted.agency)
        page = features.features(connection, kind, wanted, after=form.after, limit=limit)
        _note(request, connection, kind, page.items)
    columns, links = COLUMNS[kind], _links(request, kind, form, page)
    headers = {
        "Content-Crs": f"<{form.crs}>",
        "Link": ", ".join(f'<{link.href}>; rel="{link.rel}"; type="{link.type}"' for link in links),
    }
    if form.form == "fgb":
        return Response(to_flatgeobuf(page.items, columns, form.crs), headers=headers, media_type=FLATGEOBUF)
    return Response(to_geojson(page.items, columns, form.crs, links), headers=headers, media_type=GEOJSON)


def _note(request: Request, connection: Connection, kind: FeatureKind, found: Sequence[Feature]) -> None:
    """Features of parcels are noted; regions tell of none."""
    if kind is FeatureKind.REGIONS:
        return
    for (agency, season), part in groupby(found, key=lambda one: (one.key.agency, one.key.season)):
        parcel_ids = [one.key.identifier for one in part]
        note_read(request, connection, agency=agency, season=season, parcel_ids=parcel_ids)


def _links(request: Request, kind: FeatureKind, form: AskedForm, page: FeaturePage) -> list[Link]:
    media = {"json": GEOJSON, "fgb": FLATGEOBUF}
    other: Literal["json", "fgb"] = "json" if form.form == "fgb" else "fgb"
    links = [
        self_link(request, media[form.form]),
        Link(href=str(request.url.include_query_params(f=other)), rel="alternate", type=media[other]),
        Link(href=address(request, f"/collections/{kind}"), rel="collection", type=JSON, title=TITLES[kind]),
    ]
    if page.next is None:
        return links
    return [
        *links,
        Link(href=str(request.url.include_query_params(after=page.next)), rel="next", type=media[form.form]),
    ]


def _item(request: Request, reader: OpenConnection, kind: FeatureKind, feature_id: str, crs: Crs) -> Response:
    key = key_of(feature_id)
    with reader() as connection:
        found = features.feature(connection, kind, key) if key else None
        _note(request, connection, kind, [found] if found else [])
    if found is None:
        raise NotFoundError("no such feature is published", where=feature_id, mend=f"See {ROOT}/collections")
    links = [
        self_link(request, GEOJSON),
        Link(href=address(request, f"/collections/{kind}"), rel="collection", type=JSON, title=TITLES[kind]),
    ]
    made = to_geojson_feature(found, COLUMNS[kind], crs, links)
    return Response(made, headers={"Content-Crs": f"<{crs}>"}, media_type=GEOJSON)
