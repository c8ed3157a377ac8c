"""How precise an area must be to be called reliable, and from where on its coefficient of variation says nothing."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.statistics.posterior import Floats

UNRELIABLE_CV: Final = 0.25
"""above, an estimate has flag u"""
LARGEST_CV: Final = 1.0
"""above, the standard error is larger than the estimate itself: no CV is given, the flag and the interval say it"""
NOTHING_HA: Final = 0.005
"""less is zero in hectares with two decimals, as parcels are declared: no CV is given"""


def precision(area: Floats, se: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """(CV, NaN where none is given; whether the estimate is unreliable), of areas and standard errors in ha. A zero has
    no CV and is not unreliable."""
    cv: Floats = np.divide(se, area, out=np.full(np.shape(area), np.nan), where=area > 0)
    stated: Floats = np.where((cv <= LARGEST_CV) & (area >= NOTHING_HA), cv, np.nan)
    return stated, np.asarray(cv > UNRELIABLE_CV)
