"""Colour classes of a map: equal steps from zero, at round figures, made from shown cells alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

COLOURS: Final = ("#ffffcc", "#a1dab4", "#41b6c4", "#2c7fb8", "#253494")
"""YlGnBu of ColorBrewer (Harrower and Brewer 2003): legible with any colour blindness, and in grey"""
ROUND: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
MANY: Final = 10
"""number of values from which a tenth of them may lie above the steps; otherwise one outlier would leave the map in one
colour"""
COVERED: Final = 0.9


@dataclass(frozen=True)
class Scale:
    step: float
    """width of a class: class k holds [k step, (k + 1) step), the last one everything from its lower end on"""
    open_end: bool
    """whether a value lies above the last step"""

    def colour(self, value: float) -> str:
        return COLOURS[min(int(value / self.step + 1e-9), len(COLOURS) - 1)]

    @property
    def classes(self) -> tuple[tuple[str, float, float | None], ...]:
        """(colour, lower end, upper end); no upper end where the last class is open."""
        last = len(COLOURS) - 1
        return tuple(
            (colour, self.step * place, None if place == last and self.open_end else self.step * (place + 1))
            for place, colour in enumerate(COLOURS)
        )


SMALLEST: Final = 0.01
"""a narrower step is below what any figure of the page shows"""


def scale(values: Sequence[float]) -> Scale:
    """The smallest round step, from SMALLEST on, with which the classes reach the largest value, or COVERED of MANY
    values."""
    largest = max(values, default=0.0)
    if not largest > 0:
        return Scale(1.0, open_end=False)
    reached = float(np.quantile(values, COVERED)) if len(values) >= MANY else largest
    least = (reached if reached > 0 else largest) / len(COLOURS)
    least = max(least, SMALLEST)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * factor for factor in ROUND if power * factor >= least * (1 - 1e-9))
    return Scale(step, open_end=largest > step * len(COLOURS) * (1 + 1e-9))
