"""GET /sdmx/2.1/data/…, GET /sdmx/3.0/data/…: released crop areas, as SDMX REST 1.5 and 2.1 ask for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from cropmap.database.connection import Connection
from cropmap.dissemination import sdmx_ml
from cropmap.dissemination.long_form import DIMENSIONS
from cropmap.dissemination.names import ENGLISH_ONLY
from cropmap.dissemination.registry import find_writer
from cropmap.dissemination.sdmx_ml import AtObservation
from cropmap.dissemination.sdmx_structure import MEASURE, TIME
from cropmap.errors import InputError
from serving.access import OpenConnection, Reader
from serving.dataflows import ANY, Dataflow, Figures, figures, find_dataflow, named_dataflow, names_of, read_released
from serving.errors import NotFoundError
from serving.languages import AcceptLanguage, best_language, said_in
from serving.media_types import DATA_2_1, DATA_3_0, Accept, MediaType, answers, chosen
from serving.names import SdmxAgencyPath, SdmxIdPath, SdmxVersionPath
from serving.selection import Selection, moment, select

router = APIRouter(tags=["sdmx"])

Detail = Literal["full", "dataonly", "serieskeysonly", "nodata"]
CONDITION: Final[dict[str, Any]] = {"max_length": 1000}
WITH_NAMES: Final = ("sdmx-json", "sdmx-json-2")
"""formats that say what codes are called"""
FIGURES_ONLY: Final = (*DIMENSIONS, MEASURE)
DATA: Final[dict[str, Any]] = {
    "response_class": Response,
    "responses": answers(DATA_2_1, "there is no such dataflow, or no figure of this selection"),
}
FlowPath = Annotated[str, Path(description="`ID`, `AGENCY,ID` or `AGENCY,ID,VERSION`", max_length=200)]
ContextPath = Annotated[str, Path(description="`dataflow` or `*`", max_length=200)]
KeyPath = Annotated[
    str,
    Path(
        description="codes of freq.crops.strucpro.geo; an empty place takes every code, `+` separates codes, "
        "a comma keys; `all` or `*` for everything",
        max_length=2000,
    ),
]
AsOf = Annotated[str | None, Query(alias="asOf", description="moment whose releases are meant", max_length=40)]
First = Annotated[int | None, Query(alias="firstNObservations", description="earliest of each series", ge=1)]
Last = Annotated[int | None, Query(alias="lastNObservations", description="latest of each series", ge=1)]
AtObservationQuery = Annotated[
    AtObservation, Query(alias="dimensionAtObservation", description="AllDimensions: without series; of SDMX-ML")
]


@dataclass(frozen=True)
class DataQuery:
    """What a request for data asks for beside dataflow and key."""

    selection: Selection
    media_type: MediaType
    as_of: datetime | None
    at_observation: AtObservation
    accept_language: str
    detail: Detail = "full"


async def query_2_1(
    accept: Accept = "*/*",
    accept_language: AcceptLanguage = "",
    start: Annotated[str, Query(alias="startPeriod", description="first period; its year counts", max_length=40)] = "",
    end: Annotated[str, Query(alias="endPeriod", description="last period; its year counts", max_length=40)] = "",
    first: First = None,
    last: Last = None,
    as_of: AsOf = None,
    at_observation: AtObservationQuery = TIME,
    detail: Annotated[Detail, Query(description="figures with or without attributes, or series alone")] = "full",
) -> DataQuery:
    selection = Selection(start=start, end=end, first=first, last=last)
    asked_at = moment(as_of, where="asOf")
    return DataQuery(selection, chosen(accept, DATA_2_1), asked_at, at_observation, accept_language, detail)


async def query_3_0(
    accept: Accept = "*/*",
    accept_language: AcceptLanguage = "",
    freq: Annotated[str | None, Query(alias="c[freq]", description="frequency", **CONDITION)] = None,
    crops: Annotated[str | None, Query(alias="c[crops]", description="crop: `C1110,C1500`", **CONDITION)] = None,
    strucpro: Annotated[str | None, Query(alias="c[strucpro]", description="measure", **CONDITION)] = None,
    geo: Annotated[str | None, Query(alias="c[geo]", description="region: `sw:FRH`", **CONDITION)] = None,
    period: Annotated[
        str | None, Query(alias="c[TIME_PERIOD]", description="year: `ge:2017+le:2019`", **CONDITION)
    ] = None,
    first: First = None,
    last: Last = None,
    as_of: AsOf = None,
    at_observation: AtObservationQuery = TIME,
) -> DataQuery:
    conditions = dict(zip(DIMENSIONS, (freq, crops, strucpro, geo, period), strict=True))
    given = {name: condition for name, condition in conditions.items() if condition is not None}
    selection = Selection(conditions=given, first=first, last=last)
    asked_at = moment(as_of, where="asOf")
    return DataQuery(selection, chosen(accept, DATA_3_0), asked_at, at_observation, accept_language)


Query21 = Annotated[DataQuery, Depends(query_2_1)]
Query30 = Annotated[DataQuery, Depends(query_3_0)]


@router.get("/sdmx/2.1/data/{flow_ref}", **DATA)
def sdmx_data_of_flow(reader: Reader, query: Query21, flow_ref: FlowPath) -> Response:
    """Every released figure of a dataflow. As with a key."""
    return sdmx_data(reader, query, flow_ref, "all")


@router.get("/sdmx/2.1/data/{flow_ref}/{key}", **DATA)
def sdmx_data(reader: Reader, query: Query21, flow_ref: FlowPath, key: KeyPath) -> Response:
    """Released crop areas of a key, of the latest release of each season, in 1000 ha.

    SDMX-ML by default, SDMX-CSV and SDMX-JSON by the Accept header. A confidential cell has no figure, and its
    CONF_STATUS.
    """
    return _answer(reader, query, key, lambda connection: named_dataflow(connection, flow_ref))


@router.get("/sdmx/2.1/data/{flow_ref}/{key}/{provider}", **DATA)
def sdmx_data_of_provider(
    reader: Reader, query: Query21, flow_ref: FlowPath, key: KeyPath, provider: SdmxAgencyPath
) -> Response:
    """As without a provider: each agency provides its own dataflow."""
    return _answer(reader, query, key, lambda connection: named_dataflow(connection, flow_ref, provider=provider))


@router.get("/sdmx/3.0/data/{context}/{agency}/{resource_id}", **DATA)
def sdmx_3_data_of_any_version(
    reader: Reader, query: Query30, context: ContextPath, agency: SdmxAgencyPath, resource_id: SdmxIdPath
) -> Response:
    """Every released figure of a dataflow. As with a version and a key."""
    return sdmx_3_data(reader, query, context, agency, resource_id, "*", "*")


@router.get("/sdmx/3.0/data/{context}/{agency}/{resource_id}/{version}", **DATA)
def sdmx_3_data_of_flow(
    reader: Reader,
    query: Query30,
    context: ContextPath,
    agency: SdmxAgencyPath,
    resource_id: SdmxIdPath,
    version: SdmxVersionPath,
) -> Response:
    """Every released figure of a dataflow. As with a key."""
    return sdmx_3_data(reader, query, context, agency, resource_id, version, "*")


@router.get("/sdmx/3.0/data/{context}/{agency}/{resource_id}/{version}/{key}", **DATA)
def sdmx_3_data(
    reader: Reader,
    query: Query30,
    context: ContextPath,
    agency: SdmxAgencyPath,
    resource_id: SdmxIdPath,
    version: SdmxVersionPath,
    key: KeyPath,
) -> Response:
    """Released crop areas of a key, with conditions on dimensions, of the latest release of each season, in 1000 ha.

    SDMX-ML 2.1 by default, SDMX-CSV and SDMX-JSON by the Accept header. A confidential cell has no figure, and its
    CONF_STATUS.
    """
    if context not in ("dataflow", "datastructure", *ANY):
        raise NotFoundError("there are no data of this context", where=context, mend="Write dataflow or *")
    return _answer(
        reader,
        query,
        key,
        lambda connection: find_dataflow(connection, agency=agency, flow=resource_id, version=version),
    )


def _answer(reader: OpenConnection, query: DataQuery, key: str, find: Callable[[Connection], Dataflow]) -> Response:
    """Figures of the dataflow that `find` gives."""
    with reader() as connection:
        dataflow = find(connection)
        rows = read_released(connection, dataflow, as_of=query.as_of)
        named = query.media_type.form in WITH_NAMES
        names = names_of(connection, dataflow) if named else ENGLISH_ONLY
    language = best_language(query.accept_language, names.languages)
    answer = _data(figures(dataflow, rows, names=names, language=language), query, key)
    return said_in(answer, language) if named else answer


def _data(released: Figures, query: DataQuery, key: str) -> Response:
    table = select(released.table, replace(query.selection, key=key))
    if query.detail == "dataonly":
        table = table[list(FIGURES_ONLY)]
    media_type = query.media_type
    is_xml = media_type.form in sdmx_ml.WRITERS
    if query.detail != "full" and not is_xml:
        raise InputError(
            f"{query.detail} is not offered in {media_type}", where="detail", mend="Ask for SDMX-ML, or for full"
        )
    if not is_xml or (query.detail == "full" and query.at_observation == TIME):
        return Response(find_writer(media_type.form)(table, released.wanted), media_type=str(media_type))
    data = sdmx_ml.write(
        table,
        kind="generic" if media_type.form == "sdmx-ml" else "structured",
        dataflow=released.about.dataflow,
        source=released.about.source,
        prepared_at=released.released_at,
        decimals=released.wanted.decimals,
        at_observation=query.at_observation,
        keys_only=query.detail in ("serieskeysonly", "nodata"),
    )
    return Response(data, media_type=str(media_type))
