"""Inference speed: parcels per second of ONNX Runtime, as `predict` runs it, against torch in eager mode.

Both get the same series, the same batches and as many threads, the median of alternating repetitions is compared, and
torch is given the better of its two ways to use threads: several on one batch, or a batch on each. Beside them stands
the breizhcrops package's own network of the same kind, where it is installed, on the 45 dates that it is shown of each
series: on batches that lie ready, and its evaluation, which reads them from its file, beside our predict stage. The
weights are not trained: the time does not depend on them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from cropmap.bench import Row
from cropmap.bench.peer_files import import_peer, peer_loader_seconds, peer_network, write_peer_files
from cropmap.breizhcrops.columns import NATURAL
from cropmap.breizhcrops.samples import make_samples
from cropmap.breizhcrops.training import PUBLISHED, CompatConfig
from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.dataset.batches import by_length, pad
from cropmap.dataset.dataset import Dataset
from cropmap.dataset.folds import at_random
from cropmap.dataset.series import Series, build_series
from cropmap.errors import ConfigurationError
from cropmap.model.artifact import Manifest, file_digest
from cropmap.model.calibration import Calibration
from cropmap.model.export import export_network
from cropmap.model.networks import Network
from cropmap.model.strangeness import learn_familiar
from cropmap.model.training import new_network, standardise, threads
from cropmap.model.training_config import TrainingConfig
from cropmap.observations.extract import OBSERVATION_VERSION
from cropmap.observations.files import observation_name, read_observations, write_observation
from cropmap.predictions.predict import BATCH_SIZE, Artifact, open_session, run_session
from cropmap.predictions.predict import predict as score
from cropmap.schemas import BANDS, REFLECTANCE_SCALE, Architecture
from cropmap.seasons import Season
from cropmap.store import Store

CLASSES: Final = 13
SEASON_YEAR: Final = 2018
ACQUIRED: Final = np.arange(1, 366, 3, dtype=np.int16)
"""Days with an acquisition of one of two overlapping orbits: an observation file each."""
PEER: Final = "breizhcrops"
PEER_BATCH: Final = 256
OBSERVATIONS: Final = (35, 95)
"""Clear observations per parcel: two satellites at 48° N, with and without orbit overlap; the mean is 65."""


def measure(*, quick: bool = False) -> list[Row]:
    """Both networks at their default size; with `quick` a small number of parcels that only shows that it works."""
    return run(parcels=300, repeats=1) if quick else run()


def run(
    *,
    architectures: Sequence[Architecture] = tuple(Architecture),
    parcels: int = 4_000,
    repeats: int = 5,
    thread_count: int = 2,
    seed: int = 1,
) -> list[Row]:
    """Rows of a table: parcels per second of both, their ratio and the largest difference of a logit."""
    series = make_series(parcels, seed=seed)
    index = np.arange(parcels)
    rows: list[Row] = []
    for architecture in architectures:
        network, data = make_network(series, architecture, seed=seed)
        session = open_session(data)
        ways: dict[str, Callable[[], NDArray[np.float32]]] = {
            "ONNX Runtime": partial(run_session, session, series, index, threads=thread_count),
            "torch, threads share a batch": partial(torch_logits, network, series, index, inside=thread_count),
            "torch, a batch per thread": partial(torch_logits, network, series, index, beside=thread_count),
        }
        if peer := _peer(architecture, series, threads_inside=thread_count, seed=seed):
            ways[PEER] = peer
        logits, seconds = alternate(ways, repeats=repeats)
        package = seconds.pop(PEER, None)
        ours, best = seconds.pop("ONNX Runtime"), min(seconds, key=lambda way: seconds[way])
        gap = max(np.abs(logits["ONNX Runtime"] - logits[way]).max() for way in seconds)
        stage = stage_seconds(series, data, repeats=repeats, thread_count=thread_count)
        files = _peer_evaluation(architecture, parcels=parcels, thread_count=thread_count, seed=seed) if peer else None
        rows.append(
            {
                "network": str(architecture),
                "torch eager, parcels/s": round(parcels / seconds[best]),
                "ONNX Runtime, parcels/s": round(parcels / ours),
                "ratio": f"{seconds[best] / ours:.2f}",
                "target": ">= 1",
                "breizhcrops, bare, parcels/s": round(parcels / package) if package else None,
                "ours to bare": f"{package / ours:.2f}" if package else None,
                "predict stage, parcels/s": round(parcels / stage["read, infer, write"]),
                "breizhcrops' evaluation, parcels/s": round(parcels / files) if files else None,
                "stage to evaluation": f"{files / stage['read, infer, write']:.2f}" if files else None,
                "largest logit difference": f"{gap:.1e}",
                "inference's share of the predict stage": f"{stage['infer'] / stage['read, infer, write']:.0%}",
                "its target": ">= 70 %",
                "how": f"{parcels} parcels, {series.lengths.mean():.0f} dates, batches of {BATCH_SIZE}, "
                f"{thread_count} threads ({best}), median of {repeats}",
            }
        )
    return rows


def _peer(
    architecture: Architecture, series: Series, *, threads_inside: int, seed: int
) -> Callable[[], NDArray[np.float32]] | None:
    """The package's evaluation of all series, without its loader; None where it is not installed or has no such
    network."""
    if architecture not in PUBLISHED:
        return None
    try:
        package = import_peer()
    except ConfigurationError:
        return None
    samples, random = make_samples(series, device="cpu"), np.random.default_rng(seed)
    parts = [np.arange(start, min(start + PEER_BATCH, len(series))) for start in range(0, len(series), PEER_BATCH)]
    ready = [samples.batch(part, CompatConfig.published(architecture).dates, random) for part in parts]
    model = peer_network(package, architecture, bands=len(series.bands), classes=CLASSES).eval()

    def evaluate() -> NDArray[np.float32]:
        with torch.inference_mode(), threads(threads_inside):
            return np.concatenate([model(x).numpy() for x in ready])

    return evaluate


def _peer_evaluation(architecture: Architecture, *, parcels: int, thread_count: int, seed: int) -> float:
    """Seconds of the package's evaluation from its own file; it takes all thirteen bands."""
    package, series = import_peer(), make_bands(parcels, seed=seed)
    label = (np.arange(parcels) % CLASSES).astype(np.int16)
    model = peer_network(package, architecture, bands=len(series.bands), classes=CLASSES).eval()
    with tempfile.TemporaryDirectory(prefix="cropmap-bench-") as folder, torch.inference_mode(), threads(thread_count):
        write_peer_files(Path(folder), series, label, count=parcels)
        return peer_loader_seconds(package, Path(folder), batch_size=PEER_BATCH, work=model)


