"""Rules that others flag declarations by, for comparison on the same predictions; none of them states a rate.

In: probabilities [N, K] of a classifier and declared classes [N]. Out: which declarations the rule flags. Nothing that
is published depends on this.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.assessments.channel import Floats

FLEMISH_CONFIDENCE: Final = 0.945


def sen4cap(probabilities: Floats, declared: NDArray[np.intp]) -> NDArray[np.bool_]:
    """The declared crop is not among the two likeliest (Sen4CAP's crop type product)."""
    better = (probabilities > _of_declared(probabilities, declared)[:, None]).sum(axis=1)
    return np.asarray(better >= 2)


def flemish(probabilities: Floats, declared: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Another crop is predicted, with at least 94.5 % (Flanders' area monitoring)."""
    other = probabilities.argmax(axis=1) != declared
    return np.asarray(other & (probabilities.max(axis=1) >= FLEMISH_CONFIDENCE))


def lowest(score: Floats, *, count: int) -> NDArray[np.bool_]:
    """The `count` lowest scores; ties keep the order of rows, NaN is never among them."""
    order = np.argsort(score, kind="stable")[: min(count, int(np.isfinite(score).sum()))]
    chosen = np.zeros(len(score), dtype=bool)
    chosen[order] = True
    return chosen


def _of_declared(probabilities: Floats, declared: NDArray[np.intp]) -> Floats:
    return probabilities[np.arange(len(declared)), declared]
