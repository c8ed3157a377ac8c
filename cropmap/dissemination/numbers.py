"""Numbers as text: written with fixed decimals, and read more strictly than float() reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
MISSING: Final = frozenset({"", ":", "NaN"})


def decimal_text(values: NDArray[np.float64], *, decimals: int) -> list[str]:
    """NaN is an empty text."""
    return ["" if np.isnan(value) else f"{value:.{decimals}f}" for value in values]


def parse_numbers(texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(values, NaN where missing; whether each text is a number or says that there is none)."""
    stripped = [text.strip() for text in texts]
    fits = [text in MISSING or NUMBER.fullmatch(text) is not None for text in stripped]
    values = [
        float(text) if good and text not in MISSING else np.nan for text, good in zip(stripped, fits, strict=True)
    ]
    numbers = np.array(values, dtype=float)
    return numbers, np.array(fits, dtype=bool) & ~np.isinf(numbers)
