"""GET /ogc: OGC API Features, Parts 1 and 2, over the parcels and the assessments of published seasons."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from shapely.geometry.base import BaseGeometry

from cropmap.database import features, queries
from cropmap.database.connection import Connection
from cropmap.database.features import Feature, FeatureKind, FeaturePage, Wanted
from cropmap.errors import InputError
from cropmap.schemas import Reason, Verdict
from serving.access import OpenConnection, Reader, RecordedReader, note_read
from serving.errors import NotFoundError, Problem, detail_of
from serving.known import require_published
from serving.names import AfterQuery, AgencyQuery, CropQuery, SeasonQuery
from serving.ogc import answers, moments
from serving.ogc.answers import COLUMNS, Link
from serving.ogc.collections import ROOT, SCHEMA_JSON, TITLES, address, collection, schema, self_link
from serving.ogc.coordinates import Crs, box_of
from serving.ogc.writing import FLATGEOBUF, GEOJSON, key_of, to_flatgeobuf, to_geojson, to_geojson_feature
from serving.tables import JSON, json_answer

MOST: Final = 10_000
"""features of one answer"""
CONFORMS: Final = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
)
ABOUT: Final = "Outlines of parcels, with the crop and the assessment that were published last."
MISSING: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "there is no such collection or feature, or it is not of the key's agency"}
}
NOT_PUBLISHED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {GEOJSON: {}, FLATGEOBUF: {}}},
    404: {"model": Problem, "description": "nothing is published of the agency"},
}
_TEXT: Final = {"min_length": 1, "max_length": 200, "pattern": r"^[^\x00]+$"}


class OgcRoute(APIRoute):
    """A route that answers 400 to every wrong parameter, as the standard wants it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise InputError(detail_of(error)) from error

        return handled


router = APIRouter(prefix=ROOT, tags=["features"], route_class=OgcRoute)

CrsQuery = Annotated[Crs, Query(description="coordinate system of the answer, by its address")]
CollectionPath = Annotated[str, Path(description="collection, as `/ogc/collections` names it", **_TEXT)]
FeaturePath = Annotated[str, Path(description="id of the feature: agency, campaign year and parcel", **_TEXT)]
NutsOfQuery = Annotated[str | None, Query(description="NUTS-3 region of the parcel, by its whole code", **_TEXT)]
ParcelOfQuery = Annotated[str | None, Query(description="the agency's own parcel identifier", **_TEXT)]
CodeQuery = Annotated[str | None, Query(description="national crop code that was declared", **_TEXT)]


@dataclass(frozen=True)
class _Form:
    """How a page is to look."""

    crs: Crs
    form: Literal["json", "fgb"]
    limit: int
    after: str | None


async def asked_form(
    crs: CrsQuery = Crs.CRS84,
    f: Annotated[Literal["json", "fgb"], Query(description="`json`: GeoJSON; `fgb`: FlatGeobuf")] = "json",
    limit: Annotated[
        int,
        Query(ge=1, description=f"features of a page; above {MOST} it is {MOST}", json_schema_extra={"maximum": MOST}),
    ] = 1000,
    after: AfterQuery = None,
) -> _Form:
    return _Form(crs, f, min(limit, MOST), after)


async def asked_place(
    bbox: Annotated[
        str | None, Query(max_length=300, description="outlines that touch the box: four numbers in the order of axes")
    ] = None,
    bbox_crs: Annotated[Crs, Query(alias="bbox-crs", description="coordinate system of `bbox`")] = Crs.CRS84,
) -> BaseGeometry | None:
    return None if bbox is None else box_of(bbox, bbox_crs)


async def asked_seasons(
    moment: Annotated[
        str | None,
        Query(alias="datetime", max_length=100, description="moment or interval; a campaign year is an interval"),
    ] = None,
    season: SeasonQuery = None,
) -> tuple[int | None, int | None]:
    first, last = moments.years_of(moment) if moment is not None else (None, None)
    if season is not None:
        first, last = max(season, first or season), min(season, last or season)
    return first, last


Form = Annotated[_Form, Depends(asked_form)]
Place = Annotated[BaseGeometry | None, Depends(asked_place)]
Seasons = Annotated[tuple[int | None, int | None], Depends(asked_seasons)]


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
    with reader() as connection:
        published = queries.published_seasons(connection)
        bounds = request.app.state.extents.of(connection, published)
    years = [season["season"] for season in published]
    described = [collection(request, kind, years, bounds) for kind in FeatureKind]
    page = answers.Collections(links=[self_link(request)], collections=described, crs=list(Crs))
    return json_answer(page.model_dump(exclude_none=True))


