"""From the parcels and the observation files to what a network learns from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from cropmap.database.acquisitions import LedgerEntry
from cropmap.dataset import folds as folding
from cropmap.dataset.dataset import Dataset, label_parcels, unlabelled
from cropmap.dataset.folds import Folds
from cropmap.dataset.mapped import Observed, map_observed
from cropmap.dataset.series import Series
from cropmap.errors import InputError, ModelError
from cropmap.legends import Legend
from cropmap.observations.files import content_digests, iter_observations
from cropmap.processes import return_unused_memory
from cropmap.provenance import code_version, content_hash, stream_hash, value_hash
from cropmap.sources.mapped_outlines import Outlines
from cropmap.sources.pairs import read_pairs
from cropmap.stages.context import SeasonContext
from cropmap.stages.parcels import ObservationObject

MIN_CLASSES: Final = 2
LINES: Final = 25_000
"""declarations that are turned into text at a time"""
DECLARATIONS: Final = "the declarations"
OBSERVATIONS: Final = "the observations"
LEGEND: Final = "the legend"
FOLDS: Final = "the folds"
AGENCY_FILE: Final = "the agency file"


@dataclass(frozen=True)
class SeasonData:
    """One season as it stands: parcels, their series, and the dataset where there is something to learn."""

    parcels: pd.DataFrame
    """accepted declarations, sorted by parcel_id: DECLARATION_COLUMNS, nuts_id, home_tile, pixels, crop"""
    outlines: Outlines
    """of the parcels, by their index"""
    series: Series
    legend: Legend
    dataset: Dataset | None
    """None where fewer than two crops have enough parcels: then nothing is trained and nothing is assessed"""
    too_rare: dict[str, int]
    part_hashes: Mapping[str, str]
    """hash of everything that went in, by what a person calls it"""
    folds_rule: str
    """what gives a place its fold whatever the data; empty where folds are dealt anew from each state of the data"""
    last_acquisition: str
    """ISO date of the last observed acquisition"""
    n_acquisitions: int

    @cached_property
    def hash(self) -> str:
        return self.dataset.hash if self.dataset else content_hash("no dataset", self.series.hash)

    @cached_property
    def shared(self) -> Dataset:
        """What other processes are given of the season: its dataset, or where nothing is learnt its series."""
        return self.dataset or unlabelled(self.series)

    @property
    def seen_until(self) -> str:
        """ISO date of the last clear observation of any parcel: one that was wholly clouded adds nothing"""
        if not len(self.series.day_of_year):
            return ""
        return (self.series.day_zero + timedelta(days=int(self.series.day_of_year.max()))).isoformat()


def build_data(
    context: SeasonContext,
    parcels: pd.DataFrame,
    outlines: Outlines,
    observed: Sequence[LedgerEntry],
    objects: Sequence[ObservationObject],
) -> SeasonData:
    """The season's data of its register, and of the observed acquisitions (one object each) that count.

    Raises InputError where ingestion is still to come.
    """
    if parcels.empty or not observed:
        missing = "declarations" if parcels.empty else "observed acquisitions"
        raise InputError(
            f"season {context.season.year} of {context.agency.agency} has no {missing}",
            mend="Run `cropmap observe` first, or where there is no catalogue `cropmap observations import`",
        )
    legend, written = context.agency.read_legend(), written_assignment(context)
    rule = folds_rule(context, written)
    items = [f"{a.item_id} {o.parcel_set or ''}" for a, o in zip(observed, objects, strict=True)]
    part_hashes = {
        DECLARATIONS: _declared(parcels, outlines),
        OBSERVATIONS: content_hash(*items),
        LEGEND: legend.hash,
        AGENCY_FILE: content_hash(context.agency.decisions_hash(), str(context.season)),
        FOLDS: rule,
    }
    return_unused_memory()
    seen = _observed(context, parcels, [item.name for item in objects])
    return_unused_memory()
    series = seen.series
    parcels = parcels.assign(
        crop=pd.Series([legend.crop_of(code) for code in parcels["crop_code"]], index=parcels.index, dtype=object),
        pixels=seen.pixels,
    )
    dataset, too_rare = _dataset(context, parcels, outlines, series, written)
    return SeasonData(
        parcels,
        outlines,
        series,
        legend,
        dataset,
        too_rare,
        {**part_hashes, OBSERVATIONS: content_hash(part_hashes[OBSERVATIONS], series.hash)},
        rule,
        last_acquisition=max(a.sensed_at for a in observed if a.sensed_at).date().isoformat(),
        n_acquisitions=len(observed),
    )


def _observed(context: SeasonContext, parcels: pd.DataFrame, names: Sequence[str]) -> Observed:
    """The series of the parcels from these observation files, mapped from the folder of the season's datasets."""
    ids, least = pa.array(parcels["parcel_id"], pa.string()), context.agency.observations.min_clear_fraction
    window = (context.season.start, context.season.end, context.season.day_zero)
    parts = (*names, *content_digests(context.store, names), *map(str, (*window, least)), code_version())
    lines = ("\n".join(ids[start : start + LINES].to_pylist()) for start in range(0, len(ids), LINES))
    return map_observed(
        context.datasets,
        stream_hash(chain([content_hash(*parts)], lines)),
        lambda: iter_observations(context.store, names),
        parcel_ids=ids,
        season=context.season,
        min_clear_fraction=least,
    )


