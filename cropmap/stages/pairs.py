"""Small CSV files that somebody wrote by hand or exported from a spreadsheet: one value per parcel."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

from cropmap.errors import ConfigurationError

DELIMITERS: Final = (",", ";", "\t")
PARCEL: Final = "parcel_id"


def read_pairs(path: Path, *, value: str, where: str) -> dict[str, str]:
    """parcel_id -> value of a CSV file, as text; a row in which either is empty says nothing and is left out.

    Separated by comma, semicolon or tab, with or without a byte order mark. Raises ConfigurationError where the file
    or a column is missing, or where a parcel has two values.
    """
    header, rows = _read(path, where)
    if missing := sorted({PARCEL, value} - set(header)):
        raise ConfigurationError(
            f"{path} has no column {' and '.join(missing)}", where=where, mend=f"Its first line names {header}"
        )
    parcel_at, value_at = header.index(PARCEL), header.index(value)
    found: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        if len(row) <= max(parcel_at, value_at) or not (row[parcel_at] and row[value_at]):
            continue
        known = found.setdefault(row[parcel_at], row[value_at])
        if known != row[value_at]:
            raise ConfigurationError(
                f"{path} gives parcel {row[parcel_at]} two values, {known} and {row[value_at]} (row {number})",
                where=where, mend="Keep one",
            )  # fmt: skip
    return found


def _read(path: Path, where: str) -> tuple[list[str], list[list[str]]]:
    """The header and the rows, without blanks around the values."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(DELIMITERS, key=first.count)
            rows = [[cell.strip() for cell in row] for row in csv.reader(file, delimiter=delimiter)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} cannot be read ({error})", where=where) from error
    return (rows[0], rows[1:]) if rows else ([], [])
