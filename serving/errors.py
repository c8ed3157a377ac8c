"""From an error to an HTTP answer: one table, and one form (`application/problem+json`, RFC 9457).

A wrong request is answered with what is wrong, where, and how to correct it. A failure of the server is logged in full
and answered only with its kind, because messages of the database or the store may contain hosts, roles and paths.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cropmap.database.keys import HolderRefusedError, NameTakenError, NameUnknownError
from cropmap.errors import ConfigurationError, CropmapError, DatabaseUnavailableError, InputError

log = logging.getLogger("cropmap.serving")

MEDIA_TYPE: Final = "application/problem+json"


class NotFoundError(InputError):
    """Nothing is published under this name."""


class KeyRefusedError(InputError):
    """The request carries no API key and no account, or none that is valid."""

    challenge = "ApiKey"
    """how to sign in, for the header WWW-Authenticate"""


class RoleRefusedError(InputError):
    """The key is valid, and its role does not open the route."""


class RateExceededError(InputError):
    """The key has sent more requests than it may in a minute."""

    seconds = 1
    """to the next one that is answered"""


class NotAcceptableError(InputError):
    """The request accepts only formats that are not offered."""


class MediaTypeError(InputError):
    """The body is not of the type that the route reads."""


class BodyLateError(InputError):
    """The body did not come in time."""


class ObservationsUnavailableError(CropmapError):
    """The store cannot read observations that the database lists."""


STATUS: Final[Mapping[type[Exception], HTTPStatus]] = {
    KeyRefusedError: HTTPStatus.UNAUTHORIZED,
    RoleRefusedError: HTTPStatus.FORBIDDEN,
    RateExceededError: HTTPStatus.TOO_MANY_REQUESTS,
    NotFoundError: HTTPStatus.NOT_FOUND,
    NotAcceptableError: HTTPStatus.NOT_ACCEPTABLE,
    MediaTypeError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    BodyLateError: HTTPStatus.REQUEST_TIMEOUT,
    NameUnknownError: HTTPStatus.NOT_FOUND,
    NameTakenError: HTTPStatus.CONFLICT,
    HolderRefusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    RequestValidationError: HTTPStatus.UNPROCESSABLE_ENTITY,
    InputError: HTTPStatus.BAD_REQUEST,
    ConfigurationError: HTTPStatus.INTERNAL_SERVER_ERROR,  # of the server's settings, not of the request
    DatabaseUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    ObservationsUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    CropmapError: HTTPStatus.INTERNAL_SERVER_ERROR,
    Exception: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status is that of the nearest base class of the error."""


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    title: str = Field(description="the HTTP status in words", examples=["Not Found"])
    status: int = Field(description="the HTTP status", examples=[404])
    detail: str = Field(description="what, where, and how to mend it; empty for a failure on the server's side")
    instance: str = Field(description="path of the request", examples=["/parcels/bretagne/2018/BZ0001"])


def status_of(error: Exception) -> HTTPStatus:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def answer(request: Request, error: Exception) -> JSONResponse:
    """Answers a request whose handling raised `error`."""
    if isinstance(error, HTTPException):
        return _problem(request, HTTPStatus(error.status_code), error.detail, headers=error.headers)
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _problem(request, status, "")
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        log.error("%s %s: %s", request.method, request.url.path, error)
        away = "the store" if isinstance(error, ObservationsUnavailableError) else "the database"
        return _problem(request, status, f"{away} does not answer; try again later", headers={"Retry-After": "10"})
    headers = {"WWW-Authenticate": error.challenge} if isinstance(error, KeyRefusedError) else {}
    if isinstance(error, RateExceededError):
        headers = {"Retry-After": str(error.seconds)}
    return _problem(request, status, detail_of(error), headers=headers)


def install(app: FastAPI) -> None:
    for kind in (*STATUS, HTTPException):
        app.add_exception_handler(kind, answer)


class Caught:
    """ASGI middleware: answers a request whose handling failed as nobody foresaw.

    The framework would do so too, but outside of the other middleware: without the headers of every answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            await answer(Request(scope), error)(scope, receive, send)


def detail_of(error: Exception) -> str:
    """What a client is told of a wrong request."""
    if isinstance(error, RequestValidationError):
        # the input itself is left out: it may be long, and it is the client's own
        return "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
    return str(error)


def _problem(
    request: Request, status: HTTPStatus, detail: str, *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return problem(request.url.path, status, detail, headers=headers)


def example(status: int, detail: str) -> dict[str, str | int]:
    """A problem as the documentation of the API shows it."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, instance="/v1/seasons")
    return body.model_dump()


def problem(path: str, status: HTTPStatus, detail: str, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer to a request for `path` that is refused or failed."""
    body = Problem(title=status.phrase, status=status, detail=detail, instance=path)
    return JSONResponse(body.model_dump(), status, dict(headers or {}), MEDIA_TYPE)
