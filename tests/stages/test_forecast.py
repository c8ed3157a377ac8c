"""Two simulated seasons of one agency: the second is predicted by the first one's champion before it is declared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cropmap.cli import run
from cropmap.database import acquisitions as ledger
from cropmap.database import declarations as register
from cropmap.database import queries
from cropmap.database.code_lists import region_edition
from cropmap.errors import InputError
from cropmap.model.fitting import fit_model
from cropmap.model.training_config import TrainingConfig
from cropmap.results.drift import season_drift
from cropmap.results.evaluation import Wanted, evaluate_season
from cropmap.results.status import season_status
from cropmap.schemas import CARRIED_FORWARD, Architecture
from cropmap.settings import Settings
from cropmap.simulation.direct import simulate_observations
from cropmap.simulation.register import agency_file
from cropmap.stages import ingest, products
from cropmap.stages.champion import TrainedModel, folds_rule, legend_key, make_champion, metrics_of
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import needed_dataset
from cropmap.stages.forecast import carry_forward
from cropmap.stages.open_season import OpenSeason
from tests.database_fixtures import _fresh
from tests.stages.conftest import NOON

PARCELS = 200


@dataclass(frozen=True)
class Agency:
    folder: Path

    def open(self, season: int, as_of: date | None = None) -> SeasonContext:
        return SeasonContext.open(Settings.load(), self.folder / "agency.yaml", season=season, as_of=as_of)

    def record(self, season: int, *, until: date = date.max) -> None:
        """Enters the simulated observation files in the ledger, those until a day."""
        context = self.open(season)
        objects = []
        for name in context.store.names(f"observations/{context.agency.agency}/{season}"):
            about = {k.decode(): v.decode() for k, v in context.store.read_schema(name).metadata.items()}
            sensed_at = datetime.fromisoformat(about["datetime"]).replace(tzinfo=UTC)
            if sensed_at.date() <= until:
                objects.append(ledger.ImportedObject(about["item_id"], about["tile"], sensed_at, name))
        with context.connect() as connection:
            ledger.record_imported(connection, **context.key, objects=objects)


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory, cluster_url: str, empty_tracking: bytes) -> Iterator[Agency]:
    """2018 is declared and trained on; 2019 is seen, on the outlines of 2018; 2020 can be seen."""
    folder = tmp_path_factory.mktemp("seasons")
    (folder / "mlflow.db").write_bytes(empty_tracking)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROPMAP_HOME", str(folder / "home"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.setenv("CROPMAP_THREADS", "1")
        patch.delenv("CROPMAP_DATA", raising=False)
        for url in _fresh(cluster_url, template="cropmap"):
            patch.setenv("CROPMAP_DATABASE_URL", url)
            yield _prepared(folder)


def _prepared(folder: Path) -> Agency:
    document = yaml.safe_load(agency_file(declarations="declarations-{season}.parquet"))
    document["assessment"] = {"min_class_parcels": 10, "clean_up_rounds": 0}
    document["model"] = {
        "networks": ["lstm"],
        "architecture": "lstm",
        "epochs": 1,
        "min_steps": 20,
        "folds": {"by": "block", "n": 2, "neighbour_distance_m": 0},
    }
    (folder / "agency.yaml").write_text(yaml.safe_dump(document))
    for season in (2018, 2019, 2020):
        simulate_observations(
            Settings.load().open_store(),
            folder / str(season),
            agency=document["agency"],
            season=season,
            parcels=PARCELS,
            seed=4,
            dates=8,
        )
    shutil.copy(folder / "2018" / "nuts.geojson", folder / "nuts.geojson")
    shutil.copy(folder / "2018" / "declarations.parquet", folder / "declarations-2018.parquet")
    agency = Agency(folder)
    ingest.load_declarations(agency.open(2018), loaded_at=NOON)
    agency.record(2018)
    agency.record(2019)
    carry_forward(agency.open(2019), from_season=2018, loaded_at=NOON)
    _train(agency.open(2018))
    return agency


def _train(context: SeasonContext) -> None:
    """A small champion of the season, without MLflow."""
    data = OpenSeason(context).data
    config = TrainingConfig(
        architecture=Architecture.LSTM, width=16, layers=1, heads=2, min_steps=40, epochs=1, learning_rate=1e-2
    )
    fitted = fit_model(
        context.store,
        needed_dataset(data),
        config,
        seed=0,
        min_clear_fraction=0.5,
        workers=1,
        about={
            "season": str(context.season.year),
            "last_acquisition": data.last_acquisition,
            "legend": legend_key(data.legend),
            "folds": folds_rule(context),
        },
    )
    model = TrainedModel(fitted.artifact_id, "trained", context.season.year, metrics_of(fitted.manifest))
    make_champion(context, Architecture.LSTM, model)


def published(context: SeasonContext) -> dict[str, Any]:
    season = OpenSeason(context)
    plan = products.plan_run(season)
    with products.logged_run(context, plan, clock=lambda: NOON):
        products.predict(season, plan)
        products.assess(season, plan)
        products.aggregate(season, plan)
        return products.publish(season, plan, published_at=NOON)


def test_what_was_acquired_later_changes_nothing(agency: Agency) -> None:
    june = date(2020, 6, 15)
    context = agency.open(2020, as_of=june)
    carry_forward(context, from_season=2018, loaded_at=NOON)
    agency.record(2020, until=june)
    before, plan = OpenSeason(context).data, products.plan_run(OpenSeason(context))
    agency.record(2020)
    assert OpenSeason(agency.open(2020)).data.n_acquisitions > before.n_acquisitions
    after = OpenSeason(context).data
    assert (after.part_hashes, after.series.hash, after.last_acquisition, after.n_acquisitions) == (
        before.part_hashes,
        before.series.hash,
        before.last_acquisition,
        before.n_acquisitions,
    )
    assert products.plan_run(OpenSeason(context)) == plan
    assert after.series.hash == OpenSeason(agency.open(2020)).data.series.until(june).hash


def test_last_seasons_champion_predicts_before_anything_is_declared(agency: Agency) -> None:
    context = agency.open(2019)
    again = carry_forward(context, from_season=2018, loaded_at=NOON)
    assert again == {"carried_forward": PARCELS, "from": 2018, "new": 0}
    assert ingest.load_declarations(context, loaded_at=NOON) == {"carried_forward": PARCELS}
    status = season_status(context)
    assert (status["declarations"], status["carried_forward"]) == (0, PARCELS)

    with context.connect() as connection:
        assert region_edition(connection, **context.key) is None, "no file of declarations was loaded"
    answer = published(context)
    assert (answer["verdicts"], answer["statistics"]) == ({}, 0)
    assert answer["reliability"].startswith("forecast")
    with context.connect() as connection:
        rows = connection.execute(
            "SELECT count(*), count(DISTINCT scored_by), min(scored_by), min(out_of_distribution) >= 0"
            " FROM crop_prediction WHERE season = 2019"
        ).fetchone()
        assert rows == (PARCELS, 1, "forecast from 2018, mean of 2 folds", True)
        assert connection.execute("SELECT count(*) FROM crop_assessment WHERE season = 2019").fetchone() == (0,)
        assert queries.published_seasons(connection)[0]["run_id"] == answer["run_id"]
        assert region_edition(connection, **context.key) == 2024


def test_the_declarations_take_the_place_of_the_outlines(agency: Agency) -> None:
    context = agency.open(2021)
    carry_forward(context, from_season=2018, loaded_at=NOON)
    with pytest.raises(InputError, match="no observed acquisitions"):
        products.plan_run(OpenSeason(context))
    shutil.copy(agency.folder / "2019" / "declarations.parquet", agency.folder / "declarations-2021.parquet")
    counts = ingest.load_declarations(context, loaded_at=datetime(2021, 5, 15, tzinfo=UTC))
    assert counts["changed"] == PARCELS
    with context.connect() as connection:
        assert CARRIED_FORWARD not in set(register.read_declarations(connection, **context.key)["crop_code"])
    with pytest.raises(InputError, match="has declarations already"):
        carry_forward(context, from_season=2018, loaded_at=datetime(2021, 5, 16, tzinfo=UTC))


def test_drift_between_the_seasons_is_told_in_words(agency: Agency, capsys: pytest.CaptureFixture[str]) -> None:
    answer = season_drift(OpenSeason(agency.open(2019)), against=2018)
    assert answer["until"] <= date(2019, 12, 31)
    lstm = answer["networks"]["lstm"]
    assert lstm["trained_on"] == "2018"
    shares = [crop["now"] for crop in lstm["crops"]]
    assert sum(share for share in shares if isinstance(share, float)) == pytest.approx(1)
    parcels = lstm["confidence"]["before"]["parcels"]
    assert isinstance(parcels, int)
    assert parcels <= PARCELS
    assert {band["verdict"] for band in answer["inputs"]} <= {"stable", "some shift", "shifted", "too few observations"}

    arguments = ["drift", str(agency.folder / "agency.yaml"), "--season", "2019"]
    assert run([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["networks"]["lstm"]["crops_psi"] == lstm["crops_psi"]
    assert run(arguments) == 0
    assert "2019 against 2018" in capsys.readouterr().out
    assert run([*arguments, "--against", "2019"]) == 2


def test_the_first_season_has_nothing_to_drift_from(agency: Agency, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["drift", str(agency.folder / "agency.yaml"), "--season", "2018"]
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["against"] is None
    assert run(arguments) == 0
    assert "there is no earlier one to compare with" in capsys.readouterr().out
    assert run([*arguments, "--against", "2017"]) == 2  # asked for by name
    assert run(["drift", str(agency.folder / "agency.yaml"), "--season", "2015"]) == 2  # no data at all


def test_a_season_is_carried_from_an_earlier_one_that_exists(agency: Agency) -> None:
    context = agency.open(2019)
    with pytest.raises(InputError, match="2019 is not before 2019"):
        carry_forward(context, from_season=2019, loaded_at=NOON)
    with pytest.raises(InputError, match=r"season 2016 of .* has no parcels"):
        carry_forward(context, from_season=2016, loaded_at=NOON)


def test_every_declaration_is_evaluated_or_counted(agency: Agency, tmp_path: Path) -> None:
    context, lstm = agency.open(2018), Architecture.LSTM
    parcels = OpenSeason(context).data.parcels
    fold_of = {"FRH01": "west", "FRH02": "east", "FRH04": "east"}  # FRH03 is missing
    rows = [f"{p};{fold_of[n]}" for p, n in zip(parcels["parcel_id"], parcels["nuts_id"], strict=True) if n in fold_of]
    (tmp_path / "folds.csv").write_text("\n".join(["parcel_id;fold", *rows]))
    whole = evaluate_season(context, folds=None, architecture=lstm, wanted=Wanted())
    part = evaluate_season(context, folds=tmp_path / "folds.csv", architecture=lstm, wanted=Wanted(by_date=True))
    for answer in (whole, part):
        assert answer["networks"]["lstm"]["n"] + sum(answer["excluded"].values()) == PARCELS
    assert "PARCEL_WITHOUT_FOLD" not in whole["excluded"]
    without_fold = part["excluded"].pop("PARCEL_WITHOUT_FOLD")
    assert 0 < without_fold <= (parcels["nuts_id"] == "FRH03").sum()
    assert part["excluded"] == whole["excluded"]
    last = part["by_date"]["lstm"][-1]
    assert (last["n"], last["unseen"], last["oa"]) == (part["networks"]["lstm"]["n"], 0, part["networks"]["lstm"]["oa"])
