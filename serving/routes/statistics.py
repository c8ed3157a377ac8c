"""GET /statistics: crop areas of regions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from cropmap.database import queries
from serving.access import Reader
from serving.answers import Statistic
from serving.errors import Problem
from serving.names import AgencyQuery, CropQuery, LevelQuery, NutsQuery, SeasonQuery
from serving.tables import Form, to_csv, wanted_form

router = APIRouter(tags=["statistics"])


@router.get(
    "/statistics",
    response_model=list[Statistic],
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
        406: {"model": Problem, "description": "neither JSON nor CSV is accepted"},
    },
)
def statistics(
    connection: Reader,
    form: Annotated[Form, Depends(wanted_form)],
    agency: AgencyQuery = None,
    season: SeasonQuery = None,
    nuts_id: NutsQuery = None,
    level: LevelQuery = None,
    crop: CropQuery = None,
) -> list[queries.Row] | StreamingResponse:
    """Declared, mapped and estimated area per region and crop, with standard error and interval.

    Without filters: everything that is published. JSON by default, CSV with `format=csv` or `Accept: text/csv`.
    Confidential cells keep their row and lose their figures.
    """
    rows = queries.statistics(connection, agency=agency, season=season, nuts_id=nuts_id, level=level, crop=crop)
    if form == "json":
        return rows
    disposition = {"Content-Disposition": 'attachment; filename="statistics.csv"'}
    return StreamingResponse(to_csv(Statistic, rows), media_type="text/csv", headers=disposition)
