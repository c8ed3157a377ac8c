"""Accounts of people over HTTP: name and password open what the account's role and agency do, and nothing else."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator

import httpx
import pytest

from cropmap.database import accounts, keys
from cropmap.database.connection import connect
from cropmap.schemas import AccessRole
from serving import sign_in
from tests.serving.conftest import Desk, every_message

NAME, PASSWORD = "Jürgen", "correct horse battery"
LIST = "/assessments?agency=bretagne&season=2018"


@pytest.fixture
def person(own_desk: Desk) -> Iterator[httpx.Client]:
    """A controller's account, without a key."""
    with connect(own_desk.database_url) as connection:
        accounts.create_account(connection, NAME, PASSWORD, role=AccessRole.CONTROLLER, agency="bretagne")
    with client_of(own_desk, NAME, PASSWORD) as client:
        yield client


def client_of(desk: Desk, name: str, password: str) -> httpx.Client:
    token = base64.b64encode(f"{name}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {token}"}
    return httpx.Client(base_url=desk.client.base_url, headers=headers, trust_env=False)


def test_an_account_reads_what_its_role_does_and_is_noted(own_desk: Desk, person: httpx.Client) -> None:
    assert person.get(LIST).json() == own_desk.client.get(LIST).json()
    refused = person.get("/runs")
    assert (refused.status_code, "this account has the role controller" in refused.text) == (403, True)
    with connect(own_desk.database_url) as connection:
        noted = connection.execute("SELECT actor FROM audit_entry ORDER BY noted_at").fetchall()
        assert noted == [(f"account {NAME}",), ("key desk",)]
        assert accounts.list_accounts(connection)[0]["last_used_at"] is not None


@pytest.mark.parametrize(("name", "password"), [(NAME, "wrong horse battery"), ("nobody", PASSWORD), (NAME, "")])
def test_a_wrong_password_and_an_unknown_name_are_answered_alike(
    own_desk: Desk, person: httpx.Client, name: str, password: str
) -> None:
    assert person.get(LIST).status_code == 200
    with client_of(own_desk, name, password) as client:
        answer = client.get(LIST)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="cropmap", charset="UTF-8"'
    assert answer.json()["detail"] == ("header Authorization: there is no enabled account with this name and password")
    assert answer.elapsed.total_seconds() >= sign_in.REFUSED_AFTER_SECONDS


@pytest.mark.parametrize(
    "sent", ["Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Basic /////w==", "Bearer x", "Basic AAA6eA=="]
)
def test_what_is_no_name_and_password_is_refused(own_desk: Desk, sent: str) -> None:
    answer = httpx.get(own_desk.client.base_url.join(LIST), headers={"Authorization": sent}, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "ApiKey"


def test_another_password_and_a_disabled_account_close_at_once(own_desk: Desk, person: httpx.Client) -> None:
    assert person.get(LIST).status_code == 200
    with connect(own_desk.database_url) as connection:
        accounts.set_password(connection, NAME, "another long password")
        assert person.get(LIST).status_code == 401
        with client_of(own_desk, NAME, "another long password") as client:
            assert client.get(LIST).status_code == 200
            accounts.disable_account(connection, NAME)
            assert client.get(LIST).status_code == 401


@pytest.mark.parametrize("name", [NAME, "nobody"])
def test_guessing_is_slowed_down_and_the_person_still_gets_in(own_desk: Desk, person: httpx.Client, name: str) -> None:
    assert person.get(LIST).status_code == 200
    with client_of(own_desk, name, "guessed password") as guessing:
        answers = [guessing.get(LIST) for _ in range(sign_in.WRONG + 1)]
    assert [answer.status_code for answer in answers] == [*[401] * sign_in.WRONG, 429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= sign_in.WRONG_SECONDS
    assert person.get(LIST).status_code == 200


def test_a_key_counts_before_an_account(own_desk: Desk, person: httpx.Client) -> None:
    with connect(own_desk.database_url) as connection:
        key = keys.create_key(connection, "released", role=AccessRole.PUBLIC, agency="bretagne")
    assert person.get(LIST, headers={"X-API-Key": key}).status_code == 403
    assert person.get(LIST, headers={"X-API-Key": "cropmap_wrong"}).status_code == 401


def test_no_password_reaches_the_log(own_desk: Desk, person: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), every_message(), client_of(own_desk, NAME, "guessed password") as guessing:
        person.get(LIST)
        guessing.get(LIST)
    assert "refused a name and password" in caplog.text
    for secret in (PASSWORD, "guessed password", person.headers["Authorization"]):
        assert secret not in caplog.text
