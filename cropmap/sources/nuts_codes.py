"""Which NUTS codes belong to which edition (regulations 2016/2066, 2019/1755, 2023/674; EU 27).

The table beside this file lists the codes that came or went; a code that is not in it is one of all editions. A code
that stayed may still have another boundary, and a code that no edition ever had is not found out here.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

EDITIONS: Final = (2016, 2021, 2024)
TABLE: Final = Path(__file__).with_name("nuts_versions.csv")
COUNTRIES: Final = frozenset(
    {
        "AT",
        "BE",
        "BG",
        "CY",
        "CZ",
        "DE",
        "DK",
        "EE",
        "EL",
        "ES",
        "FI",
        "FR",
        "HR",
        "HU",
        "IE",
        "IT",
        "LT",
        "LU",
        "LV",
        "MT",
        "NL",
        "PL",
        "PT",
        "RO",
        "SE",
        "SI",
        "SK",
        "AL",
        "BA",
        "CH",
        "GE",
        "IS",
        "LI",
        "MD",
        "ME",
        "MK",
        "NO",
        "RS",
        "TR",
        "UA",
        "UK",
        "XK",
    }
)
REGION: Final = re.compile(r"[A-Z]{2}[0-9A-Z]{0,3}")
FORMER_COUNTRIES: Final = {"GR": "EL", "GB": "UK"}
EARLIER: Final = (
    "FR2",
    "FR3",
    "FR4",
    "FR5",
    "FR6",
    "FR7",
    "FR8",
    "FR9",
    "FRA",
    "HU10",
    "IE01",
    "IE02",
    "LT00",
    "PL1",
    "PL3",
)
"""beginnings of codes that regulation 2016/2066 ended"""
NAMED: Final = 6


def no_code(text: str) -> str | None:
    """Why a text is no NUTS code, and what may be meant; None where it looks like one."""
    if REGION.fullmatch(text) and text[:2] in COUNTRIES:
        return None
    better = FORMER_COUNTRIES.get(text[:2].upper())
    hint = (
        f"Eurostat writes {better}{text[2:]}" if better else "Two capital letters of a country, then up to three signs"
    )
    return f"{text!r} is no NUTS code. {hint}"


def editions_of(code: str) -> tuple[int, ...]:
    """Of EDITIONS; none for a code that ended before the first of them."""
    if code.startswith(EARLIER):
        return ()
    first, last = _bounds().get(code, (EDITIONS[0], EDITIONS[-1]))
    return tuple(edition for edition in EDITIONS if first <= edition <= last)


def of_other_editions(codes: Iterable[str], *, nuts_version: int) -> dict[str, tuple[int, ...]]:
    """Code -> its editions, of the codes that this edition does not have; sorted."""
    by_code = {code: editions_of(code) for code in sorted(set(codes))}
    return {code: editions for code, editions in by_code.items() if nuts_version not in editions}


def common_editions(codes: Iterable[str]) -> tuple[int, ...]:
    """The editions that all codes may be of; none where they are mixed."""
    possible = [set(editions_of(code)) for code in set(codes)]
    return tuple(sorted(set(EDITIONS).intersection(*possible)))


def words(items: Iterable[object]) -> str:
    """The first NAMED, and how many more."""
    texts = [str(item) for item in items]
    return ", ".join(texts[:NAMED]) + (f" and {len(texts) - NAMED} more" if len(texts) > NAMED else "")


@cache
def _bounds() -> dict[str, tuple[int, int]]:
    with TABLE.open(encoding="utf-8") as file:
        return {
            row["nuts_id"]: (int(row["first"] or EDITIONS[0]), int(row["last"] or EDITIONS[-1]))
            for row in csv.DictReader(file)
        }
