"""The table of predictions that later rooms read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import softmax

from cropmap.contracts.tables import PREDICTION_COLUMNS
from cropmap.store import Store


def probabilities_of(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, K) rows sum to 1."""
    shares: NDArray[np.float32] = softmax(logits.astype(np.float64), axis=1).astype(np.float32)
    return shares


@dataclass(frozen=True)
class Predictions:
    """N parcels in the order of their ids, K classes."""

    parcel_ids: NDArray[np.str_]
    """(N,) sorted"""
    crops: tuple[str, ...]
    """(K,)"""
    logits: NDArray[np.float32]
    """(N, K) calibrated; NaN where a parcel has no observation"""
    scored_by: Sequence[str]
    """(N,) "fold 2" or "mean of 4 folds" """
    n_observations: NDArray[np.int32]
    """(N,) clear observations that went in"""
    last_observation: Sequence[date | None]
    """(N,) date of the latest of them"""
    out_of_distribution: NDArray[np.float32]
    """(N,) share of training parcels that look more ordinary, 0-1; NaN without observation or model"""

    def __len__(self) -> int:
        return len(self.parcel_ids)

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """(N, K) rows sum to 1; NaN where a parcel has no observation."""
        return probabilities_of(self.logits)

    def table(self) -> pd.DataFrame:
        """PREDICTION_COLUMNS: the best and second class of each parcel; empty where it has no observation."""
        seen = np.isfinite(self.logits).all(axis=1)
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :2]
        best = np.take_along_axis(self.probabilities, order, axis=1)
        names = np.array(self.crops, dtype=object)[order]
        names[~seen] = None
        columns: tuple[Any, ...] = (
            self.parcel_ids.tolist(),
            names[:, 0].tolist(),
            best[:, 0],
            names[:, 1].tolist(),
            best[:, 1],
            self.n_observations,
            self.last_observation,
            self.scored_by,
            self.out_of_distribution,
        )
        # dtype object keeps None apart from NaN
        return pd.DataFrame(
            {
                name: column if isinstance(column, np.ndarray) else pd.Series(column, dtype=object)
                for name, column in zip(PREDICTION_COLUMNS, columns, strict=True)
            }
        )

    def write(self, store: Store, name: str) -> None:
        """Keeps the predictions as one Parquet object."""
        table = pa.table(
            {
                "parcel_id": pa.array(self.parcel_ids.tolist(), pa.string()),
                "n_observations": pa.array(self.n_observations, pa.int32()),
                "last_observation": pa.array(self.last_observation, pa.date32()),
                "scored_by": pa.array(list(self.scored_by), pa.string()),
                "out_of_distribution": pa.array(self.out_of_distribution, pa.float32()),
                "logits": pa.FixedSizeListArray.from_arrays(pa.array(self.logits.ravel()), len(self.crops)),
            },
            metadata={"crops": json.dumps(self.crops)},
        )
        store.write_table(name, table)

    @classmethod
    def read(cls, store: Store, name: str) -> Predictions:
        table = store.read_table(name)
        crops = tuple(json.loads(table.schema.metadata[b"crops"]))
        values = table["logits"].combine_chunks()
        return cls(
            parcel_ids=np.array(table["parcel_id"].to_pylist(), dtype=np.str_),
            crops=crops,
            logits=values.flatten().to_numpy(zero_copy_only=False).reshape(-1, len(crops)),
            scored_by=table["scored_by"].to_pylist(),
            n_observations=table["n_observations"].to_numpy(),
            last_observation=table["last_observation"].to_pylist(),
            out_of_distribution=table["out_of_distribution"].to_numpy(),
        )
