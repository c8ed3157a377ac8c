"""How a run judged one parcel, as far as that follows from all parcels of the season: who judged it, its scores, the
gates, the channel.

Computed once more from what is stored, and compared with what the run kept; or, once a holding was erased and the
season is no longer whole, read as it was kept before that (`results.erasure`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, TypedDict

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from cropmap.assessments.channel import one_thread
from cropmap.assessments.explanation import Explained, explain_declarations
from cropmap.contracts.tables import ASSESSMENT_COLUMNS, PREDICTION_COLUMNS
from cropmap.dataset.batches import by_length
from cropmap.dataset.series import Series
from cropmap.errors import ArtifactError
from cropmap.predictions.parts import PART_ROWS, chunk_of
from cropmap.predictions.predict import BATCH_SIZE, Artifact, load_artifact, predict, run_session
from cropmap.predictions.predictions import Predictions
from cropmap.results.published import PublishedRun, separation
from cropmap.schemas import Reason
from cropmap.stages.champion import judging_folds
from cropmap.stages.forecast import is_carried
from cropmap.stages.products import UNTRAINED, parts_of

ClassScore = TypedDict(
    "ClassScore", {"crop": str, "raw logit": float | None, "calibrated": float | None, "probability": float | None}
)


@dataclass(frozen=True)
class Judgement:
    sections: Mapping[str, Any]
    """judge, scores, gates and channel, as JSON holds them; what the parcel never reached is not there"""
    differences: tuple[str, ...]
    """between what was published and what the store gives"""
    is_kept: bool = False
    """it was kept before a holding was erased"""


def judgement_of(run: PublishedRun, place: int, parcel_id: str) -> Judgement:
    """Of the parcel at this place of the run's data."""
    tiles, part_of = parts_of(run.data.parcels["home_tile"])
    if (kept := _kept(run, tiles[part_of[place]], parcel_id)) is not None:
        return kept
    whole = Whole(run)
    with one_thread():
        if whole.folds is None:
            return whole.judgement(place, None, -1)
        batch = scored_together(run.data.series, whole.folds, part_of, place)
        return whole.judgement(place, whole.rescored(batch), int(np.searchsorted(batch, place)))


def scored_together(
    series: Series, folds: NDArray[np.int16], part_of: NDArray[np.integer], place: int
) -> NDArray[np.intp]:
    """Ascending positions of the parcels in one batch with this one, as `PartJob.score` makes its batches: the bits of
    a score may depend on the padding. part_of (N,): the part that each parcel is in."""
    return next(batch for batch in _batches(series, folds, chunk_of(part_of, place)) if place in batch)


