"""The file for the field as a workbook: identifiers and codes as text, a list to choose the finding from."""

from __future__ import annotations

import io
import math
from collections.abc import Collection
from typing import Any

import pandas as pd
import xlsxwriter

from cropmap.schemas import Finding


def field_workbook(frame: pd.DataFrame, *, to_fill_in: Collection[str]) -> bytes:
    """One sheet `review`; numbers are numbers, everything else is text that no spreadsheet reads as a formula."""
    sink = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(sink, options) as book:
        sheet = book.add_worksheet("review")
        text, bold = book.add_format({"num_format": "@"}), book.add_format({"bold": True})
        sheet.freeze_panes(1, 0)
        for column, name in enumerate(frame):
            values = frame[name].tolist()
            shown = [_shown(value) for value in values]
            numeric = bool(values) and all(isinstance(value, int | float) for value in shown if value is not None)
            plain = numeric and name not in to_fill_in
            width = max([len(str(name)), *(len(str(value)) for value in shown[:200] if value is not None)]) + 1
            sheet.set_column(column, column, min(width, 40), None if plain else text)
            sheet.write_string(0, column, str(name), bold)
            for row, value in enumerate(shown, start=1):
                if value is not None and plain:
                    sheet.write_number(row, column, value)
                elif value is not None:
                    sheet.write_string(row, column, str(value), text)
            if name == "finding" and values:
                sheet.data_validation(
                    1,
                    column,
                    len(values),
                    column,
                    {"validate": "list", "source": [str(each) for each in Finding], "ignore_blank": True},
                )
    return sink.getvalue()


def _shown(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.item() if hasattr(value, "item") else value
