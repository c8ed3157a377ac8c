"""Small tables written by hand or exported from a spreadsheet: one value per parcel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cropmap.errors import ConfigurationError
from cropmap.sheets import ERROR, read_sheet

PARCEL: Final = "parcel_id"


def read_pairs(path: Path, *, value: str, where: str) -> dict[str, str]:
    """parcel_id -> value of a table (`cropmap.sheets`), as text; a row in which either is empty says nothing and is
    left out. Raises ConfigurationError where the file or a column is missing, or where a parcel has two values.
    """
    try:
        sheet = read_sheet(path)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error.where} {error.what}", where=where, mend=error.mend) from error
    if missing := sorted(name for name in {PARCEL, value} if sheet.find(name) is None):
        raise ConfigurationError(
            f"{path} has no column {' and '.join(missing)}",
            where=where,
            mend=f"Its first line names {list(sheet.header)}",
        )
    pairs: dict[str, str] = {}
    for number, row in sheet.columns((PARCEL, value)):
        if not (row[PARCEL] and row[value]):
            continue
        if ERROR.fullmatch(row[value]):
            raise ConfigurationError(
                f"{path} gives parcel {row[PARCEL]} {row[value]}, a spreadsheet's error (row {number})",
                where=where,
                mend="Mend its formula, or leave the cell empty",
            )
        known = pairs.setdefault(row[PARCEL], row[value])
        if known != row[value]:
            raise ConfigurationError(
                f"{path} gives parcel {row[PARCEL]} two values, {known} and {row[value]} (row {number})",
                where=where,
                mend="Keep one",
            )
    return pairs
