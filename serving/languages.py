"""In which language an answer speaks: the best that the request accepts of those of the agency (RFC 4647, 3.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from fastapi import Header, Response

from cropmap.dissemination.names import ENGLISH

AcceptLanguage = Annotated[
    str, Header(alias="Accept-Language", description="languages of the labels; where none is known: English")
]
LONGEST: Final = 1_000
"""characters of the header that are read"""


def best_language(accepted: str, known: Sequence[str]) -> str:
    """The most wanted of those that are known; English where none of them is. `fr-BE` is answered with `fr` where
    there is no `fr-BE`."""
    by_tag = {tag.lower(): tag for tag in known}
    for wanted in _by_preference(accepted[:LONGEST]):
        if wanted == "*":
            return ENGLISH
        parts = wanted.split("-")
        while parts:
            if (found := by_tag.get("-".join(parts))) is not None:
                return found
            parts = parts[:-2] if len(parts) > 1 and len(parts[-2]) == 1 else parts[:-1]
    return ENGLISH


def said_in(answer: Response, *languages: str) -> Response:
    """The answer with what it speaks, and for one language alone that another request may get another."""
    answer.headers["Content-Language"] = ", ".join(languages)
    if len(languages) == 1:
        answer.headers["Vary"] = "Accept-Language"
    return answer


def _by_preference(accepted: str) -> Iterator[str]:
    """Tags in lower case, the most wanted first; those of equal weight in the order of the header."""
    weighted = []
    for item in accepted.lower().split(","):
        tag, _, weight = (part.strip() for part in item.partition(";"))
        try:
            weighted.append((-float(weight.removeprefix("q=") or 1), tag))
        except ValueError:
            continue
    yield from (tag for weight, tag in sorted(weighted, key=lambda one: one[0]) if weight < 0 and tag)
