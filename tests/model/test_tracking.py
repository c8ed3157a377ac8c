"""MLflow on a real database: what a retry finds, resumes and leaves alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from sqlalchemy import create_engine, text

from cropmap.errors import ModelError
from cropmap.model.registry import call_champion, list_versions, note_decision, register_version
from cropmap.model.tracking import track_failure, track_training

pytestmark = [
    # alembic and sqlalchemy inside mlflow; none of it is ours to mend
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder: Path = tmp_path_factory.mktemp("mlflow")
    return f"sqlite:///{folder / 'mlflow.db'}", (folder / "files").as_uri()


def track(tracking: tuple[str, str], run_key: str, *, oa: float = 0.8) -> str:
    return track_training(
        tracking[0],
        experiment="bretagne",
        run_key=run_key,
        params={"width": 64, "seed": 1},
        history={"fold-0": [{"step": 1, "train_loss": 2.0}, {"step": 2, "train_loss": 1.5}]},
        metrics={"oa": oa, "f1/maize": 0.7},
        files={"confusion.png": b"picture"},
        tags={"cropmap.dataset_hash": "abc", "cropmap.code_version": "0.1.0+x"},
        artifact_root=tracking[1],
    )


@pytest.mark.slow
def test_a_retry_finds_its_run_and_changes_nothing(tracking: tuple[str, str]) -> None:
    run_id = track(tracking, "key-1")
    assert track(tracking, "key-1", oa=0.1) == run_id
    assert track(tracking, "key-2") != run_id
    client = MlflowClient(tracking[0])
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"width": "64", "seed": "1"}
    assert run.data.metrics == {"fold-0/train_loss": 1.5, "oa": 0.8, "f1/maize": 0.7}
    assert run.data.tags["cropmap.dataset_hash"] == "abc"
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "fold-0/train_loss")] == [(1, 2.0), (2, 1.5)]
    assert [file.path for file in client.list_artifacts(run_id)] == ["confusion.png"]


def cut_off(path: Path, *, used: bool) -> str:
    """As a kill in the middle of the last migration leaves it: its tables stand, its version does not."""
    whole = path.with_suffix(".whole")  # MLflow remembers what it has looked at
    MlflowClient(f"sqlite:///{whole}").search_experiments()
    engine = create_engine(f"sqlite:///{whole}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '75868b020152'"))
        if not used:
            connection.execute(text("DELETE FROM experiments"))
    engine.dispose()
    shutil.copy(whole, path)
    return f"sqlite:///{path}"


@pytest.mark.slow
def test_a_database_that_was_cut_off_in_the_making_is_made_anew(tmp_path: Path) -> None:
    url = cut_off(tmp_path / "half.db", used=False)
    assert track((url, tmp_path.as_uri()), "key-1")


@pytest.mark.slow
def test_an_older_database_in_use_is_left_to_its_owner(tmp_path: Path) -> None:
    url = cut_off(tmp_path / "older.db", used=True)
    with pytest.raises(ModelError, match="out-of-date database schema"):
        track((url, tmp_path.as_uri()), "key-1")


@pytest.mark.slow
def test_a_run_that_was_cut_off_is_resumed(tracking: tuple[str, str]) -> None:
    client = MlflowClient(tracking[0])
    experiment = client.get_experiment_by_name("bretagne")
    experiment_id = experiment.experiment_id if experiment else client.create_experiment("bretagne", tracking[1])
    begun = client.create_run(experiment_id, tags={"cropmap.run_key": "key-3"}).info.run_id
    client.log_metric(begun, "fold-0/train_loss", 2.0, timestamp=0, step=1)
    assert track(tracking, "key-3") == begun
    assert [m.step for m in client.get_metric_history(begun, "fold-0/train_loss")] == [1, 2]
    assert client.get_run(begun).info.status == "FINISHED"


@pytest.mark.slow
def test_an_artifact_has_one_version_and_the_champion_is_named(tracking: tuple[str, str]) -> None:
    name = "cropmap-bretagne-lstm"
    assert list_versions(tracking[0], name=name) == ()
    run_id, other = track(tracking, "key-4"), track(tracking, "key-5", oa=0.7)
    first = register_version(tracking[0], name=name, run_id=run_id, artifact_id="a1")
    assert register_version(tracking[0], name=name, run_id=run_id, artifact_id="a1") == first
    call_champion(tracking[0], first)
    note_decision(tracking[0], first, promoted=True, reason="FIRST_MODEL", detail="there was no champion")
    second = register_version(tracking[0], name=name, run_id=other, artifact_id="a2")
    third = register_version(tracking[0], name=name, run_id=other, artifact_id="a3")
    note_decision(tracking[0], second, promoted=True, reason="GAIN", detail="by mistake")
    note_decision(tracking[0], second, promoted=False, reason="NO_GAIN", detail="OA 0.8 -> 0.7")

    versions = list_versions(tracking[0], name=name)

    assert [v.registered for v in versions] == [first, second, third]
    assert [v.registered.version for v in versions] == ["1", "2", "3"]
    assert [v.registered.artifact_id for v in versions] == ["a1", "a2", "a3"]
    assert [v.aliases for v in versions] == [("champion",), (), ("challenger",)]
    said = [(v.promoted, v.reason, v.detail) for v in versions]
    assert said[:2] == [(True, "FIRST_MODEL", "there was no champion"), (False, "NO_GAIN", "OA 0.8 -> 0.7")]
    assert said[2] == (None, "", ""), "training was cut off before the gate"
    assert [v.metrics["oa"] for v in versions] == [0.8, 0.7, 0.7]
    assert [v.run_key for v in versions] == ["key-4", "key-5", "key-5"]
    assert MlflowClient(tracking[0]).get_run(other).data.tags["cropmap.reason"] == "NO_GAIN"


def test_a_training_that_failed_is_noted_and_tried_again(tracking: tuple[str, str]) -> None:
    track_failure(
        tracking[0],
        experiment="bretagne",
        run_key="key-6",
        tags={"cropmap.reason": "PARITY"},
        artifact_root=tracking[1],
    )
    client = MlflowClient(tracking[0])
    experiment = client.get_experiment_by_name("bretagne")
    assert experiment is not None
    failed = client.search_runs([experiment.experiment_id], "tags.`cropmap.run_key` = 'key-6'")[0]
    assert (failed.info.status, failed.data.tags["cropmap.reason"]) == ("FAILED", "PARITY")
    assert track(tracking, "key-6") == failed.info.run_id
    assert client.get_run(failed.info.run_id).info.status == "FINISHED"


def test_names_that_mlflow_does_not_take_are_written_in_its_letters(tracking: tuple[str, str]) -> None:
    run_id = track_training(
        tracking[0],
        experiment="bretagne",
        run_key="key-7",
        params={},
        history={"north (1)": [{"step": 1, "train_loss": 2.0}]},
        metrics={"f1/blé, tendre": 0.5},
        files={},
        tags={},
        artifact_root=tracking[1],
    )
    assert MlflowClient(tracking[0]).get_run(run_id).data.metrics == {
        "north _1_/train_loss": 2.0,
        "f1/blé_ tendre": 0.5,
    }


def test_a_store_that_cannot_be_used_is_one_line_without_the_password() -> None:
    with pytest.raises(ModelError) as caught:
        track(("postgresql+nothing://user:secret@nowhere/db", ""), "key")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("home", ["crop#1", "q?x", "50%25done", "50% of it", "a b é"])
@pytest.mark.slow
def test_files_land_in_a_folder_of_any_name(home: str, tmp_path: Path) -> None:
    folder, uri = tmp_path / home / "mlflow", f"sqlite:///{tmp_path / 'names.db'}"
    run_id = track_training(
        uri,
        experiment="names",
        run_key="k",
        params={},
        history={},
        metrics={},
        files={"manifest.json": b"{}"},
        tags={},
        artifact_root=str(folder),
    )
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["manifest.json"]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [home]
    assert [one.path for one in MlflowClient(uri, uri).list_artifacts(run_id)] == ["manifest.json"]
