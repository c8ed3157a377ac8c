"""GET /agencies, GET /seasons: what there is to ask about."""

from __future__ import annotations

from itertools import groupby

from fastapi import APIRouter, Response

from cropmap.database import queries
from serving.access import Reader
from serving.answers import PublishedAgency, PublishedSeason
from serving.errors import Problem
from serving.known import require_published
from serving.names import AgencyQuery
from serving.tables import table

router = APIRouter(tags=["seasons"])


@router.get("/agencies", response_model=list[PublishedAgency])
def agencies(reader: Reader) -> Response:
    """Every agency that has published a season."""
    with reader() as connection:
        published = queries.published_seasons(connection)
    return table(
        PublishedAgency,
        [
            {
                "agency": agency,
                "simulated": any(season["simulated"] for season in seasons),
                "seasons": [season["season"] for season in seasons],
            }
            for agency, seasons in ((name, list(rows)) for name, rows in groupby(published, lambda row: row["agency"]))
        ],
    )


@router.get(
    "/seasons",
    response_model=list[PublishedSeason],
    responses={404: {"model": Problem, "description": "nothing is published of this agency"}},
)
def seasons(reader: Reader, agency: AgencyQuery = None) -> Response:
    """Every published season: which run made it, with which model, up to which day."""
    with reader() as connection:
        require_published(connection, agency=agency)
        published = queries.published_seasons(connection, agency=agency)
    return table(PublishedSeason, published)
