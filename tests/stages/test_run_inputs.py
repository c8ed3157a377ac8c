"""What changes between two steps of a run stops it: nothing is published under the identity of another state."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest

import cropmap.legends
from cropmap.database import acquisitions as ledger
from cropmap.database import declarations as register
from cropmap.database import queries
from cropmap.errors import InputError
from cropmap.results.reviews import draw_reviews, import_reviews
from cropmap.schemas import AcquisitionStatus, QuarantineReason
from cropmap.sources.mapped_outlines import Outlines
from cropmap.stages import ingest, products
from cropmap.stages.context import SeasonContext
from cropmap.stages.first_check import check_parcels
from cropmap.stages.nothing_to_learn import why_no_model
from cropmap.stages.offsets import judge_offsets
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.training import networks_to_train, train_network
from tests.stages.conftest import NOON, observe_everything, open_context
from tests.stages.test_reviews import publish_by_hand

LATER = NOON + timedelta(days=30)
STEPS = ("predict", "assess", "aggregate", "publish")


@dataclass(frozen=True)
class Work:
    context: SeasonContext
    folder: Path
    """agency file, inputs, legend and folds that a test may change"""

    def load_declarations(self) -> SeasonContext:
        path = self.folder / "declarations.gpkg"
        table = gpd.read_file(path)
        table.loc[0, "crop_code"], table.loc[1, "crop_code"] = table.loc[1, "crop_code"], table.loc[0, "crop_code"]
        table.loc[2, "geometry"] = table.loc[2, "geometry"].buffer(0.00001)
        path.unlink()
        table.to_file(path, layer="declarations")
        counts = ingest.load_declarations(self.context, loaded_at=LATER)
        assert isinstance(counts["changed"], int)
        assert counts["changed"] > 0
        return self.context

    def lose_an_observation(self) -> SeasonContext:
        with self.context.connect() as connection:
            seen = ledger.read_acquisitions(connection, **self.context.key, status=AcquisitionStatus.OBSERVED)
            ledger.mark_quarantined(
                connection,
                **self.context.key,
                item_id=seen[0].item_id,
                reason=QuarantineReason.UNREADABLE_FILE,
                detail="cut",
                tried="",
            )
        return self.context

    def observe_otherwise(self) -> SeasonContext:
        """The same acquisition with other pixels, as another process finds it."""
        name = self.context.store.names("observations")[0]
        table = self.context.store.read_table(name)
        self.context.store.write_table(name, table.slice(0, table.num_rows - 1))
        return self.context

    def import_reviews(self) -> SeasonContext:
        rows = pd.read_csv(self.folder / "field.csv", dtype=str)
        rows.assign(finding="right").to_csv(self.folder / "field.csv", index=False)
        assert import_reviews(self.context, self.folder / "field.csv", imported_at=LATER)[0]["new"] > 0
        return self.context

    def edit_the_legend(self) -> SeasonContext:
        with (self.folder / "legend.csv").open("a") as file:
            file.write("999,Spelt,spelt,C1100,\n")
        return self.context

    def edit_the_folds(self) -> SeasonContext:
        with (self.folder / "folds.csv").open("a") as file:
            file.write("another,2\n")
        return self.context

    def edit_the_boundaries(self) -> SeasonContext:
        path = self.folder / "nuts.geojson"
        document = json.loads(path.read_text())
        path.write_text(json.dumps(document, indent=1))
        return self.context

    def edit_the_agency_file(self) -> SeasonContext:
        return open_context(self.folder, self.folder.parent, **sections(min_observations=2))


def sections(**assessment: int) -> dict[str, object]:
    return {
        "assessment": {"min_class_parcels": 1_000, **assessment},
        "statistics": {"border_parcels": "split", "confidentiality": "off"},
        "model": {"folds": {"by": "file", "file": "folds.csv"}},
        "legend": "legend.csv",
    }


@pytest.fixture
def work(environment: None, tiny_inputs: Path, tmp_path: Path) -> Work:
    folder = tmp_path / "inputs"
    folder.mkdir()
    for item in tiny_inputs.iterdir():
        if item.suffix in {".gpkg", ".geojson", ".yaml"}:
            shutil.copy(item, folder)
        else:
            (folder / item.name).symlink_to(item)
    (folder / "folds.csv").write_text("parcel_id,fold\nnone,1\n")
    shutil.copy(cropmap.legends.FOLDER / "fr_breizhcrops9.csv", folder / "legend.csv")
    context = open_context(folder, tmp_path, **sections())
    observe_everything(context)
    publish_by_hand(context, "run-1")
    (folder / "field.csv").write_bytes(draw_reviews(context, budget=20, seed=0, drawn_at=NOON, format_="csv")[1])
    return Work(context, folder)


def _step(name: str, season: OpenSeason, plan: products.RunPlan) -> None:
    if name == "publish":
        products.publish(season, plan, published_at=NOON)
    else:
        getattr(products, name)(season, plan)


CHANGES: dict[str, tuple[Callable[[Work], SeasonContext], str]] = {
    "declarations": (Work.load_declarations, "the declarations"),
    "an observation less": (Work.lose_an_observation, "the observations"),
    "other pixels": (Work.observe_otherwise, "the observations"),
    "reviews": (Work.import_reviews, "the reviews"),
    "legend": (Work.edit_the_legend, "the legend"),
    "folds": (Work.edit_the_folds, "the folds"),
    "boundaries": (Work.edit_the_boundaries, "the regions file"),
    "agency file": (Work.edit_the_agency_file, "the agency file"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_step_works_on_what_was_planned_or_stops(what: str, work: Work) -> None:
    change, named = CHANGES[what]
    plan = products.plan_run(OpenSeason(work.context))
    with products.logged_run(work.context, plan, clock=lambda: NOON):
        for name in STEPS[:-1]:
            _step(name, OpenSeason(work.context), plan)
    context = change(work)
    for name in STEPS:
        with pytest.raises(InputError, match=rf"{named}.* changed since run {plan.run_id} was planned") as caught:
            _step(name, OpenSeason(context), plan)
        assert "Run the same command again" in str(caught.value)
    with context.connect() as connection:
        assert queries.published_run(connection, **context.key) == "run-1"

    again = products.plan_run(OpenSeason(context))
    assert again.run_id != plan.run_id
    with products.logged_run(context, again, clock=lambda: NOON):
        for name in STEPS:
            _step(name, OpenSeason(context), again)
    with context.connect() as connection:
        assert queries.published_run(connection, **context.key) == again.run_id
    assert products.plan_run(OpenSeason(context)) == again, "the same season is the same run"


def test_what_changed_while_a_flow_had_the_season_open_is_not_published(work: Work) -> None:
    season = OpenSeason(work.context)
    plan = products.plan_run(season)
    with products.logged_run(work.context, plan, clock=lambda: NOON):
        for name in STEPS[:-1]:
            _step(name, season, plan)
    for what in ("an observation less", "reviews", "legend", "folds", "boundaries", "declarations", "agency file"):
        change, named = CHANGES[what]
        opened = OpenSeason(work.context)
        opened.run_inputs  # noqa: B018 - read now
        with work.context.connect() as connection:
            assert opened.changed(connection) == []
            assert opened.as_it_stands() is opened
            change(work)
            assert opened.changed(connection) == [named]
            assert opened.as_it_stands().changed(connection) == []
            assert named in season.changed(connection)
        with pytest.raises(InputError, match=rf"{named}.* changed since run {plan.run_id} was planned; nothing of it"):
            products.publish(season, plan, published_at=NOON)
        with work.context.connect() as connection:
            assert queries.published_run(connection, **work.context.key) == "run-1"
    with pytest.raises(InputError, match="the regions file changed since run"):
        season.counted_parcels(run_id=plan.run_id)  # boundaries are read where parcels are divided at them


def test_a_load_waits_until_a_publication_that_looked_at_the_register_has_ended(work: Work) -> None:
    season = OpenSeason(work.context)
    season.run_inputs  # noqa: B018 - read now
    with work.context.connect() as connection, ThreadPoolExecutor(1) as pool:
        with connection.transaction():
            assert season.changed(connection, hold=True) == []
            load = pool.submit(work.load_declarations)
            with pytest.raises(TimeoutError):
                load.result(timeout=3)
            assert season.changed(connection) == []
        load.result(timeout=60)
        assert season.changed(connection) == ["the declarations"]


def test_a_whole_season_reads_the_register_once(
    environment: None, tiny_inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step of a flow, in its order; the flows themselves hand one open season on in the same way."""
    reads = []
    read = register.read_register

    def counted(*args: Any, **named: Any) -> tuple[pd.DataFrame, Outlines]:
        reads.append(named)
        return read(*args, **named)

    monkeypatch.setattr(register, "read_register", counted)
    model = {"networks": ["lstm"], "architecture": "lstm", "epochs": 1, "min_steps": 10}
    context = open_context(
        tiny_inputs,
        tmp_path,
        model={**model, "folds": {"by": "region", "neighbour_distance_m": 0}},
        assessment={"min_class_parcels": 3, "min_observations": 1, "clean_up_rounds": 0},
        statistics={"confidentiality": "primary"},
    )
    season = OpenSeason(context)
    ingest.load_declarations(context, loaded_at=NOON)
    check_parcels(season)
    ingest.search_catalog(season)
    sets = {tile: ingest.cover_tile(season, tile) for tile in ingest.season_tiles(season)}
    for item, tile in ingest.pending_acquisitions(season, sets).items():
        ingest.observe_acquisition(season, item, sets[tile])
    judge_offsets(season)
    assert why_no_model(season) is None
    plan = products.plan_run(season, retrain=True)
    with products.logged_run(context, plan, clock=lambda: NOON):
        for network in networks_to_train(season):
            train_network(season, network)
        plan = products.plan_run(season)
    with products.logged_run(context, plan, clock=lambda: NOON):
        for name in STEPS:
            _step(name, season, plan)
    assert len(reads) == 1

    fresh = OpenSeason(context)
    pd.testing.assert_frame_equal(pd.DataFrame(season.parcels), pd.DataFrame(fresh.parcels))
    assert products.plan_run(fresh) == plan
    with context.connect() as connection:
        assert queries.published_run(connection, **context.key) == plan.run_id


def test_a_step_that_is_still_to_come_is_named(work: Work) -> None:
    plan = products.plan_run(OpenSeason(work.context))
    with pytest.raises(InputError, match=r"has no predictions yet.*cropmap predict"):
        products.assess(OpenSeason(work.context), plan)
    products.predict(OpenSeason(work.context), plan)
    with pytest.raises(InputError, match="has no assessments yet"):
        products.publish(OpenSeason(work.context), plan, published_at=NOON)


def test_damaged_objects_of_a_run_are_made_again(work: Work) -> None:
    plan = products.plan_run(OpenSeason(work.context))
    with products.logged_run(work.context, plan, clock=lambda: NOON):
        for name in STEPS[:-1]:
            _step(name, OpenSeason(work.context), plan)
        whole = {name: work.context.store.read_bytes(name) for name in work.context.store.names(plan.name(""))}
        for name in whole:
            path = work.context.store.local_path(name)
            data = path.read_bytes()
            path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
        other = replace(work.context, store=type(work.context.store)(work.context.store.root))  # another process
        for name in STEPS:
            _step(name, OpenSeason(other), plan)
    assert {name: other.store.read_bytes(name) for name in whole} == whole
