"""Series on the device that trains: batches are gathered there by index, nothing is copied per parcel.

The CPU decides which observations a batch holds (`dataset.batches.positions`); the values stay where they are. On a
CPU the tensors share the memory of the arrays, mapped files included, so nothing is loaded ahead.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cropmap.dataset.batches import Positions
from cropmap.dataset.series import Series

Inputs = tuple[Tensor, Tensor, Tensor]
"""reflectance (B, T, C + 1), day_of_year (B, T), valid (B, T): what a network takes"""


@dataclass(frozen=True)
class Ragged:
    """M observations of C bands."""

    reflectance: Tensor
    """(M, C) float32, NaN where a band is missing"""
    clear_fraction: Tensor
    """(M,) float32"""
    day_of_year: Tensor
    """(M,) int16"""
    device: str

    def batch(self, picked: Positions, *, shift_days: NDArray[np.float32] | None = None) -> Inputs:
        """The observations of `picked` (B, T), the calendar moved by `shift_days` (B,)."""
        row, valid = (torch.from_numpy(part).to(self.device, non_blocking=True) for part in (picked.row, picked.valid))
        day = self.day_of_year[row].float()
        if shift_days is not None:
            day = day + torch.from_numpy(shift_days).to(self.device, non_blocking=True)[:, None]
        values = torch.cat([self.reflectance[row], self.clear_fraction[row][..., None]], dim=-1)  # (B, T, C + 1)
        padding = ~valid
        return values.masked_fill_(padding[..., None], 0.0), day.masked_fill_(padding, 0.0), valid


def on_device(series: Series, device: str) -> Ragged:
    """The series' values as tensors: the same memory on a CPU, one copy on a GPU. They are only read."""
    parts = (series.reflectance, series.clear_fraction, series.day_of_year)
    with warnings.catch_warnings():  # torch warns of arrays that it could write to but must not
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        reflectance, clear_fraction, day_of_year = (
            torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in parts
        )
    return Ragged(reflectance, clear_fraction, day_of_year, device)
