"""The study of area estimates on a few hundred parcels: that it compares like with like, not how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from cropmap.store import Store
from tests.studies.areas import REVIEWS, SCENARIOS, case, cells, table
from tests.studies.areas_networks import measure_networks
from tests.studies.flags_season import Grown, grow
from tests.studies.kept import kept


@pytest.fixture(scope="module")
def grown() -> Grown:
    return grow(parcels=1_200, season=3, seed=3)


def test_scenarios_differ_in_what_they_say(grown: Grown) -> None:
    base, sharp, silent, hard, alike = (case(grown, scenario, seed=3) for scenario in SCENARIOS)
    for one in (base, sharp, silent, hard, alike):
        assert one.parcels["crop_code"].notna().mean() == pytest.approx(0.92, abs=0.03)
    assert (sharp.predictions.probabilities.max(axis=1) >= base.predictions.probabilities.max(axis=1) - 1e-6).all()
    wrong = [
        (one.parcels["crop_code"].notna() & (one.parcels["crop_code"] != one.found)).mean() for one in (base, hard)
    ]
    assert wrong[0] < 0.05 < wrong[1] < 0.11


def test_cells_add_up_and_the_table_counts_them(grown: Grown) -> None:
    one = case(grown, SCENARIOS[0], seed=3)
    rows: list[dict[str, Any]] = [{"scenario": "base", "reviews": n, **cells(one, reviews=n, seed=3)} for n in (0, 200)]
    for row in rows:
        for figure in ("true", "estimate", "posterior", "register scaled", "mapped"):
            assert sum(row[figure]) == pytest.approx(one.parcels["area_ha"].sum(), rel=1e-6)
    assert "difference" not in rows[0]
    assert rows[0]["true"] == rows[1]["true"]
    plain, reviewed = table(rows)
    assert plain["cells"] == reviewed["cells"] == len(rows[0]["true"])
    assert float(plain["coverage"]) > 0.7
    assert float(reviewed["to difference"]) < 1.5
    assert np.isfinite(float(plain["bias to mapped's"]))


def test_a_run_is_kept_and_not_made_again(tmp_path: Path) -> None:
    store, made = Store(tmp_path), []

    def run() -> dict[str, float]:
        made.append(1)
        return {"rate": 0.5}

    assert kept(store, "study", {"seed": 1}, run) == kept(store, "study", {"seed": 1}, run) == {"rate": 0.5}
    assert kept(store, "study", {"seed": 2}, run) == {"rate": 0.5}
    assert len(made) == 2


def test_a_network_scores_every_scenario_of_one_population(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.studies.areas_networks.SCENARIOS", SCENARIOS[:2])  # they share one training
    settings = Settings.load(home=tmp_path)
    config = TrainingConfig(architecture=Architecture.LSTM, width=8, min_steps=4, max_steps=4)
    rows = measure_networks(settings, parcels=300, seeds=[1], config=config)
    assert [(row["scenario"], row["reviews"]) for row in rows] == [
        (scenario.name, n) for scenario in SCENARIOS[:2] for n in REVIEWS
    ]
    assert len({tuple(row["true"]) for row in rows}) == 1
    assert rows[0]["estimate"] != rows[3]["estimate"]  # sharper probabilities are others
