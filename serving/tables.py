"""Rows as JSON or as CSV, by the Accept header, completed before anything is sent.

Rows have the types of the database. The answer models determine which columns are shown and describe them; rows are not
validated by them, because the table of a country has hundreds of thousands of values.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import Header, Query, Response
from pydantic import BaseModel
from pydantic_core import to_json

from cropmap.contracts import columns
from cropmap.contracts.tables import STATISTIC
from cropmap.dissemination.spreadsheets import guarded
from cropmap.schemas import HIDDEN_STATUSES
from serving.errors import NotAcceptableError

Form = Literal["json", "csv"]
FORM_OF: Final[dict[str, Form]] = {
    "application/json": "json",
    "text/csv": "csv",
    "application/*": "json",
    "text/*": "csv",
    "*/*": "json",
}
JSON: Final = "application/json"
MASKED: Final = columns.masked(STATISTIC)


async def wanted_form(
    form: Annotated[Form | None, Query(alias="format", description="wins over the Accept header")] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",  # OpenAPI describes this header by the answers
) -> Form:
    """What a request asks for. Raises NotAcceptableError where the header names neither form."""
    if form is not None:
        return form
    for media_type in _by_preference(accept):
        if media_type in FORM_OF:
            return FORM_OF[media_type]
    raise NotAcceptableError(f"Accept: {accept}", mend="application/json and text/csv are offered")


def table(
    model: type[BaseModel], rows: Sequence[Mapping[str, Any]], form: Form = "json", *, file_name: str = ""
) -> Response:
    """The columns of `model` of every row, in its order; a CSV carries the name of a file to save it under."""
    if form == "json":
        return json_answer(shown(model, rows))
    disposition = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return Response(to_csv(model, rows), media_type="text/csv", headers=disposition)


def json_answer(content: Any) -> Response:
    """JSON of plain values, dates and models; what is no number is null."""
    return Response(to_json(content, inf_nan_mode="null"), media_type=JSON)


def shown(model: type[BaseModel], rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The columns of `model` alone. The rows come from one query: all have the same columns."""
    names = list(model.model_fields)
    if rows and list(rows[0]) == names:
        return list(rows)
    return [{name: row[name] for name in names} for row in rows]


def masked(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of areas; a confidential cell has only its identifiers, as in every exported file."""
    empty = dict.fromkeys(MASKED)
    return [{**row, **empty} if row["conf_status"] in HIDDEN_STATUSES else row for row in rows]


def to_csv(model: type[BaseModel], rows: Sequence[Mapping[str, Any]]) -> str:
    """Header and one line per row, in the order of the model's fields; None is an empty cell, and what a
    spreadsheet would run is made harmless, as in every file that is written."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(model.model_fields), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: guarded(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue()


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
