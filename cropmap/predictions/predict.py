"""Inference: ONNX Runtime over batches of similar length."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from cropmap.dataset.batches import by_length, pad
from cropmap.dataset.series import Series
from cropmap.errors import ArtifactError
from cropmap.model.artifact import Manifest, read_file, read_manifest
from cropmap.model.strangeness import out_of_distribution
from cropmap.predictions.predictions import Predictions
from cropmap.progress import Counter
from cropmap.store import Store

if TYPE_CHECKING:
    import onnxruntime

BATCH_SIZE: Final = 32
"""Parcels in a batch. Series/s of the LSTM and the Transformer on one core: 6,400 and 3,600 at 32, 6,100 and 3,400 at
64, 5,500 and 2,700 at 256: larger batches leave the processor's cache."""
QUEUED: Final = 4_096
"""batches that wait for a thread"""
MEAN_ROWS: Final = 65_536
"""parcels whose probabilities are averaged at a time, in double precision"""
INPUTS: Final = ("reflectance", "day_of_year", "valid")


@dataclass(frozen=True)
class Artifact:
    """A checked artifact: its manifest and the bytes of its K models."""

    artifact_id: str
    manifest: Manifest
    files: tuple[bytes, ...]

    @cached_property
    def sessions(self) -> tuple[onnxruntime.InferenceSession, ...]:
        return tuple(open_session(data) for data in self.files)


def load_artifact(store: Store, artifact_id: str) -> Artifact:
    """Reads an artifact. Raises ArtifactError where a file is missing, changed, or not what its manifest says."""
    manifest = read_manifest(store, artifact_id)
    if not len(manifest.files) == len(manifest.fold_names) == len(manifest.parity):
        raise ArtifactError("manifest does not list one file per fold", where=artifact_id, mend="Train again")
    return Artifact(artifact_id, manifest, tuple(read_file(store, artifact_id, manifest, n) for n in manifest.files))


def open_session(data: bytes) -> onnxruntime.InferenceSession:
    """A session on one thread: batches run side by side instead, which is faster and gives the same bits always."""
    import onnxruntime  # a tenth of a second, and most commands predict nothing

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def predict(
    artifact: Artifact,
    series: Series,
    *,
    fold: NDArray[np.int16] | None = None,
    threads: int | None = None,
    on_done: Callable[[float], None] | None = None,
) -> Predictions:
    """Calibrated predictions of N parcels. fold (N,): k takes model k alone, -1 the mean of all models'
    probabilities; None stands for -1 throughout. `threads` None takes every core. `on_done` is told how many series
    went through a model; without it they are counted here.

    Raises ArtifactError where the series or the folds are not those that the artifact was made for.
    """
    count = len(artifact.files)
    fold = np.full(len(series), -1, np.int16) if fold is None else fold
    by = {k: f"fold {k}" if k >= 0 else f"mean of {count} folds" for k in range(-1, count)}
    return Predictions(
        parcel_ids=series.parcel_ids,
        crops=artifact.manifest.crops,
        logits=logits_of(artifact, series, np.arange(len(series)), fold=fold, threads=threads, on_done=on_done),
        scored_by=[by[k] for k in fold.tolist()],
        n_observations=series.lengths.astype(np.int32),
        last_observation=series.last_days(),
        out_of_distribution=out_of_distribution(series, artifact.manifest.familiar),
    )


def logits_of(
    artifact: Artifact,
    series: Series,
    index: NDArray[np.intp],
    *,
    fold: NDArray[np.int16],
    threads: int | None = None,
    on_done: Callable[[float], None] | None = None,
) -> NDArray[np.float32]:
    """(n, K) calibrated logits of the parcels at ascending positions, NaN without an observation; fold (n,) and
    `on_done` as `predict` takes them. Nothing of the series is copied but the batches.

    Raises ArtifactError where the series or the folds are not those that the artifact was made for.
    """
    manifest = artifact.manifest
    assert len(fold) == len(index), "one fold per parcel"
    if series.bands != manifest.bands:
        raise ArtifactError(
            f"made for bands {list(manifest.bands)}, the series have {list(series.bands)}",
            where=artifact.artifact_id,
            mend="Train on these bands, or import the missing ones",
        )
    count = len(artifact.files)
    if fold.max(initial=-1) >= count:
        raise ArtifactError(f"fold {fold.max()} of a model with {count} folds", where=artifact.artifact_id)
    observed = series.lengths[index] > 0
    if on_done is None:
        total = int(observed[fold >= 0].sum() + count * observed[fold < 0].sum())
        with Counter("predict", total=total, unit="series") as counter:
            return logits_of(artifact, series, index, fold=fold, threads=threads, on_done=counter.add)
    logits = np.full((len(index), len(manifest.crops)), np.nan, np.float32)
    for k in range(count):
        own = np.flatnonzero((fold == k) & observed)
        logits[own] = manifest.calibration.apply(
            run_session(artifact.sessions[k], series, index[own], threads=threads, on_done=on_done)
        )
    rest = np.flatnonzero((fold < 0) & observed)
    if len(rest):
        logits[rest] = _mean(artifact, series, index[rest], threads, on_done)
    return logits


def run_session(
    session: onnxruntime.InferenceSession,
    series: Series,
    index: NDArray[np.intp],
    *,
    threads: int | None = None,
    batch_size: int = BATCH_SIZE,
    on_done: Callable[[float], None] = lambda _: None,
) -> NDArray[np.float32]:
    """(len(index), K) raw logits of observed parcels, several batches at a time."""
    classes = session.get_outputs()[0].shape[1]
    out = np.empty((len(index), classes), np.float32)

    def run(part: NDArray[np.intp]) -> None:
        batch = pad(series, index[part])
        out[part] = session.run(None, dict(zip(INPUTS, batch.inputs, strict=True)))[0]
        on_done(len(part))

    parts = by_length(series.lengths[index], batch_size=batch_size)
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        while some := list(islice(parts, QUEUED)):  # the pool would queue them all
            for _ in pool.map(run, some):
                pass
    return out


def _mean(
    artifact: Artifact, series: Series, index: NDArray[np.intp], threads: int | None, on_done: Callable[[float], None]
) -> NDArray[np.float32]:
    """(n, K) logarithm of the mean of the models' calibrated probabilities."""
    each = [
        artifact.manifest.calibration.apply(run_session(session, series, index, threads=threads, on_done=on_done))
        for session in artifact.sessions
    ]
    mean = np.empty((len(index), len(artifact.manifest.crops)), np.float32)
    for start in range(0, len(index), MEAN_ROWS):
        rows = slice(start, start + MEAN_ROWS)
        logs = [log_softmax(logits[rows].astype(np.float64), axis=1) for logits in each]
        mean[rows] = (logsumexp(np.stack(logs), axis=0) - np.log(len(logs))).astype(np.float32)
    return mean
