"""What a review contradicts is no example: the next training leaves it out, and has another key."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from cropmap.database.declarations import read_declarations
from cropmap.results.evaluation import Wanted, evaluate_season
from cropmap.results.reviews import draw_reviews, import_reviews
from cropmap.schemas import Architecture
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import needed_dataset
from cropmap.stages.findings import reviewed_labels
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.training import left_out_of_training, train_network, training_key
from tests.stages.conftest import NOON, observe_everything, open_context
from tests.stages.test_reviews import publish_by_hand

NETWORK = Architecture.LSTM


@pytest.fixture
def season(environment: None, empty_tracking: bytes, tiny_inputs: Path, tmp_path: Path) -> SeasonContext:
    (tmp_path / "mlflow.db").write_bytes(empty_tracking)
    context = open_context(
        tiny_inputs,
        tmp_path,
        assessment={"min_class_parcels": 6, "clean_up_rounds": 0},
        model={
            "networks": ["lstm"],
            "architecture": "lstm",
            "epochs": 1,
            "min_steps": 1,
            "folds": {"by": "random", "n": 2},
        },
    )
    observe_everything(context)
    publish_by_hand(context, "run-1")
    return context


def test_contradicted_declarations_are_left_out_of_the_next_training(season: SeasonContext, tmp_path: Path) -> None:
    data = OpenSeason(season).data
    before, dataset = (
        training_key(season, data, NETWORK, reviewed=reviewed_labels(season, data.parcels, data.legend)),
        needed_dataset(data),
    )
    drawn = draw_reviews(season, budget=55, seed=0, drawn_at=NOON, format_="csv")[1]
    (tmp_path / "field.csv").write_bytes(drawn)
    rows = pd.read_csv(tmp_path / "field.csv", dtype=str)
    labelled = set(dataset.series.parcel_ids[dataset.judged].tolist())
    learnt = [parcel for parcel in rows["parcel_id"] if parcel in labelled]
    said = {learnt[0]: "wrong", learnt[1]: "wrong", learnt[2]: "right"}
    rows.assign(finding=rows["parcel_id"].map(said)).to_csv(tmp_path / "field.csv", index=False)
    assert import_reviews(season, tmp_path / "field.csv", imported_at=NOON + timedelta(days=1))[0]["new"] == 3
    with season.connect() as connection:
        assert len(read_declarations(connection, **season.key)) == 60, "they stay declared"

    assert training_key(season, data, NETWORK, reviewed=reviewed_labels(season, data.parcels, data.legend)) != before
    reviewed = reviewed_labels(season, data.parcels, data.legend)
    left_out = left_out_of_training(season, data, NETWORK, reviewed)
    assert set(dataset.series.parcel_ids[left_out].tolist()) == {learnt[0], learnt[1]}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_evaluate_scores_the_network_that_predicts(season: SeasonContext, tmp_path: Path) -> None:
    everybody = evaluate_season(season, folds=None, architecture=None, wanted=Wanted())["networks"]["lstm"]
    assert everybody["left_out_of_training"] == 0
    dataset = needed_dataset(OpenSeason(season).data)
    learnt = dataset.series.parcel_ids[dataset.judged].tolist()
    drawn = draw_reviews(season, budget=55, seed=0, drawn_at=NOON, format_="csv")[1]
    (tmp_path / "field.csv").write_bytes(drawn)
    rows = pd.read_csv(tmp_path / "field.csv", dtype=str)
    rows.assign(finding=rows["parcel_id"].map(lambda p: "wrong" if p in learnt[::2] else None)).to_csv(
        tmp_path / "field.csv", index=False
    )
    import_reviews(season, tmp_path / "field.csv", imported_at=NOON + timedelta(days=1))

    said = evaluate_season(season, folds=None, architecture=None, wanted=Wanted())
    assert said["notes"] == ("the season's own lstm is not trained yet",)
    trained = train_network(OpenSeason(season), NETWORK)
    evaluated = said["networks"]["lstm"]
    assert {name: evaluated[name] for name in ("n", "oa", "kappa", "macro_f1", "ece", "brier")} == {
        name: trained[name] for name in ("n", "oa", "kappa", "macro_f1", "ece", "brier")
    }
    assert evaluated["left_out_of_training"] > 10
    assert evaluated["brier"] != everybody["brier"], "it is another network"
    assert evaluate_season(season, folds=None, architecture=None, wanted=Wanted())["notes"] == ()
