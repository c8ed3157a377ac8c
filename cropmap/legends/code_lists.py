"""An agency's code list: national code or name to harmonised crop (HCAT3), as EuroCrops publishes one per country.

In: a CSV file with the columns original_code and/or original_name, HCAT3_code and HCAT3_name. Out: one entry per code.
The lists are CC BY-SA and change every year, so that the agency keeps its own copy; none is shipped.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cropmap.errors import ConfigurationError
from cropmap.provenance import content_hash

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
            for code, hcat3 in codes.items() if code not in known
        ]  # fmt: skip
        digest = content_hash(self.hash, *(f"{one.code}={one.hcat3_code}" for one in new)) if new else self.hash
        return replace(self, entries=(*self.entries, *new), hash=digest)


def hcat3_code(text: str, *, where: str) -> str:
    """Raises ConfigurationError where it is not ten digits."""
    if not (text.isdecimal() and len(text) == HCAT3_DIGITS):
        raise ConfigurationError(f"{text!r} is no HCAT3 code", where=where, mend="Ten digits, such as 3301010101")
    return text


def read_code_list(path: Path) -> CodeList:
    """Raises ConfigurationError where the file is no such list."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror})", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError("is not UTF-8", where=str(path), mend="Save it as UTF-8") from error
    header = text.split("\n", 1)[0]
    rows = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=header.count))
    names = set(rows.fieldnames or ())
    if "HCAT3_code" not in names or not names & {"original_code", "original_name"}:
        raise ConfigurationError(
            "is no code list", where=str(path),
            mend="Needed: HCAT3_code, and original_code or original_name (the columns of EuroCrops' tables)",
        )  # fmt: skip
    entries = [_entry(row, number, where=str(path)) for number, row in enumerate(rows, start=2)]
    kept, contradicting = _unique(entry for entry in entries if entry.code)
    return CodeList(path.stem, kept, contradicting, content_hash(text))


def _entry(row: dict[str, str], number: int, *, where: str) -> ListedCode:
    name = " ".join((row.get("original_name") or "").split())
    hcat3 = (row.get("HCAT3_code") or "").strip()
    if hcat3:
        hcat3_code(hcat3, where=f"{where}, line {number}")
    return ListedCode((row.get("original_code") or "").strip() or name, name, hcat3 or None,
                      (row.get("HCAT3_name") or "").strip())  # fmt: skip


def _unique(entries: Iterable[ListedCode]) -> tuple[tuple[ListedCode, ...], tuple[str, ...]]:
    """The first entry of every code, without the codes whose entries disagree on the crop."""
    first: dict[str, ListedCode] = {}
    contradicting = set()
    for entry in entries:
        if first.setdefault(entry.code, entry).hcat3_code != entry.hcat3_code:
            contradicting.add(entry.code)
    return tuple(e for e in first.values() if e.code not in contradicting), tuple(sorted(contradicting))
