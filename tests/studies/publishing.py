"""Publishing a run from the store beside a bare binary COPY of the same rows, and what memory it takes.

Predictions and assessments are drawn at random and stored as a season stores them, part by part. The bare COPY sends
the bytes that the server itself wrote of the published rows, into tables with the same columns, checks and indexes.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.database import publishing
from cropmap.database.connection import Connection, connect
from cropmap.database.runs import begin_run, ensure_season
from cropmap.predictions.predictions import ROW_GROUP, Predictions, read_row_groups, read_rows
from cropmap.settings import Settings
from cropmap.stages.context import ready_database
from cropmap.store import Store
from tests.studies.scale import server_process, watched

CROPS: Final = tuple(f"crop {number:02d}" for number in range(13))
KEY: Final[dict[str, Any]] = {"agency": "study", "season": 2018}
STARTED: Final = datetime(2019, 1, 15, 12, tzinfo=UTC)
READ_BYTES: Final = 1 << 20
TABLES: Final = ("prediction", "assessment")


def measure(folder: Path, *, parcels: int, repeats: int) -> list[dict[str, Any]]:
    """Rows per second of both ways, in turn, and the highest memory of this process and the server together."""
    url = ready_database(Settings.load(), create=True)
    store = Store(folder / "store")
    about = _parcels(parcels)
    _store_products(store, about)
    seconds: dict[str, list[float]] = {"publish": [], "bare": []}
    with connect(url) as connection, watched(os.getpid(), server_process()) as peak:
        ensure_season(connection, **KEY)
        for number in range(repeats):
            seconds["publish"].append(_publish(connection, store, about, f"run {parcels} {number}"))
            seconds["bare"].append(_bare(connection, folder, f"run {parcels} {number}"))
    ours, bare = (2 * parcels / statistics.median(seconds[way]) for way in ("publish", "bare"))
    return [
        {
            "parcels": parcels,
            "publish, rows/s": round(ours),
            "bare COPY, rows/s": round(bare),
            "ratio": f"{ours / bare:.2f}",
            "target": ">= 0.8",
            **{name: f"{value / 2**30:.2f} GiB" for name, value in peak.items()},
            "seconds": json.dumps({way: [round(each, 1) for each in spent] for way, spent in seconds.items()}),
        }
    ]


def _parcels(count: int) -> pd.DataFrame:
    random = np.random.default_rng(1)
    regions = np.array(["FRH01", "FRH02", "FRH03", "FRH04"], object)
    holdings = np.array([f"{number:06d}" for number in range(max(count // 20, 1))], object)
    return pd.DataFrame(
        {
            "parcel_id": [f"{number:08d}" for number in range(count)],
            "holding_id": holdings[random.integers(0, len(holdings), count)],
            "nuts_id": regions[random.integers(0, 4, count)],
            "area_ha": random.gamma(2.0, 1.3, count),
        }
    )


def _store_products(store: Store, about: pd.DataFrame) -> None:
    """predictions.parquet as `predict` writes it, and assessments.parquet as `assess` does."""
    count, random = len(about), np.random.default_rng(2)
    days = [date(2018, 9, 1) + timedelta(days=number) for number in range(60)]
    Predictions(
        parcel_ids=np.array(about["parcel_id"].tolist(), dtype=np.str_),
        crops=CROPS,
        logits=random.normal(0, 3, (count, len(CROPS))).astype(np.float32),
        scored_by=[("fold 0", "fold 1", "fold 2", "fold 3")[k] for k in random.integers(0, 4, count).tolist()],
        n_observations=random.integers(1, 70, count).astype(np.int32),
        last_observation=[days[k] for k in random.integers(0, 60, count).tolist()],
        out_of_distribution=random.random(count).astype(np.float32),
    ).write(store, "predictions.parquet")
    sink = pa.BufferOutputStream()
    writer = None
    for part in _assessments(about, random):
        writer = writer or pq.ParquetWriter(sink, part.schema, compression="zstd")
        writer.write_table(part)
    assert writer is not None
    writer.close()
    store.write_bytes("assessments.parquet", sink.getvalue().to_pybytes())


def _assessments(about: pd.DataFrame, random: np.random.Generator) -> Iterator[pa.Table]:
    crops = np.array(CROPS, object)
    for start in range(0, len(about), ROW_GROUP):
        ids = about["parcel_id"].iloc[start : start + ROW_GROUP]
        n = len(ids)
        yield pa.table(
            {
                "parcel_id": ids.to_numpy(object),
                "declared_code": crops[random.integers(0, 13, n)],
                "declared_crop": crops[random.integers(0, 13, n)],
                "predicted_crop": crops[random.integers(0, 13, n)],
                "declared_probability": random.random(n),
                "right_probability": random.random(n),
                "verdict": np.array(["conform", "mismatch"], object)[(random.random(n) < 0.03).astype(int)],
                "reason": np.full(n, "DECLARED_CROP_SUPPORTED", object),
                "priority": random.normal(0, 1, n),
            }
        )


def _publish(connection: Connection, store: Store, about: pd.DataFrame, run_id: str) -> float:
    with connection.transaction():
        begin_run(connection, run_id=run_id, **KEY, as_of=date(2018, 12, 31), code_version="study", started_at=STARTED)
    began = time.perf_counter()
    publishing.publish(
        connection,
        run_id=run_id,
        **KEY,
        parcels=about,
        predictions=read_rows(store, "predictions.parquet"),
        assessments=read_row_groups(store, "assessments.parquet"),
        statistics=pd.DataFrame(columns=list(STATISTIC_COLUMNS)),
        model_version="study",
        published_at=STARTED,
    )
    return time.perf_counter() - began


def _bare(connection: Connection, folder: Path, run_id: str) -> float:
    """Seconds of the COPY of both tables; the file of their bytes is written before."""
    spent = 0.0
    for table in TABLES:
        path = folder / f"{table}.copy"
        with (
            path.open("wb") as file,
            connection.cursor() as cursor,
            cursor.copy(
                f"COPY (SELECT * FROM {table} WHERE run_id = '{run_id}') TO STDOUT (FORMAT BINARY)"  # noqa: S608
            ) as copy,
        ):
            for data in copy:
                file.write(data)
        connection.execute(f"CREATE TABLE bare (LIKE {table} INCLUDING ALL)")
        began = time.perf_counter()
        with (
            path.open("rb") as file,
            connection.transaction(),
            connection.cursor() as cursor,
            cursor.copy("COPY bare FROM STDIN (FORMAT BINARY)") as copy,
        ):
            while data := file.read(READ_BYTES):
                copy.write(data)
        spent += time.perf_counter() - began
        connection.execute("DROP TABLE bare")
        path.unlink()
    return spent
