"""Files of Planetary Computer are signed when they are opened, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from cropmap.errors import SceneError
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.signing import Signer, without_signatures
from tests.data.make_sources_catalog import served

FILE = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/13/T/DE/B02_10m.tif"
TOKEN = "st=2026-01-01T00%3A00%3A00Z&sp=rl&sig=q1w2e3%3D"


@contextmanager
def token_service(answer: Any) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps(answer).encode()
            self.send_response(200 if answer else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Silent."""

    with served(Handler) as url:
        yield url.rstrip("/"), asked


def test_a_file_is_signed_with_one_token_for_all() -> None:
    with token_service({"token": TOKEN, "msft:expiry": "2026-01-01T01:00:00Z"}) as (url, asked):
        signer = Signer(url)
        assert signer.opened(FILE) == f"{FILE}?{TOKEN}"
        assert signer.opened(FILE.replace("B02", "B03")).endswith(f"B03_10m.tif?{TOKEN}")
    assert asked == ["/sentinel2l2a01/sentinel2-l2"]


@pytest.mark.parametrize(
    "href",
    [f"{FILE}?{TOKEN}", "/scenes/B02.tif", "s3://eodata/B02.jp2", "https://other.blob.core.windows.net/c/B02.tif"],
)
def test_nothing_else_is_signed(href: str) -> None:
    assert Signer("http://127.0.0.1:9").opened(href) == href


@pytest.mark.parametrize("answer", [None, [], {"token": 5}, {"token": "nothing"}, {"message": "slow down"}])
def test_no_token_is_a_clear_reason(answer: Any) -> None:
    with token_service(answer) as (url, _), pytest.raises(SceneError, match="need a signature") as caught:
        Signer(url).opened(FILE)
    assert caught.value.reason is QuarantineReason.UNREADABLE_FILE


def test_messages_show_no_signature() -> None:
    shown = without_signatures(f"HTTP 403 for {FILE}?{TOKEN}")
    assert "q1w2e3" not in shown
    assert "sig=***" in shown
