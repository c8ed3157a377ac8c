"""GET /releases, GET /releases/{agency}/{season}/{number}: tables of crop areas as they were released."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from cropmap.database import releases as released
from serving.access import Reader
from serving.answers import ReleasedStatistic, StatisticRelease
from serving.errors import NotFoundError, Problem
from serving.known import require_agency
from serving.middleware.conditional import require_change
from serving.names import AgencyPath, AgencyQuery, NutsQuery, SeasonPath, SeasonQuery
from serving.tables import Form, masked, table, wanted_form

router = APIRouter(tags=["releases"])


@router.get(
    "/releases",
    response_model=list[StatisticRelease],
    responses={404: {"model": Problem, "description": "there is no such agency"}},
)
def releases(reader: Reader, agency: AgencyQuery = None, season: SeasonQuery = None) -> Response:
    """Every release, by agency, season and number."""
    with reader() as connection:
        require_agency(connection, agency=agency)
        known = released.read_releases(connection, agency=agency, season=season)
    return table(StatisticRelease, [vars(release_) for release_ in known])


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
    request: Request,
    reader: Reader,
    form: Annotated[Form, Depends(wanted_form)],
    agency: AgencyPath,
    season: SeasonPath,
    number: Annotated[int, Path(description="of the release", examples=[1], ge=1, le=2**31 - 1)],
    nuts_id: NutsQuery = None,
) -> Response:
    """The rows of a release as they were released: they never change.

    JSON by default, CSV with `format=csv` or `Accept: text/csv`.
    """
    with reader() as connection:
        known = released.read_releases(connection, agency=agency, season=season)
        listed_release = next((listed for listed in known if listed.number == number), None)
        if listed_release is None:
            raise NotFoundError(f"there is no release {number}", where=f"{agency} {season}", mend="See /releases")
        require_change(request, form, vars(listed_release))
        rows = released.read_rows(connection, listed_release)
    rows = rows[rows["nuts_id"].str.startswith(nuts_id or "")]
    records = rows.astype(object).where(rows.notna(), None).to_dict("records")
    shown = masked([{str(name): value for name, value in row.items()} for row in records])
    return table(ReleasedStatistic, shown, form, file_name=f"statistics-release-{number}.csv")
