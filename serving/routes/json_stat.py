"""GET /statistics/1.0/data/{flow_ref}: released crop areas as JSON-stat, like Eurostat's statistics service."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import pandas as pd
from fastapi import APIRouter, Depends, Path, Query, Response

from cropmap.dissemination.registry import find_writer
from cropmap.dissemination.sdmx_structure import TIME
from serving.access import Reader
from serving.dataflows import figures, named_dataflow, names_of, read_released
from serving.errors import Problem
from serving.languages import AcceptLanguage, best_language, said_in
from serving.selection import Selection, moment, select
from serving.tables import JSON

router = APIRouter(tags=["statistics"])

CODES: Final[dict[str, Any]] = {"max_length": 1000}
Codes = Annotated[list[str] | None, Query(description="codes; may be repeated", **CODES)]
Level = Literal["country", "nuts1", "nuts2", "nuts3"]
LENGTHS: Final[dict[Level, int]] = {"country": 2, "nuts1": 3, "nuts2": 4, "nuts3": 5}
"""of the codes of a level"""


async def dimensions(
    freq: Codes = None,
    crops: Codes = None,
    strucpro: Codes = None,
    geo: Codes = None,
    time: Annotated[list[str] | None, Query(description="years; may be repeated", **CODES)] = None,
) -> dict[str, list[str]]:
    """The codes that are asked for, by the dimension of the long form."""
    asked = {"freq": freq, "crops": crops, "strucpro": strucpro, "geo": geo, TIME: time}
    return {name: codes for name, codes in asked.items() if codes is not None}


@router.get(
    "/statistics/1.0/data/{flow_ref}",
    response_class=Response,
    responses={
        200: {"content": {JSON: {"schema": {"type": "object"}}}},
        404: {"model": Problem, "description": "there is no such dataflow, or no figure of this selection"},
    },
)
def json_stat(
    reader: Reader,
    codes: Annotated[dict[str, list[str]], Depends(dimensions)],
    flow_ref: Annotated[str, Path(description="`ID` or `AGENCY,ID`", max_length=200)],
    level: Annotated[Level | None, Query(alias="geoLevel", description="regions of this level only")] = None,
    since: Annotated[str, Query(alias="sinceTimePeriod", description="first year", max_length=40)] = "",
    until: Annotated[str, Query(alias="untilTimePeriod", description="last year", max_length=40)] = "",
    last: Annotated[int | None, Query(alias="lastTimePeriod", description="so many latest years", ge=1)] = None,
    as_of: Annotated[
        str | None, Query(alias="asOf", description="moment whose releases are meant", max_length=40)
    ] = None,
    _format: Annotated[Literal["JSON"], Query(alias="format", description="as Eurostat's")] = "JSON",
    lang: Annotated[
        str | None,
        Query(
            description="language of the labels, as Eurostat's; wins over the Accept-Language header. English where "
            "the agency has no names in it",
            pattern=r"^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*$",
            max_length=40,
        ),
    ] = None,
    accept_language: AcceptLanguage = "",
) -> Response:
    """Released crop areas of the latest release of each season, in 1000 ha, as a JSON-stat 2.0 dataset.

    Every dimension is a parameter. A confidential cell has no value, and its status.
    """
    asked: datetime | None = moment(as_of, where="asOf")
    with reader() as connection:
        dataflow = named_dataflow(connection, flow_ref)
        rows = read_released(connection, dataflow, as_of=asked)
        names = names_of(connection, dataflow)
    language = best_language(lang or accept_language, names.languages)
    released = figures(dataflow, rows, names=names, language=language)
    table = select(_narrowed(released.table, level, last), Selection(start=since, end=until, codes=codes))
    return said_in(Response(find_writer("json-stat")(table, released.wanted), media_type=JSON), language)


def _narrowed(table: pd.DataFrame, level: Level | None, last: int | None) -> pd.DataFrame:
    """The regions of a level, and the latest years."""
    if level is not None:
        table = table[table["geo"].str.len() == LENGTHS[level]]
    if last is not None:
        table = table[table[TIME].isin(sorted(set(table[TIME]))[-last:])]
    return table
