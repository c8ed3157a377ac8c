"""The table of predictions that later rooms read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import softmax

from cropmap.contracts.tables import PREDICTION_COLUMNS
from cropmap.dataset.series import Series
from cropmap.store import Store

ROW_GROUP: Final = 65_536
"""parcels that are decoded at a time"""
SCHEMA: Final = pa.schema(
    [
        pa.field("parcel_id", pa.string()),
        pa.field("n_observations", pa.int32()),
        pa.field("last_observation", pa.date32()),
        pa.field("scored_by", pa.string()),
        pa.field("out_of_distribution", pa.float32()),
    ]
)
"""beside the logits of each class"""


def probabilities_of(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, K) rows sum to 1."""
    shares = np.empty(logits.shape, np.float32)
    for start in range(0, len(logits), ROW_GROUP):  # in double precision a country takes four times as much, twice
        rows = slice(start, start + ROW_GROUP)
        shares[rows] = softmax(logits[rows].astype(np.float64), axis=1)
    return shares


def stored_schema(crops: Sequence[str]) -> pa.Schema:
    """Of stored predictions, with their K classes."""
    schema = SCHEMA.append(pa.field("logits", pa.list_(pa.float32(), len(crops))))
    return schema.with_metadata({"crops": json.dumps(crops)})


def write_parts(store: Store, name: str, crops: Sequence[str], parts: Iterable[pa.Table]) -> None:
    """Keeps tables of `Predictions.stored`, a row group each, as one Parquet object; they are held one at a time."""
    store.write_rows(name, stored_schema(crops), parts)


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

    @classmethod
    def none(cls, series: Series, crops: tuple[str, ...], *, scored_by: str) -> Predictions:
        """Where there is no model: no parcel has a prediction."""
        return cls(
            parcel_ids=series.parcel_ids,
            crops=crops,
            logits=np.full((len(series), len(crops)), np.nan, np.float32),
            scored_by=[scored_by] * len(series),
            n_observations=series.lengths.astype(np.int32),
            last_observation=series.last_days(),
            out_of_distribution=np.full(len(series), np.nan, np.float32),
        )

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """(N, K) rows sum to 1; NaN where a parcel has no observation."""
        return probabilities_of(self.logits)

    def table(self) -> pd.DataFrame:
        """PREDICTION_COLUMNS: the best and second class of each parcel; empty where it has no observation."""
        seen, order, best = _ranked(self.logits, self.probabilities)
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
        """Keeps the predictions as one Parquet object of many row groups."""
        write_parts(
            store, name, self.crops, (self.stored(slice(r, r + ROW_GROUP)) for r in range(0, len(self), ROW_GROUP))
        )

    def stored(self, rows: slice) -> pa.Table:
        """Some of the rows as they are stored."""
        logits = pa.array(self.logits[rows].ravel(), pa.float32())
        columns = (
            pa.array(self.parcel_ids[rows].tolist(), pa.string()),
            pa.array(self.n_observations[rows], pa.int32()),
            pa.array(self.last_observation[rows], pa.date32()),
            pa.array(list(self.scored_by[rows]), pa.string()),
            pa.array(self.out_of_distribution[rows], pa.float32()),
            pa.FixedSizeListArray.from_arrays(logits, len(self.crops)),
        )
        return pa.table(list(columns), schema=stored_schema(self.crops))

    @classmethod
    def read(cls, store: Store, name: str) -> Predictions:
        parts = list(cls.read_parts(store, name))
        if len(parts) == 1:
            return parts[0]
        return cls(
            parcel_ids=np.concatenate([part.parcel_ids for part in parts]),
            crops=parts[0].crops,
            logits=np.concatenate([part.logits for part in parts]),
            scored_by=[by for part in parts for by in part.scored_by],
            n_observations=np.concatenate([part.n_observations for part in parts]),
            last_observation=[day for part in parts for day in part.last_observation],
            out_of_distribution=np.concatenate([part.out_of_distribution for part in parts]),
        )

    @classmethod
    def read_parts(cls, store: Store, name: str) -> Iterator[Predictions]:
        """The predictions of some parcels after the other, in the order of their ids; at least one part."""
        words: dict[str, str] = {}
        for table in store.read_rows(name):
            crops, logits = _stored_logits(table)
            yield cls(
                parcel_ids=np.array(table["parcel_id"].to_pylist(), dtype=np.str_),
                crops=crops,
                logits=logits,
                scored_by=[words.setdefault(by, by) for by in _shared(table["scored_by"])],
                n_observations=table["n_observations"].to_numpy(),
                last_observation=_shared(table["last_observation"]),
                out_of_distribution=table["out_of_distribution"].to_numpy(),
            )


@dataclass(frozen=True)
class StoredProbabilities:
    """Of stored predictions the probabilities alone: what areas are estimated from."""

    parcel_ids: pa.StringArray
    """(N,) sorted"""
    crops: tuple[str, ...]
    """(K,)"""
    probabilities: NDArray[np.float32]
    """(N, K) as `Predictions.probabilities`"""

    @classmethod
    def read(cls, store: Store, name: str) -> StoredProbabilities:
        ids: list[pa.Array] = []
        probabilities: list[NDArray[np.float32]] = []
        crops: tuple[str, ...] = ()
        for table in store.read_rows(name, columns=["parcel_id", "logits"]):
            crops, logits = _stored_logits(table)
            ids += table["parcel_id"].chunks
            probabilities.append(probabilities_of(logits))
        return cls(pa.chunked_array(ids, pa.string()).combine_chunks(), crops, np.concatenate(probabilities))


def read_rows(store: Store, name: str) -> Iterator[pa.Table]:
    """PREDICTION_COLUMNS of stored predictions, as `Predictions.table` has them: one row group after the other."""
    for table in store.read_rows(name):
        crops, logits = _stored_logits(table)
        seen, order, best = _ranked(logits, probabilities_of(logits))
        words = pa.array(crops, pa.string())
        first, second = (words.take(pa.array(place, mask=~seen)) for place in order.T)
        columns = {"crop": first, "probability": best[:, 0], "second_crop": second, "second_probability": best[:, 1]}
        yield pa.table(
            {column: columns[column] if column in columns else table[column] for column in PREDICTION_COLUMNS}
        )


def read_logits(store: Store, name: str) -> Iterator[NDArray[np.float32]]:
    """(n, K) of some parcels after the other, as `Predictions.read_parts` gives them."""
    for table in store.read_rows(name, columns=["logits"]):
        yield _stored_logits(table)[1]


def _stored_logits(table: pa.Table) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """The K classes, and the (N, K) logits."""
    crops = tuple(json.loads(table.schema.metadata[b"crops"]))
    values = table["logits"].combine_chunks()
    return crops, values.flatten().to_numpy(zero_copy_only=False).reshape(-1, len(crops))


def _ranked(
    logits: NDArray[np.float32], probabilities: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float32]]:
    """(N,) which parcels have a prediction; (N, 2) the best and the second class, and their probabilities."""
    first = probabilities.argmax(axis=1)
    others = probabilities.copy()
    np.put_along_axis(others, first[:, None], -1, axis=1)
    order = np.stack([first, others.argmax(axis=1)], axis=1)
    best = np.take_along_axis(probabilities, order, axis=1)
    return np.asarray(np.isfinite(logits).all(axis=1)), order, best


def _shared(column: pa.ChunkedArray) -> list[Any]:
    """The values as a list in which equal ones are one object: of few different ones."""
    encoded = column.combine_chunks().dictionary_encode()
    values = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    return list(values[encoded.indices.fill_null(-1).to_numpy()])
