"""HTTP sessions that wait where a service says so, and never for ever: 429 and 503 with Retry-After, servers that
restart, and answers that trickle in or have no end.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import urllib3
from requests import PreparedRequest, RequestException, Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import ContentDecodingError
from urllib3 import PoolManager, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import DecodeError, HTTPError, InvalidHeader
from urllib3.response import HTTPResponse

TIMEOUT_S: Final = 30.0
"""without a byte"""
HEADERS_TIME_S: Final = 60.0
"""for status and headers, however they trickle in"""
RETRIES: Final = 5
RETRIED_STATUS: Final = (429, 500, 502, 503, 504)
CONNECT_RETRIES: Final = 2
"""no answer at all is a wrong address more often than a restart"""
BACKOFF_S: Final = 0.5
"""waits 0, 1, 2, 4, 8 s: a busy service is back within seconds"""
LONGEST_WAIT_S: Final = 300
"""whatever a service says in Retry-After"""
_PART_BYTES: Final = 2**16


class CutOffError(RequestException):
    """The connection was dropped before the whole answer was there; another try may help."""


class _Retry(Retry):
    """One for which a Retry-After that is neither whole seconds nor a date says nothing: it waits as without one."""

    def parse_retry_after(self, retry_after: str) -> float:
        try:
            return super().parse_retry_after(retry_after)
        except (InvalidHeader, ValueError, OverflowError):  # a number of too many digits, a year after 9999
            return 0.0


@contextmanager
def _within(seconds: float, end: Callable[[], None]) -> Iterator[threading.Event]:
    """Calls `end`, which wakes whoever reads in the block, once the time is over; the event says whether it was."""
    is_over = threading.Event()

    def over() -> None:
        is_over.set()
        with suppress(OSError, ValueError, RuntimeError):  # it has just ended
            end()

    timer = threading.Timer(seconds, over)
    timer.daemon = True
    timer.start()
    try:
        yield is_over
    finally:
        timer.cancel()


class _Bounded:
    """A connection that waits HEADERS_TIME_S for an answer: a time without a byte bounds none that trickles in."""

    def getresponse(self) -> HTTPResponse:
        sock: socket.socket = self.sock  # type: ignore[attr-defined]  # of urllib3's class beside this one
        with _within(HEADERS_TIME_S, lambda: sock.shutdown(socket.SHUT_RDWR)) as is_over:
            try:
                response: HTTPResponse = super().getresponse()  # type: ignore[misc]  # the same
            except Exception as error:  # a socket that is shut while it is read breaks it in several ways
                if is_over.is_set():
                    raise TimeoutError("its headers did not end") from error
                raise
        if is_over.is_set():  # headers that are cut off are taken for all
            response.close()
            raise TimeoutError("its headers did not end")
        return response


class _HTTPConnection(_Bounded, HTTPConnection):  # type: ignore[misc]  # its stub knows one class of answer
    pass


class _HTTPSConnection(_Bounded, HTTPSConnection):  # type: ignore[misc]  # as above
    pass


class HTTPConnectionPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class HTTPSConnectionPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _bound(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return _bound(super().proxy_manager_for(*args, **kwargs))


def _bound(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}
    return manager


def as_stated(request: PreparedRequest) -> PreparedRequest:
    """An `auth` of requests that leaves a request as it is: else ~/.netrc would replace its Authorization."""
    return request


def bounded_session() -> Session:
    """A session that sends a request once, and waits for the headers of its answer HEADERS_TIME_S at most."""
    session = Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


def make_patient(session: Session) -> None:
    """Requests of this session are sent again where that helps; the answer is returned whatever its status is."""
    retry = _Retry(
        total=RETRIES,
        connect=CONNECT_RETRIES,
        backoff_factor=BACKOFF_S,
        status_forcelist=RETRIED_STATUS,
        allowed_methods=None,  # neither a search nor a request for a token changes anything
        raise_on_status=False,
        retry_after_max=LONGEST_WAIT_S,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(max_retries=retry))


def stated_wait_s(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After, from whole seconds or a date; None where it says nothing."""
    if not retry_after:
        return None
    return _Retry().parse_retry_after(retry_after) or None


def body_of(response: Response, *, most_bytes: int, within_s: float) -> bytes:
    """The whole body of an answer that was asked for with `stream`. Raises CutOffError, and RequestException for a body
    that is longer, takes longer, or is not packed as it says."""
    with _within(within_s, response.raw.shutdown) as is_over:  # lengths of parts may trickle in too
        try:
            content = _body(response, most_bytes=most_bytes, within_s=within_s)
        except Exception as error:  # as for headers
            if is_over.is_set():
                raise RequestException(f"an answer was not complete after {within_s:.0f} s") from error
            raise
    if is_over.is_set():  # without a stated length, what arrived is taken for all
        raise RequestException(f"an answer was not complete after {within_s:.0f} s")
    return content


def _body(response: Response, *, most_bytes: int, within_s: float) -> bytes:
    began, content = time.monotonic(), bytearray()
    while True:
        try:
            # what is there already: `iter_content` would wait for a whole part of it, which a trickle never fills
            part = response.raw.read1(_PART_BYTES, decode_content=True)
        except DecodeError as error:
            raise ContentDecodingError(f"an answer is not packed as it says ({error})") from error
        except HTTPError as error:
            raise CutOffError(f"an answer was cut off ({error})") from error
        if not part:
            return bytes(content)
        content += part
        if len(content) > most_bytes:
            raise RequestException(f"an answer is longer than {most_bytes / 2**20:.0f} MiB")
        if time.monotonic() - began > within_s:
            raise RequestException(f"an answer was not complete after {within_s:.0f} s")
