"""What is published of a season is what the next table is held against."""

from __future__ import annotations

from cropmap.stages import products
from cropmap.stages.context import SeasonContext
from cropmap.stages.earlier_release import earlier_release
from tests.stages.conftest import publish_without_model


def test_the_published_table_is_the_earlier_release_of_every_other_run(observed: SeasonContext) -> None:
    plan = products.plan_run(observed)
    assert earlier_release(observed, plan.run_id) is None
    publish_without_model(observed)
    assert earlier_release(observed, plan.run_id) is None  # the run that was published had none itself
    found = earlier_release(observed, "another")
    assert found is not None
    assert found.run_id == plan.run_id
    stored = observed.store.read_table(plan.name("statistics.parquet")).to_pandas()
    assert len(found.table) == len(stored)
    assert (found.table["conf_status"] == "C").sum() == (stored["conf_status"] == "C").sum() > 0
