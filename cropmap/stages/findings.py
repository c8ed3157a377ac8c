"""What people found in reviews, as the steps of a season use it: labels of the training, and a sample for areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from cropmap.assessments.review_quality import outcomes
from cropmap.database import reviews
from cropmap.legends import Legend
from cropmap.provenance import content_hash
from cropmap.schemas import Finding, ReviewPurpose
from cropmap.stages.context import SeasonContext
from cropmap.statistics.report import ReviewSample

REVIEWED: Final = ("parcel_id", "found_code", "inclusion_probability")
NO_SAMPLE: Final = ReviewSample(campaign=None)


@dataclass(frozen=True)
class ReviewedLabels:
    """What reviews say of the declarations as they stand."""

    wrong: frozenset[str]
    """parcels whose declared crop a review contradicts: no example to learn from"""
    right: frozenset[str]
    """parcels whose declared crop a review confirms, however strange they look"""

    @property
    def key(self) -> tuple[str, ...]:
        """What a training must be remade for; nothing where nothing was reviewed."""
        return (content_hash(*sorted(self.wrong), "", *sorted(self.right)),) if self.wrong or self.right else ()


@dataclass(frozen=True)
class AreaReviews:
    """One sample with its findings, as `estimate_areas` takes it."""

    table: pd.DataFrame
    """REVIEWED; the probabilities are those of being drawn and judged"""
    report: ReviewSample = NO_SAMPLE

    @property
    def key(self) -> tuple[str, ...]:
        """What a run must be remade for; nothing where nothing was reviewed."""
        if self.table.empty:
            return ()
        rows = self.table.sort_values("parcel_id").astype(str)
        return (content_hash(*map(" ".join, zip(*(rows[name] for name in rows), strict=True))),)


def reviewed_labels(context: SeasonContext, parcels: pd.DataFrame, legend: Legend) -> ReviewedLabels:
    """Findings on declarations that still say what they said when they were reviewed; an amendment is a new claim."""
    with context.connect() as connection:
        findings = reviews.read_findings(connection, **context.key)
    reviewed = parcels[parcels["parcel_id"].isin(findings["parcel_id"])]
    current = dict(zip(reviewed["parcel_id"], reviewed["crop_code"], strict=True))
    same = [current.get(p) == code for p, code in zip(findings["parcel_id"], findings["declared_code"], strict=True)]
    findings = findings[np.array(same, dtype=bool)]
    outcome = outcomes(findings, legend)
    wrong, right = (
        frozenset(findings.loc[outcome == str(finding), "parcel_id"]) for finding in (Finding.WRONG, Finding.RIGHT)
    )
    return ReviewedLabels(wrong, right)


def run_statement(context: SeasonContext, run_id: str) -> str:
    """Certified or not, in one sentence."""
    with context.connect() as connection:
        return reviews.run_statement(connection, run_id) or "Not certified: nobody has reviewed this list."


def area_reviews(context: SeasonContext) -> AreaReviews:
    """The findings of the last sample for areas that has any; else of the last sample of a list: also that one is drawn
    from all declarations with known probabilities, only less well for areas.

    Parcels that could not be visited or judged are made up for by the others of their stratum.
    """
    with context.connect() as connection:
        with_findings = [c for c in reviews.read_campaigns(connection, **context.key) if c.first_review is not None]
        if not with_findings:
            return AreaReviews(pd.DataFrame(columns=list(REVIEWED)))
        for_areas = [c for c in with_findings if c.purpose == ReviewPurpose.AREAS]
        campaign = (for_areas or with_findings)[-1]
        sample = reviews.read_sample(connection, campaign.campaign_id)
    return judged(sample, campaign.campaign_id)


def judged(sample: pd.DataFrame, campaign: str) -> AreaReviews:
    """Of drawn parcels (parcel_id, stratum, area_ha, inclusion_probability, declared_code, finding, found_code) those
    whose crop is known; each stands for its share of the stratum's area that was drawn and not judged besides."""
    right = sample["finding"] == str(Finding.RIGHT)
    found_code = sample["declared_code"].where(
        right, sample["found_code"].where(sample["finding"] == str(Finding.WRONG))
    )
    known = found_code.notna().to_numpy(bool)
    inclusion = sample["inclusion_probability"].to_numpy(float)
    expanded = pd.Series(sample["area_ha"].to_numpy(float) / inclusion).groupby(sample["stratum"].to_numpy(object))
    answered = expanded.transform(lambda stratum: stratum[known[stratum.index]].sum() / stratum.sum())
    table = pd.DataFrame(
        {
            "parcel_id": sample["parcel_id"],
            "found_code": found_code,
            "inclusion_probability": np.minimum(inclusion * answered.to_numpy(float), 1.0),
        }
    )
    nameless = (sample["finding"] == str(Finding.WRONG)) & sample["found_code"].isna()
    report = ReviewSample(
        campaign=campaign, drawn=len(sample), judged=int(known.sum()), wrong_without_crop=int(nameless.sum())
    )
    return AreaReviews(table[known].reset_index(drop=True), report)
