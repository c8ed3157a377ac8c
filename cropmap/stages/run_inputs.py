"""Everything that a run's rows depend on, read at one moment, each part with its hash.

A run is planned on one state of the season. Each of its steps reads the season anew, and works on what it read only
where that is the planned state: a load, an import of reviews or an edit of a file between two steps stops the run
instead of being published under the identity of what stood there before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from cropmap.errors import InputError
from cropmap.provenance import content_hash
from cropmap.stages.borders import boundaries_key, counted_parcels
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import OBSERVATIONS, SeasonData, season_data
from cropmap.stages.findings import AreaReviews, ReviewedLabels, area_reviews, reviewed_labels
from cropmap.stages.forecast import is_carried

REGIONS: Final = "the regions file"
REVIEWS: Final = "the reviews"


@dataclass(frozen=True, eq=False)
class RunInputs:
    data: SeasonData
    reviewed: ReviewedLabels
    areas: AreaReviews
    parts: Mapping[str, str]
    """hash of each part, by what a person calls it"""


def read_inputs(context: SeasonContext) -> RunInputs:
    """The season as it stands. A forecast has no reviews: nothing is declared yet that could be right or wrong."""
    data = season_data(context)
    if is_carried(data.parcels):
        reviewed, areas = ReviewedLabels(frozenset(), frozenset()), AreaReviews(pd.DataFrame())
    else:
        reviewed, areas = reviewed_labels(context, data.parcels, data.legend), area_reviews(context)
    parts = {
        **data.inputs,
        # the same acquisitions may be observed anew, and folds be dealt otherwise from the same parcels
        OBSERVATIONS: content_hash(data.inputs[OBSERVATIONS], data.series.hash, data.hash),
        REVIEWS: content_hash(*reviewed.key, "", *areas.key),
        REGIONS: content_hash(*boundaries_key(context)),
    }
    return RunInputs(data, reviewed, areas, parts)


def planned_inputs(context: SeasonContext, planned: Mapping[str, str], *, run_id: str) -> RunInputs:
    """The season, where it still is what the run was planned on. Raises InputError that names what changed."""
    inputs = read_inputs(context)
    _require_same(inputs.parts, planned, run_id=run_id)
    return inputs


def counted(context: SeasonContext, inputs: RunInputs, *, run_id: str) -> pd.DataFrame:
    """The parcels as statistics count them, by the boundaries that the run was planned on."""
    parcels = counted_parcels(context, inputs.data.parcels)
    read = {**inputs.parts, REGIONS: content_hash(*boundaries_key(context))}
    _require_same(read, inputs.parts, run_id=run_id)
    return parcels


def _require_same(found: Mapping[str, str], planned: Mapping[str, str], *, run_id: str) -> None:
    changed = sorted(name for name in planned.keys() | found.keys() if planned.get(name) != found.get(name))
    if changed:
        raise InputError(
            f"{' and '.join(changed)} changed since run {run_id} was planned; nothing of it is published",
            mend="Run the same command again: it works on what stands there now",
        )
