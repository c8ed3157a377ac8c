"""Bearer tokens: from client credentials or a refresh token, renewed before they end, shown nowhere."""

from __future__ import annotations

import logging
import pickle
import time
from typing import Any

import pytest

from cropmap.errors import ConfigurationError
from cropmap.masking import masked
from cropmap.sources.catalogs.providers import Provider
from cropmap.sources.catalogs.sign_in import renewed
from cropmap.sources.catalogs.sign_in.opening import opening_of
from cropmap.sources.catalogs.sign_in.renewed import NoEntryError
from cropmap.sources.catalogs.sign_in.tokens import token_of
from tests.data.sign_in_services import Answer, TokenService, provider, service
from tests.sources.test_catalog_answers import trickling

SECRET = "the-secret-of-the-client"


def with_token(url: str, name: str, **keys: str) -> Provider:
    return provider(name, token={"address": f"{url}/token", "hosts": ["files.example.org"], **keys})


def client(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"CROPMAP_CATALOG_{name.upper()}_CLIENT_ID", "client-1")
    monkeypatch.setenv(f"CROPMAP_CATALOG_{name.upper()}_CLIENT_SECRET", SECRET)


@pytest.mark.slow
def test_client_credentials_give_one_token_until_shortly_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    client(monkeypatch, "credentials")
    tokens = TokenService(lasts_s=2.0)
    with service(tokens) as (url, asked):
        of = token_of(with_token(url, "credentials", scope="read"))
        assert of.value() == of.value() == "the-access-token-number-1"
        time.sleep(1.2)
        assert of.value() == "the-access-token-number-2"
    assert [request.form["scope"] for request in asked] == ["read", "read"]
    assert "the-access-token" not in masked("a log names the-access-token-number-1 and the-access-token-number-2")


def test_a_refresh_token_is_replaced_by_each_that_comes_with_an_access_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_CATALOG_REFRESHED_REFRESH_TOKEN", "the-first-refresh-token")
    tokens = TokenService(lasts_s=0.2)
    with service(tokens) as (url, asked):
        of = token_of(with_token(url, "refreshed", client_id="public"))
        for n in range(1, 4):
            assert of.value() == f"the-access-token-number-{n}"
            time.sleep(0.15)
        assert [request.form["refresh_token"] for request in asked] == [
            "the-first-refresh-token",
            "the-refresh-token-number-1",
            "the-refresh-token-number-2",
        ]
        tokens.refresh = ""  # the session at the service has ended: that of the environment is tried once more
        assert of.value() == "the-access-token-number-4"
    assert "number-1" not in masked("the-refresh-token-number-1")


