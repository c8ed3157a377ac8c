"""HTTP sessions that wait where a service says so: 429 and 503 with Retry-After, and servers that restart."""

from __future__ import annotations

from typing import Final

from requests import Session
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from urllib3.exceptions import InvalidHeader

TIMEOUT_S: Final = 30.0
"""without a byte"""
RETRIES: Final = 5
RETRIED_STATUS: Final = (429, 500, 502, 503, 504)
CONNECT_RETRIES: Final = 2
"""no answer at all is a wrong address more often than a restart"""
BACKOFF_S: Final = 0.5
"""waits 0, 1, 2, 4, 8 s: a busy service is back within seconds"""
LONGEST_WAIT_S: Final = 300
"""whatever a service says in Retry-After"""


class _Retry(Retry):
    """One for which a Retry-After that is neither whole seconds nor a date says nothing: it waits as without one."""

    def parse_retry_after(self, retry_after: str) -> float:
        try:
            return super().parse_retry_after(retry_after)
        except InvalidHeader:
            return 0.0


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
        session.mount(scheme, HTTPAdapter(max_retries=retry))


def stated_wait_s(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After, from whole seconds or a date; None where it says nothing."""
    if not retry_after:
        return None
    return _Retry().parse_retry_after(retry_after) or None
