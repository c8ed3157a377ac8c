"""Files that need a signature get it when they are opened, and nothing else is signed."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cropmap.masking import masked
from cropmap.sources.catalogs.providers import Provider, built_in
from cropmap.sources.catalogs.sign_in.opening import opening_of
from cropmap.sources.catalogs.sign_in.renewed import NoEntryError
from cropmap.sources.catalogs.sign_in.signatures import signature_of, signed, without_signatures
from tests.data.sign_in_services import Answer, Request, provider, service

FILE = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/13/T/DE/B02_10m.tif"
TOKEN = "st=2026-01-01T00%3A00%3A00Z&sp=rl&sig=q1w2e3%3D"


def in_s(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def signing(url: str, name: str = "mirror") -> Provider:
    hosts = built_in("planetary_computer").hosts
    return provider(name, hosts=hosts, signature={"address": url, "hosts": hosts})


def opened(of: Provider, href: str) -> str:
    signature = signature_of(of, href)
    return signed(href, signature.value()) if signature else href


def test_a_file_is_signed_with_one_token_for_all() -> None:
    with service(lambda _: Answer(200, {"token": TOKEN, "msft:expiry": in_s(2_700)})) as (url, asked):
        mirror = signing(url)
        assert opened(mirror, FILE) == f"{FILE}?{TOKEN}"
        assert opened(mirror, FILE.replace("B02", "B03")).endswith(f"B03_10m.tif?{TOKEN}")
    assert [request.path for request in asked] == ["/sentinel2l2a01/sentinel2-l2"]
    assert masked(f"GET {FILE}?{TOKEN}").count("q1w2e3") == 0


def test_a_signature_is_renewed_before_it_ends() -> None:
    n = iter(range(1, 9))
    with service(lambda _: Answer(200, {"token": f"sig=number{next(n)}", "msft:expiry": in_s(2)})) as (url, asked):
        mirror = signing(url)
        assert opened(mirror, FILE).endswith("sig=number1")
        assert opened(mirror, FILE).endswith("sig=number1")
        time.sleep(1.2)  # half of what it lasts: a file that is opened now is read with one that still holds
        assert opened(mirror, FILE).endswith("sig=number2")
    assert len(asked) == 2


def test_threads_share_one_request() -> None:
    def slowly(_: Request) -> Answer:
        time.sleep(0.2)
        return Answer(200, {"token": TOKEN})

    with service(slowly) as (url, asked):
        mirror = signing(url)
        threads = [threading.Thread(target=opened, args=(mirror, FILE)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(asked) == 1


def test_the_service_gets_the_operators_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_CATALOG_KEYED_SUBSCRIPTION_KEY", "the-subscription")
    with service(lambda _: Answer(200, {"token": TOKEN})) as (url, asked):
        opened(signing(url, "keyed"), FILE)
    assert asked[0].headers["Ocp-Apim-Subscription-Key"] == "the-subscription"


@pytest.mark.slow
def test_a_busy_service_is_waited_for() -> None:
    answers = iter([Answer(429, {}, {"Retry-After": "1"}), Answer(503, {}, {"Retry-After": "1"})])
    with service(lambda _: next(answers, Answer(200, {"token": TOKEN}))) as (url, asked):
        assert opened(signing(url), FILE).endswith(TOKEN)
    assert len(asked) == 3
    assert asked[2].at_s - asked[0].at_s >= 2


@pytest.mark.parametrize(
    "href",
    [f"{FILE}?{TOKEN}", "/scenes/B02.tif", "s3://eodata/B02.jp2", "https://other.blob.core.windows.net/c/B02.tif"],
)
def test_nothing_else_is_signed(href: str) -> None:
    assert signature_of(built_in("planetary_computer"), href) is None


def test_files_of_planetary_computer_are_recognised() -> None:
    signature = signature_of(built_in("planetary_computer"), FILE)
    assert signature is not None
    assert opening_of("/scenes/B02.tif").address == "/scenes/B02.tif"


@pytest.mark.parametrize("answer", [[], {"token": 5}, {"token": "nothing"}, {"message": "slow down"}, b"<html>"])
@pytest.mark.parametrize("status", [200, 404])
def test_no_token_is_a_clear_reason(answer: Any, status: int) -> None:
    with service(lambda _: Answer(status, answer)) as (url, asked):
        mirror = signing(url, "silent")
        for _ in range(2):
            with pytest.raises(NoEntryError, match="need a signature"):
                opened(mirror, FILE)
        assert len(asked) == 1, "no request is sent for a while to a service that gives nothing"


def test_messages_show_no_signature() -> None:
    shown = without_signatures(f"HTTP 403 for {FILE}?{TOKEN}")
    assert "q1w2e3" not in shown
    assert "sig=***" in shown
