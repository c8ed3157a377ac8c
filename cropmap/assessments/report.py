"""What a run says of its assessments: how many flags, how reliable they are, and what was not assessed.

The defaults are what a forecast, or a run of an earlier version, says by leaving a field out.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from cropmap.records import Record


class Sensitivity(Record):
    """The list under another share of rightly declared parcels that carry another crop's signal."""

    tail: float
    """η, that share"""
    estimated_rate: float | None
    """share of rightly declared parcels in the published list; None for an empty list"""
    list_size: int
    """flags that the target would allow"""


class Guards(Record):
    assessable_parcels: int
    skill: float
    """share of the class shares' log-loss that the classifier removes: 0 without information, 1 for a perfect one"""
    observed: float
    """declarations in the list's tail"""
    expected: float
    """declarations there that the noise channel expects"""
    observed_expected: float | None
    """None where nothing is expected"""
    warning: bool
    """`observed_expected` is above `guards.WARN_OBSERVED_EXPECTED`"""
    refused: tuple[str, ...]
    """reasons, in words, why the list is refused; empty where it stands"""
    classes_refused: tuple[str, ...]
    """groups of crops whose flags are withdrawn"""


class LookAlike(Record):
    """Two groups of crops that are not held against each other."""

    declared: str
    looks_like: str


class AssessmentReport(Record):
    forecast: bool = False
    """the season has no declarations yet"""
    target: float | None = None
    """largest share of rightly declared parcels in the list"""
    flags: int = 0
    """length of the list; 0 where it is refused"""
    estimated_rate: float | None = None
    """estimated share of rightly declared parcels in the list; None without a flag"""
    assumption: str = ""
    """what `estimated_rate` assumes"""
    sensitivity: tuple[Sensitivity, ...] = ()
    reliability: str = "not stated"
    """how reliable the list is, in one sentence"""
    guards: Guards | None = None
    verdicts: Mapping[str, int] = Field({})
    """declarations by verdict"""
    reasons: Mapping[str, int] = Field({})
    """declarations by reason"""
    pairs_not_assessed: tuple[LookAlike, ...] = ()
    crops_not_learnt: Mapping[str, int] = Field({})
    """declarations by crop that the judging model was trained without"""
