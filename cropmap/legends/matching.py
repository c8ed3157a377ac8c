"""Finds the crop codes and names of a file in a legend although zeros, case, blanks or accents were lost on the way.

In: the distinct texts of a file, and the legend's texts with the code each stands for. Out: for every text one code
and how it was found, or none and why. Nothing is guessed: a text that fits two codes has no match. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

LOST: Final = re.compile(r"[?\ufffd]")
"""what remains of a letter that a character set could not hold"""
MIN_KEPT_LETTERS: Final = 4
"""a text with lost letters is only looked for when at least so many are left"""
LETTERS: Final = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe"})
"""letters that Unicode does not take apart into a base and an accent"""
DECIMALS: Final = re.compile(r"(?<=\d)[.,]0+$")


class Found(StrEnum):
    """How a text was found; each way ignores what those before it ignore, and more."""

    EXACT = "exact"
    BLANKS = "blanks"
    """surrounding or doubled blanks, or another Unicode form of the same letters"""
    DECIMAL_POINT = "decimal point"
    LEADING_ZEROS = "leading zeros"
    CASE = "case"
    ACCENTS = "accents"
    LOST_LETTERS = "lost letters"
    """`Ja?me?` for Jačmeň"""
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Match:
    code: str | None
    """the legend's code, None where there is none or more than one"""
    way: Found
    candidates: tuple[str, ...] = ()
    """the legend's codes that fit, where they are several"""


def blanks(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()))


def decimal_point(text: str) -> str:
    return DECIMALS.sub("", blanks(text))


def leading_zeros(text: str) -> str:
    return decimal_point(text).lstrip("0") or "0"


def case(text: str) -> str:
    return leading_zeros(text).casefold()


def accents(text: str) -> str:
    letters = unicodedata.normalize("NFKD", case(text).translate(LETTERS))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


WAYS: Final[tuple[tuple[Found, Callable[[str], str]], ...]] = (
    (Found.EXACT, str),
    (Found.BLANKS, blanks),
    (Found.DECIMAL_POINT, decimal_point),
    (Found.LEADING_ZEROS, leading_zeros),
    (Found.CASE, case),
    (Found.ACCENTS, accents),
)


class Matcher:
    """Looks texts up among (text, code) pairs. Several texts may stand for one code."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = [(text, code) for text, code in pairs if text]
        self._known: dict[str, Match] = {}

    def find(self, text: str) -> Match:
        if text not in self._known:
            self._known[text] = self._find(text)
        return self._known[text]

    def _find(self, text: str) -> Match:
        for (way, simplify), index in zip(WAYS, self._indexes, strict=True):
            if codes := index.get(simplify(text)):
                return _match(codes, way)
        if LOST.search(text) and sum(c.isalpha() for c in text) >= MIN_KEPT_LETTERS:
            pattern = re.compile(".".join(re.escape(part) for part in LOST.split(accents(text))))
            codes = {c for key, fitting in self._indexes[-1].items() if pattern.fullmatch(key) for c in fitting}
            if codes:
                return _match(codes, Found.LOST_LETTERS)
        return Match(None, Found.UNKNOWN)

    @cached_property
    def _indexes(self) -> list[dict[str, set[str]]]:
        indexes: list[dict[str, set[str]]] = []
        for _, simplify in WAYS:
            index: dict[str, set[str]] = {}
            for text, code in self._pairs:
                index.setdefault(simplify(text), set()).add(code)
            indexes.append(index)
        return indexes


def _match(codes: set[str], way: Found) -> Match:
    if len(codes) == 1:
        return Match(next(iter(codes)), way)
    return Match(None, Found.AMBIGUOUS, tuple(sorted(codes)))
