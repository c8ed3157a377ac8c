"""What compatibility mode shows its networks: random dates of each series, in order, no loop over parcels.

In: ragged series. Out: batches (B, dates, C) on the device that trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cropmap.dataset.series import Series


@dataclass(frozen=True)
class Samples:
    """What sampling needs of a series: rows without gaps, on the device."""

    values: Tensor
    """(M, C) reflectance 0-1"""
    first: NDArray[np.int64]
    """(N,) first row of each parcel"""
    length: NDArray[np.int64]
    """(N,) its rows"""

    def batch(self, parcels: NDArray[np.intp], dates: int, random: np.random.Generator) -> Tensor:
        """(B, dates, C)"""
        steps = sample_steps(self.length[parcels], dates, random) + self.first[parcels][:, None]
        return self.values[torch.from_numpy(steps).to(self.values.device)]


def sample_steps(length: NDArray[np.int64], dates: int, random: np.random.Generator) -> NDArray[np.int64]:
    """(B, dates) ascending step numbers: a random subset of each series, with replacement where it is shorter."""
    with_replacement = (random.random((len(length), dates)) * length[:, None]).astype(np.int64)
    key = random.random((len(length), max(int(length.max(initial=0)), dates)), np.float32)
    key[np.arange(key.shape[1]) >= length[:, None]] = 2  # never among the smallest of a series that is long enough
    subset = np.argpartition(key, dates - 1, axis=1)[:, :dates]
    return np.sort(np.where((length >= dates)[:, None], subset, with_replacement), axis=1)


def make_samples(series: Series, *, device: str) -> Samples:
    """As the published files: rows with a missing band are dropped. A parcel that has no other row keeps them, the
    missing band at its mean, so that the same parcels are judged as by our own networks."""
    finite = np.isfinite(series.reflectance)
    complete = finite.all(axis=1)
    if complete.all():
        kept, values = complete, series.reflectance
    else:
        owner = np.repeat(np.arange(len(series)), series.lengths)
        kept = complete | (np.bincount(owner[complete], minlength=len(series)) == 0)[owner]
        mean = np.where(finite, series.reflectance, 0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
        values = np.where(finite[kept], series.reflectance[kept], mean.astype(np.float32))
    before = np.concatenate([[0], np.cumsum(kept)])
    first = before[series.offsets[:-1]]
    values = values if values.flags.writeable else values.copy()  # torch takes no memory that it must not write to
    return Samples(torch.from_numpy(values).to(device), first, before[series.offsets[1:]] - first)


def batches(
    samples: Samples, parcels: NDArray[np.intp], random: np.random.Generator, *, batch_size: int, dates: int
) -> Iterator[tuple[Tensor, NDArray[np.intp]]]:
    """One pass over `parcels` in random order: inputs (B, dates, C) and the parcels that they are of."""
    order = random.permutation(parcels)
    for start in range(0, len(order), batch_size):
        part = order[start : start + batch_size]
        yield samples.batch(part, dates, random), part
