"""A crop that grows in one region alone, where regions judge each other: no model that judges it ever saw it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from cropmap.results.explain import explain
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from cropmap.stages import ingest, products
from cropmap.stages.context import SeasonContext
from cropmap.stages.imported import import_observations
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.training import train_network
from tests.stages.conftest import NOON

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.slow
def test_a_crop_that_the_judge_never_saw_is_not_assessed_and_counted(
    environment: None, empty_tracking: bytes, shared_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "mlflow.db").write_bytes(empty_tracking)
    folder = tmp_path / "hop"
    shutil.copytree(shared_data / "cases" / "output" / "14-regional-crop" / "hop", folder, copy_function=shutil.copy)
    agency = yaml.safe_load((folder / "agency.yaml").read_text())
    agency["declarations"]["max_doubled_share"] = 1  # the case's parcels lie on one another, which is not its matter
    agency["statistics"] = {"confidentiality": "primary"}
    (folder / "agency.yaml").write_text(yaml.safe_dump(agency))
    context = SeasonContext.open(Settings.load(), folder / "agency.yaml", season=2018)
    ingest.load_declarations(context, loaded_at=NOON)
    import_observations(context, folder / "table_2018.parquet")
    season = OpenSeason(context)
    train_network(season, Architecture.LSTM)
    plan = products.plan_run(season)
    with products.logged_run(context, plan, clock=lambda: NOON):
        products.predict(season, plan)
        products.assess(season, plan)
        products.aggregate(season, plan)
        answer = products.publish(season, plan, published_at=NOON)

    assert answer["crops_not_learnt"] == {"hop": 37}
    with context.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT verdict, reason, declared_probability FROM crop_assessment WHERE declared_crop = 'hop'"
        ).fetchall()
        assert rows == [("not_assessable", "CROP_NOT_LEARNT", None)]
        others = connection.execute(
            "SELECT count(*) FROM crop_assessment WHERE declared_crop <> 'hop' AND verdict = 'conform'"
        ).fetchone()
        parcel = connection.execute("SELECT parcel_id FROM crop_assessment WHERE declared_crop = 'hop'").fetchone()
    assert others is not None
    assert others[0] > 700
    assert parcel is not None
    explained = explain(context, parcel[0])
    gates = explained.sections["gates"]
    assert isinstance(gates, list)
    assert [gate["reason"] for gate in gates if gate["fires"]] == ["CROP_NOT_LEARNT"]
    assert explained.differences == ()
