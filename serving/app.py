"""The REST API: one application, made from settings, with a pool of database connections for its lifetime.

Input: the public views of the database and the observations of the store. Output: JSON, CSV, problems. It computes
nothing, and writes keys and accounts alone, for administrators. Every route needs an API key or an account, except
`/health` and the documentation.

What holds for every route, also for one that is added, is ASGI middleware (`_add_middleware`): names of requests,
origins, limits, methods, compression, entity tags, the version in the path.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

import cropmap
from cropmap.database.connection import check_url, open_pool
from cropmap.errors import ConfigurationError
from cropmap.schemas import AccessRole
from cropmap.store import Store
from serving import errors
from serving.access import KeyRing, RequireRole
from serving.logs import Sparse
from serving.middleware import conditional, request_ids
from serving.middleware.admission import Admission
from serving.middleware.bounds import Bounds
from serving.middleware.compression import Compression
from serving.middleware.methods import Methods
from serving.middleware.origins import Origins
from serving.middleware.versions import PREFIX, Versions
from serving.ogc.extents import Extents
from serving.openapi import docs
from serving.openapi.description import DescribedAPI
from serving.parameters import known_parameters
from serving.rates import Rates, within_rate
from serving.routes import (
    administration,
    assessments,
    features,
    health,
    json_stat,
    parcels,
    releases,
    runs,
    sdmx_data,
    sdmx_structures,
    seasons,
    statistics,
)
from serving.series import SeriesReader
from serving.settings import ServingSettings
from serving.sign_in import Accounts

DESCRIPTION: Final = (
    "Crop classes of parcels, assessments of declarations and crop areas of NUTS regions, as published last for each "
    "agency and season. A verdict decides nothing: it ranks what a person should look at. Paths are below /v1."
)
CONTROLLER: Final = (AccessRole.CONTROLLER,)
STATISTICS: Final = (AccessRole.STATISTICIAN, AccessRole.CONTROLLER)
RELEASED: Final = (AccessRole.PUBLIC, *STATISTICS)
INSIDE: Final = (AccessRole.OPERATOR, *STATISTICS)
KEYED: Final = (
    (seasons.router, INSIDE),
    (statistics.router, STATISTICS),
    (releases.router, RELEASED),
    (json_stat.router, RELEASED),
    (sdmx_data.router, RELEASED),  # before the artefacts, whose routes have a place for any word
    (sdmx_structures.router, RELEASED),
    (assessments.router, CONTROLLER),
    (parcels.router, CONTROLLER),
    (features.router, RELEASED),
    (features.parcels, CONTROLLER),
    (runs.router, (AccessRole.OPERATOR,)),
    (administration.router, (AccessRole.ADMINISTRATOR,)),
)
"""routes, and whom they answer; the database holds each role to the same"""
ALLOWED_METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE")
ALLOWED_HEADERS: Final = ("X-API-Key", "Authorization", "X-Request-ID", "If-None-Match", "Content-Type")
EXPOSED_HEADERS: Final = ("Content-Disposition", "Deprecation", "ETag", "Link", "Retry-After", "Sunset", "X-Request-ID")
"""what a page of an allowed origin may send, and read, beside what every page may"""
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": errors.Problem, "description": "a parameter that the route does not know, or one given twice"},
    401: {"model": errors.Problem, "description": "the API key or the account is missing or not valid"},
    414: {"model": errors.Problem, "description": "the address is too long"},
    422: {"model": errors.Problem, "description": "a parameter or the body is wrong"},
    429: {"model": errors.Problem, "description": "too many requests wait already, or the key has sent too many"},
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
        app.state.pool, app.state.keys, app.state.accounts = pool, KeyRing(pool), Accounts(pool)
        app.state.extents = Extents()
        app.state.series = SeriesReader(store, cache_bytes=settings.series_cache_mb << 20) if store else None
        # as many threads as connections: a request with a thread has a connection too, and waits for nothing else
        to_thread.current_default_thread_limiter().total_tokens = settings.pool_size
        try:
            yield
        finally:
            pool.close()

    app = DescribedAPI(
        title="cropmap",
        version=cropmap.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        servers=[{"url": PREFIX}],
        root_path_in_servers=False,
    )
    app.state.rates = Rates(settings.rate_per_minute)
    _add_middleware(app, settings)
    errors.install(app)
    conditional.install(app)
    docs.install(app)
    app.include_router(health.router)
    for router, roles in KEYED:
        refused = {"model": errors.Problem, "description": f"the role of the key is not {' or '.join(roles)}"}
        checks = [Depends(within_rate), Depends(RequireRole(*roles)), Depends(known_parameters)]
        app.include_router(router, dependencies=checks, responses={**PROBLEMS, 403: refused})
    _keep_log_readable()
    return app


def _add_middleware(app: FastAPI, settings: ServingSettings) -> None:
    """From the application outwards: what is added last sees a request first, and its answer last."""
    app.add_middleware(Versions)
    app.add_middleware(conditional.Conditional)
    app.add_middleware(Compression)
    app.add_middleware(Methods)
    app.add_middleware(errors.Caught)
    app.add_middleware(Origins, allowed=settings.origins)
    app.add_middleware(Bounds)
    app.add_middleware(Admission, most=settings.max_requests)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=ALLOWED_METHODS,
            allow_headers=ALLOWED_HEADERS,
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(request_ids.RequestIds)


def _operation_id(route: APIRoute) -> str:
    return route.name


def _keep_log_readable() -> None:
    logger = logging.getLogger("cropmap.serving")
    if not any(isinstance(present, Sparse) for present in logger.filters):
        logger.addFilter(Sparse())
        logger.addFilter(request_ids.Named())  # after the other, to which a name would make each message another one
    if not administration.log.filters:  # those of the logger above it do not hold for it
        administration.log.addFilter(request_ids.Named())
