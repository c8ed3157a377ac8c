"""Everything that a run's rows depend on, read at one moment, each part with its hash: see `open_season`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from cropmap.errors import InputError
from cropmap.provenance import content_hash
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import FOLDS, LEGEND, OBSERVATIONS, SeasonData, folds_rule
from cropmap.stages.findings import AreaReviews, ReviewedLabels, area_reviews, reviewed_labels
from cropmap.stages.forecast import is_carried
from cropmap.stages.parcels import boundaries_key

REGIONS: Final = "the regions file"
REVIEWS: Final = "the reviews"


@dataclass(frozen=True, eq=False)
class RunInputs:
    data: SeasonData
    reviewed: ReviewedLabels
    areas: AreaReviews
    parts: Mapping[str, str]
    """hash of each part, by what a person calls it"""


def read_inputs(context: SeasonContext, data: SeasonData) -> RunInputs:
    """The season as it stands, of its data."""
    reviewed, areas = _read_reviews(context, data)
    parts = {
        **data.part_hashes,
        # the same acquisitions may be observed anew, and folds be dealt otherwise from the same parcels
        OBSERVATIONS: content_hash(data.part_hashes[OBSERVATIONS], data.series.hash, data.hash),
        REVIEWS: _reviews_key(reviewed, areas),
        REGIONS: regions_key(context),
    }
    return RunInputs(data, reviewed, areas, parts)


def asked_again(context: SeasonContext, data: SeasonData) -> dict[str, str]:
    """Those of `RunInputs.parts` that take neither parcels nor observations, as they are at this moment."""
    return {
        LEGEND: context.agency.read_legend().hash,
        FOLDS: folds_rule(context),
        REVIEWS: _reviews_key(*_read_reviews(context, data)),
        REGIONS: regions_key(context),
    }


def regions_key(context: SeasonContext) -> str:
    """Hash of what of the boundaries a run's rows depend on."""
    return content_hash(*boundaries_key(context))


def refuse_changed(current: Mapping[str, str], planned: Mapping[str, str], *, run_id: str) -> None:
    """Raises InputError that names the parts which are not those that the run was planned on."""
    refuse([name for name in planned.keys() | current.keys() if planned.get(name) != current.get(name)], run_id=run_id)


def refuse(changed: list[str], *, run_id: str) -> None:
    """Raises InputError where anything changed."""
    if changed:
        raise InputError(
            f"{' and '.join(sorted(changed))} changed since run {run_id} was planned; nothing of it is published",
            mend="Run the same command again: it works on what stands there now",
        )


def _read_reviews(context: SeasonContext, data: SeasonData) -> tuple[ReviewedLabels, AreaReviews]:
    """A forecast has none: nothing is declared yet that could be right or wrong."""
    if is_carried(data.parcels):
        return ReviewedLabels(frozenset(), frozenset()), AreaReviews(pd.DataFrame())
    return reviewed_labels(context, data.parcels, data.legend), area_reviews(context)


def _reviews_key(reviewed: ReviewedLabels, areas: AreaReviews) -> str:
    return content_hash(*reviewed.key, "", *areas.key)
