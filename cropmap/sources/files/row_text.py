"""Text of a row that cannot be kept as it is: a control character, or more characters than any name has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from cropmap.printable import CONTROL
from cropmap.sources.outlines import Shapes

MAX_TEXT: Final = 500
"""characters of an identifier, a code, a name of a crop; a value of kilobytes is a shifted column or an attack"""
SHOWN: Final = 60
CONTROLS: Final = {"\0": "a NUL character", "\x1b": "an escape character (U+001B)"}
REPLACEMENT: Final = "\ufffd"


def storable(attributes: pd.DataFrame, unusable: Mapping[int, str]) -> tuple[pd.DataFrame, Shapes]:
    """(attributes that a database and a workbook take, why a row is unusable or None).

    A value with a control character, or longer than MAX_TEXT, makes its row unusable; what is left of it is only there
    to be shown.
    `unusable`: position of a row -> what is wrong with it already.
    """
    why = np.full(len(attributes), None, dtype=object)
    kept = attributes.copy()
    for position in range(attributes.shape[1]):
        name, column = str(attributes.columns[position]), attributes.iloc[:, position]
        long = column.str.len().to_numpy(dtype=float, na_value=0) > MAX_TEXT if len(column) else np.zeros(0, bool)
        control = _holds_control(column)
        for row in np.flatnonzero(control | long).tolist():
            text = str(column.iloc[row])
            control_sign = CONTROL.search(text)
            content = (
                f"{len(text):,} characters"
                if control_sign is None
                else CONTROLS.get(control_sign[0]) or f"U+{ord(control_sign[0]):04X}"
            )
            why[row] = why[row] or f"{name} holds {content}"
            text = CONTROL.sub(REPLACEMENT, text)
            kept.iat[row, position] = text if len(text) <= MAX_TEXT else f"{text[:SHOWN]}\u2026"
    for row, reason in unusable.items():
        if 0 <= row < len(why):
            why[row] = reason
    return kept, why


def _holds_control(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([value is not None and CONTROL.search(value) is not None for value in column], dtype=bool)
