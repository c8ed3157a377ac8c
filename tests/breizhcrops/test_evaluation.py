"""The published splits on tiny files, and which published figure may stand beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropmap.breizhcrops.columns import Level
from cropmap.breizhcrops.evaluation import Judged, as_dataset, evaluate_breizhcrops, inspect_breizhcrops
from cropmap.breizhcrops.files import read_breizhcrops
from cropmap.breizhcrops.index import read_class_mapping
from cropmap.breizhcrops.published import compare
from cropmap.breizhcrops.training import CompatConfig
from cropmap.errors import InputError
from cropmap.model.evaluation import evaluate
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from tests.data.make_breizhcrops import CLASSES_9, REGIONS, make_breizhcrops
from tests.model.problems import tiny

THREE = dict(list(CLASSES_9.items())[:3])
COMPAT = replace(CompatConfig.published(Architecture.TRANSFORMER, epochs=2), learning_rate=2e-3, batch_size=9, dates=10)


def run(
    root: Path, home: Path, config: TrainingConfig | CompatConfig, *, test: str | None, level: Any = "L1C"
) -> Judged:
    return evaluate_breizhcrops(
        Settings.load(home=home), root, config, year=2017, level=level, test=test, legend=None, seed=1
    )


@pytest.mark.slow
@pytest.mark.parametrize("config", [tiny(Architecture.LSTM), COMPAT], ids=["ours", "compat"])
def test_one_region_is_judged_by_a_network_that_saw_the_other_three(
    config: TrainingConfig | CompatConfig, tmp_path: Path
) -> None:
    make_breizhcrops(tmp_path / "root", parcels=9, classes=THREE, troubles=True)
    answer = run(tmp_path / "root", tmp_path / "home", config, test="frh02")
    assert answer["compat"] is isinstance(config, CompatConfig)
    this = answer["table"][0]
    assert (this["result"], this["n"]) == ("this run, frh02", 9)
    if not answer["compat"]:
        assert this["oa"] is not None
        assert this["oa"] >= 7 / 9  # the classes differ in B08 alone, by 0.3
    assert [row["n"] for row in answer["per_class"]["frh02"]] == [3, 3, 3]
    assert list(answer["per_class"]) == ["frh02"]
    assert answer["regions"]["frh04"]["left_out"]["path is not in the h5 file"] == 1


def test_without_a_test_region_each_is_judged_in_turn(tmp_path: Path) -> None:
    make_breizhcrops(tmp_path / "root", parcels=6, classes=THREE)
    answer = run(tmp_path / "root", tmp_path / "home", replace(COMPAT, epochs=1), test=None)
    own = [row for row in answer["table"] if row["result"].startswith("this run")]
    assert [row["n"] for row in own] == [6, 6, 6, 6, 24]
    assert own[-1]["oa"] == pytest.approx(np.mean([row["oa"] for row in own[:-1]]))


def test_every_row_stays_and_tells_how_clear_it_is(tmp_path: Path) -> None:
    make_breizhcrops(tmp_path, parcels=3)
    mapping = read_class_mapping(tmp_path)
    dataset = as_dataset(
        read_breizhcrops(tmp_path, year=2017, level="L1C", regions=REGIONS, mapping=mapping), year=2017
    )
    assert dataset.series.lengths.tolist() == [30, 40, 50] * 4
    assert dataset.series.day_of_year[:3].tolist() == [3, 10, 17]  # 3 January, and so on
    assert dataset.series.clear_fraction[:6].tolist() == [1, 1, 1, 0.5, 0, 1]
    assert dataset.folds.names == REGIONS
    assert dataset.folds.training_mask(1).tolist() == [True] * 3 + [False] * 3 + [True] * 6


def test_published_figures_stand_only_beside_their_own_kind() -> None:
    score = evaluate(np.array([0, 1, 1, 1], np.int16), np.eye(2, dtype=np.float32)[[0, 0, 1, 1]], ("a", "b"))
    frh04 = compare({"frh04": score}, Architecture.TRANSFORMER, level="L1C", year=2017, classes=9)
    # of a: 1 of 2 called right, 1 of 1 found; of b: 2 of 2 called right, 2 of 3 found
    assert {k: frh04[0][k] for k in ("oa", "mean_precision", "mean_recall")} == pytest.approx(
        {"oa": 0.75, "mean_precision": 0.75, "mean_recall": 5 / 6}
    )
    shown = [(row["oa"], row["kappa"]) for row in frh04 if row["comparable"]]
    assert shown[1:] == [(0.799, 0.738)]
    talk = compare({"frh04": score}, Architecture.LSTM, level="L1C", year=2017, classes=13)
    assert [(row["oa"], row["mean_f1"]) for row in talk if row["comparable"]][1:] == [(0.68, 0.59)]
    four = compare(dict.fromkeys(REGIONS, score), Architecture.LSTM, level="L1C", year=2017, classes=9)
    assert [row["oa"] for row in four if row["comparable"]][4:] == [0.75, 0.79, 0.803]
    others: list[tuple[Level, int, int]] = [("L2A", 2017, 9), ("L1C", 2018, 9), ("L1C", 2017, 5)]
    for level, year, classes in others:
        rows = compare({"frh04": score}, Architecture.LSTM, level=level, year=year, classes=classes)
        assert sum(row["comparable"] for row in rows) == 1  # this run's own


def test_what_cannot_be_evaluated_is_said(tmp_path: Path) -> None:
    root, home = tmp_path / "root", tmp_path / "home"
    make_breizhcrops(root, regions=REGIONS[:3], parcels=3)
    with pytest.raises(InputError, match="frh04 missing"):
        run(root, home, COMPAT, test="frh01")
    with pytest.raises(InputError, match="no region of 2018"):
        inspect_breizhcrops(root, year=2018, level="L1C", legend=None)
    make_breizhcrops(root, level="L2A", parcels=3, date_column="none")
    with pytest.raises(InputError, match=r"no dates.*--compat"):
        run(root, home, tiny(Architecture.LSTM), test="frh01", level="L2A")
    answer = run(root, home, replace(COMPAT, epochs=1), test="frh01", level="L2A")
    assert answer["table"][0]["n"] == 3
