"""GET /releases, GET /releases/{agency}/{season}/{number}: tables of crop areas as they left the house."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import StreamingResponse

from cropmap.database import releases as released
from cropmap.database.releases import Release
from serving.access import Reader
from serving.answers import ReleasedStatistic, StatisticRelease
from serving.errors import NotFoundError, Problem
from serving.names import AgencyPath, AgencyQuery, NutsQuery, SeasonPath, SeasonQuery
from serving.tables import Form, to_csv, wanted_form

router = APIRouter(tags=["releases"])


@router.get("/releases", response_model=list[StatisticRelease])
def releases(connection: Reader, agency: AgencyQuery = None, season: SeasonQuery = None) -> list[Release]:
    """Every release, by agency, season and number."""
    return released.read_releases(connection, agency=agency, season=season)


@router.get(
    "/releases/{agency}/{season}/{number}",
    response_model=list[ReleasedStatistic],
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
        404: {"model": Problem, "description": "there is no such release"},
        406: {"model": Problem, "description": "neither JSON nor CSV is accepted"},
    },
)
def release(
    connection: Reader,
    form: Annotated[Form, Depends(wanted_form)],
    agency: AgencyPath,
    season: SeasonPath,
    number: Annotated[int, Path(description="of the release", ge=1, le=2**31 - 1)],
    nuts_id: NutsQuery = None,
) -> list[dict[str, Any]] | StreamingResponse:
    """The rows of a release as they left: they never change. JSON by default, CSV with `format=csv`."""
    known = released.read_releases(connection, agency=agency, season=season)
    found = next((one for one in known if one.number == number), None)
    if found is None:
        raise NotFoundError(f"there is no release {number}", where=f"{agency} {season}", mend="See /releases")
    table = released.read_rows(connection, found)
    table = table[table["nuts_id"].str.startswith(nuts_id or "")]
    records = table.astype(object).where(table.notna(), None).to_dict("records")
    rows = [{str(name): value for name, value in row.items()} for row in records]
    if form == "json":
        return rows
    disposition = {"Content-Disposition": f'attachment; filename="statistics-release-{number}.csv"'}
    return StreamingResponse(to_csv(ReleasedStatistic, rows), media_type="text/csv", headers=disposition)
