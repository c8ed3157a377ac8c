"""XLSX: rows on one sheet, the meaning of the columns on another.

Codes are written as text, figures as numbers; a hidden cell is empty. The same table gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import pandas as pd
import xlsxwriter

from cropmap.contracts.tables import CROP_STATISTIC
from cropmap.dissemination import vocabulary
from cropmap.dissemination.registry import Wanted, Writer
from cropmap.errors import InputError
from cropmap.schemas import BASIS_MEANING

STATISTICS: Final = "statistics"
NOTES: Final = "notes"
AREA_FORMAT: Final = "#,##0.00"
FORMATS: Final = {
    "cv": "0.0 %",
    "n_parcels": "#,##0",
    "n_holdings": "#,##0",
    "season": "0",
    "level": "0",
    "nuts_version": "0",
    "obs_value": "#,##0.00000",
    "priority": "0.000",
    "declared_probability": "0.000",
    "right_probability": "0.000",
}
WIDTH: Final = 14
SHEET_ROWS: Final = 1_048_575
"""below the header"""


def numbers(columns: Iterable[str]) -> list[str]:
    """Which columns of the published rows are numbers."""
    return [name for name in columns if _pattern(name)]


def write(
    rows: pd.DataFrame, *, notes: Sequence[tuple[str, str]], made_at: datetime | None, title: str = STATISTICS
) -> bytes:
    """`rows` as the other table formats have them; `notes`: pairs of a word and what it says; `made_at` becomes the
    document's date, `title` the first sheet's name. Columns whose name ends in `_ha`, and those of FORMATS, are
    numbers. Raises InputError for more than SHEET_ROWS."""
    if len(rows) > SHEET_ROWS:
        raise InputError(f"{len(rows):,} rows do not fit on a sheet", where="xlsx", mend="Write csv or parquet")
    sink = io.BytesIO()
    book = xlsxwriter.Workbook(sink, {"in_memory": True})
    if made_at is not None:
        book.set_properties({"created": made_at.replace(tzinfo=None)})
    bold = book.add_format({"bold": True})
    sheet = book.add_worksheet(title)
    for place, name in enumerate(rows.columns):
        pattern = _pattern(name)
        sheet.set_column(place, place, WIDTH, book.add_format({"num_format": pattern}) if pattern else None)
        sheet.write_string(0, place, name, bold)
        for line, value in enumerate(rows[name], start=1):
            _cell(sheet, line, place, value, number=bool(pattern))
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(len(rows), 1), len(rows.columns) - 1)
    page = book.add_worksheet(NOTES)
    page.set_column(0, 0, 24)
    page.set_column(1, 1, 110)
    for line, (word, text) in enumerate([*notes, *(_vocabulary() if title == STATISTICS else [])]):
        page.write_string(line, 0, word, bold)
        page.write_string(line, 1, text)
    book.close()
    return sink.getvalue()


def _written(table: pd.DataFrame, wanted: Wanted) -> bytes:
    return write(table, notes=wanted.about.notes, made_at=wanted.about.updated)


WRITERS: Final[Mapping[str, Writer]] = {"xlsx": _written}


def _pattern(name: str) -> str:
    return FORMATS.get(name, AREA_FORMAT if name.endswith("_ha") else "")


def _cell(sheet: Any, line: int, place: int, value: Any, *, number: bool) -> None:
    if pd.isna(value):
        return
    if number:
        sheet.write_number(line, place, float(value))
    else:
        sheet.write_string(line, place, str(value))  # never a formula, whatever a crop is called


def _vocabulary() -> list[tuple[str, str]]:
    measures: Mapping[str, vocabulary.Measure] = vocabulary.measures()
    return [
        *((f"flag {code}", meaning) for code, meaning in vocabulary.flag_meanings().items()),
        *((code, measures[code].label) for code in (vocabulary.AREA, vocabulary.MAIN_AREA)),
        *((f"basis {basis}", meaning) for basis, meaning in BASIS_MEANING.items()),
        *((column.name, column.description) for column in CROP_STATISTIC),
        ("nuts_name, crop_name", "names of the region and of the crop"),
        ("obs_value, unit", "estimate_ha in Eurostat's unit, THS_HA: 1000 ha"),
        ("SA, MA, HA, PA", "concept: sown, main, harvested, production area (EU 2023/1538)"),
    ]
