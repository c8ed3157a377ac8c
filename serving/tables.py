"""The same rows as JSON or as CSV, whichever the client asks for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import Header, Query
from pydantic import BaseModel

from serving.errors import NotAcceptableError

Form = Literal["json", "csv"]
FORM_OF: Final[dict[str, Form]] = {
    "application/json": "json",
    "text/csv": "csv",
    "application/*": "json",
    "text/*": "csv",
    "*/*": "json",
}


def wanted_form(
    form: Annotated[Form | None, Query(alias="format", description="wins over the Accept header")] = None,
    accept: Annotated[str, Header(description="application/json (default) or text/csv")] = "*/*",
) -> Form:
    """What a request asks for. Raises NotAcceptableError where the header names neither form."""
    if form is not None:
        return form
    for media_type in _by_preference(accept):
        if media_type in FORM_OF:
            return FORM_OF[media_type]
    raise NotAcceptableError(f"Accept: {accept}", mend="application/json and text/csv are offered")


def to_csv(model: type[BaseModel], rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Header and one line per row, in the order of the model's fields; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(model.model_fields), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(row)
        if buffer.tell() > 65_536:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _by_preference(accept: str) -> list[str]:
    """Media types of an Accept header, the most wanted first (RFC 9110, 12.5.1)."""
    weighted: list[tuple[float, str]] = []
    for item in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            weighted.append((-float(quality), media_type))
        except ValueError:
            continue
    return [media_type for weight, media_type in sorted(weighted, key=lambda pair: pair[0]) if weight < 0]