def _batches(series: Series, folds: NDArray[np.int16], chunk: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """All of the chunk: the batches that go through a model together, and each parcel without observation alone."""
    observed = series.lengths[chunk] > 0
    for k in np.unique(np.maximum(folds[chunk], -1)):
        own = chunk[(np.maximum(folds[chunk], -1) == k) & observed]
        for part in by_length(series.lengths[own], batch_size=BATCH_SIZE):
            yield np.sort(own[part])
    for place in chunk[~observed]:
        yield np.array([place])


@dataclass(frozen=True)
class Rescored:
    """A batch through the models once more."""

    again: Predictions
    table: pd.DataFrame
    """of `again`"""
    raw: NDArray[np.float32]
    """(n, K) logits before calibration; NaN where the mean of the models judged"""


class Whole:
    """A published run with all of its parcels; what follows from all of them is worked out once."""

    def __init__(self, run: PublishedRun) -> None:
        self.run, self._trouble = run, ""
        self.artifact: Artifact | None = None
        self.folds: NDArray[np.int16] | None = None
        """(N,) which model judged each parcel, -1 where their mean did; None where none can"""
        try:
            if (artifact := _artifact(run)) is not None:
                self.artifact, self.folds = artifact, _folds(run, artifact)
        except ArtifactError as error:
            self._trouble = f"the model cannot judge the season's data any more: {error}"
        self._learnt_by: dict[int, _Learnt] = {}

    def judgement(self, place: int, rescored: Rescored | None, here: int) -> Judgement:
        """Of the parcel at `place`, which is at `here` of what was scored once more."""
        parcel_id = str(self.run.data.series.parcel_ids[place])
        sections: dict[str, object] = {}
        differences = [self._trouble] if self._trouble else []
        if rescored is not None:
            sections["judge"] = self._judge(place)
            sections["scores"] = _class_scores(rescored, here)
            differences += self._prediction_differences(rescored, here, parcel_id)
        if parcel_id in self.run.assessments.index:
            path = self._explained.path(parcel_id)
            sections["gates"] = [asdict(gate) for gate in path.gates]
            sections["channel"] = asdict(path.channel) if path.channel else None
            differences += self._assessment_differences(parcel_id)
        return Judgement(json.loads(json.dumps(sections)), tuple(differences))

    def chunk(self, places: NDArray[np.intp]) -> dict[int, Judgement]:
        """Of all parcels of a part that are scored in one call (`chunk_of`), by place."""
        if self.folds is None:
            return {int(place): self.judgement(place, None, -1) for place in places}
        found: dict[int, Judgement] = {}
        with one_thread():
            for batch in _batches(self.run.data.series, self.folds, places):
                rescored = self.rescored(batch)
                found |= {int(place): self.judgement(place, rescored, here) for here, place in enumerate(batch)}
        return found

    def rescored(self, batch: NDArray[np.intp]) -> Rescored:
        assert self.artifact is not None
        assert self.folds is not None
        series, fold = self.run.data.series.take(batch), self.folds[batch]
        again = predict(self.artifact, series, fold=fold, threads=1, on_done=lambda _: None)  # a batch is no work
        raw = np.full((len(batch), len(self.artifact.manifest.crops)), np.nan, np.float32)
        if fold[0] >= 0 and series.lengths[0]:
            raw = run_session(self.artifact.sessions[int(fold[0])], series, np.arange(len(series)), threads=1)
        return Rescored(again, again.table(), raw)

    @cached_property
    def _explained(self) -> Explained:
        data, section, assessed = self.run.data, self.run.context.agency.assessment, self.run.assessments
        confirmed, not_learnt = (
            assessed.index[assessed["reason"] == reason]
            for reason in (Reason.CONFIRMED_BY_REVIEW, Reason.CROP_NOT_LEARNT)
        )
        return explain_declarations(
            data.parcels.assign(
                has_geometry=True,
                confirmed=data.parcels["parcel_id"].isin(confirmed),
                not_learnt=data.parcels["parcel_id"].isin(not_learnt),
            ),
            self.run.predictions,
            data.legend,
            false_alarm_rate=section.false_alarm_rate,
            seed=self.run.context.agency.model.seed,
            limits=section.limits,
        )

    @cached_property
    def _assessed(self) -> pd.DataFrame:
        return self._explained.assessed.table.set_index("parcel_id")

    @cached_property
    def _predicted(self) -> pd.DataFrame:
        return self.run.predictions.table()

    def _judge(self, place: int) -> dict[str, object]:
        """Who judged, and how far away everything lies that this model learnt from."""
        assert self.artifact is not None
        assert self.folds is not None
        k, manifest, dataset = int(self.folds[place]), self.artifact.manifest, self.run.data.dataset
        about: dict[str, object] = {
            "fold": manifest.fold_names[k] if k >= 0 else f"none: mean of {len(manifest.fold_names)} models",
            "folds made by": manifest.folds_made_by,
            "trained in": manifest.about.get("season", "-"),
            "left out of training as suspect": manifest.about.get("left_out_of_training", "-"),
        }
        if k < 0 or dataset is None or dataset.hash != manifest.dataset_hash:
            return about
        if k not in self._learnt_by:
            learnt_from = dataset.folds.training_mask(k)
            self._learnt_by[k] = _Learnt(learnt_from, dataset.folds.holding, self.run.data.outlines.centroids_m)
        learnt = self._learnt_by[k]
        return about | {
            "why nobody near": separation(self.run.context.agency.model.folds),
            "parcels to learn from": learnt.count,
            "of the same holding among them": learnt.of_holding(place),
            "nearest of them, m": learnt.nearest_m(place),
            "kept out for their holding or nearness": int(dataset.folds.excluded[k].sum()),
        }

    def _prediction_differences(self, rescored: Rescored, here: int, parcel_id: str) -> list[str]:
        stored, kept = self.run.predictions, int(np.searchsorted(self.run.predictions.parcel_ids, parcel_id))
        ours, theirs = rescored.again.logits[here], stored.logits[kept]
        if not np.array_equal(ours, theirs, equal_nan=True):
            return [f"prediction: logits differ by up to {float(np.nanmax(np.abs(ours - theirs))):.3g}"]
        row, other = rescored.table.iloc[here], self._predicted.iloc[kept]
        by_run = str(other["scored_by"]).endswith(str(row["scored_by"]))  # a forecast says more of its model
        names = [name for name in PREDICTION_COLUMNS if name != "scored_by" and not is_same(row[name], other[name])]
        return [f"prediction: {name}" for name in names] + ([] if by_run else ["prediction: scored_by"])

    def _assessment_differences(self, parcel_id: str) -> list[str]:
        ours, theirs = self._assessed.loc[parcel_id], self.run.assessments.loc[parcel_id]
        return [
            f"assessment: {name} is {ours[name]}, was {theirs[name]}"
            for name in ASSESSMENT_COLUMNS
            if name != "parcel_id" and not is_same(ours[name], theirs[name])
        ]


class _Learnt:
    """The parcels that the model of one fold learnt from."""

    def __init__(self, learnt: NDArray[np.bool_], holding: NDArray[np.int64], xy: NDArray[np.float64]) -> None:
        from scipy.spatial import cKDTree  # a tenth of a second, which light commands do without

        self.count = int(learnt.sum())
        self._holding, self._xy, self._own = holding, xy, xy[learnt]
        self._of_holding = np.bincount(holding[learnt], minlength=int(holding.max(initial=-1)) + 1)
        self._tree = cKDTree(self._own) if self.count else None

    def of_holding(self, place: int) -> int:
        return int(self._of_holding[self._holding[place]])

    def nearest_m(self, place: int) -> float | None:
        if self._tree is None:
            return None
        _, nearest = self._tree.query(self._xy[place])
        return float(np.hypot(*(self._own[nearest] - self._xy[place])))


def explanations_name(run_id: str, tile: str) -> str:
    """Of the judgements of a tile's parcels that were kept before a holding was erased: parcel_id, judgement (JSON)."""
    return f"runs/{run_id}/explanations/{tile}.parquet"


def _kept(run: PublishedRun, tile: str, parcel_id: str) -> Judgement | None:
    name, store = explanations_name(run.run.run_id, tile), run.context.store
    if not store.exists(name):
        return None
    table = store.read_table(name, rows=pc.field("parcel_id") == parcel_id)
    if not len(table):
        return None
    document = json.loads(table["judgement"][0].as_py())
    differences = [*document["differences"], *_kept_differences(run, parcel_id, document["sections"].get("scores", []))]
    return Judgement(document["sections"], tuple(differences), is_kept=True)


def _kept_differences(run: PublishedRun, parcel_id: str, scores: Sequence[ClassScore]) -> list[str]:
    """The scores that were kept must still be those of the run's predictions."""
    logits = run.predictions.logits[int(np.searchsorted(run.predictions.parcel_ids, parcel_id))]
    stored = dict(zip(run.predictions.crops, logits, strict=True))
    same = all(row["calibrated"] == finite(stored[row["crop"]]) for row in scores)
    return [] if same else ["prediction: logits differ from those that were kept"]


def chunks_of(part_of: NDArray[np.integer], part: int) -> Iterator[NDArray[np.intp]]:
    """The positions of a part's parcels, as many together as are scored in one call."""
    own = np.flatnonzero(part_of == part)
    for start in range(0, len(own), PART_ROWS):
        yield own[start : start + PART_ROWS]


def _artifact(run: PublishedRun) -> Artifact | None:
    version = run.run.model_version or UNTRAINED
    return None if version == UNTRAINED else load_artifact(run.context.store, version.rpartition("-")[2])


def _folds(run: PublishedRun, artifact: Artifact) -> NDArray[np.int16]:
    if is_carried(run.data.parcels) or run.data.dataset is None:
        return np.full(len(run.data.series), -1, np.int16)
    return judging_folds(run.context, run.data, artifact)


def _class_scores(rescored: Rescored, here: int) -> list[ClassScore]:
    """Raw and calibrated logits and the probability of every class, the likeliest first."""
    again = rescored.again
    rows: list[ClassScore] = [
        {
            "crop": crop,
            "raw logit": finite(rescored.raw[here, c]),
            "calibrated": finite(again.logits[here, c]),
            "probability": finite(again.probabilities[here, c]),
        }
        for c, crop in enumerate(again.crops)
    ]
    rows.sort(key=lambda row: -(row["probability"] or 0))
    return rows


def finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def is_same(ours: Any, theirs: Any) -> bool:
    """Equal to the last bit; missing values equal each other, however they are written."""
    if pd.isna(ours) or pd.isna(theirs):
        return bool(pd.isna(ours) and pd.isna(theirs))
    return bool(ours == theirs)