def make_network(series: Series, architecture: Architecture, *, seed: int) -> tuple[Network, bytes]:
    """A network of default size and its ONNX file."""
    config = TrainingConfig(architecture=architecture)
    network = new_network(series.bands, CLASSES, config, seed=seed)
    standardise(network, series, np.arange(len(series)))
    return network.eval(), export_network(network, series.bands, config)


def stage_seconds(series: Series, data: bytes, *, repeats: int, thread_count: int) -> dict[str, float]:
    """Seconds of inference alone, and of what `predict` does: observation files in, predictions in the store."""
    with tempfile.TemporaryDirectory(prefix="cropmap-bench-") as folder:
        store = Store(folder)
        names = _write_observations(store, series)
        artifact, fold = _artifact(series, data), np.zeros(len(series), np.int16)
        season, index = Season.from_window(SEASON_YEAR, ("{season}-01-01", "{season}-12-31")), np.arange(len(series))

        def stage() -> NDArray[np.float32]:
            made = build_series(
                read_observations(store, names), parcel_ids=series.parcel_ids, season=season, min_clear_fraction=0.0
            )
            predictions = score(artifact, made, fold=fold, threads=thread_count)
            predictions.write(store, "predictions.parquet")
            return predictions.logits

        ways: dict[str, Callable[[], NDArray[np.float32]]] = {
            "infer": partial(run_session, artifact.sessions[0], series, index, threads=thread_count),
            "read, infer, write": stage,
        }
        alternate(ways, repeats=1)
        return alternate(ways, repeats=repeats)[1]


