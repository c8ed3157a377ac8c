"""Requests that schemathesis makes up from the OpenAPI document, valid ones and wrong ones, against a real server.

Some 500 in the normal run, always the same: to each route a few at random, and those that try the limits of each
parameter. CROPMAP_FUZZ_REQUESTS=10000 sends so many. Keys and accounts are made and ended in a database of their own,
in which nobody ends a key that was there before.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cropmap.database import keys
from cropmap.database.connection import connect
from cropmap.schemas import AccessRole
from serving import sign_in
from serving.app import create_app
from serving.settings import ServingSettings
from tests.serving.conftest import Desk, running

REQUESTS: Final = int(os.environ.get("CROPMAP_FUZZ_REQUESTS", "500"))
ROUTES: Final = 41
ADMINISTERED: Final = "^/(keys|accounts)"
OTHERS: Final = "^/(runs$|keys|accounts)"
"""for which another key is sent"""
COVERING: Final = 450
"""requests that try each parameter's limits, however few others are asked for"""
SETTINGS: Final = Path(__file__).with_name("schemathesis.toml")
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "ignored_auth",
    "allow_header_conformance",
)


@dataclass
class Counting:
    """ASGI middleware that counts requests by the status of their answer."""

    app: ASGIApp
    statuses: dict[int, int]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.statuses[message["status"]] = self.statuses.get(message["status"], 0) + 1
            await send(message)

        await self.app(scope, receive, sending)


KEPT: Final = """
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE UPDATE OF revoked_at ON api_key FOR EACH ROW
WHEN (OLD.name IN ('desk', 'operator', 'administrator') OR OLD.name LIKE 'generated %') EXECUTE FUNCTION keep();
"""
"""schemathesis sends names that it was answered, its own key's too: to revoke one of these changes nothing (404)"""


def generated(address: str, key: str, *options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A run of schemathesis against the API at this address."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--no-color", "--config-file", str(SETTINGS)),
        *("run", f"{address}/openapi.json"),
        *("--url", f"{address}/v1", "--header", f"X-API-Key: {key}", "--checks", ",".join(CHECKS)),
        *("--phases", "examples,coverage,fuzzing", "--generation-deterministic", "--continue-on-failure"),
        *("--max-examples", str(max(5, (REQUESTS - COVERING) // ROUTES))),
        *options,
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_no_generated_request_is_answered_wrongly(
    own_desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither with an error of the server, nor outside of the description. A wrong request is not taken for a right
    one, and one without a key gets nothing."""
    # it tries the same wrong name and password on every route, which must be refused for what they are
    monkeypatch.setattr(sign_in, "WRONG", 1_000)
    monkeypatch.setattr(sign_in, "REFUSED_AFTER_SECONDS", 0.0)
    with connect(own_desk.database_url) as connection:
        operator = keys.create_key(connection, "generated operator", role=AccessRole.OPERATOR, agency="bretagne")
        administrators = [
            keys.create_key(connection, f"generated {agency}", role=AccessRole.ADMINISTRATOR, agency=agency)
            for agency in ("bretagne", None)
        ]
        connection.execute(KEPT.encode())
    statuses: dict[int, int] = {}
    app = create_app(ServingSettings(database_url=own_desk.database_url, store=own_desk.store.root, rate_per_minute=0))
    app.add_middleware(Counting, statuses=statuses)
    with running(app) as client:
        for key, *chosen in (
            (own_desk.key, "--exclude-path-regex", OTHERS),
            (operator, "--include-path", "/runs"),
            *((key, "--include-path-regex", ADMINISTERED) for key in administrators),
        ):
            done = generated(str(client.base_url), key, *chosen, folder=tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
    with connect(own_desk.database_url) as connection:
        revoked = [row["name"] for row in keys.list_keys(connection) if row["revoked_at"]]
    assert sum(statuses.values()) >= REQUESTS * 0.8, statuses
    assert {200, 201, 204, 400, 401, 403, 404, 405, 409, 415, 422} <= set(statuses), statuses
    assert revoked
    assert not [name for name in revoked if name.startswith("generated ")]
