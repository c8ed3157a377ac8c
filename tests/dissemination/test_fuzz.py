"""Damaged files of statistics: Eurostat's in every form, our own exports read again, weights between NUTS versions."""

from __future__ import annotations

import gzip
import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cropmap.dissemination import formats
from cropmap.dissemination.long_form import LongForm, long_form
from cropmap.dissemination.recoding import read_weights, recode
from cropmap.results.dissemination import compare_with_eurostat, own_statistics
from cropmap.schemas import CsvDialect
from cropmap.settings import Settings
from tests.dissemination.published import published
from tests.fuzzing import chances, inputs, mutated_bytes, mutated_text, survives

ROWS = published()
OURS = long_form(ROWS, nuts_version=2024)
WEIGHTS = (
    b"from_version,to_version,from_code,to_code,share\n2024,2021,FRH01,FRH01,1.0\n2024,2021,FRH02,FRH02,0.25\n"
    b"2024,2021,FRH02,FRH03,0.75\n"
)
ODD: list[Any] = [
    None,
    "",
    "x",
    "C",
    "FRH99",
    -1,
    0,
    1e308,
    float("inf"),
    float("nan"),
    "1,5",
    "nan",
    "9" * 400,
    b"\xff",
    [1],
    {"a": 1},
    True,
    2018,
    "2018",
    pd.Timestamp("2018-06-07", tz="UTC"),
    "e\nf",
]


def labelled(data: bytes) -> bytes:
    """As Eurostat answers with `labels=both`."""
    lines = data.decode().splitlines()
    header = ",".join(f"{name}: Label of {name}" for name in lines[0].split(","))
    return "\n".join([header, *lines[1:]]).replace("C1110", "C1110: Common wheat").encode()


def whole_files() -> dict[str, bytes]:
    coded = {
        name: formats.write(ROWS, name, nuts_version=2024).data
        for name in ("tsv", "sdmx-csv", "sdmx-csv-2", "json-stat", "csv", "parquet")
    }
    return {
        **coded,
        "tsv.gz": gzip.compress(coded["tsv"], mtime=0),
        "labels": labelled(coded["sdmx-csv"]),
        "semicolon": formats.write(ROWS, "csv", nuts_version=2024, dialect=CsvDialect.SEMICOLON).data,
    }


FILES = whole_files()


def read_both_ways(path: Path, settings: Settings) -> LongForm:
    compare_with_eurostat(OURS, path)
    return own_statistics(settings, file=path, agency=None, season=None, nuts=None)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.slow
def test_a_damaged_file_of_statistics(tmp_path: Path, kind: str) -> None:
    settings, path = Settings(home=tmp_path), tmp_path / f"t.{kind}"
    path.write_bytes(FILES[kind])
    assert len(read_both_ways(path, settings).table) == len(OURS.table)
    mutated = mutated_bytes if kind in ("parquet", "tsv.gz") else mutated_text
    for seed, chance in chances(kind, inputs("exchange", len(FILES) + 2)):
        path.write_bytes(mutated(FILES[kind], chance))
        survives(lambda: read_both_ways(path, settings), (kind, seed), names=path)


def with_odd_columns(rows: pd.DataFrame, chance: random.Random) -> bytes:
    """A Parquet file that is whole, and holds what nobody exports."""
    table = rows.astype(object)
    for name in chance.sample([*table.columns], chance.randint(1, 3)):
        value = chance.choice(ODD)
        table[name] = [value] * len(table)
        if chance.random() < 0.3:
            table = table.drop(columns=name)
    if chance.random() < 0.2:
        table = table.iloc[:0]
    sink = io.BytesIO()
    table.to_parquet(sink)
    return sink.getvalue()


def test_a_parquet_file_of_other_things(tmp_path: Path) -> None:
    settings, path = Settings(home=tmp_path), tmp_path / "t.parquet"
    rows = pd.read_parquet(io.BytesIO(FILES["parquet"]))
    for seed, chance in chances("odd columns", inputs("exchange", len(FILES) + 2)):
        path.write_bytes(with_odd_columns(rows, chance))
        survives(lambda: read_both_ways(path, settings), seed, names=path)


def test_damaged_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"

    def apply() -> object:
        weights = read_weights(path.read_bytes(), from_version=2024, to_version=2021, where=str(path))
        assert all(np.isfinite(share) for shares in weights.values() for share in shares.values())
        return recode(ROWS[ROWS["nuts_id"] != "FRH0"], weights, to_version=2021)

    path.write_bytes(WEIGHTS)
    assert apply() is not None
    for seed, chance in chances("weights", inputs("exchange", len(FILES) + 2)):
        path.write_bytes(mutated_text(WEIGHTS, chance))
        survives(apply, seed)
