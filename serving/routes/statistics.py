"""GET /statistics: crop areas of regions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from cropmap.database import queries
from serving.access import Reader
from serving.answers import Statistic
from serving.errors import Problem
from serving.known import require_published
from serving.middleware.conditional import require_change
from serving.names import AgencyQuery, CropQuery, LevelQuery, NutsQuery, SeasonQuery
from serving.tables import Form, masked, table, wanted_form

router = APIRouter(tags=["statistics"])


@router.get(
    "/statistics",
    response_model=list[Statistic],
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
        404: {"model": Problem, "description": "nothing is published of this agency, or not this season"},
        406: {"model": Problem, "description": "neither JSON nor CSV is accepted"},
    },
)
def statistics(
    request: Request,
    reader: Reader,
    form: Annotated[Form, Depends(wanted_form)],
    agency: AgencyQuery = None,
    season: SeasonQuery = None,
    nuts_id: NutsQuery = None,
    level: LevelQuery = None,
    crop: CropQuery = None,
) -> Response:
    """Declared, mapped and estimated area per region and crop, with standard error and interval.

    Without filters: everything that is published. JSON by default, CSV with `format=csv` or `Accept: text/csv`.
    Confidential cells keep their row and lose their figures.
    """
    with reader() as connection:
        require_change(request, form, queries.published_seasons(connection, agency=agency))
        rows = queries.statistics(connection, agency=agency, season=season, nuts_id=nuts_id, level=level, crop=crop)
        if not rows:
            require_published(connection, agency=agency, season=season)
    return table(Statistic, masked(rows), form, file_name="statistics.csv")
