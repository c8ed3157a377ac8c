"""Ragged series in, padded batches out, without a Python loop over parcels.

A batch keeps a parcel's observations first and its padding last, so that a recurrent network may stop at the
last valid step. Padding is zero and never reaches a result. Training and prediction pick the observations of a batch
by the same `positions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cropmap.dataset.series import Series

BUCKET_BATCHES: Final = 8
"""Training batches are cut from shuffled runs of this many batches, sorted by length: little padding, fresh mixes."""


@dataclass(frozen=True)
class Batch:
    """B parcels, T = the longest of them (at least 1), C bands + 1."""

    reflectance: NDArray[np.float32]
    """(B, T, C + 1): the bands (NaN where missing), then clear_fraction"""
    day_of_year: NDArray[np.float32]
    """(B, T)"""
    valid: NDArray[np.bool_]
    """(B, T) True first, then False"""

    @property
    def inputs(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        return self.reflectance, self.day_of_year, self.valid


@dataclass(frozen=True)
class Positions:
    """Which observations a batch is made of."""

    row: NDArray[np.int64]
    """(B, T) into the series' M observations; 0 where there is padding"""
    valid: NDArray[np.bool_]
    """(B, T) True first, then False"""

    def keep(self, kept: NDArray[np.bool_]) -> Positions:
        """Without some observations (`kept` (B, T)); the others move up and leave no hole."""
        valid = self.valid & kept
        order = np.argsort(~valid, axis=1, kind="stable")[:, : max(int(valid.sum(axis=1).max(initial=0)), 1)]
        valid = np.take_along_axis(valid, order, axis=1)
        return Positions(np.where(valid, np.take_along_axis(self.row, order, axis=1), 0), valid)


def positions(series: Series, index: NDArray[np.intp]) -> Positions:
    """The observations of the parcels at `index`, padded to the longest."""
    lengths = series.lengths[index]
    row = series.offsets[:-1][index][:, None] + np.arange(max(int(lengths.max(initial=0)), 1))  # (B, T)
    valid = np.arange(row.shape[1]) < lengths[:, None]
    row[~valid] = 0
    return Positions(row, valid)


def pad(series: Series, index: NDArray[np.intp]) -> Batch:
    """The parcels at `index` as one padded batch."""
    picked = positions(series, index)
    reflectance = np.zeros((*picked.row.shape, len(series.bands) + 1), np.float32)
    day_of_year = np.zeros(picked.row.shape, np.float32)
    if len(series.day_of_year):
        reflectance[..., :-1] = series.reflectance[picked.row]
        reflectance[..., -1] = series.clear_fraction[picked.row]
        day_of_year[:] = series.day_of_year[picked.row]
        reflectance[~picked.valid] = 0
        day_of_year[~picked.valid] = 0
    return Batch(reflectance, day_of_year, picked.valid)


def by_length(lengths: NDArray[np.int64], *, batch_size: int) -> Iterator[NDArray[np.intp]]:
    """Positions of all parcels that have an observation, short series first: next to no padding."""
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def shuffled(
    lengths: NDArray[np.int64], index: NDArray[np.intp], *, batch_size: int, random: np.random.Generator
) -> list[NDArray[np.intp]]:
    """One pass over `index` in random order, batches of similar length; never an empty batch."""
    order = random.permutation(index)
    run = batch_size * BUCKET_BATCHES
    batches: list[NDArray[np.intp]] = []
    for start in range(0, len(order), run):
        part = order[start : start + run]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
    return [batches[position] for position in random.permutation(len(batches))]
