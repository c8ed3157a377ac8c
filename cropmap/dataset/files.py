"""A dataset as a folder of plain arrays that are mapped, not read: training streams from them.

Several processes that train on one dataset share its pages, and a dataset larger than memory can be trained on. The
folder is named by the dataset's hash, and its facts are written last, so it is either whole or absent.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.folds import Folds
from cropmap.dataset.mapped import open_array
from cropmap.dataset.series import Series
from cropmap.leftovers import partial_name

log = logging.getLogger(__name__)

SERIES_ARRAYS: Final = ("parcel_ids", "offsets", "day_of_year", "reflectance", "clear_fraction")
FOLD_ARRAYS: Final = ("fold", "excluded", "holding")


def write_dataset(folder: Path, dataset: Dataset) -> Path:
    """Writes the dataset below `folder` unless it is there, whole; returns its own folder."""
    target = folder / dataset.hash
    if target.is_dir() and not _is_whole(target, dataset):
        log.warning("%s is damaged; it is made again", target)
        shutil.rmtree(target)
    if not target.is_dir():
        partial = folder / partial_name()
        partial.mkdir(parents=True)
        try:
            for name, array in _arrays(dataset).items():
                _save(partial / f"{name}.npy", array, mapped=dataset.series.folder if name in SERIES_ARRAYS else None)
            (partial / "facts.json").write_text(json.dumps(_facts(dataset)), encoding="utf-8")
            try:
                partial.replace(target)
            except OSError:  # another process was first
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def _is_whole(folder: Path, dataset: Dataset) -> bool:
    """Whether the folder still holds this dataset, bit for bit; its arrays are read once for that."""
    try:
        stored = open_dataset(folder)
        as_named = stored.hash == dataset.hash
    except Exception:  # damaged bytes may break a reader in any way
        return False
    types = [[array.dtype for array in _arrays(held).values()] for held in (stored, dataset)]  # no part of the hash
    return as_named and types[0] == types[1]


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
