"""How long all readers of a provider wait after 429 or 503 with `Retry-After`.

GDAL keeps no header of an answer. So one reader requests a single byte of the file once more, with the
same sign-in; all wait for what the answer states.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import obstore
import requests
from obstore.exceptions import BaseError
from obstore.store import S3Store

from cropmap.sources.catalogs.providers import place_of
from cropmap.sources.catalogs.providers.in_use import provider_of
from cropmap.sources.catalogs.sign_in.opening import Opening
from cropmap.sources.catalogs.sign_in.patience import (
    LONGEST_WAIT_S,
    TIMEOUT_S,
    as_stated,
    bounded_session,
    stated_wait_s,
)

if TYPE_CHECKING:
    from obstore.store import S3Credential

log = logging.getLogger(__name__)

BUSY: Final = (429, 503)
SILENT_S: Final = 60.0
"""between two such requests to a host that states no time"""
SIGNED_S: Final = 60
"""for which the address of the one request is signed"""


class Backoff:
    """Of one provider, or of one host that is nobody's. Threads share it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._until = self._silent_until = 0.0
        self._lock = threading.Lock()
        self.has_been = False
        """whether the host has stated a time so far"""

    def wait(self) -> None:
        """Returns once the host takes requests again."""
        while (left := self._until - time.monotonic()) > 0:
            time.sleep(left)

    def refused(self, ask: Callable[[], float | None]) -> None:
        """Waits for what the host states, which `ask` finds out: seconds, 0 where it is no longer busy, None where it
        says nothing."""
        with self._lock:  # one asks, the others wait for its answer
            now = time.monotonic()
            if now >= max(self._until, self._silent_until):
                stated = ask()
                if stated is None:
                    self._silent_until = now + SILENT_S
                elif stated > 0:
                    self._until, self.has_been = time.monotonic() + min(stated, LONGEST_WAIT_S), True
                    log.warning("%s is busy: no request for %.0f s", self._name, stated)
        self.wait()


@lru_cache(1024)
def _backoff(name: str) -> Backoff:
    return Backoff(name)


def backoff_of(href: str) -> Backoff:
    """That of the file's provider, else of its host or bucket."""
    provider = provider_of(href)
    return _backoff(provider.name if provider else place_of(href)[1])


def stated_wait(opening: Opening, href: str) -> float | None:
    """Seconds that the host of a file states at this moment; 0: it is not busy, None: it states none."""
    said = _asked_for_a_byte(opening, href)
    if said is None:
        return None
    return stated_wait_s(said[1].get("Retry-After")) if said[0] in BUSY else 0.0


def given_in_place_of_a_part(opening: Opening, href: str) -> str:
    """What the host of a file gives to whoever asks for a part of it; empty where that is the part, or nothing."""
    said = _asked_for_a_byte(opening, href)
    if said is None or said[0] != HTTPStatus.OK:
        return ""
    return "a web page" if "html" in said[1].get("Content-Type", "").lower() else "whole files alone, no parts of them"


def _asked_for_a_byte(opening: Opening, href: str) -> tuple[int, Mapping[str, str]] | None:
    """Status and headers of the answer; None without one."""
    address = _requested(opening, href)
    if address is None:
        return None
    sent = {**opening.headers, "Range": "bytes=0-0"}
    try:
        with (
            bounded_session() as session,
            session.get(
                address,
                headers=sent,
                auth=as_stated if opening.headers else None,
                timeout=TIMEOUT_S,
                stream=True,
                allow_redirects=not opening.headers,
            ) as answer,
        ):
            return answer.status_code, answer.headers
    except (requests.RequestException, ValueError):
        return None


def _requested(opening: Opening, href: str) -> str | None:
    """The address for another client than GDAL; None where the keys are such that only GDAL finds them."""
    scheme, bucket = place_of(href)
    if scheme in ("http", "https"):
        return opening.address
    if scheme != "s3":
        return None
    options = opening.options
    host, path_style = options["AWS_S3_ENDPOINT"], options["AWS_VIRTUAL_HOSTING"] == "FALSE"
    endpoint = f"{'http' if options['AWS_HTTPS'] == 'NO' else 'https'}://{host if path_style else f'{bucket}.{host}'}"
    key = urlsplit(href).path.lstrip("/")
    if options["AWS_NO_SIGN_REQUEST"] == "YES":
        return f"{endpoint}/{bucket}/{key}" if path_style else f"{endpoint}/{key}"
    if not options["AWS_ACCESS_KEY_ID"]:
        return None
    keys: S3Credential = {
        "access_key_id": options["AWS_ACCESS_KEY_ID"],
        "secret_access_key": options["AWS_SECRET_ACCESS_KEY"],
        "token": options["AWS_SESSION_TOKEN"] or None,
        "expires_at": None,
    }
    try:
        store = S3Store(
            bucket,
            aws_endpoint_url_s3=endpoint,
            region=options.get("AWS_REGION", "us-east-1"),
            virtual_hosted_style_request=not path_style,
            credential_provider=lambda: keys,
            client_options={"allow_http": True},
        )
        return obstore.sign(store, "GET", key, timedelta(seconds=SIGNED_S))
    except (BaseError, ValueError):
        return None
