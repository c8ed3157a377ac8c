"""The REST API: one application, made from settings, with a pool of database connections for its lifetime.

In: the public views of the database and the observations of the store. Out: JSON, CSV, problems. It computes nothing,
writes nothing, and answers nobody without an API key, except where it says whether it is well (`/health`) and what can
be asked (`/docs`, `/openapi.json`).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute

import cropmap
from cropmap.database.connection import check_url, open_pool
from cropmap.errors import ConfigurationError
from cropmap.store import Store
from serving import docs, errors
from serving.access import require_key
from serving.logs import Sparse
from serving.routes import assessments, health, parcels, releases, runs, seasons, statistics
from serving.settings import ServingSettings

DESCRIPTION: Final = (
    "Crop classes of parcels, assessments of declarations and crop areas of NUTS regions, as published last for each "
    "agency and season. A verdict decides nothing: it ranks what a person should look at."
)
KEYED: Final = (
    seasons.router, statistics.router, releases.router, assessments.router, parcels.router, runs.router,
)  # fmt: skip
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": errors.Problem, "description": "the API key is missing or not known"},
    422: {"model": errors.Problem, "description": "a parameter is wrong"},
    503: {"model": errors.Problem, "description": "the database or the store does not answer"},
}
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Answers hold personal data: no cache keeps them. The pages load nothing and are framed by nobody."""


def create_app(settings: ServingSettings) -> FastAPI:
    """Makes the application; it starts while the database is away, and answers 503 until it is back.

    Raises ConfigurationError when the settings name no PostgreSQL database, or a store that cannot be opened.
    """
    url = settings.database_url.get_secret_value()
    if not url:
        raise ConfigurationError(
            "no database", where="CROPMAP_DATABASE_URL", mend="Set it, or start the API with `cropmap serve`"
        )
    check_url(url)
    store = Store(settings.store) if settings.store else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = open_pool(url, max_size=settings.pool_size, wait_seconds=settings.database_timeout_s)
        app.state.pool, app.state.store = pool, store
        try:
            yield
        finally:
            pool.close()

    app = FastAPI(
        title="cropmap",
        version=cropmap.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.middleware("http")(_add_headers)
    errors.install(app)
    docs.install(app)
    app.include_router(health.router)
    for router in KEYED:
        app.include_router(router, dependencies=[Depends(require_key)], responses=PROBLEMS)
    _keep_log_readable()
    return app


async def _add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response


def _operation_id(route: APIRoute) -> str:
    return route.name


def _keep_log_readable() -> None:
    logger = logging.getLogger("cropmap.serving")
    if not any(isinstance(present, Sparse) for present in logger.filters):
        logger.addFilter(Sparse())
