"""What is published of a season is what the next table is held against."""

from __future__ import annotations

from pathlib import Path

from cropmap.stages import products
from cropmap.stages.earlier_release import earlier_release
from cropmap.stages.open_season import OpenSeason
from tests.stages.conftest import NO_MODEL, observe_everything, open_context, publish_without_model


def test_the_published_table_is_the_earlier_release_of_every_other_run(
    environment: None, tiny_inputs: Path, tmp_path: Path
) -> None:
    observed = open_context(tiny_inputs, tmp_path, **NO_MODEL)
    observe_everything(observed)
    plan = products.plan_run(OpenSeason(observed))
    assert earlier_release(observed, plan.run_id) is None
    publish_without_model(observed)
    assert earlier_release(observed, plan.run_id) is None  # the run that was published had none itself
    found = earlier_release(observed, "another")
    assert found is not None
    assert found.run_id == plan.run_id
    stored = observed.store.read_table(plan.name("statistics.parquet")).to_pandas()
    assert len(found.table) == len(stored)
    assert (found.table["conf_status"] == "C").sum() == (stored["conf_status"] == "C").sum() > 0
