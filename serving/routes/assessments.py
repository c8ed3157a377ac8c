"""GET /assessments: declarations in the order in which a person should look at them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from cropmap.database import queries
from cropmap.schemas import Verdict
from serving.access import Reader
from serving.answers import Assessment, AssessmentPage
from serving.names import AfterQuery, NutsQuery, OneAgencyQuery, OneSeasonQuery

router = APIRouter(tags=["assessments"])


@router.get("/assessments")
def assessments(
    request: Request,
    connection: Reader,
    agency: OneAgencyQuery,
    season: OneSeasonQuery,
    verdict: Annotated[list[Verdict] | None, Query(description="one or several; all without it")] = None,
    nuts_id: NutsQuery = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="rows of a page")] = 100,
    after: AfterQuery = None,
) -> AssessmentPage:
    """Assessments of a published season by priority, page by page.

    Follow `next` until it is null: every row comes exactly once, also when the season is published anew meanwhile.
    Rows name the holding, which is personal data: hand them on to those only who may see it.
    """
    page = queries.assessments(
        connection, agency=agency, season=season, verdicts=verdict or (), nuts_id=nuts_id, after=after, limit=limit
    )
    following = request.url.include_query_params(after=page.next) if page.next else None
    return AssessmentPage(
        items=[Assessment.model_validate(row) for row in page.items],
        next=f"{following.path}?{following.query}" if following else None,
    )
