"""Files of findings that come back from the field: CSV (comma, semicolon or tab, with or without a byte order mark) or
GeoPackage. In: a file. Out: rows as text, then findings that may be stored and rows that may not, with the reason.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
from pyogrio.errors import DataLayerError, DataSourceError

from cropmap.errors import InputError
from cropmap.legends import Legend
from cropmap.schemas import Finding, FindingReject
from cropmap.sources.drivers import pyogrio, quiet

FILLED_IN: Final = ("finding", "found_crop_code", "reviewed_by", "reviewed_at", "note")
"""the columns that are left empty for the field"""
NEEDED: Final = ("parcel_id", "finding")
READ: Final = ("campaign", "parcel_id", *FILLED_IN)
DATES: Final = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y")
"""a spreadsheet writes the day first in every country that declares to the CAP"""
ACCEPTED: Final = ("campaign", "parcel_id", "finding", "found_code", "reviewed_by", "reviewed_at", "note")
REJECTED: Final = ("row_number", "parcel_id", "reason", "detail")
FIRST_ROW: Final = 2
"""the header is row 1"""


@dataclass(frozen=True)
class CheckedFindings:
    accepted: pd.DataFrame
    """ACCEPTED: finding a Finding, found_code in the legend's spelling, reviewed_at a date; None where empty"""
    rejected: pd.DataFrame
    """REJECTED, in the order of the file"""
    not_visited: int
    """rows without a finding"""


def read_findings_file(path: Path) -> pd.DataFrame:
    """READ as text, None where empty or not in the file, one row per row of the file.

    Raises InputError where it cannot be read or has no parcel_id or finding.
    """
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    rows = _gpkg_rows(path) if path.suffix.lower() == ".gpkg" else _csv_rows(path)
    names = {name.strip().lower(): name for name in (rows[0] if rows else {}) if name}
    if missing := [name for name in NEEDED if name not in names]:
        has = ", ".join(names) or "no rows"
        raise InputError(
            f"no column {' and '.join(missing)}", where=str(path),
            mend=f"Fill in the file that `cropmap review sample` wrote; this one has {has}",
        )  # fmt: skip
    table = {name: [_text(row.get(names.get(name, ""))) for row in rows] for name in READ}
    return pd.DataFrame(table, columns=list(READ), dtype=object)


def check_findings(
    raw: pd.DataFrame, *, drawn: Mapping[str, Mapping[str, str]], parcels: frozenset[str], legend: Legend
) -> CheckedFindings:
    """Checks rows of a file against `drawn` (campaign -> parcel_id -> declared code) and the season's `parcels`.

    A parcel that stands twice is taken once where the rows say the same, else not at all.
    """
    accepted: dict[tuple[str, str], dict[str, Any]] = {}
    first: dict[tuple[str, str], int] = {}
    rejected: list[tuple[int, Any, str, str]] = []
    conflicting, not_visited = set(), 0
    for number, row in enumerate(raw.to_dict("records"), start=FIRST_ROW):
        if row["parcel_id"] and not row["finding"] and not row["found_crop_code"]:
            not_visited += 1
            continue
        found = _checked({str(name): value for name, value in row.items()}, drawn, parcels, legend)
        key = (row["campaign"], row["parcel_id"])
        if isinstance(found, dict) and key in accepted:
            if found != accepted[key]:
                conflicting.add(key)
            found = (FindingReject.DUPLICATE_PARCEL, f"also in row {first[key]}")
        if isinstance(found, dict):
            accepted[key], first[key] = found, number
        else:
            rejected.append((number, row["parcel_id"], str(found[0]), found[1]))
    for key in conflicting:
        del accepted[key]
        detail = "a later row says something else"
        rejected.append((first[key], key[1], str(FindingReject.DUPLICATE_PARCEL), detail))
    rejected.sort(key=lambda row: row[0])
    return CheckedFindings(
        pd.DataFrame(accepted.values(), columns=list(ACCEPTED), dtype=object),
        pd.DataFrame(rejected, columns=list(REJECTED), dtype=object),
        not_visited,
    )


def _checked(
    row: Mapping[str, Any], drawn: Mapping[str, Mapping[str, str]], parcels: frozenset[str], legend: Legend
) -> dict[str, Any] | tuple[FindingReject, str]:
    campaign, parcel, code = row["campaign"], row["parcel_id"], row["found_crop_code"]
    if not parcel:
        return FindingReject.MISSING_PARCEL_ID, ""
    if campaign not in drawn:
        return FindingReject.OTHER_CAMPAIGN, f"no sample {campaign!r} was drawn for this season"
    if parcel not in drawn[campaign]:
        return _unknown(parcel, drawn[campaign], parcels)
    finding = (row["finding"] or "").lower().replace(" ", "_").replace("-", "_")
    if finding not in set(Finding):
        return FindingReject.UNKNOWN_FINDING, f"{row['finding'] or ''!r} is none of {', '.join(Finding)}"
    known = _code(code, legend) if code else None
    if code and known is None:
        return FindingReject.UNKNOWN_CODE, f"code {code!r} is not in the legend"
    declared = drawn[campaign][parcel]
    if known is not None and (known == declared) != (finding == Finding.RIGHT):
        return FindingReject.CONTRADICTORY, f"{finding}, declared {declared}, found {known}"
    day = _date(row["reviewed_at"])
    if row["reviewed_at"] and day is None:
        return FindingReject.UNREADABLE_DATE, f"{row['reviewed_at']!r} is no date such as 2018-07-31 or 31.07.2018"
    return {
        "campaign": campaign, "parcel_id": parcel, "finding": finding,
        "found_code": known if finding == Finding.WRONG else None, "reviewed_by": row["reviewed_by"],
        "reviewed_at": day, "note": row["note"],
    }  # fmt: skip


def _unknown(parcel: str, drawn: Mapping[str, str], parcels: frozenset[str]) -> tuple[FindingReject, str]:
    if parcel in parcels:
        return FindingReject.NOT_IN_SAMPLE, "declared, but not drawn"
    near = next((one for one in drawn if one.lstrip("0") == parcel.lstrip("0")), None)
    return FindingReject.UNKNOWN_PARCEL, f"{near!r} is: were leading zeros lost?" if near else "not declared"


def _code(code: str, legend: Legend) -> str | None:
    """The legend's spelling of a code, whatever its case."""
    if code in legend.by_code:
        return code
    alike = [known for known in legend.by_code if known.casefold() == code.casefold()]
    return alike[0] if len(alike) == 1 else None


def _date(text: str | None) -> date | None:
    for layout in DATES if text else ():
        try:
            return datetime.strptime((text or "")[:10], layout).date()  # noqa: DTZ007  a day has no time zone
        except ValueError:
            continue
    return None


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_dictionaries(file.read()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot be read as CSV ({error})", where=str(path), mend="Save it as UTF-8") from error


def _dictionaries(text: str) -> Iterator[dict[str, Any]]:
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = csv.DictReader(text.splitlines(keepends=True), delimiter=delimiter)
    return (row for row in rows if any(row.values()))


def _gpkg_rows(path: Path) -> list[dict[str, Any]]:
    try:
        with quiet():
            frame = pyogrio.read_dataframe(path, read_geometry=False)
    except (DataSourceError, DataLayerError) as error:
        raise InputError(f"cannot be read as GeoPackage ({error})", where=str(path)) from error
    rows: list[dict[str, Any]] = frame.astype(object).to_dict("records")
    return rows


def _text(value: Any) -> str | None:
    """As a person would write it: 56.0 of a number column is code 56; blanks are None."""
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None
