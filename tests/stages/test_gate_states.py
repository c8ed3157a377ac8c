"""Every state of the gate: the season goes on with a model that can judge it, or one line names the command that leads
out, and the command does."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cropmap.cli import run
from cropmap.errors import InputError
from cropmap.model.artifact import Manifest, file_digest, write_artifact
from cropmap.model.calibration import Calibration
from cropmap.model.registry import register_version
from cropmap.model.strangeness import Familiar
from cropmap.model.tracking import track_training
from cropmap.schemas import BANDS, Architecture
from cropmap.settings import Settings
from cropmap.stages import champion
from cropmap.stages.champion import TrainedModel, folds_rule, legend_key, predicting_model
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import SeasonData, needed_dataset
from cropmap.stages.findings import ReviewedLabels
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.training import training_key
from tests.stages.judged import JudgedSeason
from tests.stages.test_models import FIGURES, FILES

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NETWORK = Architecture.LSTM
NO_REVIEWS = ReviewedLabels(frozenset(), frozenset())
OF_LATER = {"season": "2019", "last_acquisition": "2019-09-01"}


@dataclass
class Desk:
    context: SeasonContext
    data: SeasonData

    def model(self, name: str, **changes: Any) -> str:
        """An artifact of another season that could judge this one, except for the changes."""
        about = {
            "season": "2017",
            "legend": legend_key(self.data.legend),
            "last_acquisition": "2017-09-01",
            "classes": json.dumps(self.data.legend.crops),
            "folds": folds_rule(self.context),
        } | changes.pop("about", {})
        values: dict[str, Any] = {
            "architecture": "lstm",
            "crops": needed_dataset(self.data).crops,
            "bands": BANDS,
            "min_clear_fraction": 0.5,
            "calibration": Calibration(1.0, (0.0, 0.0)),
            "familiar": Familiar(mean=((0.1,),), covariance=((0.01,),), distances=(0.0, 1.0)),
            "folds_made_by": "region",
            "fold_names": ("FRH01", "FRH02"),
            "dataset_hash": name,
            "config": {},
            "seed": 1,
            "code_version": "x",
            "evaluation": FIGURES,
            "parity": (1e-7, 2e-7),
            "files": {file: file_digest(content) for file, content in FILES.items()},
            "about": about,
        }
        return write_artifact(self.context.store, Manifest(**(values | changes)), FILES)

    def champion(self, kind: str) -> TrainedModel | None:
        """The champion of a state, with what is wrong with it."""
        declared = needed_dataset(self.data).crops
        changes: dict[str, dict[str, Any]] = {
            "of a later season": {"about": OF_LATER},
            "of a later season with another legend": {"about": OF_LATER, "crops": (*declared, "sea kale")},
            "of other folds": {"about": {"folds": "region, NUTS 1066, 1 m"}},
            "of a legend without a declared crop": {
                "crops": declared[1:],
                "about": {"classes": json.dumps(declared[1:]), "legend": "another"},
            },
            "of a legend with a crop that is gone": {"crops": (*declared, "sea kale")},
            "of a legend without an undeclared crop": {"about": {"classes": json.dumps(declared), "legend": "another"}},
            "of other bands": {"bands": ("B04", "B08")},
        }
        if kind == "no pointer":
            return None
        artifact = self.model("champion", **changes.get(kind, {}))
        model = TrainedModel(artifact, "of the champion", 2017, {})
        champion.make_champion(self.context, NETWORK, model)
        store = self.context.store
        if kind == "gone":
            store.remove(f"artifacts/{artifact}/manifest.json")
        if kind == "damaged":
            store.local_path(f"artifacts/{artifact}/fold-1.onnx").write_bytes(b"0ne")
        if kind == "damaged pointer":
            store.local_path(f"models/{self.context.agency.agency}/lstm.json").write_bytes(b"{")
        return model

    def own(self, said: str, *, registered: bool) -> TrainedModel:
        """The season's own model as the gate left it, in MLflow too where a person is to name its version."""
        about = {"season": "2018", "last_acquisition": self.data.seen_until}
        artifact = self.model(needed_dataset(self.data).hash, about=about)
        key = training_key(self.context, self.data, NETWORK, reviewed=NO_REVIEWS)
        version = ""
        if registered:
            name, uri = champion.model_name(self.context, NETWORK), self.context.mlflow_uri
            run_id = track_training(
                uri,
                experiment="models",
                run_key=key,
                params={},
                history={},
                files={},
                metrics={},
                tags={"season": "2018"},
                artifact_root=self.context.mlflow_artifacts,
            )
            version = register_version(uri, name=name, run_id=run_id, artifact_id=artifact).version
        model = TrainedModel(artifact, key, 2018, {}, said == "promoted", said, "", version)
        champion.write_record(self.context, NETWORK, model)
        return model


