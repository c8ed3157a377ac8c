"""Files of findings that come back from the field: a spreadsheet (CSV or XLSX, `cropmap.sheets`) or GeoPackage. In: a
file. Out: rows as text, then findings that may be stored and rows that may not, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypedDict

import pandas as pd

from cropmap.errors import DeclarationFileError, InputError
from cropmap.legends import Legend
from cropmap.schemas import Finding, FindingReject
from cropmap.sheets import read_sheet
from cropmap.sources.files.containers import opened
from cropmap.sources.files.sidecars import apart
from cropmap.sources.files.vector_formats import list_layers, read_parts

FILLED_IN: Final = ("finding", "found_crop_code", "reviewed_by", "reviewed_at", "note")
"""the columns that are left empty for the field"""
NEEDED: Final = ("parcel_id", "finding")
READ: Final = ("campaign", "parcel_id", *FILLED_IN)
DATES: Final = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y%m%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%d.%m.%y",
    "%d/%m/%y",
    "%Y.%m.%d",
)
"""a spreadsheet writes the day first in every country that declares to the CAP"""
SPACED: Final = re.compile(r"^(\d+)([.]) ?(\d+)[.] ?(\d+)[.]?(?=\s|$)")
"""31. 7. 2018 in Czechia, Slovakia and Slovenia, 31. 07. 2018. in Croatia, 2018. 07. 31. in Hungary (Unicode CLDR)"""
EXCEL_EPOCH: Final = date(1899, 12, 30)
EXCEL_DAYS: Final = range(32_874, 73_051)
"""1990 to 2099: a day as the number behind it, where a cell lost its format"""
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
    """READ as text, None where empty or not in the file, one row per row of the file; the index is its line.

    Raises InputError where it cannot be read or has no parcel_id or finding.
    """
    if not path.is_file():
        what = "this is a folder, not a file of findings" if path.is_dir() else "no such file"
        raise InputError(what, where=str(path), mend="Name the file that `cropmap review sample` wrote, filled in")
    table = _from_map(path) if path.suffix.lower() == ".gpkg" else _from_sheet(path)
    if missing := [name for name in NEEDED if name not in table]:
        has = ", ".join(str(name) for name in table) or "no rows"
        raise InputError(
            f"no column {' and '.join(missing)}",
            where=str(path),
            mend=f"Fill in the file that `cropmap review sample` wrote; this one has {has}",
        )
    if table.empty:
        mend = "Fill in the file that `cropmap review sample` wrote"
        raise InputError("the file has no rows", where=str(path), mend=mend)
    nothing = pd.Series([None] * len(table), index=table.index, dtype=object)
    return pd.DataFrame({name: table.get(name, nothing) for name in READ}, columns=list(READ), dtype=object)


class AcceptedFinding(TypedDict):
    campaign: str
    parcel_id: str
    finding: str
    """a Finding"""
    found_code: str | None
    """of the legend; None where the finding names no crop"""
    reviewed_by: str | None
    reviewed_at: date | None
    note: str | None


def check_findings(
    raw: pd.DataFrame, *, drawn: Mapping[str, Mapping[str, str]], parcels: frozenset[str], legend: Legend
) -> CheckedFindings:
    """Checks rows of a file against `drawn` (campaign -> parcel_id -> declared code) and the season's `parcels`.

    A parcel that stands twice is taken once where the rows say the same, else not at all.
    """
    accepted: dict[tuple[str, str], AcceptedFinding] = {}
    first: dict[tuple[str, str], int] = {}
    rejected: list[tuple[int, Any, str, str]] = []
    conflicting, not_visited = set(), 0
    for number, row in zip(raw.index, raw.to_dict("records"), strict=True):
        if row["parcel_id"] and not row["finding"] and not row["found_crop_code"]:
            not_visited += 1
            continue
        finding = _checked({str(name): value for name, value in row.items()}, drawn, parcels, legend)
        key = (row["campaign"], row["parcel_id"])
        if not isinstance(finding, tuple) and key in accepted:
            if finding != accepted[key]:
                conflicting.add(key)
            finding = (FindingReject.DUPLICATE_PARCEL, f"also in row {first[key]}")
        if isinstance(finding, tuple):
            rejected.append((number, row["parcel_id"], str(finding[0]), finding[1]))
        else:
            accepted[key], first[key] = finding, number
    for key in conflicting:
        del accepted[key]
        detail = "a later row says something else"
        rejected.append((first[key], key[1], str(FindingReject.DUPLICATE_PARCEL), detail))
    rejected.sort(key=lambda row: row[0])
    return CheckedFindings(
        pd.DataFrame([dict(row) for row in accepted.values()], columns=list(ACCEPTED), dtype=object),
        pd.DataFrame(rejected, columns=list(REJECTED), dtype=object),
        not_visited,
    )


def _checked(
    row: Mapping[str, Any], drawn: Mapping[str, Mapping[str, str]], parcels: frozenset[str], legend: Legend
) -> AcceptedFinding | tuple[FindingReject, str]:
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
        "campaign": campaign,
        "parcel_id": parcel,
        "finding": finding,
        "found_code": known if finding == Finding.WRONG else None,
        "reviewed_by": row["reviewed_by"],
        "reviewed_at": day,
        "note": row["note"],
    }


def _unknown(parcel: str, drawn: Mapping[str, str], parcels: frozenset[str]) -> tuple[FindingReject, str]:
    if parcel in parcels:
        return FindingReject.NOT_IN_SAMPLE, "declared, but not drawn"
    near = next((other for other in drawn if other.lstrip("0") == parcel.lstrip("0")), None)
    return FindingReject.UNKNOWN_PARCEL, f"{near!r} is: were leading zeros lost?" if near else "not declared"


def _code(code: str, legend: Legend) -> str | None:
    """The legend's spelling of a code, whatever its case."""
    if code in legend.by_code:
        return code
    alike = [known for known in legend.by_code if known.casefold() == code.casefold()]
    return alike[0] if len(alike) == 1 else None


def _date(text: str | None) -> date | None:
    day = SPACED.sub(r"\1\2\3\2\4", text or "").replace("T", " ").split(" ")[0]
    if day.isdecimal() and len(day) == 5 and int(day) in EXCEL_DAYS:
        return EXCEL_EPOCH + timedelta(days=int(day))
    for layout in DATES if day else ():
        try:
            return datetime.strptime(day, layout).date()  # noqa: DTZ007  a day has no time zone
        except ValueError:
            continue
    return None


def _from_sheet(path: Path) -> pd.DataFrame:
    """Lower-case column -> text or None; the index is the line in the spreadsheet."""
    sheet = read_sheet(path)
    names = [name.strip().lower().replace(" ", "_") for name in sheet.header]
    cells = [[cell or None for cell in row] for _, row in sheet.rows]
    return pd.DataFrame(cells, columns=names, index=[line for line, _ in sheet.rows], dtype=object)


def _from_map(path: Path) -> pd.DataFrame:
    """The layer with a parcel and a finding, else the first."""
    try:
        with opened(path) as delivered, apart(delivered) as source:
            layers = list_layers(source)
            fitting = [each for each in layers if {name.lower() for name in each.columns} >= set(NEEDED)] or layers[:1]
            parts = [
                part.attributes
                for layer in fitting[:1]
                for part in read_parts(source, layer, layer.columns, lenient=True)
            ]
    except DeclarationFileError as error:
        raise InputError(f"cannot be read as GeoPackage ({error.what})", where=str(path)) from error
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    table.columns = [str(name).strip().lower() for name in table]
    return table.set_axis(range(FIRST_ROW, FIRST_ROW + len(table)))
