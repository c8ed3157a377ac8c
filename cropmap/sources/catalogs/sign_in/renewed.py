"""Something secret that a service gives for a while: kept until shortly before it ends, then asked for again.

Threads may share it: one of them sends the request, the others wait for its answer. After an answer that gives nothing,
no request is sent for REST_S: every caller gets the same error at once. A service that has given before is waited for,
PATIENCE_S at most: else a failure of seconds would cost all files that a season reads in that time.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests

from cropmap.masking import hide, masked
from cropmap.sources.catalogs.plain_text import one_line
from cropmap.sources.catalogs.sign_in.patience import TIMEOUT_S, as_stated, body_of, make_patient

log = logging.getLogger(__name__)

REST_S: Final = 30.0
PATIENCE_S: Final = 120.0
MARGIN_S: Final = 300.0
"""a file of 180 MB at 1 MB/s is opened with one token and read to its end"""
MAX_ANSWER_BYTES: Final = 1 << 20
ANSWER_TIME_S: Final = 60.0
"""for a whole answer, while others wait for it"""


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
        self._patient_until: float | None = None
        """while the service gives nothing; None while it gives, or never has"""
        self._has_given = False
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
                lent = self._patient_answer()
            except NoEntryError as error:
                self._failed = error, time.monotonic() + REST_S
                raise
            self._failed, self._patient_until, self._has_given = None, None, True
            hide(lent.value)
            margin = min(MARGIN_S, lent.lasts_s / 2)
            self._kept = _Kept(lent.value, time.monotonic() + lent.lasts_s - margin)
            return lent.value

    def _patient_answer(self) -> Lent:
        while True:
            try:
                return self._ask()
            except NoEntryError as error:
                now = time.monotonic()
                if self._patient_until is None:
                    self._patient_until = now + (PATIENCE_S if self._has_given else 0.0)
                if now + REST_S > self._patient_until:
                    raise
                log.warning("%s; again in %.0f s", error, REST_S)
                time.sleep(REST_S)

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
            with session.request(
                method, address, auth=as_stated, timeout=TIMEOUT_S, allow_redirects=False, stream=True, **sent
            ) as answer:
                content = body_of(answer, most_bytes=MAX_ANSWER_BYTES, within_s=ANSWER_TIME_S)
        except requests.RequestException as error:
            raise NoEntryError(f"{what} gives none ({one_line(error, 160)})", mend=mend) from error
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    status = f"{answer.status_code} {answer.reason or ''}".strip()
    if not 200 <= answer.status_code < 300:
        why = document.get("error_description") or document.get("error") if isinstance(document, dict) else None
        raise NoEntryError(f"{what} gives none ({status}{f', {one_line(why, 120)}' if why else ''})", mend=mend)
    if not isinstance(document, dict):
        raise NoEntryError(f"{what} gives none (the answer {status} is no JSON object)", mend=mend)
    return document
