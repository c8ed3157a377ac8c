"""GET /runs: what was attempted, published or failed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from cropmap.database import queries
from serving.access import Reader
from serving.answers import Run
from serving.errors import Problem
from serving.known import require_agency
from serving.names import AgencyQuery, SeasonQuery
from serving.tables import table

router = APIRouter(tags=["runs"])


@router.get(
    "/runs", response_model=list[Run], responses={404: {"model": Problem, "description": "there is no such agency"}}
)
def runs(
    reader: Reader,
    agency: AgencyQuery = None,
    season: SeasonQuery = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="rows at most")] = 100,
) -> Response:
    """Runs, the latest start first; a failed one says which units failed.

    `n_parcels` is always null: a count over all crops is one more sum, from which a hidden one may follow.
    """
    with reader() as connection:
        require_agency(connection, agency=agency)
        rows = queries.run_log(connection, agency=agency, season=season, limit=limit, counted=False)
    return table(Run, [row | {"n_parcels": None} for row in rows])
