"""Publishing a run from the store beside a bare binary COPY of the same rows, and what memory it takes.

Predictions and assessments are drawn at random and stored as a season stores them, part by part. The bare COPY sends
the bytes that the server itself wrote of the published rows, under the id of another run, into the same tables: both
ways pass the same checks, references, triggers and indexes. Only publishing analyses the tables and moves the pointer.
It publishes as the owner of the tables, and as a worker of one agency, whom row-level security binds. Beside them
stands a COPY into tables with the same checks and indexes, but without the reference to a run and the triggers.
"""

from __future__ import annotations

import os
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from cropmap.contracts.tables import STATISTIC_COLUMNS, STORED_ASSESSMENT, STORED_PREDICTION
from cropmap.database import logins, publishing
from cropmap.database.connection import Connection, connect
from cropmap.database.runs import begin_run, ensure_season
from cropmap.predictions.predictions import ROW_GROUP, Predictions, read_rows
from cropmap.settings import Settings
from cropmap.stages.context import ready_database
from cropmap.store import Store
from tests.studies.scale import server_process, watched

CROPS: Final = tuple(f"crop {number:02d}" for number in range(13))
KEY: Final[dict[str, Any]] = {"agency": "study", "season": 2018}
WORKER: Final = "study_worker"
STARTED: Final = datetime(2019, 1, 15, 12, tzinfo=UTC)
READ_BYTES: Final = 1 << 20
TABLES: Final = {table.name: table for table in (STORED_PREDICTION, STORED_ASSESSMENT)}


@dataclass(frozen=True)
class Spent:
    """Seconds of one way."""

    wall: float
    own: float
    """processor time of this process"""
    server: float
    """processor time of the server's process"""


def measure(folder: Path, *, parcels: int, repeats: int) -> list[dict[str, Any]]:
    """Rows per second and processor time of the ways, in turn and back; before them the memory of a publication, of
    this process and the server together."""
    url = ready_database(Settings.load(), create=True)
    store = Store(folder / "store")
    about = _parcels(parcels)
    _store_products(store, about)
    with connect(url) as connection, connect(url) as worker:
        ensure_season(connection, **KEY)
        _sign_in_worker(worker)
        first = _begun(connection)
        with watched(os.getpid(), server_process()) as peak:
            _publish(connection, store, about, first)
        ways: dict[str, Callable[[], list[Spent]]] = {
            "publish": lambda: [_publish(connection, store, about, _begun(connection))],
            "publish as a worker": lambda: [_publish(worker, store, about, _begun(worker))],
            "bare COPY": lambda: [_bare(connection, folder, first, table, into=table) for table in TABLES],
            "COPY without references and triggers": lambda: [_unchecked(connection, folder, first, t) for t in TABLES],
        }
        spent: dict[str, list[Spent]] = {way: [] for way in ways}
        for number in range(repeats):
            for way in list(ways)[:: -1 if number % 2 else 1]:  # back again: the tables grow
                parts = zip(*map(astuple, ways[way]()), strict=True)
                spent[way].append(Spent(*map(sum, parts)))
    rates = {way: 2 * parcels / statistics.median(each.wall for each in of) for way, of in spent.items()}
    memory = {name: f"{value / 2**30:.2f} GiB" for name, value in peak.items()}
    return [
        {
            "parcels": parcels,
            "way": way,
            "rows/s": round(rates[way]),
            "publishing's share of it": f"{rates['publish'] / rates[way]:.2f}",
            **{
                f"{name}, s": " ".join(f"{getattr(each, name):.2f}" for each in of)
                for name in ("wall", "own", "server")
            },
            **(memory if way == "publish" else dict.fromkeys(memory, "")),
            "target": ">= 0.8" if way == "bare COPY" else "",
        }
        for way, of in spent.items()
    ]


def _sign_in_worker(connection: Connection) -> None:
    """Makes it the session of a worker of this agency alone, who is bound by the policies of the tables."""
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (WORKER,)).fetchone() is None:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE cropmap_writer").format(sql.Identifier(WORKER)))
    logins.allow(connection, WORKER, KEY["agency"])
    connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(WORKER)))


@contextmanager
def _timed(connection: Connection) -> Iterator[list[Spent]]:
    """What the block took, once it has ended."""
    server = connection.info.backend_pid

    def now() -> tuple[float, float, float]:
        ticks = Path(f"/proc/{server}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[11:13]
        return time.perf_counter(), time.process_time(), sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    began, taken = now(), list[Spent]()
    yield taken
    taken.append(Spent(*(after - before for before, after in zip(began, now(), strict=True))))


def _begun(connection: Connection) -> str:
    """The id of a new run."""
    run_id = f"study {uuid.uuid4().hex}"
    with connection.transaction():
        begin_run(connection, run_id=run_id, **KEY, as_of=date(2018, 12, 31), code_version="study", started_at=STARTED)
    return run_id


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


def _publish(connection: Connection, store: Store, about: pd.DataFrame, run_id: str) -> Spent:
    with _timed(connection) as taken:
        publishing.publish(
            connection,
            run_id=run_id,
            **KEY,
            parcels=about,
            predictions=read_rows(store, "predictions.parquet"),
            assessments=store.read_rows("assessments.parquet"),
            statistics=pd.DataFrame(columns=list(STATISTIC_COLUMNS)),
            model_version="study",
            published_at=STARTED,
        )
    return taken[0]


def _bare(connection: Connection, folder: Path, run_id: str, table: str, *, into: str) -> Spent:
    """The COPY of this run's rows, as rows of another run; the file of their bytes is written before."""
    other = _begun(connection)
    query = sql.SQL("COPY (SELECT {}, {} FROM {} WHERE run_id = {}) TO STDOUT (FORMAT BINARY)").format(
        other, sql.SQL(", ").join(map(sql.Identifier, _columns(table))), sql.Identifier(table), run_id
    )
    path = folder / f"{table}.copy"
    with path.open("wb") as file, connection.cursor() as cursor, cursor.copy(query) as copy:
        for data in copy:
            file.write(data)
    taken = _sent(connection, path, table, into=into)
    path.unlink()
    return taken


def _unchecked(connection: Connection, folder: Path, run_id: str, table: str) -> Spent:
    connection.execute(sql.SQL("CREATE TABLE bare (LIKE {} INCLUDING ALL)").format(sql.Identifier(table)))
    try:
        return _bare(connection, folder, run_id, table, into="bare")
    finally:
        connection.execute("DROP TABLE bare")


def _sent(connection: Connection, path: Path, table: str, *, into: str) -> Spent:
    columns = sql.SQL(", ").join(map(sql.Identifier, ("run_id", *_columns(table))))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(into), columns)
    with (
        _timed(connection) as taken,
        path.open("rb") as file,
        connection.transaction(),
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        while data := file.read(READ_BYTES):
            copy.write(data)
    return taken[0]


def _columns(table: str) -> tuple[str, ...]:
    return tuple(column.name for column in TABLES[table].without("run_id"))
