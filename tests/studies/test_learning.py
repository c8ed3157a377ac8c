"""The learning benches on a handful of parcels and steps: that the tables say what they claim, not how good it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from tests.model.problems import tiny
from tests.studies import ablation
from tests.studies.brittany import simulated_brittany
from tests.studies.learning import measure_networks, measure_noise

PARCELS = 300


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, threads=1)  # no processes: they take longer to start than all of this


def quick(architecture: Architecture) -> TrainingConfig:
    return tiny(architecture, min_steps=8, max_steps=8)


def test_only_the_declarations_follow_the_share_of_wrong_ones() -> None:
    honest, doubtful = (simulated_brittany(parcels=PARCELS, seed=3, wrong_share=share) for share in (0.0, 0.1))
    np.testing.assert_array_equal(honest.dataset.series.reflectance, doubtful.dataset.series.reflectance)
    assert (honest.truth == honest.dataset.label).all()
    wrong = doubtful.truth != doubtful.dataset.label
    assert 20 <= wrong.sum() <= 30
    assert doubtful.dataset.folds.names == ("FRH01", "FRH02", "FRH03", "FRH04")
    days = honest.dataset.series.day_of_year
    inside = np.diff(days)[np.diff(np.repeat(np.arange(PARCELS), honest.dataset.series.lengths)) == 0]
    assert (inside > 0).all()


def test_the_ablation_turns_each_option_once(settings: Settings) -> None:
    rows = ablation.measure(settings, folder=None, parcels=PARCELS, config=quick(Architecture.LSTM), seed=1)
    assert [row["option"] for row in rows[1:]] == [option.name for option in ablation.OPTIONS]
    defaults = rows[0]["OA"]
    for row in rows[1:]:
        off, on = row["OA"].split(" / ")
        assert (on if row[""] == "on" else off) == defaults
    assert any(row["OA"] != f"{defaults} / {defaults}" for row in rows[1:])


def test_networks_stand_beside_the_published_ones(settings: Settings) -> None:
    rows = measure_networks(settings, parcels=PARCELS, seed=1, compat_epochs=1, config=quick(Architecture.LSTM))
    assert [row["network"] for row in rows] == [
        *Architecture,
        "lstm, BreizhCrops compat (1 epochs)",
        "transformer, BreizhCrops compat (1 epochs)",
    ]
    assert len({row["n"] for row in rows}) == 1
    assert rows[0]["OA by 15 June"]


def test_noise_is_held_against_what_grows(settings: Settings) -> None:
    rows = measure_noise(settings, parcels=PARCELS, seed=1, config=quick(Architecture.LSTM), rounds=1)
    assert [row["wrong declarations"] for row in rows] == ["0%", "3%", "10%"]
    assert rows[0]["OA against truth, trained on all"] != rows[2]["OA against truth, trained on all"]
