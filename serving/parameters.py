"""Refuses a request with a parameter that the route does not have, or with one that is given twice.

The framework would ignore an unknown parameter and use the last of several: `?crops=C1500` would be answered with all
crops, without a sign of the mistake (OGC API Features, requirement 9: unknown parameters are an error).
"""

from __future__ import annotations

import difflib
from collections import Counter

from fastapi import Request

from cropmap.errors import InputError


async def known_parameters(request: Request) -> None:
    """Raises InputError, which names the parameter and those that the route knows."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    if not counts:
        return
    several = _parameters(request)
    for name, times in counts.items():
        if name not in several:
            near = difflib.get_close_matches(name, several, n=1)
            known = f"This route knows {', '.join(several)}" if several else "This route knows none"
            raise InputError(
                "no such parameter", where=name, mend=f"Did you mean {near[0]}? {known}" if near else known
            )
        if times > 1 and not several[name]:
            raise InputError(f"given {times} times, and one is expected", where=name)


def _parameters(request: Request) -> dict[str, bool]:
    """Name of every query parameter that the API's own description gives the route, and whether it may be repeated."""
    described = request.app.openapi()["paths"].get(request.scope["route"].path_format, {})
    operation = described.get(request.method.lower(), {})  # another address of a route stands in no description
    return {
        parameter["name"]: any(
            kind.get("type") == "array" for kind in (parameter["schema"], *parameter["schema"].get("anyOf", ()))
        )
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }
