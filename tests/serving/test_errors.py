"""Every error has its status, and a failure on our side keeps its message to itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from fastapi import FastAPI

from cropmap.errors import (
    ConfigurationError,
    CropmapError,
    DatabaseError,
    DatabaseUnavailableError,
    DeclarationFileError,
)
from serving import errors
from serving.logs import Sparse
from tests.serving.conftest import every_message, running

SECRET = "postgresql://cropmap:hunter2@db.internal/cropmap"


@contextmanager
def client_that_raises(error: Exception) -> Iterator[httpx.Client]:
    app = FastAPI()
    errors.install(app)

    @app.get("/it")
    def it(count: int = 0) -> None:
        raise error

    with running(app) as client:
        yield client


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (errors.KeyRefusedError("no API key"), 401, "no API key"),
        (errors.NotFoundError("no parcel 7", where="bretagne 2018"), 404, "bretagne 2018: no parcel 7"),
        (errors.NotAcceptableError("Accept: image/png"), 406, "Accept: image/png"),
        (DeclarationFileError("no such column", mend="Name it"), 400, "no such column. Name it"),
        (DatabaseUnavailableError(SECRET), 503, "the database does not answer; try again later"),
        (errors.ObservationsUnavailableError(SECRET), 503, "the store does not answer; try again later"),
        (DatabaseError(SECRET), 500, ""),
        (ConfigurationError(SECRET, mend="Set a key"), 500, ""),
        (CropmapError(SECRET), 500, ""),
        (RuntimeError(SECRET), 500, ""),
    ],
)
def test_status_of_errors(error: Exception, status: int, detail: str) -> None:
    with client_that_raises(error) as client:
        answer = client.get("/it")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["detail"], body["instance"]) == (status, detail, "/it")
    assert "hunter2" not in answer.text


def test_invalid_parameter_and_unknown_route_are_problems() -> None:
    with client_that_raises(RuntimeError()) as client:
        invalid, unknown, wrong_method = client.get("/it?count=many"), client.get("/nowhere"), client.post("/it")
    assert [a.status_code for a in (invalid, unknown, wrong_method)] == [422, 404, 405]
    assert {a.headers["content-type"] for a in (invalid, unknown, wrong_method)} == {"application/problem+json"}
    assert invalid.json()["detail"].startswith("query.count: ")
    assert wrong_method.headers["allow"] == "GET"


def test_failures_are_logged_in_full(caplog: pytest.LogCaptureFixture) -> None:
    with every_message(), client_that_raises(DatabaseError("relation is gone")) as client:
        client.get("/it")
    assert "relation is gone" in caplog.text


def test_the_same_message_is_logged_once_a_minute() -> None:
    now = [0.0]
    sparse = Sparse(every_seconds=60, monotonic=lambda: now[0])

    def passes(template: str, *args: object) -> str | None:
        record = logging.LogRecord("cropmap.serving", logging.WARNING, __file__, 1, template, args, None)
        return record.getMessage() if sparse.filter(record) else None

    assert passes("refused %s", "a") == "refused a"
    assert passes("refused %s", "b") is None
    assert passes("another") == "another"
    now[0] = 59.9
    assert passes("refused %s", "c") is None
    now[0] = 60.0
    assert passes("refused %s", "d") == "refused d (2 more like it since the last one)"
    now[0] = 120.0
    assert passes("refused %s", "e") == "refused e"
