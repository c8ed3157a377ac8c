"""The number of requests that each key may send in a minute, so that one key leaves time to the others.

Each key has a bucket of tokens, a minute's worth at most. A request takes one, and time gives them back: short bursts
pass, and on average nobody is faster than allowed. The buckets belong to one process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from cropmap.database.keys import KeyHolder
from serving.access import Enter, require_key
from serving.errors import RateExceededError


class Rates:
    """Tokens of each key; `per_minute` 0 sets no limit."""

    def __init__(self, per_minute: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._monotonic = per_minute, monotonic
        self._left: dict[str, tuple[float, float]] = {}
        """(tokens, when that was); one for each key that was valid, as others have no name"""

    def take(self, name: str) -> float:
        """Takes a token of the key or account, and returns 0; or the seconds until there is one."""
        if not self._per_minute:
            return 0.0
        now, per_second = self._monotonic(), self._per_minute / 60
        tokens, then = self._left.get(name, (float(self._per_minute), now))
        tokens = min(tokens + (now - then) * per_second, float(self._per_minute))
        wait = 0.0 if tokens >= 1 else (1 - tokens) / per_second
        self._left[name] = (tokens if wait else tokens - 1, now)
        return wait


async def within_rate(request: Request, _enter: Annotated[Enter, Depends(require_key)]) -> None:
    """Raises RateExceededError where the key has sent too many requests."""
    holder: KeyHolder = request.state.key_holder
    rates: Rates = request.app.state.rates
    kind = "account" if holder.is_person else "API key"
    if wait := rates.take(f"{kind} {holder.name}"):
        error = RateExceededError(f"this {kind} has sent too many requests; try again after {math.ceil(wait)} s")
        error.seconds = math.ceil(wait)
        raise error
