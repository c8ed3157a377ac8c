"""`cropmap evaluate` on a table of parcel series: two crops that anybody can tell apart."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cropmap.cli import run
from cropmap.model.training_config import TrainingConfig

PARCELS = 60
MONTHS = (3, 5, 7, 9)
GREEN_FROM = {"wheat": 3, "maize": 7}
"""a crop is green for three months from here on"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """observations.parquet, labels.csv and folds.csv of 60 parcels, `P00` to `P59`; even ones are wheat."""
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CROPMAP_THREADS", "1")
    small = partial(TrainingConfig, width=16, layers=1, min_steps=60, epochs=1, learning_rate=1e-2)
    monkeypatch.setattr("cropmap.results.evaluation.TrainingConfig", small)  # the crops are easy to tell apart
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


def _answer(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert run(_arguments(folder, *more)) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def _refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(_arguments(folder)) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err


def _change(folder: Path, **columns: Any) -> None:
    """Columns of the observations replaced; None drops one."""
    path = folder / "observations.parquet"
    frame = pd.read_parquet(path).assign(**{k: v for k, v in columns.items() if v is not None})
    frame.drop(columns=[k for k, v in columns.items() if v is None]).to_parquet(path)


def test_accuracy_by_fortnight_ends_at_that_of_the_season(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_parquet(table / "observations.parquet")
    late = (frame["parcel_id"] == "P07") & (frame["datetime"] < "2018-07-01")
    frame[~late].to_parquet(table / "observations.parquet")
    answer = _answer(table, capsys, "--by-date", "--plot", str(table / "dates.png"))
    rows = answer["by_date"]["lstm"]
    assert [row["date"] for row in rows][:3] == ["2018-03-15", "2018-03-31", "2018-04-15"]
    assert [row["date"] for row in rows][-1] == "2018-09-15"
    by_date = {row["date"]: row for row in rows}
    assert (by_date["2018-03-15"]["n"], by_date["2018-03-15"]["unseen"]) == (59, 1)
    assert by_date["2018-05-15"]["observations"] == 2
    assert by_date["2018-07-15"]["unseen"] == 0
    assert rows[-1]["oa"] == answer["networks"]["lstm"]["oa"]
    assert rows[-1]["observations"] == pytest.approx((59 * 4 + 2) / 60)
    assert (table / "dates.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_needs_the_dates(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_arguments(table, "--plot", str(table / "dates.png"))) == 2
    assert "--by-date" in capsys.readouterr().err


def test_what_takes_no_part_is_counted_by_reason(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_parquet(table / "observations.parquet")
    frame.loc[frame["parcel_id"] == "P02", ["B04", "B08"]] = np.nan  # an all-NaN series
    one_date = frame[(frame["parcel_id"] != "P04") | (frame["datetime"].dt.month == 5)]
    twice = one_date[one_date["parcel_id"] == "P06"].assign(cloud_fraction=0.3)
    unlabelled = one_date[one_date["parcel_id"] == "P08"].assign(parcel_id="Q1")
    pd.concat([one_date, twice, unlabelled]).to_parquet(table / "observations.parquet")
    labels = [(f"P{n:02d}", "rye" if n == 10 else ("wheat", "maize")[n % 2]) for n in range(60)]
    _write(table / "labels.csv", ["parcel_id", "crop_code"], [*labels, ("X1", "wheat"), ("X2", "maize"), ("P12", "")])
    folds = [(f"P{n:02d}", "1" if n < 30 else "2") for n in range(60) if n not in (14, 16)]
    _write(table / "folds.csv", ["parcel_id", "fold"], folds)

    answer = _answer(table, capsys)
    assert answer["excluded"] == {
        "PARCEL_NOT_IN_TABLE": 2,
        "PARCEL_WITHOUT_LABEL": 1,
        "PARCEL_WITHOUT_FOLD": 2,
        "PARCEL_WITHOUT_OBSERVATION": 1,
        "CLASS_TOO_RARE": 1,
        "NO_BAND_VALUE": 4,
        "DUPLICATE_PARCEL_DATE": 4,
    }
    assert answer["networks"]["lstm"]["n"] == 60 - 2 - 1 - 1  # P04 with its one date is in
    assert set(answer["networks"]["lstm"]["per_fold"]) == {"1", "2"}


def test_a_crop_of_one_fold_is_judged_and_said(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = [(f"P{n:02d}", "rye" if n in (0, 2, 4) else ("wheat", "maize")[n % 2]) for n in range(60)]
    _write(table / "labels.csv", ["parcel_id", "crop_code"], labels)
    answer = _answer(table, capsys)
    assert answer["notes"] == ["3 parcels of rye in fold north: no other fold has it"]
    assert answer["networks"]["lstm"]["per_class"]["rye"]["recall"] == 0
    assert answer["networks"]["lstm"]["n"] == 60


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_spreadsheets_csv_and_bands_in_another_order_change_nothing(
    table: Path, capsys: pytest.CaptureFixture[str], delimiter: str
) -> None:
    before = _answer(table, capsys)
    for name in ("labels.csv", "folds.csv"):
        text = (table / name).read_text().replace(",", delimiter)
        (table / name).write_text("\ufeff" + text, encoding="utf-8")
    frame = pd.read_parquet(table / "observations.parquet").rename(columns={"B04": "b4", "datetime": "day"})
    frame[["B08", "day", "cloud_fraction", "b4", "parcel_id"]].to_parquet(table / "observations.parquet")
    assert _answer(table, capsys) == before


def test_parcels_may_be_numbers_and_that_is_said(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_parquet(table / "observations.parquet")
    frame.assign(parcel_id=frame["parcel_id"].str[1:].astype(int)).to_parquet(table / "observations.parquet")
    for name in ("labels.csv", "folds.csv"):
        (table / name).write_text((table / name).read_text().replace("P", ""))
    answer = _answer(table, capsys)
    # 00 to 09 in the CSV files are other parcels than 0 to 9: nobody can say that they are the same
    assert answer["excluded"] == {"PARCEL_NOT_IN_TABLE": 10, "PARCEL_WITHOUT_LABEL": 10}
    assert "leading zeros" in answer["notes"][0]


def test_labels_that_cannot_be_learnt_are_refused(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [f"P{n:02d}" for n in range(60)]
    _write(table / "labels.csv", ["parcel_id", "crop_code"], [(p, "wheat") for p in ids])
    assert "1 class(es) have 2 or more" in _refused(table, capsys)
    _write(table / "labels.csv", ["parcel_id", "crop_code"], [(p, ("wheat", "rye")[n < 30]) for n, p in enumerate(ids)])
    assert "the parcels outside of fold north have 1 class(es)" in _refused(table, capsys)
    _write(table / "labels.csv", ["parcel_id", "crop_code"], [("P00", "wheat"), ("P01", "rye"), ("P00", "rye")])
    assert "gives parcel P00 two values, wheat and rye (row 4)" in _refused(table, capsys)
    _write(table / "labels.csv", ["parcel_id", "crop_code"], [(f"0{p}", "wheat") for p in ids])
    assert "no parcel stands in all three files" in _refused(table, capsys)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"B04": 400.0, "B08": 3000.0}, "divide by 10 000"),
        ({"B04": np.nan, "B08": np.nan}, "none of 240 rows can be used ({'NO_BAND_VALUE': 240})"),
        ({"cloud_fraction": 0.9}, "0 parcels have a label, a fold and an observation"),
        ({"datetime": None}, "no date column"),
        ({"B04": None, "B08": None}, "no Sentinel-2 band"),
        ({"datetime": "soon"}, "holds no dates"),
    ],
)
def test_observations_that_say_nothing_are_refused(
    columns: dict[str, Any], said: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _change(table, **columns)
    assert said in _refused(table, capsys)
