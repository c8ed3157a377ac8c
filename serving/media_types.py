"""Media types of SDMX, and which of them an Accept header asks for (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Header

from serving.errors import NotAcceptableError, Problem

SDMX: Final = "application/vnd.sdmx."
IGNORED: Final = ("version", "charset", "q")
AS_IT_IS: Final = {"labels": "id", "timeformat": "original", "keys": "none"}
"""parameters of SDMX-CSV, and what is written; another value is not offered"""


@dataclass(frozen=True)
class MediaType:
    name: str
    version: str
    form: str
    """of `cropmap.dissemination.registry`, or `structure`"""
    also: tuple[str, ...] = ()
    """what programs without SDMX call it"""

    def __str__(self) -> str:
        return f"{self.name};version={self.version}"


GENERIC: Final = MediaType(f"{SDMX}genericdata+xml", "2.1", "sdmx-ml", ("application/xml", "text/xml"))
STRUCTURED: Final = MediaType(f"{SDMX}structurespecificdata+xml", "2.1", "sdmx-ml-structured")
CSV_1: Final = MediaType(f"{SDMX}data+csv", "1.0.0", "sdmx-csv", ("text/csv", "application/csv"))
CSV_2: Final = MediaType(f"{SDMX}data+csv", "2.0.0", "sdmx-csv-2", ("text/csv", "application/csv"))
JSON_1: Final = MediaType(f"{SDMX}data+json", "1.0.0", "sdmx-json", ("application/json", "text/json"))
JSON_2: Final = MediaType(f"{SDMX}data+json", "2.0.0", "sdmx-json-2", ("application/json", "text/json"))
DATA_2_1: Final = (GENERIC, STRUCTURED, CSV_1, CSV_2, JSON_1, JSON_2)
DATA_3_0: Final = (GENERIC, STRUCTURED, CSV_2, CSV_1, JSON_2, JSON_1)
STRUCTURES: Final = (MediaType(f"{SDMX}structure+xml", "2.1", "structure", ("application/xml", "text/xml")),)
Accept = Annotated[str, Header(description="media type; without preference the first of those that are offered")]


def answers(offered: Sequence[MediaType], missing: str) -> dict[int | str, dict[str, Any]]:
    """What the description of a route says of its statuses."""
    return {
        200: {"content": {str(media_type): {"schema": {"type": "string"}} for media_type in offered}},
        404: {"model": Problem, "description": missing},
        406: {"model": Problem, "description": "none of the media types is accepted"},
    }


def chosen(accept: str, offered: Sequence[MediaType]) -> MediaType:
    """The most wanted of what is offered; without preference the first. Raises NotAcceptableError."""
    for name, parameters in _by_preference(accept):
        for media_type in offered:
            if _fits(name, parameters, media_type):
                return media_type
    names = ", ".join(str(media_type) for media_type in offered)
    raise NotAcceptableError(f"Accept: {accept}", mend=f"Offered are: {names}")


def _fits(name: str, parameters: dict[str, str], media_type: MediaType) -> bool:
    names = (media_type.name, *media_type.also)
    named = name == "*/*" or name in names or (name.endswith("/*") and any(one.startswith(name[:-1]) for one in names))
    version = parameters.get("version", media_type.version)
    others = {key: value for key, value in parameters.items() if key not in IGNORED}
    asked = name == media_type.name
    return (
        named
        and (not asked or version in (media_type.version, media_type.version.removesuffix(".0")))
        and (not asked or all(AS_IT_IS.get(key) == value for key, value in others.items()))
    )


def _by_preference(accept: str) -> list[tuple[str, dict[str, str]]]:
    """Media types with their parameters, the most wanted first; of equal weight in the order of the header."""
    weighted: list[tuple[float, str, dict[str, str]]] = []
    for item in accept.lower().split(","):
        name, *rest = (part.strip() for part in item.split(";"))
        parameters = {key.strip(): value.strip(' "') for key, _, value in (part.partition("=") for part in rest)}
        try:
            weighted.append((-float(parameters.get("q", "1")), name, parameters))
        except ValueError:
            continue
    return [(name, parameters) for weight, name, parameters in sorted(weighted, key=lambda one: one[0]) if weight < 0]
