"""The table of predictions that later rooms read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.special import softmax

from cropmap.contracts.tables import PREDICTION_COLUMNS
from cropmap.errors import DamagedObjectError
from cropmap.store import Store, parquet_file

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
        sink = pa.BufferOutputStream()
        schema = SCHEMA.append(pa.field("logits", pa.list_(pa.float32(), len(self.crops))))
        schema = schema.with_metadata({"crops": json.dumps(self.crops)})
        with pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True) as writer:
            for start in range(0, len(self), ROW_GROUP):
                writer.write_table(self._stored(slice(start, start + ROW_GROUP), schema))
        store.write_bytes(name, sink.getvalue().to_pybytes())

    def _stored(self, rows: slice, schema: pa.Schema) -> pa.Table:
        logits = pa.array(self.logits[rows].ravel(), pa.float32())
        columns = (
            pa.array(self.parcel_ids[rows].tolist(), pa.string()),
            pa.array(self.n_observations[rows], pa.int32()),
            pa.array(self.last_observation[rows], pa.date32()),
            pa.array(list(self.scored_by[rows]), pa.string()),
            pa.array(self.out_of_distribution[rows], pa.float32()),
            pa.FixedSizeListArray.from_arrays(logits, len(self.crops)),
        )
        return pa.table(list(columns), schema=schema)

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
        for table in read_row_groups(store, name):
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


def read_rows(store: Store, name: str) -> Iterator[pa.Table]:
    """PREDICTION_COLUMNS of stored predictions, as `Predictions.table` has them: one row group after the other."""
    for table in read_row_groups(store, name):
        crops, logits = _stored_logits(table)
        seen, order, best = _ranked(logits, probabilities_of(logits))
        words = pa.array(crops, pa.string())
        first, second = (words.take(pa.array(place, mask=~seen)) for place in order.T)
        columns = {"crop": first, "probability": best[:, 0], "second_crop": second, "second_probability": best[:, 1]}
        yield pa.table(
            {column: columns[column] if column in columns else table[column] for column in PREDICTION_COLUMNS}
        )


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


def read_row_groups(store: Store, name: str) -> Iterator[pa.Table]:
    """A stored table, one row group after the other; at least one table. Raises DamagedObjectError."""
    file = store.read(name, parquet_file)
    if not file.num_row_groups:
        yield file.schema_arrow.empty_table()
    for group in range(file.num_row_groups):
        try:
            table = file.read_row_group(group)
        except (OSError, pa.ArrowException) as error:  # of an object that no digest vouches for
            raise DamagedObjectError(f"is damaged ({error})", where=name, mend="Run the same command again") from error
        yield table


def _shared(column: pa.ChunkedArray) -> list[Any]:
    """The values as a list in which equal ones are one object: of few different ones."""
    encoded = column.combine_chunks().dictionary_encode()
    values = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    return list(values[encoded.indices.fill_null(-1).to_numpy()])
