"""Training and the gate on a real season: a network of one step until July, then one that has learnt the whole year.

The figures of single trainings are not asserted: one that has hardly learnt is worse than one that has, that is all.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mlflow.tracking import MlflowClient

import cropmap.legends
from cropmap.database.runs import read_run
from cropmap.errors import ArtifactError, ConfigurationError, InputError, ParityError
from cropmap.model.artifact import read_file, read_manifest, write_artifact
from cropmap.model.gate import Score
from cropmap.model.registry import ModelVersion, list_versions
from cropmap.predictions.predict import load_artifact, predict
from cropmap.results.models import list_models, promote_model, roll_back
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from cropmap.simulation.season import simulate_season
from cropmap.stages import champion, products
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import needed_dataset
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.training import train_network, training_key
from cropmap.store import Store
from tests.database_fixtures import _fresh
from tests.stages.conftest import NOON, YEAR, observe_everything

pytestmark = [
    # alembic and sqlalchemy inside mlflow; none of it is ours to mend
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NETWORK = Architecture.LSTM
JULY = date(YEAR, 7, 10)
CORN = "corn"


@dataclass(frozen=True)
class Home:
    """A store and an MLflow database that a test may change."""

    folder: Path
    inputs: Path

    def open(self, *, steps: int, as_of: date | None = None, folds: str = "region", legend: str = "") -> SeasonContext:
        document = yaml.safe_load((self.inputs / "agency.yaml").read_text())
        document["assessment"] = {"min_class_parcels": 10, "clean_up_rounds": 0}
        document["model"] = {
            "networks": ["lstm"],
            "architecture": "lstm",
            "epochs": 1,
            "min_steps": steps,
            "folds": {"by": folds, "neighbour_distance_m": 0, "n": 2},
        }
        if legend:
            built_in = (cropmap.legends.FOLDER / f"{Path(document['legend']).stem}.csv").read_text().rstrip()
            lines = [line.replace(f",{CORN},", ",sweet corn,") for line in built_in.splitlines()]
            rows = {"undeclared.csv": [built_in, "999,Spelt,spelt,C1100,"], "renamed.csv": lines}[legend]
            (self.folder / legend).write_text("\n".join(rows) + "\n")
            document["legend"] = str(self.folder / legend)
        path = self.folder / f"agency-{steps}-{folds}{legend}.yaml"
        path.write_text(yaml.safe_dump(document))
        context = SeasonContext.open(Settings.load(), path, season=YEAR, as_of=as_of, data=self.inputs)
        mlflow = f"sqlite:///{self.folder / 'mlflow.db'}"
        files = str(self.folder / "mlflow")
        return replace(context, store=Store(self.folder / "store"), mlflow_uri=mlflow, mlflow_artifacts=files)

    @property
    def hardly(self) -> SeasonContext:
        """One step on what was acquired until July."""
        return self.open(steps=1, as_of=JULY)

    @property
    def learnt(self) -> SeasonContext:
        """Enough steps on the whole season."""
        return self.open(steps=150)

    def copy(self, folder: Path) -> Home:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Home(folder, self.inputs)

    def versions(self) -> tuple[ModelVersion, ...]:
        context = self.learnt
        return list_versions(context.mlflow_uri, name=champion.model_name(context, NETWORK))


@dataclass(frozen=True)
class Trained:
    home: Home
    first: dict[str, Any]
    second: dict[str, Any]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, cluster_url: str, empty_tracking: bytes) -> Iterator[Trained]:
    """Both trained, one after the other; no test changes this home."""
    folder = tmp_path_factory.mktemp("trained")
    simulate_season(folder / "inputs", parcels=260, seed=4, season=YEAR, dates=14)
    (folder / "home").mkdir()
    (folder / "home" / "mlflow.db").write_bytes(empty_tracking)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROPMAP_HOME", str(folder / "home"))
        patch.setenv("CROPMAP_THREADS", "1")
        patch.delenv("CROPMAP_DATA", raising=False)
        for url in _fresh(cluster_url, template="cropmap"):
            patch.setenv("CROPMAP_DATABASE_URL", url)
            home = Home(folder / "home", folder / "inputs")
            observe_everything(home.learnt)
            yield Trained(
                home, train_network(OpenSeason(home.hardly), NETWORK), train_network(OpenSeason(home.learnt), NETWORK)
            )


@pytest.fixture
def home(trained: Trained, tmp_path: Path) -> Home:
    """The same, to be changed."""
    return trained.home.copy(tmp_path)


def _champion(home: Home) -> str:
    model = champion.current_model(home.learnt, NETWORK)
    assert model is not None
    return model.artifact_id


def _key(context: SeasonContext) -> str:
    season = OpenSeason(context)
    return training_key(context, season.data, NETWORK, reviewed=season.run_inputs.reviewed)


def test_a_better_model_of_more_acquisitions_takes_over(trained: Trained) -> None:
    home, first, second = trained.home, trained.first, trained.second
    assert (first["gate"], first["reason"]) == ("promoted", "FIRST_MODEL")
    assert (second["gate"], second["reason"]) == ("promoted", "GAIN")
    assert second["macro_f1"] > first["macro_f1"]
    assert [m.artifact_id for m in champion.succession(home.learnt, NETWORK)] == [first["artifact"], second["artifact"]]
    assert [(v.registered.artifact_id, v.aliases, v.promoted, v.reason) for v in home.versions()] == [
        (first["artifact"], (), True, "FIRST_MODEL"),
        (second["artifact"], ("challenger", "champion"), True, "GAIN"),
    ]


def test_a_run_in_mlflow_holds_everything_that_was_known(trained: Trained) -> None:
    version = trained.home.versions()[1]
    manifest = read_manifest(trained.home.learnt.store, version.registered.artifact_id)
    client = MlflowClient(trained.home.learnt.mlflow_uri)
    files = {file.path for file in client.list_artifacts(version.registered.run_id)}
    assert {"confusion.png", "reliability.png", "manifest.json", "fold-0.onnx", "fold-3.onnx"} <= files
    run = client.get_run(version.registered.run_id)
    assert run.data.params["min_steps"] == "150"
    assert run.data.tags["data"] == manifest.dataset_hash
    assert run.data.tags["code"] == manifest.code_version
    assert run.data.tags["artifact"] == version.registered.artifact_id
    assert (run.data.tags["cropmap.promoted"], run.data.tags["cropmap.reason"]) == ("true", "GAIN")
    assert "OA 0." in run.data.tags["cropmap.detail"]
    for fold in manifest.fold_names:
        assert run.data.metrics[f"oa/{fold}"] == manifest.evaluation["per_fold"][fold]
        assert run.data.metrics[f"macro_f1/{fold}"] == manifest.evaluation["per_fold_macro_f1"][fold]
        assert len(client.get_metric_history(run.info.run_id, f"{fold}/train_loss")) > 1


def test_the_champion_is_scored_where_it_would_predict_by_models_that_never_saw_the_place(trained: Trained) -> None:
    context = trained.home.learnt
    data = OpenSeason(context).data
    required = champion.requirements_of(context, data)
    before = load_artifact(context.store, trained.first["artifact"])
    found = champion.score_artifact(before, required, threads=1)
    # by hand: the older network of each region on that region, over all that is judged there
    right = {}
    for k, name in enumerate(before.manifest.fold_names):
        here = np.flatnonzero(
            required.dataset.judged & (required.dataset.folds.fold == required.dataset.folds.names.index(name))
        )
        said = predict(before, data.series.take(here), fold=np.full(len(here), k, np.int16))
        crop = np.array(said.crops)[said.probabilities.argmax(axis=1)]
        right[name] = crop == np.array(required.dataset.crops)[required.dataset.label[here]]
    assert found.fold_oa == {name: pytest.approx(hits.mean()) for name, hits in right.items()}
    assert found.oa == pytest.approx(np.concatenate(list(right.values())).mean())
    assert len(found.fold_oa) == 4
    now = load_artifact(context.store, trained.second["artifact"])
    assert champion.score_artifact(now, required, threads=1) == Score.read(now.manifest)


def test_the_same_training_twice_changes_nothing(home: Home, trained: Trained) -> None:
    before = {p: p.stat().st_mtime_ns for p in home.folder.joinpath("store").rglob("*") if p.is_file()}
    assert train_network(OpenSeason(home.learnt), NETWORK) == trained.second
    assert train_network(OpenSeason(home.hardly), NETWORK) == trained.first, "and no former champion comes back"
    assert {p: p.stat().st_mtime_ns for p in home.folder.joinpath("store").rglob("*") if p.is_file()} == before
    assert home.versions() == trained.home.versions()


def test_a_worse_challenger_is_refused_and_the_champion_predicts(home: Home, trained: Trained) -> None:
    worse = home.open(steps=2)
    hoped_for = products.plan_run(OpenSeason(worse), retrain=True)
    with products.logged_run(worse, hoped_for, clock=lambda: NOON):
        answer = train_network(OpenSeason(worse), NETWORK)
    assert (answer["gate"], answer["reason"]) == ("refused", "WORSE")
    assert _champion(home) == trained.second["artifact"]
    refused = home.versions()[2]
    assert (refused.aliases, refused.promoted, refused.reason) == (("challenger",), False, "WORSE")

    plan = products.plan_run(OpenSeason(worse))
    assert plan.artifact_id == trained.second["artifact"]
    assert plan.run_id != hoped_for.run_id
    products.replace_plan(worse, hoped_for, by=plan, finished_at=NOON)
    with worse.connect() as connection:
        logged = read_run(connection, hoped_for.run_id)
    assert logged is not None
    assert logged.status == "failed"
    assert f"{plan.run_id} is published" in (logged.detail or "")
    assert products.plan_run(OpenSeason(worse), retrain=True) == plan, (
        "a season that comes again is planned on what predicts"
    )
    assert products.predict(OpenSeason(worse), plan)["scored"] == np.count_nonzero(
        OpenSeason(worse).data.series.lengths
    )


def test_a_season_as_of_a_day_is_not_judged_by_a_model_that_knows_what_came_after(home: Home, trained: Trained) -> None:
    until_july = home.open(steps=2, as_of=JULY)
    answer = train_network(OpenSeason(until_july), NETWORK)
    assert (answer["gate"], answer["reason"]) == ("refused", "LATER_DATA")
    assert _champion(home) == trained.second["artifact"]
    assert products.plan_run(OpenSeason(until_july)).artifact_id == answer["artifact"]
    assert products.plan_run(OpenSeason(home.hardly)).artifact_id == trained.first["artifact"], (
        "it was champion in its time"
    )


def test_folds_that_were_dealt_anew_leave_the_season_to_its_own_model(home: Home, trained: Trained) -> None:
    blocks = home.open(steps=2, folds="block")
    with pytest.raises(InputError, match=r"cannot judge this season: OTHER_FOLDS\. Run `cropmap train`"):
        products.plan_run(OpenSeason(blocks))
    answer = train_network(OpenSeason(blocks), NETWORK)
    assert (answer["gate"], answer["reason"]) == ("refused", "OTHER_FOLDS")
    assert _champion(home) == trained.second["artifact"]
    plan = products.plan_run(OpenSeason(blocks))
    assert plan.artifact_id == answer["artifact"]
    assert products.predict(OpenSeason(blocks), plan)["parcels"] == len(needed_dataset(OpenSeason(blocks).data).label)


@pytest.mark.parametrize("reached", ["registered in MLflow", "made champion"])
def test_a_kill_between_the_steps_leaves_one_version_and_one_decision(
    reached: str, home: Home, trained: Trained
) -> None:
    context = home.learnt
    record = f"models/{context.agency.agency}/lstm/{_key(context)}.json"
    assert context.store.exists(record)
    context.store.remove(record)
    if reached == "registered in MLflow":
        before = champion.pointer_version(context, NETWORK)
        champion.write_succession(context, NETWORK, champion.succession(context, NETWORK)[:1], before=before)
        assert _champion(home) == trained.first["artifact"]

    assert train_network(OpenSeason(context), NETWORK) == trained.second
    assert champion.succession(context, NETWORK) == champion.succession(trained.home.learnt, NETWORK)
    assert [(v.registered, v.aliases, v.reason) for v in home.versions()] == [
        (v.registered, v.aliases, v.reason) for v in trained.home.versions()
    ]


def test_an_export_that_differs_from_torch_is_refused_and_noted(
    home: Home, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = home.open(steps=2)
    monkeypatch.setattr("cropmap.model.export.PARITY_TOLERANCE", -1.0)  # no difference is small enough
    with pytest.raises(ParityError, match="must not predict"):
        train_network(OpenSeason(context), NETWORK)
    assert _champion(home) == trained.second["artifact"]
    assert len(home.versions()) == 2
    client = MlflowClient(context.mlflow_uri)
    runs = client.search_runs(
        [e.experiment_id for e in client.search_experiments()], f"tags.`cropmap.run_key` = '{_key(context)}'"
    )
    said = [(run.info.status, run.data.tags["cropmap.promoted"], run.data.tags["cropmap.reason"]) for run in runs]
    assert said == [("FAILED", "false", "PARITY")]


def test_after_a_rollback_the_former_champion_predicts_until_somebody_promotes(home: Home, trained: Trained) -> None:
    context = home.learnt
    before = products.plan_run(OpenSeason(context))
    assert roll_back(context, NETWORK, reason="maize is missing")["artifact"] == trained.first["artifact"]
    assert train_network(OpenSeason(context), NETWORK)["reason"] == "ROLLED_BACK", (
        "training again does not bring it back"
    )
    after = products.plan_run(OpenSeason(context))
    assert after.artifact_id == trained.first["artifact"]
    assert after.run_id != before.run_id

    promote_model(context, NETWORK, version="2", reason="it was the clouds")
    assert products.plan_run(OpenSeason(context)) == before


def test_a_champion_that_cannot_be_read_promotes_nobody_and_the_season_goes_on(home: Home, trained: Trained) -> None:
    context = home.open(steps=2)
    context.store.remove(f"artifacts/{trained.second['artifact']}/manifest.json")
    with pytest.raises(InputError, match="cannot judge this season: UNREADABLE"):
        products.plan_run(OpenSeason(context))
    answer = train_network(OpenSeason(context), NETWORK)
    assert (answer["gate"], answer["reason"]) == ("refused", "UNREADABLE")
    assert _champion(home) == trained.second["artifact"]
    assert products.plan_run(OpenSeason(context)).artifact_id == answer["artifact"]


def test_a_class_that_nobody_declares_changes_nothing(home: Home, trained: Trained) -> None:
    context = home.open(steps=150, legend="undeclared.csv")
    assert products.plan_run(OpenSeason(context)).artifact_id == trained.second["artifact"]
    answer = train_network(OpenSeason(context), NETWORK)
    assert (answer["gate"], answer["reason"]) == ("refused", "NO_GAIN")
    assert products.plan_run(OpenSeason(context)).artifact_id == trained.second["artifact"]
    promote_model(context, NETWORK, version="2", reason="its legend is this one, as far as it goes")


def test_another_legend_waits_for_a_person(home: Home, trained: Trained) -> None:
    context = home.open(steps=2, legend="renamed.csv")
    with pytest.raises(InputError, match=r"cannot judge this season: OTHER_LEGEND\. Run `cropmap train`"):
        products.plan_run(OpenSeason(context))
    answer = train_network(OpenSeason(context), NETWORK)
    assert (answer["gate"], answer["reason"]) == ("refused", "OTHER_LEGEND")
    with pytest.raises(InputError, match=r": OTHER_LEGEND.*cropmap models promote .* --model lstm --version 3`"):
        products.plan_run(OpenSeason(context))
    with pytest.raises(InputError, match="OTHER_LEGEND"):
        promote_model(context, NETWORK, version="2", reason="the former champion")
    promote_model(context, NETWORK, version="3", reason="corn has another name")
    assert products.plan_run(OpenSeason(context)).artifact_id == answer["artifact"]
    assert products.plan_run(OpenSeason(home.learnt)).artifact_id == trained.second["artifact"], (
        "it was promoted in its time"
    )


def test_a_damaged_artifact_is_made_again_by_training_its_season(home: Home, trained: Trained) -> None:
    context, artifact = home.learnt, trained.second["artifact"]
    for name in ("fold-1.onnx", "manifest.json"):
        place = f"artifacts/{artifact}/{name}"
        whole = context.store.local_path(place).read_bytes()
        context.store.local_path(place).write_bytes(whole[:200] + b"?" + whole[201:])
        with pytest.raises(InputError, match=r"cannot judge this season: UNREADABLE\. Run `cropmap train`"):
            products.plan_run(OpenSeason(context))
        # a season run plans on the training that comes next, instead of stopping before it
        planned = products.plan_run(OpenSeason(context), retrain=True)
        assert planned.artifact_id == ""
        assert train_network(OpenSeason(context), NETWORK) == trained.second
        assert context.store.local_path(place).read_bytes() == whole
        assert products.plan_run(OpenSeason(context)).run_id == planned.run_id
        assert products.plan_run(OpenSeason(context)).artifact_id == artifact
    assert home.versions() == trained.home.versions()


def test_a_damaged_fold_is_trained_again_to_the_same_bits(home: Home, trained: Trained) -> None:
    context = home.learnt
    kept = [n for n in context.store.names("training") if n.endswith("fold-2.npz")]
    before = {name: context.store.read_bytes(name) for name in kept}
    for name in kept:
        path = context.store.local_path(name)
        path.write_bytes(path.read_bytes()[:-400] + bytes(400))
    context.store.remove(f"models/{context.agency.agency}/lstm/{_key(context)}.json")
    assert train_network(OpenSeason(context), NETWORK) == trained.second
    data = needed_dataset(OpenSeason(context).data)
    again = [name for name in kept if f"/{data.hash}/" in name]
    assert len(again) == 1
    with np.load(io.BytesIO(before[again[0]])) as was, np.load(io.BytesIO(context.store.read_bytes(again[0]))) as now:
        for key in set(was.files) - {"facts"}:  # which hold the seconds
            np.testing.assert_array_equal(was[key], now[key])


def test_a_damaged_record_is_written_again_and_a_damaged_pointer_names_nobody(home: Home, trained: Trained) -> None:
    context = home.learnt
    record = context.store.local_path(f"models/{context.agency.agency}/lstm/{_key(context)}.json")
    record.write_bytes(record.read_bytes().replace(b"GAIN", b"GAIM"))
    assert train_network(OpenSeason(context), NETWORK) == trained.second
    assert home.versions() == trained.home.versions()

    pointer = context.store.local_path(f"models/{context.agency.agency}/lstm.json")
    pointer.write_bytes(pointer.read_bytes()[:50])
    with pytest.raises(ArtifactError, match=r"pointer to the champion is damaged.*cropmap models promote"):
        champion.current_model(context, NETWORK)
    assert products.plan_run(OpenSeason(context)).artifact_id == trained.second["artifact"], (
        "it was promoted in its time"
    )
    worse = home.open(steps=2)
    answer = train_network(OpenSeason(worse), NETWORK)
    assert (answer["gate"], answer["reason"]) == ("refused", "UNREADABLE"), "nobody becomes champion by an accident"
    assert products.plan_run(OpenSeason(worse)).artifact_id == answer["artifact"]
    promote_model(context, NETWORK, version="2", reason="after the accident")
    assert [m.artifact_id for m in champion.succession(context, NETWORK)] == [trained.second["artifact"]]


def test_a_season_that_was_predicted_by_a_former_champion_finds_it_again(home: Home, trained: Trained) -> None:
    """Its own model was refused; then a later season took over, which has no say here."""
    worse = home.open(steps=2)
    assert train_network(OpenSeason(worse), NETWORK)["reason"] == "WORSE"
    before = products.plan_run(OpenSeason(worse))
    later = read_manifest(worse.store, trained.first["artifact"])
    about = {**later.about, "season": "2019", "last_acquisition": "2019-09-01"}
    files = {name: read_file(worse.store, trained.first["artifact"], later, name) for name in later.files}
    artifact = write_artifact(worse.store, replace(later, about=about, dataset_hash="of 2019"), files)
    champion.make_champion(worse, NETWORK, champion.TrainedModel(artifact, "key of 2019", 2019, {}))
    assert products.plan_run(OpenSeason(worse)) == before
    assert products.plan_run(OpenSeason(home.learnt)).artifact_id == trained.second["artifact"]


def test_a_run_bears_the_seasons_name_and_took_as_long_as_its_training(trained: Trained) -> None:
    version = trained.home.versions()[1]
    run = MlflowClient(trained.home.learnt.mlflow_uri).get_run(version.registered.run_id)
    context = trained.home.learnt
    assert run.info.run_name == f"{context.agency.agency} {YEAR} lstm"
    seconds = (run.info.end_time - run.info.start_time) / 1000
    assert seconds >= run.data.metrics["training_seconds"] > 0
    assert run.inputs is not None
    used = run.inputs.dataset_inputs[0].dataset
    assert (used.name, used.digest) == (f"{context.agency.agency} {YEAR}", run.data.tags["data"])
    first = MlflowClient(context.mlflow_uri).get_run(trained.home.versions()[0].registered.run_id)
    assert first.info.run_name == f"{context.agency.agency} {YEAR} until {JULY} lstm"


def test_mlflow_that_does_not_answer_is_said_before_anything_is_trained(home: Home, trained: Trained) -> None:
    context = replace(home.open(steps=3), mlflow_uri="http://ops:s3cretword@127.0.0.1:9")
    before = context.store.names("training")
    with pytest.raises(ConfigurationError, match="Check MLFLOW_TRACKING_URI") as caught:
        train_network(OpenSeason(context), NETWORK)
    assert "s3cretword" not in str(caught.value)
    assert context.store.names("training") == before


def test_what_people_deleted_in_mlflow_stops_neither_training_nor_rollback(home: Home, trained: Trained) -> None:
    context = home.learnt
    client = MlflowClient(context.mlflow_uri)
    first, second = home.versions()
    client.delete_run(first.registered.run_id)
    client.delete_run(second.registered.run_id)
    client._tracking_client.store._hard_delete_run(second.registered.run_id)  # what `mlflow gc` does
    rows = list_models(context, [NETWORK])["models"]
    assert [(row["version"], row["season"], row["artifact"]) for row in rows] == [
        (1, YEAR, trained.first["artifact"]),
        (2, YEAR, trained.second["artifact"]),
    ]
    assert rows[1]["oa"] == pytest.approx(trained.second["oa"])
    assert roll_back(context, NETWORK, reason="tidied")["champion"] == 1
    assert promote_model(context, NETWORK, version="2", reason="back")["champion"] == 2
    model = champion.trained_model(context, NETWORK, _key(context))
    assert model is not None
    assert model.reason == "BY_HAND"

    experiment = client.get_experiment_by_name(f"cropmap/{context.agency.agency}")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    client.delete_registered_model(champion.model_name(context, NETWORK))
    answer = train_network(OpenSeason(home.open(steps=2)), NETWORK)
    assert answer["reason"] == "WORSE"
    rows = list_models(context, [NETWORK])["models"]
    assert [(row["version"], row["alias"]) for row in rows] == [(1, "challenger"), (None, None), (None, "champion")]
    assert roll_back(context, NETWORK, reason="again")["artifact"] == trained.first["artifact"]
    assert (
        promote_model(context, NETWORK, version=trained.second["artifact"], reason="by its artifact")["before"]
        == (trained.first["artifact"])
    )
