"""GET /agencies, GET /seasons: what there is to ask about."""

from __future__ import annotations

from itertools import groupby

from fastapi import APIRouter

from cropmap.database import queries
from serving.access import Reader
from serving.answers import PublishedAgency, PublishedSeason
from serving.names import AgencyQuery

router = APIRouter(tags=["seasons"])


@router.get("/agencies")
def agencies(connection: Reader) -> list[PublishedAgency]:
    """Every agency that has published a season."""
    published = queries.published_seasons(connection)
    return [
        PublishedAgency(
            agency=agency,
            simulated=any(season["simulated"] for season in seasons),
            seasons=[season["season"] for season in seasons],
        )
        for agency, seasons in ((name, list(rows)) for name, rows in groupby(published, lambda row: row["agency"]))
    ]


@router.get("/seasons", response_model=list[PublishedSeason])
def seasons(connection: Reader, agency: AgencyQuery = None) -> list[queries.Row]:
    """Every published season: which run made it, with which model, up to which day."""
    return queries.published_seasons(connection, agency=agency)