@pytest.fixture
def desk(judged: JudgedSeason, empty_tracking: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    judged.enter(monkeypatch)
    (tmp_path / "mlflow.db").write_bytes(empty_tracking)
    judged.with_own_store(tmp_path / "store")
    monkeypatch.setenv("CROPMAP_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("CROPMAP_DATA", str(judged.data))
    context = SeasonContext.open(Settings.load(), judged.context.agency.file, season=2018)
    for name in context.store.names("models"):
        context.store.remove(name)
    return Desk(context, OpenSeason(context).data)


CHAMPION, OWN, FORMER, PROMOTE = "the champion", "its own", "the former champion", "a person promotes"
STATES = [
    ("sound", "NO_GAIN", False, CHAMPION),
    ("sound", "ROLLED_BACK", False, CHAMPION),
    ("sound", "promoted", False, CHAMPION),
    ("of a legend without an undeclared crop", "NO_GAIN", False, CHAMPION),
    *(
        (kind, said, former, OWN)
        for kind in (
            "of a later season",
            "of a later season with another legend",
            "of other folds",
            "gone",
            "damaged",
            "damaged pointer",
        )
        for said in ("promoted", "LATER_DATA", "OTHER_FOLDS", "UNREADABLE")
        for former in (False,)
    ),
    *(
        (kind, said, False, PROMOTE)
        for kind in (
            "of a later season",
            "of a later season with another legend",
            "of other folds",
            "gone",
            "damaged",
            "damaged pointer",
        )
        for said in ("NO_GAIN", "ROLLED_BACK")
    ),
    ("of a later season", "NO_GAIN", True, FORMER),
    ("damaged", "WORSE", True, FORMER),
    *(
        (kind, said, former, expected)
        for kind in ("of a legend without a declared crop", "of a legend with a crop that is gone", "of other bands")
        for said, former, expected in (
            ("promoted", False, OWN),
            ("OTHER_LEGEND", False, PROMOTE),
            ("NO_GAIN", False, PROMOTE),
            ("NO_GAIN", True, FORMER),
            ("LATER_DATA", True, FORMER),
            ("ROLLED_BACK", False, PROMOTE),
        )
    ),
    ("no pointer", "promoted", False, OWN),
    ("no pointer", "NO_GAIN", False, PROMOTE),
]


def test_in_every_state_the_season_goes_on_or_a_command_leads_out(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, said, has_former, expected in STATES:
        state = f"champion {kind}, own {said}, former {has_former}"
        for name in desk.context.store.names("models"):
            desk.context.store.remove(name)
        former = TrainedModel(desk.model("former"), "of the former", 2016, {}) if has_former else None
        if former is not None:
            champion.make_champion(desk.context, NETWORK, former)
        present, own = desk.champion(kind), desk.own(said, registered=expected == PROMOTE)
        models = {CHAMPION: present, OWN: own, FORMER: former}
        if expected != PROMOTE:
            found = predicting_model(desk.context, desk.data, NETWORK, key=own.training_key)
            assert found == models[expected], state
            continue
        with pytest.raises(InputError, match="may predict") as caught:
            predicting_model(desk.context, desk.data, NETWORK, key=own.training_key)
        command = re.search(r"`cropmap (models promote [^`]+)`", str(caught.value))
        assert command is not None, state
        assert run(shlex.split(command[1])) == 0, (state, capsys.readouterr().err)
        found = predicting_model(desk.context, desk.data, NETWORK, key=own.training_key)
        assert (found.artifact_id, found.reason) == (own.artifact_id, "BY_HAND"), state


def test_without_any_model_training_is_what_leads_out(desk: Desk) -> None:
    key = training_key(desk.context, desk.data, NETWORK, reviewed=NO_REVIEWS)
    with pytest.raises(InputError, match=r"no lstm is trained\. Run `cropmap train`"):
        predicting_model(desk.context, desk.data, NETWORK, key=key)
    for kind in ("of a later season", "of other bands", "gone", "damaged pointer"):
        desk.champion(kind)
        with pytest.raises(InputError, match=r"cannot judge this season: .*Run `cropmap train`"):
            predicting_model(desk.context, desk.data, NETWORK, key=key)
