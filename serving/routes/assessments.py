"""GET /assessments: declarations in the order in which a person should look at them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from cropmap.database import queries
from cropmap.schemas import Verdict
from serving.access import RecordedReader, note_read
from serving.answers import Assessment, AssessmentPage
from serving.errors import Problem
from serving.known import require_published
from serving.middleware.conditional import require_change
from serving.names import AfterQuery, NutsQuery, OneAgencyQuery, OneSeasonQuery
from serving.tables import json_answer, shown

router = APIRouter(tags=["assessments"])


@router.get(
    "/assessments",
    response_model=AssessmentPage,
    responses={404: {"model": Problem, "description": "the season is not published"}},
)
def assessments(
    request: Request,
    reader: RecordedReader,
    agency: OneAgencyQuery,
    season: OneSeasonQuery,
    verdict: Annotated[list[Verdict] | None, Query(description="one or several; all without it")] = None,
    nuts_id: NutsQuery = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="rows of a page")] = 100,
    after: AfterQuery = None,
) -> Response:
    """Assessments of a published season by priority, page by page.

    Follow `next` until it is null: every row comes exactly once, also when the season is published anew meanwhile.
    Rows name the holding, which is personal data: hand them on to those only who may see it.
    """
    with reader() as connection:
        if after is not None:  # a mark of a season that is not published is refused for the season
            require_published(connection, agency=agency, season=season)
        else:  # a later page stays with its run, which may have been replaced
            require_change(request, "json", queries.published_seasons(connection, agency=agency))
        page = queries.assessments(
            connection, agency=agency, season=season, verdicts=verdict or (), nuts_id=nuts_id, after=after, limit=limit
        )
        if not page.items:
            require_published(connection, agency=agency, season=season)
        parcel_ids = [row["parcel_id"] for row in page.items]
        note_read(request, connection, agency=agency, season=season, parcel_ids=parcel_ids)
    following = request.url.include_query_params(after=page.next) if page.next else None
    return json_answer(
        {"items": shown(Assessment, page.items), "next": f"{following.path}?{following.query}" if following else None}
    )
