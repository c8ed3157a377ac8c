"""Eurostat's codes: measures (strucpro), flags, crop items and the regions of each NUTS version.

The tables stand beside this file. Codes are Eurostat's, those of EU 2023/1538 and of the NUTS regulations (2016/2066,
2019/1755, 2023/674); older names of a code are understood on input and never written.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from cropmap.errors import InputError
from cropmap.sources.nuts_codes import EDITIONS, common_editions, editions_of, no_code
from cropmap.statistics.crops import LOCAL

FOLDER: Final = Path(__file__).parent
ANNUAL: Final = "A"
AREA: Final = "AR_THS_HA"
MAIN_AREA: Final = "MAR_THS_HA"
HECTARES: Final = 1000.0
"""per unit of OBS_VALUE: areas are given in 1000 ha (unit code THS_HA)"""
CONF_STATUSES: Final = frozenset("CNP")
GEO: Final = re.compile(r"[A-Z]{2}[0-9A-Z_]*")
"""regions, and Eurostat's aggregates such as EU27_2020 and EL41_42"""


@dataclass(frozen=True)
class Measure:
    code: str
    legacy: str
    """name until 2025"""
    label: str
    unit: str
    """Eurostat's code list UNIT"""


@cache
def measures() -> dict[str, Measure]:
    """Every strucpro, under its current and its legacy name."""
    rows = [Measure(row["code"], row["legacy"], row["label"], row["unit"]) for row in _rows("strucpro.csv")]
    return {name: row for row in rows for name in (row.code, row.legacy)}


def current_strucpro(code: str, *, where: str = "") -> str:
    """The name after 2025 of a measure. Raises InputError for one that is not known."""
    measure = measures().get(code)
    if measure is None:
        raise InputError(f"strucpro {code!r} is not known", where=where, mend=f"Known are: {', '.join(measures())}")
    return measure.code


@cache
def crop_items() -> dict[str, str]:
    """Item of Eurostat's list CROPS -> label of EU 2023/1538, else that of our legends, else the code itself."""
    return {row["crops"]: row["label"] or row["crops"] for row in _rows("crops.csv")}


def crop_name(crop: str) -> str:
    """What a published crop is called: an item, a sum of items (`C1500+G3000`), or a class without one (`local:…`)."""
    if crop.startswith(LOCAL):
        return crop.removeprefix(LOCAL).replace("_", " ")
    return " + ".join(crop_items().get(item, item) for item in crop.split("+"))


@cache
def flag_meanings() -> dict[str, str]:
    """OBS_FLAG (lower case) and CONF_STATUS (upper case) -> meaning."""
    return {row["code"]: row["meaning"] for row in _rows("flags.csv")}


@cache
def _legacy_flags() -> dict[str, str]:
    return {row["legacy"]: row["code"] for row in _rows("flags.csv") if row["legacy"]}


@cache
def split_flags(text: str) -> tuple[str, str] | None:
    """Flags as one text, old or new ("b", "cd", "ep", "@C") -> (OBS_FLAG, CONF_STATUS); None where one is unknown.

    Old names become new ones (c -> C, s -> i, z -> m); the order of the letters is kept.
    """
    letters = [_legacy_flags().get(letter, letter) for letter in text if letter not in " @,;"]
    if any(letter not in flag_meanings() for letter in letters):
        return None
    status = "".join(dict.fromkeys(letter for letter in letters if letter in CONF_STATUSES))
    if len(status) > 1:
        return None
    return "".join(dict.fromkeys(letter for letter in letters if letter not in CONF_STATUSES)), status


def check_regions(codes: Iterable[str], *, nuts_version: int | None, where: str = "") -> None:
    """Raises InputError for what is no NUTS code, and for codes of another version than `nuts_version`.

    Without a version the codes only have to fit together. Only codes that came or went (EU 27) tell versions apart; a
    code that stayed may still have another boundary.
    """
    distinct = sorted(set(codes))
    for code in distinct:
        if wrong := no_code(code):
            raise InputError(wrong, where=where)
    possible = {code: editions_of(code) for code in distinct}
    for code, versions in possible.items():
        if nuts_version is not None and nuts_version not in versions:
            raise InputError(
                f"{code} is no region of NUTS {nuts_version}, but of {_words(versions) or 'an earlier one'}",
                where=where,
                mend="Name the version that the table has, or recode it (docs/formats.md)",
            )
    if distinct and not common_editions(distinct):
        narrow = {code: versions for code, versions in possible.items() if len(versions) < len(EDITIONS)}
        raise InputError(
            "NUTS versions are mixed: " + ", ".join(f"{code} ({_words(v)})" for code, v in list(narrow.items())[:6]),
            where=where,
            mend="Recode the older part first (docs/formats.md)",
        )


def _words(versions: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(versions)))


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