def _write_observations(store: Store, series: Series) -> list[str]:
    """One file per day, as `observe` leaves them; returns their names."""
    owner = np.repeat(series.parcel_ids, series.lengths)
    stored = np.rint(series.reflectance * REFLECTANCE_SCALE).astype(np.int16)
    names = []
    for day in np.unique(series.day_of_year):
        rows = np.flatnonzero(series.day_of_year == day)
        sensed_at = datetime.combine(series.day_zero + timedelta(days=int(day)), datetime.min.time(), UTC)
        about = {
            "item_id": f"{sensed_at:%Y%m%d}",
            "datetime": sensed_at.isoformat(),
            "tile": "30UVU",
            "processing_baseline": "",
            "offset": "{}",
            "scale": "{}",
            "parcel_set": "",
            "observation_version": OBSERVATION_VERSION,
        }
        columns = [
            pa.array(owner[rows]),
            pa.array(series.clear_fraction[rows] * 100),
            pa.array(np.full(len(rows), 100, np.float32)),
        ]
        columns += [pa.array(np.ascontiguousarray(band)) for band in stored[rows].T]
        names.append(observation_name("bench", SEASON_YEAR, "30UVU", about["item_id"]))
        write_observation(store, names[-1], pa.table(columns, schema=OBSERVATION_SCHEMA.with_metadata(about)))
    return names


def _artifact(series: Series, data: bytes) -> Artifact:
    """One fold's file with a manifest that fits; its figures are empty, nothing reads them here."""
    label = np.arange(len(series), dtype=np.int16) % CLASSES
    dataset = Dataset(
        series, label, tuple(f"class {k}" for k in range(CLASSES)), at_random(label=label, count=2, seed=0)
    )
    manifest = Manifest(
        architecture="",
        crops=dataset.crops,
        bands=series.bands,
        min_clear_fraction=0.0,
        calibration=Calibration(1.0, (0.0,) * CLASSES),
        familiar=learn_familiar(dataset),
        folds_made_by="random",
        fold_names=("0",),
        dataset_hash="",
        config={},
        seed=0,
        code_version="",
        evaluation={},
        parity=(0.0,),
        files={"fold-0.onnx": file_digest(data)},
        about={},
    )
    return Artifact(manifest.artifact_id, manifest, (data,))


def torch_logits(
    network: Network, series: Series, index: NDArray[np.intp], *, inside: int = 1, beside: int = 1
) -> NDArray[np.float32]:
    """(n, K) logits in eager mode over the batches of `run_session`: `inside` threads on a batch, `beside` at once."""
    out = np.empty((len(index), CLASSES), np.float32)

    def run_batch(part: NDArray[np.intp]) -> None:
        with torch.inference_mode():
            out[part] = network(*(torch.from_numpy(a) for a in pad(series, index[part]).inputs)).numpy()

    with threads(inside), ThreadPoolExecutor(beside) as pool:
        for _ in pool.map(run_batch, by_length(series.lengths[index], batch_size=BATCH_SIZE)):
            pass
    return out


def alternate(
    ways: Mapping[str, Callable[[], NDArray[np.float32]]], *, repeats: int
) -> tuple[dict[str, NDArray[np.float32]], dict[str, float]]:
    """What each way gives, and its median seconds over repetitions in turn, so that a busy minute hits all alike."""
    results: dict[str, NDArray[np.float32]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, work in ways.items():
            started = time.perf_counter()
            results[name] = work()
            seconds[name].append(time.perf_counter() - started)
    return results, {name: statistics.median(spent) for name, spent in seconds.items()}


def make_series(parcels: int, *, seed: int) -> Series:
    """Random series with the lengths of a season; the values do not matter."""
    random = np.random.default_rng(seed)
    lengths = random.integers(*OBSERVATIONS, parcels, endpoint=True)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    count = int(offsets[-1])
    return Series(
        parcel_ids=np.array([f"P{i:07d}" for i in range(parcels)]),
        offsets=offsets,
        day_of_year=np.concatenate([np.sort(random.choice(ACQUIRED, n, replace=False)) for n in lengths]),
        reflectance=random.uniform(0, 0.6, (count, len(BANDS))).astype(np.float32),
        clear_fraction=random.uniform(0.5, 1, count).astype(np.float32),
        bands=BANDS,
        day_zero=date(2017, 12, 31),
    )


def make_bands(parcels: int, *, seed: int) -> Series:
    """Random series of all thirteen bands with the lengths of a season; the cirrus band is near zero."""
    series = make_series(parcels, seed=seed)
    values = np.random.default_rng(seed).uniform(0.05, 0.6, (len(series.day_of_year), len(NATURAL)))
    values[:, NATURAL.index("B10")] *= 0.01
    return replace(series, reflectance=values.astype(np.float32), bands=NATURAL)
