"""An agency's code list: national code or name to harmonised crop (HCAT3), as EuroCrops publishes one per country.

In: a CSV file with the columns original_code and/or original_name, HCAT3_code and HCAT3_name. Out: one entry per code.
The lists are CC BY-SA and change every year, so that the agency keeps its own copy; none is shipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cropmap.errors import ConfigurationError
from cropmap.provenance import content_hash
from cropmap.sheets import read_sheet

LISTED: Final = ("original_code", "original_name")
HCAT3_DIGITS: Final = 10


@dataclass(frozen=True)
class ListedCode:
    code: str
    """as the list writes it; the name where the list has no codes"""
    name: str
    hcat3_code: str | None
    """ten digits, None where the list leaves it open"""
    hcat3_name: str


@dataclass(frozen=True)
class CodeList:
    name: str
    """of the file, without its ending"""
    entries: tuple[ListedCode, ...]
    contradicting: tuple[str, ...]
    """codes that the list gives two harmonised crops: none of them is used"""
    hash: str

    def with_more(self, codes: Mapping[str, str]) -> CodeList:
        """The list with `codes` (code or name -> HCAT3 code) that it lacks; what it has stays as it is.

        Raises ConfigurationError where a value is no HCAT3 code.
        """
        known = {entry.code for entry in self.entries}
        names = {entry.hcat3_code: entry.hcat3_name for entry in self.entries}
        new = [
            ListedCode(code, code, hcat3_code(hcat3, where=f"more_codes: {code}"), names.get(hcat3, ""))
            for code, hcat3 in codes.items()
            if code not in known
        ]
        digest = content_hash(self.hash, *(f"{added.code}={added.hcat3_code}" for added in new)) if new else self.hash
        return replace(self, entries=(*self.entries, *new), hash=digest)


def hcat3_code(text: str, *, where: str) -> str:
    """Raises ConfigurationError where it is not ten digits."""
    if not (text.isdecimal() and len(text) == HCAT3_DIGITS):
        raise ConfigurationError(f"{text!r} is no HCAT3 code", where=where, mend="Ten digits, such as 3301010101")
    return text


def read_code_list(path: Path) -> CodeList:
    """Raises ConfigurationError where the file is no such list."""
    sheet = read_sheet(path)
    names = {name for name in (*LISTED, "HCAT3_code") if sheet.find(name) is not None}
    if "HCAT3_code" not in names or not names & set(LISTED):
        raise ConfigurationError(
            "is no code list",
            where=str(path),
            mend="Needed: HCAT3_code, and original_code or original_name (the columns of EuroCrops' tables)",
        )
    rows = sheet.columns((*LISTED, "HCAT3_code", "HCAT3_name"))
    entries = [_entry(row, number, where=str(path)) for number, row in rows]
    kept, contradicting = _unique(entry for entry in entries if entry.code)
    if not kept:
        raise ConfigurationError("lists no code that can be used", where=str(path), mend="One line per code")
    return CodeList(path.stem, kept, contradicting, content_hash(sheet.text))


def _entry(row: Mapping[str, str], number: int, *, where: str) -> ListedCode:
    name = " ".join(row["original_name"].split())
    hcat3 = row["HCAT3_code"]
    if hcat3:
        hcat3_code(hcat3, where=f"{where}, line {number}")
    return ListedCode(row["original_code"] or name, name, hcat3 or None, row["HCAT3_name"])


def _unique(entries: Iterable[ListedCode]) -> tuple[tuple[ListedCode, ...], tuple[str, ...]]:
    """The first entry of every code, without the codes whose entries disagree on the crop."""
    first: dict[str, ListedCode] = {}
    contradicting = set()
    for entry in entries:
        if first.setdefault(entry.code, entry).hcat3_code != entry.hcat3_code:
            contradicting.add(entry.code)
    return tuple(e for e in first.values() if e.code not in contradicting), tuple(sorted(contradicting))
