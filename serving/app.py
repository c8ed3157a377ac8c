"""The REST API: one application, made from settings, with a pool of database connections for its lifetime.

Input: the public views of the database and the observations of the store. Output: JSON, CSV, problems. It computes and
writes nothing. Every route needs an API key, except `/health` and the documentation (`/docs`, `/openapi.json`).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

import cropmap
from cropmap.database.connection import check_url, open_pool
from cropmap.errors import ConfigurationError
from cropmap.schemas import AccessRole
from cropmap.store import Store
from serving import docs, errors
from serving.access import KeyRing, RequireRole
from serving.admission import Admission
from serving.logs import Sparse
from serving.ogc.extents import Extents
from serving.parameters import known_parameters
from serving.routes import assessments, features, health, parcels, releases, runs, seasons, statistics
from serving.series import SeriesReader
from serving.settings import ServingSettings

DESCRIPTION: Final = (
    "Crop classes of parcels, assessments of declarations and crop areas of NUTS regions, as published last for each "
    "agency and season. A verdict decides nothing: it ranks what a person should look at."
)
CONTROLLER: Final = (AccessRole.CONTROLLER,)
STATISTICS: Final = (AccessRole.STATISTICIAN, AccessRole.CONTROLLER)
INSIDE: Final = (AccessRole.OPERATOR, *STATISTICS)
KEYED: Final = (
    (seasons.router, INSIDE),
    (statistics.router, STATISTICS),
    (releases.router, (AccessRole.PUBLIC, *STATISTICS)),
    (assessments.router, CONTROLLER),
    (parcels.router, CONTROLLER),
    (features.router, CONTROLLER),
    (runs.router, (AccessRole.OPERATOR,)),
)
"""routes, and whom they answer; the database holds each role to the same"""
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": errors.Problem, "description": "a parameter that the route does not know, or one given twice"},
    401: {"model": errors.Problem, "description": "the API key is missing or not valid"},
    422: {"model": errors.Problem, "description": "a parameter is wrong"},
    429: {"model": errors.Problem, "description": "too many requests wait already"},
    503: {"model": errors.Problem, "description": "the database or the store does not answer"},
}


def create_app(settings: ServingSettings) -> FastAPI:
    """Makes the application. It starts also without the database, and answers 503 until the database can be reached.

    Raises ConfigurationError when the settings name no PostgreSQL database, or a store that cannot be opened.
    """
    url = settings.database_url.get_secret_value()
    if not url:
        raise ConfigurationError(
            "no database", where="CROPMAP_DATABASE_URL", mend="Set it, or start the API with `cropmap serve`"
        )
    check_url(url)
    where = settings.store.get_secret_value()  # its address may hold keys
    store = Store(where) if where else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = open_pool(url, max_size=settings.pool_size, wait_seconds=settings.database_timeout_s)
        app.state.pool, app.state.keys = pool, KeyRing(pool)
        app.state.extents = Extents()
        app.state.series = SeriesReader(store, cache_bytes=settings.series_cache_mb << 20) if store else None
        # as many threads as connections: a request with a thread has a connection too, and waits for nothing else
        to_thread.current_default_thread_limiter().total_tokens = settings.pool_size
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
    app.add_middleware(Admission, most=settings.max_requests)
    errors.install(app)
    docs.install(app)
    app.include_router(health.router)
    for router, roles in KEYED:
        refused = {"model": errors.Problem, "description": f"the role of the key is not {' or '.join(roles)}"}
        checks = [Depends(RequireRole(*roles)), Depends(known_parameters)]
        app.include_router(router, dependencies=checks, responses={**PROBLEMS, 403: refused})
    _keep_log_readable()
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _keep_log_readable() -> None:
    logger = logging.getLogger("cropmap.serving")
    if not any(isinstance(present, Sparse) for present in logger.filters):
        logger.addFilter(Sparse())