@router.get("/collections/{collection_id}", response_model=answers.Collection, responses=MISSING)
def one_collection(request: Request, reader: Reader, collection_id: CollectionPath) -> Response:
    """One collection: what it covers, its coordinate systems, and where its features are."""
    kind = _kind(collection_id)
    with reader() as connection:
        published = queries.published_seasons(connection)
        bounds = request.app.state.extents.of(connection, published)
    described = collection(request, kind, [season["season"] for season in published], bounds)
    return json_answer(described.model_dump(exclude_none=True))


@router.get(
    "/collections/{collection_id}/schema",
    response_model=answers.FeatureSchema,
    responses={**MISSING, 200: {"content": {SCHEMA_JSON: {}}}},
)
def feature_schema(collection_id: CollectionPath) -> Response:
    """The properties of the features of a collection, with their types."""
    return Response(json_answer(schema(_kind(collection_id))).body, media_type=SCHEMA_JSON)


@router.get("/collections/parcels/items", response_model=answers.ParcelFeatures, responses=NOT_PUBLISHED)
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


@router.get("/collections/assessments/items", response_model=answers.AssessmentFeatures, responses=NOT_PUBLISHED)
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


@router.get(
    "/collections/parcels/items/{feature_id:path}",
    response_model=answers.ParcelFeature,
    responses={200: {"content": {GEOJSON: {}}}, **MISSING},
)
def parcel_feature(
    request: Request, reader: RecordedReader, feature_id: FeaturePath, crs: CrsQuery = Crs.CRS84
) -> Response:
    """One parcel by the `id` of its feature."""
    return _item(request, reader, FeatureKind.PARCELS, feature_id, crs)


@router.get(
    "/collections/assessments/items/{feature_id:path}",
    response_model=answers.AssessmentFeature,
    responses={200: {"content": {GEOJSON: {}}}, **MISSING},
)
def assessment_feature(
    request: Request, reader: RecordedReader, feature_id: FeaturePath, crs: CrsQuery = Crs.CRS84
) -> Response:
    """One assessment by the `id` of its feature."""
    return _item(request, reader, FeatureKind.ASSESSMENTS, feature_id, crs)


def _kind(collection_id: str) -> FeatureKind:
    if collection_id not in list(FeatureKind):
        raise NotFoundError("there is no such collection", where=collection_id, mend=f"See {ROOT}/collections")
    return FeatureKind(collection_id)


def _wanted(
    agency: str | None, seasons: tuple[int | None, int | None], place: BaseGeometry | None, equal: dict[str, str | None]
) -> Wanted:
    given = {name: value for name, value in equal.items() if value is not None}
    return Wanted(agency, *seasons, within=place, equal=given)


def _items(request: Request, reader: OpenConnection, kind: FeatureKind, form: _Form, wanted: Wanted) -> Response:
    with reader() as connection:
        require_published(connection, agency=wanted.agency)
        page = features.features(connection, kind, wanted, after=form.after, limit=form.limit)
        _note(request, connection, page.items)
    columns, links = COLUMNS[kind], _links(request, kind, form, page)
    headers = {
        "Content-Crs": f"<{form.crs}>",
        "Link": ", ".join(f'<{link.href}>; rel="{link.rel}"; type="{link.type}"' for link in links),
    }
    if form.form == "fgb":
        return Response(to_flatgeobuf(page.items, columns, form.crs), headers=headers, media_type=FLATGEOBUF)
    return Response(to_geojson(page.items, columns, form.crs, links), headers=headers, media_type=GEOJSON)


def _note(request: Request, connection: Connection, found: Sequence[Feature]) -> None:
    for (agency, season), part in groupby(found, key=lambda one: (one.key.agency, one.key.season)):
        parcel_ids = [one.key.parcel_id for one in part]
        note_read(request, connection, agency=agency, season=season, parcel_ids=parcel_ids)


def _links(request: Request, kind: FeatureKind, form: _Form, page: FeaturePage) -> list[Link]:
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
        _note(request, connection, [found] if found else [])
    if found is None:
        raise NotFoundError("no such feature is published", where=feature_id, mend=f"See {ROOT}/collections")
    links = [
        self_link(request, GEOJSON),
        Link(href=address(request, f"/collections/{kind}"), rel="collection", type=JSON, title=TITLES[kind]),
    ]
    made = to_geojson_feature(found, COLUMNS[kind], crs, links)
    return Response(made, headers={"Content-Crs": f"<{crs}>"}, media_type=GEOJSON)
