"""A dataset as a folder of plain arrays that are mapped, not read: training streams from them.

Several processes that train on one dataset share its pages, and a dataset larger than memory can be trained on. The
folder is named by the dataset's hash.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.arrays import keep_folder, layout, open_array
from cropmap.dataset.dataset import Dataset
from cropmap.dataset.folds import Folds
from cropmap.dataset.series import Series

SERIES_ARRAYS: Final = ("parcel_ids", "offsets", "day_of_year", "reflectance", "clear_fraction")
FOLD_ARRAYS: Final = ("fold", "excluded", "holding")


def write_dataset(folder: Path, dataset: Dataset) -> Path:
    """Writes the dataset below `folder` unless it is there, whole; returns its own folder."""
    target = folder / dataset.hash

    def write(partial: Path) -> None:
        for name, array in _arrays(dataset).items():
            _save(partial / f"{name}.npy", array, mapped=dataset.series.folder if name in SERIES_ARRAYS else None)
        (partial / "facts.json").write_text(json.dumps(_facts(dataset)), encoding="utf-8")

    keep_folder(target, write=write, read=lambda there: _whole(there, dataset))
    return target


def _whole(folder: Path, dataset: Dataset) -> Dataset | None:
    """What the folder holds, where it is this dataset bit for bit; its arrays are read once for that."""
    stored = open_dataset(folder)
    same = stored.hash == dataset.hash and layout(*_arrays(stored).values()) == layout(*_arrays(dataset).values())
    return stored if same else None


def open_dataset(folder: Path) -> Dataset:
    """The dataset of `write_dataset`, its arrays mapped to be read only."""
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    ids, offsets, day_of_year, reflectance, clear_fraction = (open_array(folder / f"{n}.npy") for n in SERIES_ARRAYS)
    bands, day_zero = tuple(facts["bands"]), date.fromisoformat(facts["day_zero"])
    series = Series(ids, offsets, day_of_year, reflectance, clear_fraction, bands, day_zero)
    folds = Folds(
        made_by=facts["made_by"],
        names=tuple(facts["fold_names"]),
        **{n: open_array(folder / f"{n}.npy") for n in FOLD_ARRAYS},
    )
    return Dataset(series, open_array(folder / "label.npy"), tuple(facts["crops"]), folds)


class Facts(TypedDict):
    """What a dataset's files say beside its arrays."""

    bands: Sequence[str]
    day_zero: str
    """ISO 8601"""
    crops: Sequence[str]
    made_by: str
    """how the folds were made"""
    fold_names: Sequence[str]


def _arrays(dataset: Dataset) -> dict[str, NDArray[Any]]:
    series = {name: getattr(dataset.series, name) for name in SERIES_ARRAYS}
    return {**series, "label": dataset.label, **{name: getattr(dataset.folds, name) for name in FOLD_ARRAYS}}


def _facts(dataset: Dataset) -> Facts:
    return {
        "bands": dataset.series.bands,
        "day_zero": dataset.series.day_zero.isoformat(),
        "crops": dataset.crops,
        "made_by": dataset.folds.made_by,
        "fold_names": dataset.folds.names,
    }


def _save(path: Path, array: NDArray[Any], *, mapped: Path | None) -> None:
    """An array that is mapped from a file on the same disk is that file under one more name."""
    if mapped is not None:
        with suppress(OSError):  # another disk, or one without links
            os.link(mapped / path.name, path)
            return
    np.save(path, array)
