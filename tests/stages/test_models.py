"""`cropmap models`: versions that a person lists, promotes and takes back, on real artifacts of a few bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cropmap.cli import run
from cropmap.legends import Legend
from cropmap.model.artifact import Manifest, file_digest, write_artifact
from cropmap.model.calibration import Calibration
from cropmap.model.registry import call_champion, note_decision, register_version
from cropmap.model.strangeness import Familiar
from cropmap.model.tracking import track_training
from cropmap.schemas import BANDS, Architecture
from cropmap.stages import champion
from cropmap.stages.champion import TrainedModel
from cropmap.stages.context import SeasonContext
from tests.stages.conftest import open_context

pytestmark = [
    # alembic and sqlalchemy inside mlflow; none of it is ours to mend
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NETWORK = Architecture.TRANSFORMER
FILES = {"fold-0.onnx": b"zero", "fold-1.onnx": b"one"}
FIGURES = {
    "n": 100,
    "oa": 0.8,
    "kappa": 0.7,
    "macro_f1": 0.6,
    "ece": 0.02,
    "brier": 0.3,
    "per_fold": {"FRH01": 0.79, "FRH02": 0.81},
    "per_fold_macro_f1": {"FRH01": 0.58, "FRH02": 0.61},
}


@dataclass(frozen=True)
class Desk:
    """An agency whose models are handled from the command line."""

    context: SeasonContext
    capsys: pytest.CaptureFixture[str]

    def register(self, season: int, *, promoted: bool, reason: str, oa: float = 0.8, **changes: Any) -> str:
        """A version as training leaves it; returns its artifact."""
        about = {"season": str(season), "legend": champion.legend_key(self.context.agency.read_legend())}
        values: dict[str, Any] = {
            "architecture": "transformer",
            "crops": ("corn", "common wheat"),
            "bands": BANDS,
            "min_clear_fraction": 0.5,
            "calibration": Calibration(1.0, (0.0, 0.0)),
            "familiar": Familiar(mean=((0.1,),), covariance=((0.01,),), distances=(0.0, 1.0)),
            "folds_made_by": "region",
            "fold_names": ("FRH01", "FRH02"),
            "dataset_hash": f"data of {season}",
            "config": {},
            "seed": 1,
            "code_version": "x",
            "evaluation": {**FIGURES, "oa": oa},
            "parity": (1e-7, 2e-7),
            "files": {name: file_digest(data) for name, data in FILES.items()},
            "about": about,
        }
        artifact = write_artifact(self.context.store, Manifest(**(values | changes)), FILES)
        uri, name = self.context.mlflow_uri, champion.model_name(self.context, NETWORK)
        run_id = track_training(
            uri,
            experiment="models",
            run_key=f"key of {artifact}",
            params={},
            history={},
            files={},
            metrics={"oa": oa, "macro_f1": 0.6, "ece": 0.02},
            tags={"season": str(season)},
            artifact_root=self.context.mlflow_artifacts,
        )
        version = register_version(uri, name=name, run_id=run_id, artifact_id=artifact)
        note_decision(uri, version, promoted=promoted, reason=reason, detail="")
        model = TrainedModel(artifact, f"key of {artifact}", season, {}, promoted, reason)
        if promoted:
            call_champion(uri, version)
            champion.make_champion(self.context, NETWORK, model)
        champion.write_record(self.context, NETWORK, model)
        return artifact

    def ask(self, command: str, *options: str) -> dict[str, Any]:
        assert run(["models", command, str(self.context.agency.file), *options, "--json"]) == 0
        answer: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return answer

    def refused(self, command: str, *options: str) -> str:
        """The one line that a person gets."""
        code = run(["models", command, str(self.context.agency.file), *options])
        out, err = self.capsys.readouterr()
        assert (code, out) == (2, ""), err
        lines = [line for line in err.splitlines() if "mlflow" not in line]
        assert len(lines) == 1, err
        return lines[0]

    def champions(self) -> list[str]:
        return [model.artifact_id for model in champion.succession(self.context, NETWORK)]


@pytest.fixture
def desk(
    environment: None, empty_tracking: bytes, tiny_inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Desk:
    (tmp_path / "mlflow.db").write_bytes(empty_tracking)
    return Desk(open_context(tiny_inputs, tmp_path), capsys)


def test_an_agency_without_models_has_an_empty_list(desk: Desk) -> None:
    assert desk.ask("list") == {"agency": desk.context.agency.agency, "models": []}


def test_the_list_names_the_champion_and_what_the_gate_said(desk: Desk) -> None:
    first = desk.register(2017, promoted=True, reason="FIRST_MODEL")
    second = desk.register(2018, promoted=False, reason="NO_GAIN", oa=0.81)
    rows = desk.ask("list")["models"]
    shown = ("network", "version", "season", "oa", "macro_f1", "ece", "alias", "decision", "reason", "artifact")
    assert [tuple(row[name] for name in shown) for row in rows] == [
        ("transformer", 1, 2017, 0.8, 0.6, 0.02, "champion", "promoted", "FIRST_MODEL", first),
        ("transformer", 2, 2018, 0.81, 0.6, 0.02, "challenger", "refused", "NO_GAIN", second),
    ]
    assert desk.ask("list", "--model", "lstm")["models"] == []
    assert run(["models", "list", str(desk.context.agency.file)]) == 0
    said = desk.capsys.readouterr().out.splitlines()
    assert said[0].split()[:3] == ["network", "version", "season"]
    assert "NO_GAIN" in said[2]


def test_a_refused_version_is_promoted_by_hand_with_its_reason(desk: Desk) -> None:
    first = desk.register(2017, promoted=True, reason="FIRST_MODEL")
    second = desk.register(2018, promoted=False, reason="OTHER_FOLDS", oa=0.81)
    options = ("--model", "transformer", "--version", "2", "--reason", "new blocks")
    answer = desk.ask("promote", *options)
    assert (answer["champion"], answer["artifact"], answer["before"]) == (2, second, first)
    assert desk.champions() == [first, second]
    row = desk.ask("list")["models"][1]
    assert (row["alias"], row["decision"], row["reason"], row["detail"]) == (
        "champion",
        "promoted",
        "BY_HAND",
        "new blocks",
    )
    record = champion.trained_model(desk.context, NETWORK, f"key of {second}")
    assert record is not None
    assert (record.promoted, record.reason, record.detail) == (True, "BY_HAND", "new blocks")
    assert record.metrics == {
        "n": 100,
        "oa": 0.81,
        "kappa": 0.7,
        "macro_f1": 0.6,
        "ece": 0.02,
        "brier": 0.3,
        "parity": 2e-7,
    }
    desk.ask("promote", *options)
    assert desk.champions() == [first, second], "twice is once"


def test_a_rollback_brings_the_former_champion_back(desk: Desk) -> None:
    first = desk.register(2017, promoted=True, reason="FIRST_MODEL")
    second = desk.register(2018, promoted=True, reason="GAIN", oa=0.81)
    third = desk.register(2019, promoted=True, reason="GAIN", oa=0.82)
    assert desk.champions() == [first, second, third]

    answer = desk.ask("rollback", "--model", "transformer", "--reason", "maize is missing")
    assert (answer["champion"], answer["artifact"], answer["before"]) == (2, second, third)
    assert desk.champions() == [first, second]
    rows = desk.ask("list")["models"]
    assert [row["alias"] for row in rows] == [None, "champion", "challenger"]
    assert (rows[2]["decision"], rows[2]["reason"], rows[2]["detail"]) == ("refused", "ROLLED_BACK", "maize is missing")
    record = champion.trained_model(desk.context, NETWORK, f"key of {third}")
    assert record is not None
    assert (record.promoted, record.reason) == (False, "ROLLED_BACK")

    desk.ask("rollback", "--model", "transformer")
    assert desk.champions() == [first]
    assert "no champion before" in desk.refused("rollback", "--model", "transformer")
    assert desk.champions() == [first]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bands": ("B04", "B08")}, "OTHER_BANDS"),
        ({"crops": ("corn", "sea kale")}, "OTHER_LEGEND"),
        ({"parity": (1e-7, 0.5)}, "PARITY"),
        ({"evaluation": {**FIGURES, "macro_f1": float("inf")}}, "MISSING_METRIC"),
        ({"evaluation": {**FIGURES, "per_fold_macro_f1": {"FRH01": 0.58}}}, "MISSING_METRIC"),
    ],
)
def test_not_even_by_hand(changes: dict[str, Any], said: str, desk: Desk) -> None:
    first = desk.register(2017, promoted=True, reason="FIRST_MODEL")
    desk.register(2018, promoted=False, reason="WORSE", **changes)
    line = desk.refused("promote", "--model", "transformer", "--version", "2")
    assert said in line
    assert "version 2" in line
    assert desk.champions() == [first]


def test_an_artifact_that_cannot_be_read_is_not_promoted_and_not_rolled_back_to(desk: Desk) -> None:
    first = desk.register(2017, promoted=True, reason="FIRST_MODEL")
    second = desk.register(2018, promoted=True, reason="GAIN", oa=0.81)
    desk.context.store.write_bytes(f"artifacts/{first}/fold-1.onnx", b"other")
    assert "UNREADABLE" in desk.refused("promote", "--model", "transformer", "--version", "1")
    assert "UNREADABLE" in desk.refused("rollback", "--model", "transformer")
    assert desk.champions() == [first, second]


def test_what_is_not_there_is_one_line(desk: Desk) -> None:
    desk.register(2017, promoted=True, reason="FIRST_MODEL")
    assert "has no version 7 (there: 1)" in desk.refused("promote", "--model", "transformer", "--version", "7")
    assert "has no version 1 (there: none)" in desk.refused("promote", "--model", "lstm", "--version", "1")
    assert "no champion before" in desk.refused("rollback", "--model", "lstm")


def test_a_pointer_of_an_older_version_is_a_champion_without_predecessors(desk: Desk) -> None:
    document = {"artifact_id": "a1", "training_key": "k1", "season": 2017, "metrics": {"oa": 0.8}}
    name = f"models/{desk.context.agency.agency}/transformer.json"
    desk.context.store.write_bytes(name, json.dumps(document).encode())
    line = champion.succession(desk.context, NETWORK)
    assert [(m.artifact_id, m.training_key, m.promoted) for m in line] == [("a1", "k1", True)]


@pytest.mark.parametrize(
    ("row", "same"), [("3,Grain corn,corn,C1500,", True), ("3,Spelt,,C1100,", True), ("3,Spelt,spelt,C1100,", False)]
)
def test_a_legend_is_another_one_when_its_classes_differ(row: str, same: bool, tmp_path: Path) -> None:
    header = "crop_code,crop_name,crop,eurostat_code,inseparable_group"
    rows = [header, "1,Corn,corn,C1500,", "2,Wheat,wheat,C1111,"]
    keys = []
    for name, lines in (("before.csv", rows), ("after.csv", [*rows, row])):
        (tmp_path / name).write_text("\n".join(lines))
        keys.append(champion.legend_key(Legend.read(name, base=tmp_path)))
    assert (keys[0] == keys[1]) == same
