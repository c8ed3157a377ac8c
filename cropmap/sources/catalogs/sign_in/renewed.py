"""Something secret that a service gives for a while: kept until shortly before it ends, then asked for again.

Threads may share it: one of them asks, the others wait for its answer. After an answer that gives nothing, the service
is left in peace for REST_S, in which every caller gets the same error at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests

from cropmap.masking import hide, masked
from cropmap.sources.catalogs.plain_text import one_line
from cropmap.sources.catalogs.sign_in.patience import TIMEOUT_S, make_patient

REST_S: Final = 30.0
MARGIN_S: Final = 300.0
"""a file of 180 MB at 1 MB/s is opened with one token and read to its end"""
MAX_ANSWER_BYTES: Final = 1 << 20


class NoEntryError(ValueError):
    """A service gives no token, signature or key; the message says which and why, and shows no secret."""

    def __init__(self, what: str, *, mend: str = "") -> None:
        super().__init__(masked(what))
        self.mend = mend


@dataclass(frozen=True)
class Lent:
    value: str
    lasts_s: float
    """seconds from now"""

    def __repr__(self) -> str:
        return f"Lent({self.lasts_s:.0f} s)"


@dataclass(frozen=True, repr=False)
class _Kept:
    value: str
    until: float
    """monotonic seconds at which it is asked for again"""


class Renewed:
    """One secret of one service. `ask` raises NoEntryError."""

    def __init__(self, ask: Callable[[], Lent]) -> None:
        self._ask = ask
        self._kept: _Kept | None = None
        self._failed: tuple[NoEntryError, float] | None = None
        self._lock = threading.Lock()

    def value(self) -> str:
        """Raises NoEntryError."""
        with self._lock:
            now = time.monotonic()
            if self._kept and now < self._kept.until:
                return self._kept.value
            if self._failed and now < self._failed[1]:
                raise NoEntryError(str(self._failed[0]), mend=self._failed[0].mend)
            try:
                lent = self._ask()
            except NoEntryError as error:
                self._failed = error, time.monotonic() + REST_S
                raise
            self._failed = None
            hide(lent.value)
            margin = min(MARGIN_S, lent.lasts_s / 2)
            self._kept = _Kept(lent.value, time.monotonic() + lent.lasts_s - margin)
            return lent.value

    def forget(self, value: str) -> None:
        """A host refused it: the next caller asks for another, unless one has been given since."""
        with self._lock:
            if self._kept and self._kept.value == value:
                self._kept = None


def answered(method: str, address: str, *, what: str, mend: str, **sent: Any) -> Mapping[str, object]:
    """The JSON object that a service answers. Raises NoEntryError.

    No redirect is followed: what is sent is a secret.
    """
    with requests.Session() as session:
        make_patient(session)
        try:
            answer = session.request(method, address, timeout=TIMEOUT_S, allow_redirects=False, **sent)
        except requests.RequestException as error:
            raise NoEntryError(f"{what} gives none ({one_line(error, 160)})", mend=mend) from error
    try:
        document = answer.json() if len(answer.content) <= MAX_ANSWER_BYTES else None
    except (ValueError, RecursionError):
        document = None
    status = f"{answer.status_code} {answer.reason or ''}".strip()
    if not 200 <= answer.status_code < 300:
        why = document.get("error_description") or document.get("error") if isinstance(document, dict) else None
        raise NoEntryError(f"{what} gives none ({status}{f', {one_line(why, 120)}' if why else ''})", mend=mend)
    if not isinstance(document, dict):
        raise NoEntryError(f"{what} gives none (the answer {status} is no JSON object)", mend=mend)
    return document
