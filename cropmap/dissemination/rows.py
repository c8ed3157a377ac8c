"""Every published row and column as CSV, Parquet or JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Final

import pandas as pd

from cropmap.dissemination.registry import Wanted, Writer
from cropmap.dissemination.spreadsheets import to_csv
from cropmap.dissemination.workbook import numbers


def _csv(table: pd.DataFrame, wanted: Wanted) -> bytes:
    return to_csv(table, wanted.dialect)


def _parquet(table: pd.DataFrame, _: Wanted) -> bytes:
    sink = io.BytesIO()
    table.assign(**{c: pd.to_numeric(table[c]) for c in numbers(table.columns)}).to_parquet(sink, index=False)
    return sink.getvalue()


def _json(table: pd.DataFrame, _: Wanted) -> bytes:
    records = table.astype(object).where(table.notna(), None).to_dict("records")
    return json.dumps(records, default=str, ensure_ascii=False, indent=1, allow_nan=False).encode()


WRITERS: Final[Mapping[str, Writer]] = {"csv": _csv, "parquet": _parquet, "json": _json}
