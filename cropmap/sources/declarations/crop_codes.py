"""What the crop codes and names of a file are called in a legend. In: one code and one name per row. Out: the
legend's code per row, how it was found, and a report that counts and lists what was not. Pure.

A code is looked up before its name. Only distinct pairs are looked up, so that the number of rows hardly matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypedDict

import numpy as np
import pandas as pd

from cropmap.legends import Legend
from cropmap.legends.matching import Found, Match, Matcher, accents

UNMAPPED_COLUMNS: Final = ("crop_code", "crop_name", "found", "rows", "area_ha")
MISSING: Final = "missing"
"""neither a code nor a name"""
RENAMED_SHOWN: Final = 50


@dataclass(frozen=True)
class FoundCodes:
    """One entry per row."""

    code: pd.Series[Any]
    """the legend's code, None where there is none"""
    way: pd.Series[Any]
    """a word of `Found`, the same after `name: ` where it was found by the name, or `missing`"""
    detail: pd.Series[Any]
    """why there is none; empty where there is one"""


@dataclass(frozen=True)
class CodeReport:
    rows: dict[str, int]
    """rows by how their code was found, most frequent first; rows that are no crop are not counted"""
    harmonised: int
    """rows with a harmonised crop (HCAT3)"""
    unmapped: pd.DataFrame
    """UNMAPPED_COLUMNS: a row per code and name that are not in the legend, the largest area first"""
    renamed: tuple[tuple[str, str, str], ...]
    """(code, name in the file, name in the legend) of codes found whose names differ: was the code given anew?"""


def find_codes(codes: pd.Series[Any], names: pd.Series[Any], legend: Legend) -> FoundCodes:
    """Looks up every distinct pair; None stands for a missing text."""
    by_code = Matcher((entry.crop_code, entry.crop_code) for entry in legend.entries)
    by_name = Matcher((entry.crop_name, entry.crop_code) for entry in legend.entries)
    code_numbers, code_texts = pd.factorize(codes.fillna("").to_numpy())
    name_numbers, name_texts = pd.factorize(names.fillna("").to_numpy())
    numbers, pairs = pd.factorize(code_numbers * len(name_texts) + name_numbers)
    distinct = [divmod(int(pair), len(name_texts)) for pair in pairs]
    looked_up = [_find(code_texts[c], name_texts[n], by_code, by_name, legend.name) for c, n in distinct]
    columns = [np.array([answer[i] for answer in looked_up], dtype=object)[numbers] for i in range(3)]
    return FoundCodes(*(pd.Series(column, index=codes.index, dtype=object) for column in columns))


def _find(code: str, name: str, by_code: Matcher, by_name: Matcher, legend: str) -> tuple[str | None, str, str]:
    if not code and not name:
        return None, MISSING, ""
    first = by_code.find(code) if code else Match(None, Found.UNKNOWN)
    if first.code is not None:
        return first.code, str(first.way), ""
    second = by_name.find(name) if name else Match(None, Found.UNKNOWN)
    if second.code is not None:
        return second.code, f"name: {second.way}", ""
    text = " ".join(
        part for part in (f"code {code}" if code else "", f"name {name}" if name and not code else "") if part
    )
    fitting = first.candidates or second.candidates
    if fitting:
        return None, str(Found.AMBIGUOUS), f"{text} fits several of legend {legend}: {', '.join(fitting[:5])}"
    return None, str(Found.UNKNOWN), f"{text} is not in legend {legend}"


def report(
    codes: pd.Series[Any], names: pd.Series[Any], area_ha: pd.Series[Any], codes_found: FoundCodes, legend: Legend
) -> CodeReport:
    """The report on these rows; leave out those that are no crop."""
    counts = codes_found.way.value_counts()
    known = codes_found.code.map({entry.crop_code: entry.hcat3_code for entry in legend.entries})
    missed = codes_found.code.isna() & (codes_found.way != MISSING)
    table = pd.DataFrame({"crop_code": codes, "crop_name": names, "found": codes_found.way, "area_ha": area_ha})[missed]
    grouped = table.groupby(["crop_code", "crop_name", "found"], dropna=False, sort=False)["area_ha"]
    unmapped = (
        grouped.agg(rows="size", area_ha="sum")
        .reset_index()
        .sort_values(["area_ha", "rows"], ascending=False, ignore_index=True)[list(UNMAPPED_COLUMNS)]
    )
    return CodeReport(
        {str(way): int(rows) for way, rows in counts.items()},
        int(known.notna().sum()),
        unmapped.astype(object).where(unmapped.notna(), None),
        _renamed(codes, names, codes_found, legend),
    )


class UnmappedCode(TypedDict):
    code: str | None
    name: str | None
    why: str
    rows: int
    area_ha: float


class CodesAnswer(TypedDict):
    codes_found: dict[str, int]
    """rows by way in which their code was found"""
    unmapped_codes: list[UnmappedCode]


def codes_answer(codes: CodeReport) -> CodesAnswer:
    """For the answer of a command: how codes were found, and every code that was not, with its rows and area."""
    unmapped: list[UnmappedCode] = [
        {
            "code": row["crop_code"],
            "name": row["crop_name"],
            "why": row["found"],
            "rows": int(row["rows"]),
            "area_ha": round(float(row["area_ha"]), 2),
        }
        for row in codes.unmapped.to_dict("records")
    ]
    return {"codes_found": codes.rows, "unmapped_codes": unmapped}


def _renamed(
    codes: pd.Series[Any], names: pd.Series[Any], codes_found: FoundCodes, legend: Legend
) -> tuple[tuple[str, str, str], ...]:
    by_name = np.fromiter((way.startswith("name") for way in codes_found.way), np.bool_, len(codes))
    by_its_code = codes.notna() & names.notna() & codes_found.code.notna() & ~by_name
    pairs = (
        pd.DataFrame({"code": codes_found.code, "name": names})[by_its_code].drop_duplicates().itertuples(index=False)
    )
    called = [(code, name, legend.by_code[code].crop_name) for code, name in pairs]
    return tuple(each for each in called if each[2] and accents(each[1]) != accents(each[2]))[:RENAMED_SHOWN]