@pytest.mark.parametrize("lasts", ["600", None, True, 0, -5, "soon", [1], 10**400, 1e-9])
def test_a_token_is_given_however_its_time_is_written(lasts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client(monkeypatch, "timed")
    with service(lambda _: Answer(200, {"access_token": "the-timed-token", "expires_in": lasts})) as (url, _):
        assert token_of(with_token(url, "timed")).value() == "the-timed-token"


def test_a_service_that_has_given_before_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a failure of seconds costs every file that a season reads before the service is asked again."""
    client(monkeypatch, "patient")
    monkeypatch.setattr(renewed, "REST_S", 0.05)
    tokens = TokenService()
    with service(tokens) as (url, asked):
        of = token_of(with_token(url, "patient"))
        of.forget(of.value())
        tokens.fail = [Answer(200, b"<html>maintenance</html>"), Answer(404)]
        assert of.value() == "the-access-token-number-2"
        assert len(asked) == 4
        of.forget("the-access-token-number-2")
        tokens.fail = [Answer(404)] * 100
        monkeypatch.setattr(renewed, "PATIENCE_S", 0.12)
        with pytest.raises(NoEntryError, match="404"):
            of.value()
        assert len(asked) < 10, "it is waited for once, not with every file"
        n_asked = len(asked)
        with pytest.raises(NoEntryError, match="404"):
            of.value()
        assert len(asked) == n_asked


def test_a_token_that_trickles_in_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    client(monkeypatch, "trickling")
    monkeypatch.setattr(renewed, "ANSWER_TIME_S", 0.3)
    with trickling() as url, pytest.raises(NoEntryError, match="was not complete after"):
        token_of(with_token(url.rstrip("/"), "trickling")).value()


def test_a_service_without_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    client(monkeypatch, "endless")
    with service(lambda _: Answer(200, b" " * (8 << 20))) as (url, _), pytest.raises(NoEntryError, match="1 MiB"):
        token_of(with_token(url, "endless")).value()


def test_a_token_that_is_refused_is_asked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    client(monkeypatch, "refused")
    with service(TokenService()) as (url, _):
        of = token_of(with_token(url, "refused"))
        first = of.value()
        of.forget("another")
        assert of.value() == first
        of.forget(first)
        assert of.value() != first


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(401, {"error": "invalid_client", "error_description": f"wrong secret {SECRET}"}), r"401.*wrong secret"),
        (Answer(200, b"<html>maintenance</html>"), "no JSON object"),
        (Answer(200, {"token": "x"}), "without a token"),
        (Answer(200, {"access_token": "two\nlines"}), "without a token"),
        (Answer(302, b"", {"Location": "http://127.0.0.1:9/"}), "302"),
    ],
)
def test_no_token_is_one_clear_line(
    answer: Answer, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client(monkeypatch, "closed")
    with service(lambda _: answer) as (url, asked), caplog.at_level(logging.DEBUG):
        of = token_of(with_token(url, "closed"))
        for _ in range(3):
            with pytest.raises(NoEntryError, match=why) as caught:
                of.value()
        assert "CROPMAP_CATALOG_CLOSED_" in caught.value.mend
        assert SECRET not in str(caught.value) + caplog.text
    assert len(asked) == 1, "no request is sent for a while"


@pytest.mark.slow
def test_a_service_that_is_down_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    client(monkeypatch, "down")
    with service(TokenService()) as (url, _):
        pass
    with pytest.raises(NoEntryError, match="token service of down gives none"):
        token_of(with_token(url, "down")).value()


@pytest.mark.slow
def test_a_service_that_restarts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    client(monkeypatch, "restarting")
    tokens = TokenService(fail=[Answer(503, {}, {"Retry-After": "1"}), Answer(429, {}, {"Retry-After": "1"})])
    with service(tokens) as (url, asked):
        token_of(with_token(url, "restarting")).value()
    assert asked[2].at_s - asked[0].at_s >= 2


def test_variables_that_are_missing_are_named() -> None:
    with pytest.raises(NoEntryError, match="tokens for a client's secret") as caught:
        token_of(with_token("http://127.0.0.1:9", "nobody")).value()
    assert "CROPMAP_CATALOG_NOBODY_CLIENT_SECRET" in caught.value.mend


def test_a_variable_of_two_lines_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_CATALOG_BROKEN_CLIENT_SECRET", "secret\r\nX: y")
    with pytest.raises(ConfigurationError, match="CROPMAP_CATALOG_BROKEN_CLIENT_SECRET") as caught:
        token_of(with_token("http://127.0.0.1:9", "broken")).value()
    assert "secret" not in str(caught.value).replace("CLIENT_SECRET", "")


def test_a_provider_is_pickled_without_any_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    client(monkeypatch, "pickled")
    with service(TokenService()) as (url, _):
        of = with_token(url, "pickled")
        token_of(of).value()
        data = pickle.dumps(of)
        assert pickle.loads(data) == of  # noqa: S301
    assert SECRET.encode() not in data
    assert b"the-access-token" not in data
    assert repr(opening_of("s3://eodata-of-nobody/x.jp2")) == "Opening(…)"
