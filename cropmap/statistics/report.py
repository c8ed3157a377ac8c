"""What a run says of its areas: what they are made from, how reviews changed them, and how the table is protected.

The defaults are what a forecast, or a run of an earlier version, says by leaving a field out.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from cropmap.records import Record
from cropmap.schemas import Confidentiality, Internal


class Audit(Record):
    """Cells that the office's check found in the published pattern; all None where a programme was not solved."""

    recoverable: int | None = None
    """hidden cells whose figure follows from the table"""
    narrow: int | None = None
    """sensitive cells that are bounded too narrowly"""
    unsafe_lines: int | None = None
    """published parents whose hidden children break a rule together"""
    exposed: int | None = None
    """sensitive cells that the only contributor of another can compute"""
    intervals_solved: bool = False
    """`narrow` was looked for"""


class Disclosure(Record):
    """The rules of a table, and what they hid. Without suppression only the rules are given, with primary suppression
    alone `primary_cells` besides. Cells are named crop/region."""

    mode: Confidentiality | None = None
    """None: the run does not say, which counts as not protected"""
    min_holdings: int = 0
    min_holdings_nuts3: int = 0
    dominance: tuple[int, float] | None = None
    """(n, k): largest holdings and their share"""
    p_percent: float | None = None
    earlier_release: str | None = None
    """run whose published table this one was held against"""
    primary_cells: int = 0
    primary_by_rule: Mapping[str, int] = Field({})
    secondary_cells: int = 0
    already_published: tuple[str, ...] = ()
    """hidden cells that the earlier release showed"""
    weakened: tuple[str, ...] = ()
    known_to_one: tuple[str, ...] = ()
    audit: Audit | None = None
    widened: tuple[str, ...] = ()
    """why more had to be hidden, once per time: kinds of weakness, no cells and no figures"""
    internal: tuple[Internal, ...] | None = None
    """why the table is not for publication; empty where it passed, None where the run does not say"""


class ReviewSample(Record):
    """The sample of reviews that the estimate took in."""

    campaign: str | None = None
    """None: there was none"""
    drawn: int = 0
    judged: int = 0
    wrong_without_crop: int = 0
    """findings that name no crop"""


class StatisticsReport(Record):
    parcels: int = 0
    parcels_divided_at_borders: int = 0
    parcels_outside_regions: int = 0
    parcels_without_prediction: int = 0
    area_share_without_prediction: float | None = None
    """None where the run does not say"""
    parcels_without_holding: int = 0
    area_share_by_verdict: Mapping[str, float] = Field({})
    """shares of the area of all parcels, `undeclared` besides the verdicts"""
    area_in_reviewed_cells: float = 0.0
    """share of the area that lies in cells with reviews"""
    overconfidence: Mapping[str, float] = Field({})
    """φ by verdict"""
    overconfident: tuple[str, ...] = ()
    """verdicts whose φ is above its limit"""
    contradiction: Mapping[str, float] = Field({})
    """multiple of the prior variance that reviewed corrections asked for, by verdict"""
    raking_tolerance: float = 0.0
    largest_raking_gap: float = 0.0
    regions_not_raked: tuple[str, ...] = ()
    reviews: int = 0
    """reviewed parcels that the estimate took in"""
    reviews_outside: int = 0
    prior_size: float | None = None
    """ν"""
    declaration_error: float | None = None
    """ε"""
    sums_published: tuple[str, ...] = ()
    """crops of the table that are sums of others"""
    forecast: bool = False
    """no crop is declared: the areas rest on predictions alone, or there are none yet"""
    cells: int = 0
    confidentiality: str = ""
    """how far the table may be published, in words; empty where the run does not say"""
    confidential_cells: int = 0
    sum_members: Mapping[str, tuple[str, ...]] = Field({})
    """members of the crops that are sums"""
    disclosure: Disclosure = Disclosure()
    review_sample: ReviewSample | None = None
    partial_regions: tuple[str, ...] = ()
    """regions of which the register covers only a part"""
