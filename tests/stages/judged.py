"""A tiny season that a tiny network has judged and published: 60 parcels, four dates, four regions as folds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from cropmap.model.fitting import fit_model
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture
from cropmap.stages import products
from cropmap.stages.champion import TrainedModel, folds_rule, legend_key, make_champion, write_record
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import needed_dataset
from cropmap.stages.findings import ReviewedLabels
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.training import training_key
from cropmap.store import Store
from tests.database_fixtures import _fresh
from tests.stages.conftest import NOON, observe_everything, open_context

NETWORK = Architecture.LSTM


@dataclass(frozen=True)
class JudgedSeason:
    context: SeasonContext
    home: Path
    data: Path
    """the folder of the inputs"""

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment in which commands find the season."""
        monkeypatch.setenv("CROPMAP_HOME", str(self.home))
        monkeypatch.setenv("CROPMAP_DATABASE_URL", self.context.database_url)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{self.home / 'mlflow.db'}")
        monkeypatch.setenv("CROPMAP_THREADS", "1")
        monkeypatch.delenv("CROPMAP_DATA", raising=False)

    def with_own_store(self, folder: Path) -> SeasonContext:
        """The same season on a copy of the store, which a test may spoil."""
        shutil.copytree(self.context.store.local_path(""), folder)
        return replace(self.context, store=Store(folder))


@contextmanager
def judged_season(cluster_url: str, inputs: Path, folder: Path) -> Iterator[JudgedSeason]:
    """Networks of 8 channels and a few steps: this is about what is told of a judgement, not about a good one."""
    fresh = contextmanager(partial(_fresh, template="cropmap"))
    with fresh(cluster_url) as url, pytest.MonkeyPatch.context() as patch:
        season = JudgedSeason(_blank(patch, url, inputs, folder), folder, inputs)
        observe_everything(season.context)
        _train(season.context)
        _publish(season.context)
        yield season


def _blank(patch: pytest.MonkeyPatch, url: str, inputs: Path, folder: Path) -> SeasonContext:
    patch.setenv("CROPMAP_HOME", str(folder))
    patch.setenv("CROPMAP_DATABASE_URL", url)
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    patch.setenv("CROPMAP_THREADS", "1")
    context = open_context(
        inputs,
        folder,
        model={"architecture": "lstm", "networks": ["lstm"], "folds": {"by": "region", "neighbour_distance_m": 0}},
        assessment={"min_class_parcels": 3, "min_observations": 1, "clean_up_rounds": 0},
    )
    patch.undo()
    return context


def _train(context: SeasonContext) -> None:
    data = OpenSeason(context).data
    config = TrainingConfig(architecture=NETWORK, width=8, layers=1, min_steps=10, epochs=1)
    about = {
        "season": "2018",
        "legend": legend_key(data.legend),
        "last_acquisition": data.last_acquisition,
        "folds": folds_rule(context),
    }
    fitted = fit_model(
        context.store, needed_dataset(data), config, seed=0, min_clear_fraction=0.5, about=about, workers=1
    )
    model = TrainedModel(
        fitted.artifact_id,
        training_key(context, data, NETWORK, reviewed=ReviewedLabels(frozenset(), frozenset())),
        2018,
        {},
    )
    make_champion(context, NETWORK, model)
    write_record(context, NETWORK, model)


def _publish(context: SeasonContext) -> None:
    season = OpenSeason(context)
    plan = products.plan_run(season)
    with products.logged_run(context, plan, clock=lambda: NOON):
        for step in (products.predict, products.assess, products.aggregate):
            step(season, plan)
        products.publish(season, plan, published_at=NOON)
