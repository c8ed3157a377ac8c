"""Wrong offsets in a season of scenes: what is corrected is what the right items would have given, however it came."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.database import acquisitions as ledger
from cropmap.observations.corrections import correction_of
from cropmap.observations.files import correct_observation
from cropmap.results.acquisitions import list_acquisitions
from cropmap.simulation.season import simulate_season
from cropmap.stages import ingest
from cropmap.stages.context import SeasonContext
from cropmap.stages.offsets import judge_offsets
from cropmap.stages.open_season import OpenSeason
from cropmap.store import Store
from tests.stages.conftest import (
    NO_MODEL,
    NOON,
    YEAR,
    copied_season,
    enter,
    observe_everything,
    observed_season,
    open_context,
)
from tests.stages.test_amendments import LATER, amend, first_loses_a_strip, observe_again, without_the_last
from tests.stages.test_set_aside import change, entries, items_of, never, offset_of, standing, twice

DATES = 24


class Killed(BaseException):
    """Nothing catches it, as nothing catches the end of a process."""


@pytest.fixture(scope="module")
def right_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("right") / "inputs"
    simulate_season(folder, parcels=60, seed=4, season=YEAR, dates=DATES)
    return folder


@pytest.fixture(scope="module")
def wrong_inputs(right_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same scenes, but that every fourth item says what is wrong of its offset."""
    inputs = Path(shutil.copytree(right_inputs, tmp_path_factory.mktemp("wrong") / "inputs"))
    for number, file in enumerate(items_of(inputs)):
        if number % 4 == 1:
            change(file, twice if offset_of(json.loads(file.read_text())) == 0 else never)
    return inputs


