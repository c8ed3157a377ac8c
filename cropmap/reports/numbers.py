"""How figures are written: thin spaces between thousands, decimals by size, the sign of a change."""

from __future__ import annotations

import math
from datetime import date
from typing import Final

THIN: Final = "\u202f"
"""narrow no-break space: groups thousands (SI) and never breaks a line"""
MINUS: Final = "\u2212"
NONE: Final = "\u2013"
"""stands where a figure does not exist; a hidden one is marked C"""


def number(value: float | None, *, decimals: int = 0) -> str:
    """1234567.8 -> "1 234 568"; NONE for what is no number."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{abs(value):,.{decimals}f}".replace(",", THIN)
    is_zero = not any(digit in text for digit in "123456789")
    return text if value >= 0 or is_zero else f"{MINUS}{text}"


def hectares(value: float | None) -> str:
    """Whole hectares from 100 on, one decimal from 10 on, two below: parcels are declared to 0.01 ha. A true zero is
    "0"."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    return number(value, decimals=0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2)


def percent(share: float | None, *, decimals: int = 1) -> str:
    """0.1234 -> "12.3 %"."""
    if share is None or not math.isfinite(share):
        return NONE
    return f"{number(100 * share, decimals=decimals)}{THIN}%"


def signed(text: str) -> str:
    """A figure as a change: with its sign, unless it is zero or none."""
    if text == NONE or text.startswith(MINUS) or not any(digit in text for digit in "123456789"):
        return text
    return f"+{text}"


def significant(value: float, *, digits: int = 3) -> str:
    """A tick of a scale without closing zeros."""
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:.{digits}g}" if rounded < 1000 else number(value)


def day(value: date) -> str:
    return f"{value.day} {value:%B %Y}"
