"""Reviews for area statistics: draw parcels of the published run by their area, take what was found to the estimate,
and see what other estimators would have made of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

import pandas as pd

from cropmap.database import declarations as register
from cropmap.database import reviews
from cropmap.database.reviews import Campaign
from cropmap.errors import InputError
from cropmap.predictions.predictions import Predictions
from cropmap.provenance import content_hash
from cropmap.results.published import published_run
from cropmap.results.reviews import FieldFormat, assessed_parcels, field_file, note_sample
from cropmap.schemas import Confidentiality, ReviewPart, ReviewPurpose
from cropmap.sources.mapped_outlines import Outlines
from cropmap.stages.context import SeasonContext
from cropmap.stages.findings import area_reviews
from cropmap.stages.parcels import counted_parcels
from cropmap.statistics.areas import estimate_areas
from cropmap.statistics.comparison import compare_estimators
from cropmap.statistics.report import ReviewSample
from cropmap.statistics.review_design import draw_area_sample


class DrawnAreaReviews(TypedDict):
    campaign: str
    run_id: str
    new: bool
    drawn: int
    strata: int
    certain: int
    """parcels that are drawn with certainty"""
    area_ha: float
    """of the drawn parcels"""


@dataclass(frozen=True)
class Estimators:
    table: pd.DataFrame
    """nuts_id, crop, estimate, se, and ha of every other estimator"""
    run_id: str
    reviews: ReviewSample


def draw_area_reviews(
    context: SeasonContext, *, budget: int, seed: int, drawn_at: datetime, format_: FieldFormat
) -> tuple[DrawnAreaReviews, bytes]:
    """Draws a sample of all declarations of the published run, records it, and returns what was drawn and the file for
    the field. The same budget and seed give the recorded sample again. Raises InputError where nothing is published."""
    legend = context.agency.read_legend()
    with context.connect() as connection:
        run_id = published_run(connection, **context.key).run_id
        predictions = _predictions(context, run_id)
        parcels = assessed_parcels(context, connection, run_id).rename(columns={"declared_code": "crop_code"})
        drawn = draw_area_sample(parcels, predictions, legend, budget=budget, seed=seed)
        campaign = Campaign(
            content_hash(run_id, str(ReviewPurpose.AREAS), str(budget), str(seed), length=12),
            **context.key,
            run_id=run_id,
            budget=budget,
            seed=seed,
            list_share=0.0,
            target=None,
            delta=context.agency.review.delta,
            estimated_rate=None,
            list_size=0,
            grid=[],
            drawn_at=drawn_at,
            purpose=str(ReviewPurpose.AREAS),
        )
        rows = drawn.assign(part=str(ReviewPart.AREA), list_rank=pd.array([pd.NA] * len(drawn), dtype="Int64"))
        is_new = reviews.store_campaign(connection, campaign, rows)
        sample = reviews.read_sample(connection, campaign.campaign_id)
        note_sample(context, connection, sample)
        outlines = register.read_declarations(connection, **context.key)
    answer: DrawnAreaReviews = {
        "campaign": campaign.campaign_id,
        "run_id": run_id,
        "new": is_new,
        "drawn": len(sample),
        "strata": sample["stratum"].nunique(),
        "certain": int((sample["inclusion_probability"] == 1).sum()),
        "area_ha": round(float(sample["area_ha"].astype(float).sum()), 1),
    }
    return answer, field_file(sample, outlines, campaign, legend, format_)


def season_estimators(context: SeasonContext, *, nuts: str = "") -> Estimators:
    """Every estimator beside the published one, for NUTS-3 regions below `nuts`. Nothing is hidden: for use inside.
    Raises InputError where nothing is published."""
    legend, reviewed = context.agency.read_legend(), area_reviews(context)
    with context.connect() as connection:
        run_id = published_run(connection, **context.key).run_id
        parcels = assessed_parcels(context, connection, run_id).rename(columns={"declared_code": "crop_code"})
        outlines = register.read_declarations(connection, **context.key)[["parcel_id", "geometry"]]
    placed = outlines.merge(parcels, on="parcel_id", how="right")
    parcels = counted_parcels(context, pd.DataFrame(placed.drop(columns="geometry")), Outlines.of(placed.geometry))
    predictions = _predictions(context, run_id)
    estimates = compare_estimators(parcels, predictions, legend, reviews=reviewed.table)
    wide = estimates.set_index(["nuts_id", "crop", "estimator"])["area_ha"].unstack()[
        list(estimates["estimator"].unique())
    ]
    estimated = estimate_areas(
        parcels, predictions, legend, reviews=reviewed.table, confidentiality=Confidentiality.OFF
    ).table.set_index(["nuts_id", "crop"])
    wide.insert(0, "estimate", estimated["estimate_ha"].reindex(wide.index))
    wide.insert(1, "se", estimated["se_ha"].reindex(wide.index))
    wide = wide[wide.index.get_level_values("nuts_id").str.startswith(nuts)]
    if wide.empty:
        raise InputError(f"no parcel lies in {nuts}", where="--nuts")
    return Estimators(wide.reset_index(), run_id, reviewed.report)


def _predictions(context: SeasonContext, run_id: str) -> Predictions:
    name = f"runs/{run_id}/predictions.parquet"
    if not context.store.exists(name):
        raise InputError(
            "the run's probabilities are not in the store", where=name, mend="Publish the season again, then ask"
        )
    return Predictions.read(context.store, name)
