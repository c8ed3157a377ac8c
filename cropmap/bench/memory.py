"""How much memory training takes on all of Brittany: 608,000 series of 70 dates, mapped from disk.

The dataset is written in parts, as no machine of this size could hold it twice, and then trained on for some steps in
a process of its own, whose peak is read. The values are random: memory does not depend on them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from cropmap.bench import Row
from cropmap.dataset.files import open_dataset
from cropmap.model.training import threads, train
from cropmap.model.training_config import TrainingConfig
from cropmap.progress import Counter
from cropmap.schemas import BANDS, Architecture

PARCELS: Final = 608_000
"""of BreizhCrops: three regions and the one that is left out"""
DATES: Final = 70
CLASSES: Final = 9
FOLDS: Final = 4
PART: Final = 1 << 20
TARGET: Final = "<= 6 GiB"


def measure(*, quick: bool = False) -> list[Row]:
    """Rows: network, peak memory of the process that trains."""
    parcels, steps = (2_000, 5) if quick else (PARCELS, 300)
    with tempfile.TemporaryDirectory(prefix="cropmap-bench-") as folder:
        write_random_dataset(Path(folder), parcels)
        return [_row(Path(folder), architecture, parcels, steps) for architecture in Architecture]


def write_random_dataset(folder: Path, parcels: int) -> None:
    """The files of `dataset.files` with random values, one part at a time."""
    random, rows = np.random.default_rng(0), parcels * DATES
    offsets = np.arange(parcels + 1, dtype=np.int64) * DATES
    fold = (np.arange(parcels) * FOLDS // parcels).astype(np.int16)
    plain = {
        "parcel_ids": np.array([f"{number:07d}" for number in range(parcels)]),
        "offsets": offsets,
        "fold": fold,
        "label": random.integers(0, CLASSES, parcels).astype(np.int16),
        "holding": np.arange(parcels),
        "excluded": np.zeros((FOLDS, parcels), bool),
        "clear_fraction": np.ones(rows, np.float32),
        "day_of_year": np.tile(np.linspace(1, 365, DATES).astype(np.int16), parcels),
    }
    for name, array in plain.items():
        np.save(folder / f"{name}.npy", array)
    values = np.lib.format.open_memmap(
        folder / "reflectance.npy", mode="w+", dtype=np.float32, shape=(rows, len(BANDS))
    )
    with Counter("write the dataset", total=rows, unit="observations") as counter:
        for start in range(0, rows, PART):
            part = random.random((min(PART, rows - start), len(BANDS)), dtype=np.float32)
            values[start : start + PART] = part
            counter.add(len(part))
    values.flush()
    facts = {
        "bands": BANDS,
        "day_zero": date(2016, 12, 31).isoformat(),
        "crops": [f"class {k}" for k in range(CLASSES)],
        "made_by": "region",
        "fold_names": [f"region {k}" for k in range(FOLDS)],
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def _row(folder: Path, architecture: Architecture, parcels: int, steps: int) -> Row:
    command = [sys.executable, "-m", __name__, str(folder), str(architecture), str(steps)]
    measured = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {
        "network": str(architecture),
        "dataset": f"{parcels:,} series x {DATES} dates, {measured['bytes'] / 2**30:.2f} GiB on disk",
        "peak resident": f"{measured['peak'] / 2**30:.2f} GiB",
        "target": TARGET,
        "how": f"{steps} steps, one thread, mapped pages counted",
    }


def train_mapped(folder: Path, architecture: Architecture, steps: int) -> dict[str, float]:
    """Trains on a mapped dataset and says what it took; meant for a process of its own."""
    dataset = open_dataset(folder)
    config = TrainingConfig(architecture=architecture, epochs=1, min_steps=steps, max_steps=steps, patience=steps)
    with threads(1):
        train(dataset, dataset.folds.training_mask(0), config, seed=0)
    return {"peak": float(peak_bytes()), "bytes": float(sum(file.stat().st_size for file in folder.iterdir()))}


def peak_bytes() -> int:
    """The highest resident size of this process so far, mapped pages included (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    print(json.dumps(train_mapped(Path(sys.argv[1]), Architecture(sys.argv[2]), int(sys.argv[3]))))
