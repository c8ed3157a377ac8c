"""Identifiers that look damaged: by a spreadsheet, a lost leading zero, or a word that stands for nothing."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

PLACEHOLDERS: Final = frozenset({"null", "none", "nan", "na", "n/a", "#n/a", "#ref!", "<null>", "-", "?", "xxx"})
SCIENTIFIC: Final = r"^[+-]?\d[.,]\d+[eE][+-]?\d+$"
CONTROL: Final = r"[\x00-\x1f\x7f\s]"
"""blanks at the ends are taken off when a file is read; what is left is inside"""
USUAL_SHARE: Final = 0.95
"""a file whose identifiers have one form has a usual form; below this share of its rows it has several"""


def malformed(identifiers: pd.Series[Any]) -> pd.Series[Any]:
    """What is wrong with each identifier (text), None where nothing is; the index stays.

    Unique identifiers of another form than USUAL_SHARE of the file's may be right, which is why nobody rejects them.
    """
    why = pd.Series([None] * len(identifiers), index=identifiers.index, dtype=object)
    text = identifiers.astype("string").fillna("")
    why[_other_form(text)] = "another form than nearly all identifiers of the file"
    why[text.str.contains(CONTROL)] = "blanks or control characters inside"
    why[text.str.contains(SCIENTIFIC)] = "a number in scientific notation: a spreadsheet has rounded it"
    why[text.str.lower().isin(PLACEHOLDERS) | text.str.fullmatch("0+")] = "a word that stands for nothing"
    return why.where(identifiers.notna(), None)


def _other_form(text: pd.Series[Any]) -> pd.Series[bool]:
    """Whether an identifier differs from the usual form, which is its text with 9 for digits and A for letters."""
    forms = text.str.replace(r"\d", "9", regex=True).str.replace(r"[^\W\d_]", "A", regex=True)
    counts = forms.value_counts()
    if counts.empty or counts.iloc[0] < USUAL_SHARE * len(forms) or counts.iloc[0] == len(forms):
        return pd.Series(False, index=text.index)
    other: pd.Series[bool] = forms != counts.index[0]
    return other
