"""What a request for features may ask for: which of them, where, when, and in which form."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from shapely.geometry.base import BaseGeometry

from cropmap.errors import InputError
from serving.errors import detail_of
from serving.names import AfterQuery, SeasonQuery
from serving.ogc import moments
from serving.ogc.coordinates import Crs, box_of

MOST: Final = 10_000
"""features of one answer"""
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


CrsQuery = Annotated[Crs, Query(description="coordinate system of the answer, by its address")]
CollectionPath = Annotated[str, Path(description="collection, as `/ogc/collections` names it", **_TEXT)]
FeaturePath = Annotated[str, Path(description="id of the feature: agency, campaign year, parcel or region", **_TEXT)]
NutsOfQuery = Annotated[str | None, Query(description="NUTS-3 region of the parcel, by its whole code", **_TEXT)]
ParcelOfQuery = Annotated[str | None, Query(description="the agency's own parcel identifier", **_TEXT)]
CodeQuery = Annotated[str | None, Query(description="national crop code that was declared", **_TEXT)]
RegionQuery = Annotated[str | None, Query(description="NUTS code of the region, whole", **_TEXT)]
CountryQuery = Annotated[str | None, Query(description="country code of NUTS", examples=["FR"], **_TEXT)]
NameQuery = Annotated[str | None, Query(description="name of the region, whole", **_TEXT)]
EditionQuery = Annotated[int | None, Query(description="edition of NUTS", ge=1980, le=2200, examples=[2024])]


@dataclass(frozen=True)
class AskedForm:
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
) -> AskedForm:
    return AskedForm(crs, f, min(limit, MOST), after)


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


Form = Annotated[AskedForm, Depends(asked_form)]
Place = Annotated[BaseGeometry | None, Depends(asked_place)]
Seasons = Annotated[tuple[int | None, int | None], Depends(asked_seasons)]
