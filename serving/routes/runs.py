"""GET /runs: what was attempted, published or failed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from cropmap.database import queries
from serving.access import Reader
from serving.answers import Run
from serving.names import AgencyQuery, SeasonQuery

router = APIRouter(tags=["runs"])


@router.get("/runs", response_model=list[Run])
def runs(
    connection: Reader,
    agency: AgencyQuery = None,
    season: SeasonQuery = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="rows at most")] = 100,
) -> list[queries.Row]:
    """Runs, the latest start first; a failed one says which units failed."""
    return queries.run_log(connection, agency=agency, season=season, limit=limit)
