"""GET /health: whether the API can answer questions. The only route without a key."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends, Request, Response

from cropmap.database import keys, migrations, queries
from cropmap.database.connection import pooled_connection
from cropmap.errors import DatabaseUnavailableError
from cropmap.schemas import AccessRole
from serving.answers import Health, PublishedSeason
from serving.errors import Problem
from serving.parameters import known_parameters

router = APIRouter(tags=["health"], dependencies=[Depends(known_parameters)])


@router.get(
    "/health",
    responses={
        400: {"model": Problem, "description": "a parameter that the route does not know"},
        503: {"model": Health, "description": "the database is away"},
    },
)
def health(request: Request, response: Response) -> Health:
    """Asks the database, and answers 503 while it is away or its tables are not up to date.

    Who sends a valid key also learns which season of its agency was published last.
    """
    key = request.headers.get("x-api-key", "")
    try:
        with pooled_connection(request.app.state.pool) as connection:
            if any(step.applied_at is None for step in migrations.status(connection)):
                response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
                return Health(status="unavailable", database="up", migrations="open", newest_season=None)
            with connection.transaction():
                holder = keys.enter(connection, key)
                inside = holder is not None and holder.role not in (AccessRole.PUBLIC, AccessRole.ADMINISTRATOR)
                seasons = queries.published_seasons(connection) if inside else []
    except DatabaseUnavailableError:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return Health(status="unavailable", database="down", migrations="unknown", newest_season=None)
    newest = max(seasons, key=lambda season: season["published_at"], default=None)
    return Health(
        status="ok",
        database="up",
        migrations="up to date",
        newest_season=PublishedSeason.model_validate(newest) if newest else None,
    )
