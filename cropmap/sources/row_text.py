"""Text of a row that cannot be kept as it is: a NUL, or more characters than any name or number has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from cropmap.sources.outlines import Shapes

MAX_TEXT: Final = 500
"""characters of an identifier, a code, a name of a crop; a value of kilobytes is a shifted column or an attack"""
SHOWN: Final = 60
NUL: Final = "\0"
REPLACEMENT: Final = "\ufffd"


def storable(attributes: pd.DataFrame, unusable: Mapping[int, str]) -> tuple[pd.DataFrame, Shapes]:
    """(attributes that a database takes, why a row is unusable or None).

    A value with a NUL, or longer than MAX_TEXT, makes its row unusable; what is left of it is only there to be shown.
    `unusable`: position of a row -> what is wrong with it already.
    """
    why = np.full(len(attributes), None, dtype=object)
    kept = attributes.copy()
    for position in range(attributes.shape[1]):
        name, column = str(attributes.columns[position]), attributes.iloc[:, position]
        long = column.str.len().to_numpy(dtype=float, na_value=0) > MAX_TEXT if len(column) else np.zeros(0, bool)
        nul = _holds_nul(column)
        for row in np.flatnonzero(nul | long).tolist():
            text = str(column.iloc[row])
            said = "a NUL character" if nul[row] else f"{len(text):,} characters"
            why[row] = why[row] or f"{name} holds {said}"
            text = text.replace(NUL, REPLACEMENT)
            kept.iat[row, position] = text if len(text) <= MAX_TEXT else f"{text[:SHOWN]}\u2026"
    for row, reason in unusable.items():
        if 0 <= row < len(why):
            why[row] = reason
    return kept, why


def _holds_nul(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([value is not None and NUL in value for value in column], dtype=bool)