def _declared(parcels: pd.DataFrame, outlines: Outlines) -> str:
    return stream_hash(chain(_declared_lines(parcels), outlines.wkb()))


def _declared_lines(parcels: pd.DataFrame) -> Iterator[str]:
    claims = parcels[["parcel_id", "crop_code", "holding_id", "nuts_id", "home_tile"]]
    for start in range(0, len(claims), LINES):
        rows = claims.iloc[start : start + LINES].fillna("").astype(str)
        yield from map("|".join, zip(*(rows[column] for column in rows), strict=True))


def written_assignment(context: SeasonContext) -> dict[str, str]:
    """parcel_id -> fold of the file that the agency file names; empty where it names none."""
    section = context.agency.model.folds
    if section.by != "file":
        return {}
    return read_folds(Path(context.agency.resolve(section.file or "", season=context.season.year)))


def folds_rule(context: SeasonContext, written: Mapping[str, str] | None = None) -> str:
    """What gives a place its fold whatever the data; empty where folds are dealt anew from each state of the data.
    `written` is `written_assignment`, where it has been read already."""
    section = context.agency.model.folds
    if section.by == "region":
        return f"region, NUTS {context.agency.regions.nuts_version}, {section.neighbour_distance_m:g} m"
    if section.by == "file":
        assigned = written_assignment(context) if written is None else written
        return f"file {value_hash(dict(assigned))}, {section.neighbour_distance_m:g} m"
    return ""


def _dataset(
    context: SeasonContext, parcels: pd.DataFrame, outlines: Outlines, series: Series, written: Mapping[str, str]
) -> tuple[Dataset | None, dict[str, int]]:
    usable = (series.lengths > 0) & (parcels["pixels"].to_numpy() >= context.agency.assessment.min_pixels)
    crops = parcels["crop"].where(usable)
    counts = crops.value_counts()
    if (counts >= context.agency.assessment.min_class_parcels).sum() < MIN_CLASSES:
        return None, {str(crop): int(n) for crop, n in counts.items()}
    labels = label_parcels(crops, min_class_parcels=context.agency.assessment.min_class_parcels)
    folds = make_folds(context, parcels, outlines, labels.label, written)
    return Dataset(series, labels.label, labels.crops, folds), labels.too_rare


def make_folds(
    context: SeasonContext,
    parcels: pd.DataFrame,
    outlines: Outlines,
    label: NDArray[np.int16],
    written: Mapping[str, str],
) -> Folds:
    """The folds of the agency file, with `written_assignment`. Raises ConfigurationError where they cannot be made."""
    section = context.agency.model.folds
    labelled = label >= 0
    if section.by == "file":
        return written_folds(context, parcels, outlines, labelled, written)
    xy, holding = outlines.centroids_m, parcels["holding_id"]
    return_unused_memory()  # of the outlines that were decoded
    if section.by == "region":
        return folding.by_region(
            parcels["nuts_id"],
            labelled=labelled,
            holding_id=holding,
            xy=xy,
            neighbour_distance_m=section.neighbour_distance_m,
        )
    if section.by == "block":
        return folding.by_block(
            xy,
            label=label,
            count=section.n,
            block_m=section.block_size_m,
            holding_id=holding,
            neighbour_distance_m=section.neighbour_distance_m,
        )
    return folding.at_random(label=label, count=section.n, seed=context.agency.model.seed, holding_id=holding)


def written_folds(
    context: SeasonContext,
    parcels: pd.DataFrame,
    outlines: Outlines,
    labelled: NDArray[np.bool_],
    assigned: Mapping[str, str],
) -> Folds:
    """Folds from a file (parcel_id -> fold), without holdings and neighbours on both sides."""
    return folding.from_file(
        assigned,
        parcel_ids=parcels["parcel_id"],
        labelled=labelled,
        holding_id=parcels["holding_id"],
        xy=outlines.centroids_m,
        neighbour_distance_m=context.agency.model.folds.neighbour_distance_m,
    )


def read_folds(path: Path) -> dict[str, str]:
    """parcel_id -> fold of a CSV file; both are text."""
    return read_pairs(path, value="fold", where="model.folds.file")


def needed_dataset(data: SeasonData) -> Dataset:
    """The dataset, or ModelError that says why there is none."""
    if data.dataset is None:
        raise ModelError(
            # without their counts, which the run log would tell
            f"fewer than {MIN_CLASSES} crops have enough parcels to learn from; too rare: "
            f"{', '.join(sorted(data.too_rare)) or 'none'}",
            mend="Lower assessment.min_class_parcels, or give more declarations",
        )
    return data.dataset