@pytest.fixture(scope="module")
def observed_once(
    cluster_url: str, wrong_inputs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """What `observed` is copied from."""
    with observed_season(cluster_url, wrong_inputs, tmp_path_factory.mktemp("observed"), **NO_MODEL) as season:
        yield season


@pytest.fixture
def observed(
    observed_once: tuple[str, Path], cluster_url: str, wrong_inputs: Path, tmp_path: Path
) -> Iterator[SeasonContext]:
    """The season of the wrong items, observed and not yet judged."""
    with copied_season(observed_once, cluster_url, wrong_inputs, tmp_path, **NO_MODEL) as context:
        yield context


def tables(context: SeasonContext) -> dict[str, Any]:
    """Rows of every observation file by item, whatever the file says of itself."""
    return {
        Path(name).stem: context.store.read_table(name).select(OBSERVATION_SCHEMA.names).to_pylist()
        for name in context.store.names("observations")
    }


def stored(context: SeasonContext) -> dict[str, bytes]:
    return {name: context.store.local_path(name).read_bytes() for name in context.store.names("observations")}


def forget(context: SeasonContext) -> None:
    with context.connect() as connection:
        connection.execute("DELETE FROM acquisition")
    for prefix in ("observations", "offsets"):
        for name in context.store.names(prefix):
            context.store.remove(name)


def state(context: SeasonContext) -> tuple[object, object, object]:
    corrections = {item: entry.offset_correction for item, entry in entries(context).items()}
    return standing(context), corrections, stored(context)


def test_what_is_corrected_is_what_the_right_item_gives(
    observed: SeasonContext, fresh_database: str, right_inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "right").mkdir()
    with monkeypatch.context() as patch:
        enter(patch, tmp_path / "right", fresh_database)
        context = open_context(right_inputs, tmp_path / "right", **NO_MODEL)
        observe_everything(context)
        judge_offsets(OpenSeason(context))
        assert not [row for row in list_acquisitions(context) if row["offset_correction"] is not None]
        right = tables(context)
    context = observed
    hashes = OpenSeason(context).data.part_hashes
    judge_offsets(OpenSeason(context))
    assert OpenSeason(context).data.part_hashes != hashes
    rows = list_acquisitions(context, reason="OFFSET_CORRECTED")
    assert len(rows) >= 4
    assert {row["offset_correction"] for row in rows} == {-0.1, 0.1}
    now = tables(context)
    assert all(now[row["item_id"]] == right[row["item_id"]] for row in rows)
    assert ingest.acquisition_counts(context)["observed: OFFSET_CORRECTED"] == len(rows)


def test_day_by_day_ends_where_one_run_ends(observed: SeasonContext) -> None:
    context = observed
    judge_offsets(OpenSeason(context))
    at_once = state(context)
    for backward in (False, True):
        forget(context)
        ingest.load_declarations(context, loaded_at=NOON)
        season = OpenSeason(context)
        ingest.search_catalog(season)
        sets = {tile: ingest.cover_tile(season, tile) for tile in ingest.season_tiles(season)}
        pending = ingest.pending_acquisitions(season, sets)
        times = {item: str(entry.sensed_at) for item, entry in entries(context).items()}
        for number, item in enumerate(sorted(pending, key=times.__getitem__, reverse=backward)):
            ingest.observe_acquisition(season, item, sets[pending[item]])
            if number % 4 == 3:
                judge_offsets(OpenSeason(context))
        judge_offsets(OpenSeason(context))
        assert state(context) == at_once


def test_killed_anywhere_and_run_again(observed: SeasonContext, monkeypatch: pytest.MonkeyPatch) -> None:
    context = observed
    judge_offsets(OpenSeason(context))
    whole = state(context)
    forget(context)
    observe_everything(context)
    left = [0]

    def ended(do: Callable[..., Any]) -> Callable[..., Any]:
        def done_or_not(*args: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return do(*args, **named)

        return done_or_not

    with monkeypatch.context() as patch:
        for name in ("write_bytes", "remove"):
            patch.setattr(Store, name, ended(getattr(Store, name)))
        for name in ("mark_quarantined", "mark_observed", "mark_warned"):
            patch.setattr(ledger, name, ended(getattr(ledger, name)))
        draw, kills = np.random.default_rng(1), 0
        for _ in range(40):
            left[0] = int(draw.integers(1, 4))
            try:
                judge_offsets(OpenSeason(context))
            except Killed:
                kills += 1
    left[0] = 0
    assert kills >= 5
    judge_offsets(OpenSeason(context))
    assert state(context) == whole


def test_a_run_with_nothing_new_reads_no_observation(observed: SeasonContext, monkeypatch: pytest.MonkeyPatch) -> None:
    context = observed
    counts = judge_offsets(OpenSeason(context))
    whole = state(context)
    read: list[str] = []
    table = Store.read_table

    def noted(self: Store, name: str, *args: Any, **named: Any) -> Any:
        read.append(name)
        return table(self, name, *args, **named)

    monkeypatch.setattr(Store, "read_table", noted)
    assert judge_offsets(OpenSeason(context)) == counts
    assert read == []
    assert state(context) == whole
    for name in context.store.names("offsets"):
        context.store.local_path(name).write_bytes(b"{")
    assert judge_offsets(OpenSeason(context)) == counts
    assert read == [], "a season that was judged on this state is not judged again"
    for name in context.store.names("judged"):
        context.store.remove(name)
    assert judge_offsets(OpenSeason(context)) == counts
    assert read
    assert state(context) == whole


def test_an_amended_register_keeps_corrections(observed: SeasonContext) -> None:
    context = observed
    judge_offsets(OpenSeason(context))
    whole = state(context)
    with context.connect() as connection:  # as if the parcels had been others then
        connection.execute("UPDATE acquisition SET parcel_set = 'earlier' WHERE status = 'observed'")
    observe_everything(context)
    judge_offsets(OpenSeason(context))
    assert state(context) == whole


def test_the_register_of_an_earlier_day_has_the_corrections_too(
    environment: None, wrong_inputs: Path, tmp_path: Path
) -> None:
    inputs = Path(shutil.copytree(wrong_inputs, tmp_path / "inputs"))
    context = open_context(inputs, tmp_path, **NO_MODEL)
    observe_everything(context)
    judge_offsets(OpenSeason(context))
    then = OpenSeason(context).data
    amend(inputs, lambda table: without_the_last(first_loses_a_strip(table)))
    ingest.load_declarations(context, loaded_at=LATER)
    observe_again(context)
    judge_offsets(OpenSeason(context))
    day = LATER.date() - timedelta(days=1)
    past = replace(context, as_of=day, season=context.season.until(day))
    observe_again(past)
    assert judge_offsets(OpenSeason(past)) == {}
    assert OpenSeason(past).data.series.hash == then.series.until(day).hash
    earlier = [name for name in context.store.names("observations") if name.count("/") == 5]
    moved = [name for name in earlier if correction_of(context.store.read_schema(name))]
    assert moved
    correct_observation(context.store, moved[0], 0.0)  # written before the ledger had the correction
    assert OpenSeason(past).data.series.hash != then.series.until(day).hash
    judge_offsets(OpenSeason(past))
    assert OpenSeason(past).data.series.hash == then.series.until(day).hash
