"""Nothing is answered without a key, except whether the API is well and what it offers."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest

from cropmap.database import keys
from cropmap.database.connection import connect
from cropmap.errors import ConfigurationError
from serving.app import create_app
from serving.settings import ServingSettings
from tests.serving.conftest import Desk, every_message, running
from tests.serving.operations import questions

ASKED = {"agency": "bretagne", "season": 2018, "parcel_id": "007", "number": 1}
ASKED |= {"collection_id": "parcels", "feature_id": "bretagne:2018:007"}
ASKED |= {"flow_ref": "bretagne,CROP_AREA", "context": "*", "resource_id": "CROP_AREA", "version": "1.0"}
ASKED |= {"key": "all", "provider": "bretagne", "artefact": "dataflow", "name": "new@bretagne"}

CLOSED = questions(ASKED, of_regions={"feature_id": "bretagne:2018:FRH01"})
"""every operation that the API's own description closes"""
KEYED = [question.address for question in CLOSED if question.method == "GET"]


@pytest.fixture
def keyless(database_url: str) -> Iterator[httpx.Client]:
    """A client of an API for which nobody has made a key."""
    with running(create_app(ServingSettings(database_url=database_url))) as client:
        yield client


def test_a_valid_key_opens_every_route(api: httpx.Client) -> None:
    assert {path: api.get(path).status_code for path in KEYED} == dict.fromkeys(KEYED, 200)


def test_the_routes_with_a_key_are_found() -> None:
    assert {
        "/agencies",
        "/seasons",
        "/statistics",
        "/releases",
        "/releases/bretagne/2018/1",
        "/assessments?agency=bretagne&season=2018",
        "/parcels/bretagne/2018/007",
        "/runs",
        "/ogc/",
        "/ogc/collections/parcels/items",
        "/ogc/collections/assessments/items/bretagne:2018:007",
        "/keys",
        "/ogc/collections/regions/items/bretagne:2018:FRH01",
    } <= set(KEYED)
    assert {question.method for question in CLOSED} == {"GET", "POST", "PUT", "DELETE"}


@pytest.mark.parametrize("sent", [None, "", "cropmap_wrong", "' OR '1'='1", "a\u00e9".encode("latin-1"), "x" * 5000])
def test_anything_else_is_refused(api: httpx.Client, sent: str | bytes | None) -> None:
    headers = {} if sent is None else {b"X-API-Key": sent if isinstance(sent, bytes) else sent.encode()}
    with httpx.Client(base_url=api.base_url, headers=headers, trust_env=False) as client:
        for question in CLOSED:
            answer = question.ask(client)
            assert answer.status_code == 401, question
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"] == "ApiKey"


def test_without_any_key_made_everything_is_closed(keyless: httpx.Client) -> None:
    for question in CLOSED:
        assert question.ask(keyless, **{"X-API-Key": "anything"}).status_code == 401, question
    assert keyless.get("/health").status_code == 200


def test_a_revoked_key_is_refused(own_desk: Desk) -> None:
    assert own_desk.client.get("/seasons").status_code == 200
    with connect(own_desk.database_url) as connection:
        keys.revoke_key(connection, "desk")
    assert own_desk.client.get("/seasons").status_code == 401


def test_a_key_in_the_address_is_no_key(desk: Desk) -> None:
    address = desk.client.base_url.join(f"/seasons?X-API-Key={desk.key}")
    assert httpx.get(address, trust_env=False).status_code == 401


def test_no_key_reaches_the_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), every_message():
        desk.client.get("/seasons")
        desk.client.get("/seasons", headers={"X-API-Key": "cropmap_guessed"})
    assert "refused an unknown API key" in caplog.text
    assert desk.key not in caplog.text
    assert "cropmap_guessed" not in caplog.text


def test_answers_are_kept_by_no_cache(api: httpx.Client) -> None:
    answer = api.get("/assessments?agency=bretagne&season=2018")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("url", ["", "sqlite:///cropmap.db"])
def test_settings_without_a_database_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CROPMAP_DATABASE_URL"):
        create_app(ServingSettings(database_url=url))


def test_settings_say_which_variable_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_PORT", "eight thousand")
    with pytest.raises(ConfigurationError, match="CROPMAP_PORT"):
        ServingSettings.load()
