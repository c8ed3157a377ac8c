"""Predictions by tile: what a killed command finished is found again, and another process writes the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cropmap.dataset.shared import shared_dataset
from cropmap.predictions.predict import load_artifact
from cropmap.stages import products
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.products import RunPlan
from cropmap.store import Store
from tests.stages.judged import JudgedSeason


@pytest.fixture
def context(judged: JudgedSeason, tmp_path: Path) -> SeasonContext:
    return judged.with_own_store(tmp_path / "store")


def without_predictions(context: SeasonContext) -> tuple[RunPlan, bytes]:
    """The published run, and its predictions, which are removed."""
    plan = products.plan_run(OpenSeason(context))
    name = plan.name(products.PREDICTIONS)
    assert products.parts_to_score(OpenSeason(context), plan) == {}, "what is there is not scored again"
    before = context.store.read_bytes(name)
    context.store.remove(name)
    return plan, before


def test_a_kill_between_parts_costs_no_finished_part(context: SeasonContext) -> None:
    plan, before = without_predictions(context)
    season = OpenSeason(context)
    first, *others = products.parts_to_score(season, plan).values()
    assert others, "the parcels have several home tiles"
    assert products.score_part(season, first) == "predicted"

    season = OpenSeason(context)  # another command
    jobs = products.parts_to_score(season, plan).values()
    assert sum(job.count for job in jobs) == len(season.parcels)
    assert [products.score_part(season, job) for job in jobs] == ["kept", *("predicted" for _ in others)]
    counts = products.join_predictions(season, plan)
    assert counts == {"parcels": len(season.parcels), "scored": np.count_nonzero(season.data.series.lengths)}
    assert context.store.read_bytes(plan.name(products.PREDICTIONS)) == before
    assert context.store.names(plan.name(products.PARTS)) == []


def test_parts_that_were_left_after_they_were_joined_are_removed(context: SeasonContext) -> None:
    plan, before = without_predictions(context)
    season = OpenSeason(context)
    (job, *_) = products.parts_to_score(season, plan).values()
    products.score_part(season, job)
    context.store.local_path(plan.name(products.PREDICTIONS)).write_bytes(before)
    products.predict(OpenSeason(context), plan)
    assert context.store.read_bytes(plan.name(products.PREDICTIONS)) == before
    assert context.store.names(plan.name(products.PARTS)) == []


def test_a_process_that_has_the_store_alone_writes_the_same_bytes(context: SeasonContext) -> None:
    plan, before = without_predictions(context)
    season = OpenSeason(context)
    products.share_series(season)
    store = Store(context.store.root)
    for job in products.parts_to_score(season, plan).values():
        artifact = load_artifact(store, job.artifact_id)
        assert job.score(store, shared_dataset(store, job.dataset).series, artifact, threads=2) == "predicted"
    products.join_predictions(season, plan)
    assert store.read_bytes(plan.name(products.PREDICTIONS)) == before


def test_parcels_without_a_home_tile_are_a_part_of_their_own(context: SeasonContext) -> None:
    data = OpenSeason(context).data
    parcels = data.parcels.copy()
    parcels.loc[parcels.index[3], "home_tile"] = None
    tiles, part_of = products.parts_of(parcels["home_tile"])
    assert tiles == [*sorted(data.parcels["home_tile"].unique()), products.NO_TILE]
    assert [tiles[part] for part in part_of[:5]] == [tile or products.NO_TILE for tile in parcels["home_tile"][:5]]
