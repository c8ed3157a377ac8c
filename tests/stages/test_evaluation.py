"""`cropmap evaluate` on a table of parcel series: two crops that anybody can tell apart."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cropmap.cli import run

PARCELS = 60
MONTHS = (3, 5, 7, 9)
GREEN_FROM = {"wheat": 3, "maize": 7}
"""a crop is green for three months from here on"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """observations.parquet, labels.csv and folds.csv of 60 parcels, `P00` to `P59`; even ones are wheat."""
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CROPMAP_THREADS", "1")
    random = np.random.default_rng(5)
    ids = [f"P{number:02d}" for number in range(PARCELS)]
    crop = {parcel: ("wheat", "maize")[number % 2] for number, parcel in enumerate(ids)}
    rows = [(parcel, month) for parcel in ids for month in MONTHS]
    green = np.array([0 <= month - GREEN_FROM[crop[parcel]] < 3 for parcel, month in rows])
    noise = random.normal(0, 0.01, (2, len(rows)))
    pq.write_table(
        pa.table(
            {
                "parcel_id": [parcel for parcel, _ in rows],
                "datetime": [datetime(2018, month, 14, 11, tzinfo=UTC) for _, month in rows],
                "cloud_fraction": np.zeros(len(rows)),
                "B04": np.where(green, 0.04, 0.15) + noise[0],
                "B08": np.where(green, 0.45, 0.2) + noise[1],
            }
        ),
        tmp_path / "observations.parquet",
    )
    _write(tmp_path / "labels.csv", ["parcel_id", "crop_code"], crop.items())
    _write(
        tmp_path / "folds.csv", ["parcel_id", "fold"], [(p, "north" if n < 30 else "south") for n, p in enumerate(ids)]
    )
    return tmp_path


def _write(path: Path, header: list[str], rows: object) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])  # type: ignore[misc]


def _arguments(folder: Path, *more: str) -> list[str]:
    files = {name: str(folder / f"{name}.{kind}") for name, kind in (("labels", "csv"), ("folds", "csv"))}
    given = ["--labels", files["labels"], "--folds", files["folds"], "--model", "lstm", "--json"]
    return ["evaluate", "--observations", str(folder / "observations.parquet"), *given, *more]


def test_a_separable_table_is_learnt_out_of_fold(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_arguments(table, "--out", str(table / "p.parquet"))) == 0
    answer = json.loads(capsys.readouterr().out)

    assert answer["spatial"]
    lstm = answer["networks"]["lstm"]
    assert (lstm["n"], lstm["oa"], lstm["kappa"]) == (60, 1.0, 1.0)
    assert lstm["per_class"]["wheat"] == {"n": 30, "precision": 1.0, "recall": 1.0, "f1": 1.0}
    written = pq.read_table(table / "p.parquet")
    assert written.column_names == ["network", "parcel_id", "fold", "label", "p:maize", "p:wheat"]
    assert sorted(set(written["fold"].to_pylist())) == ["north", "south"]
    np.testing.assert_allclose(np.add(written["p:maize"], written["p:wheat"]), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("labels.csv", "parcel,code\nP00,wheat\n", "crop_code and parcel_id"),
        ("folds.csv", "parcel_id,fold\nP00,north\nP01,north\n", "fold"),
        ("observations.parquet", "no parquet", "cannot be read as Parquet"),
    ],
)
def test_a_bad_table_is_one_line(
    name: str, content: str, said: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (table / name).write_text(content)
    assert run(_arguments(table)) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
