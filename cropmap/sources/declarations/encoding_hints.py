"""Codes that are missing in a legend because the file states the wrong encoding of its text. Pure.

Bytes mean other letters in every code page, and most readings are no error: only the legend shows which is right.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from cropmap.legends import Legend
from cropmap.legends.matching import Matcher

WRITTEN_IN: Final = ("UTF-8", "CP1250", "CP1252", "CP1257", "CP1253", "CP1251", "CP1254", "CP852", "CP850", "CP437")
"""what Europe's offices write, the most frequent first"""
READ_IN: Final = ("cp1252", "latin-1")
"""what files state where they were not configured; more would make the answer ambiguous"""
MAX_TEXTS: Final = 500


def encoding_hint(unmapped: pd.DataFrame, legend: Legend, *, encoding_set: str | None) -> tuple[str, ...]:
    """A note for the encoding in which most of the unmapped codes and names (`UNMAPPED_COLUMNS` of
    `crop_codes`) are found; none where none is found in another than `encoding_set`, that of the profile."""
    texts = _with_letters(unmapped)
    if not texts:
        return ()
    known = [
        Matcher(pairs)
        for pairs in (
            [(entry.crop_code, entry.crop_code) for entry in legend.entries],
            [(entry.crop_name, entry.crop_code) for entry in legend.entries],
        )
    ]
    rows = {
        encoding: sum(
            count
            for text, count in texts
            if any(m.find(other).code is not None for other in _readings(text, encoding) for m in known)
        )
        for encoding in WRITTEN_IN
        if encoding.casefold() != (encoding_set or "").casefold()
    }
    best = max(rows, key=lambda encoding: rows[encoding])
    if not rows[best]:
        return ()
    return (f"{rows[best]} rows with an unknown code have a known one with declarations.encoding: {best}",)


def _with_letters(unmapped: pd.DataFrame) -> list[tuple[str, int]]:
    """(text, rows) of the codes, or names where there is no code, that hold more than ASCII."""
    texts = unmapped["crop_name"].where(unmapped["crop_name"].notna(), unmapped["crop_code"])
    pairs = zip(texts, unmapped["rows"], strict=True)
    return [(text, int(rows)) for text, rows in pairs if isinstance(text, str) and not text.isascii()][:MAX_TEXTS]


def _readings(text: str, encoding: str) -> set[str]:
    """What the text would be, had its bytes been read in `encoding`."""
    readings = set()
    for read_in in READ_IN:
        try:
            readings.add(text.encode(read_in).decode(encoding))
        except UnicodeError:
            continue
    return readings - {text}
