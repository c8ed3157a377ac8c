"""Reviews for areas on the same 60 declarations: what is drawn, what comes back, and what the estimate is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cropmap.cli import run as cropmap
from cropmap.database.declarations import read_declarations
from cropmap.errors import InputError
from cropmap.predictions.predictions import Predictions
from cropmap.results.area_reviews import DrawnAreaReviews, draw_area_reviews, season_estimators
from cropmap.results.reviews import review_report
from cropmap.stages.context import SeasonContext
from cropmap.stages.findings import area_reviews, judged, run_statement
from cropmap.statistics.report import ReviewSample
from tests.stages.conftest import NOON
from tests.stages.test_reviews import come_back, draw, everything_right, season

__all__ = ["season"]


@pytest.fixture
def scored(season: SeasonContext) -> SeasonContext:
    """The published run's probabilities lie in the store, as a season leaves them."""
    with season.connect() as connection:
        ids = read_declarations(connection, **season.key)["parcel_id"].to_numpy(str)
    legend = season.agency.read_legend()
    rng = np.random.default_rng(0)
    Predictions(
        ids,
        legend.crops,
        rng.normal(size=(len(ids), len(legend.crops))).astype(np.float32),
        ["fold 0"] * len(ids),
        np.full(len(ids), 9, np.int32),
        [None] * len(ids),
        np.full(len(ids), 0.5, np.float32),
    ).write(season.store, "runs/run-1/predictions.parquet")
    return season


def draw_areas(context: SeasonContext, *, budget: int = 20, seed: int = 0) -> tuple[DrawnAreaReviews, bytes]:
    return draw_area_reviews(context, budget=budget, seed=seed, drawn_at=NOON, format_="csv")


def test_sample_is_recorded_once_and_certifies_nothing(scored: SeasonContext, tmp_path: Path) -> None:
    answer, file = draw_areas(scored)
    again, file_again = draw_areas(scored)
    assert (answer["new"], again) == (True, {**answer, "new": False})
    assert file == file_again
    assert answer["drawn"] >= 20
    back = come_back(scored, file, everything_right, tmp_path)
    assert "certifies no list" in back["certification"][answer["campaign"]]
    assert run_statement(scored, "run-1") == "Not certified: nobody has reviewed this list."
    with pytest.raises(InputError, match="no sample of a list was drawn"):
        review_report(scored)


def test_findings_reach_the_estimate_and_change_the_run(scored: SeasonContext, tmp_path: Path) -> None:
    assert area_reviews(scored).key == ()
    answer, file = draw_areas(scored)
    come_back(scored, file, everything_right, tmp_path)
    reviewed = area_reviews(scored)
    drawn = answer["drawn"]
    assert reviewed.report == ReviewSample(campaign=answer["campaign"], drawn=drawn, judged=drawn, wrong_without_crop=0)
    assert len(reviewed.key) == 1
    assert reviewed.table["found_code"].notna().all()
    come_back(scored, file, lambda _: {"finding": "cannot_tell"}, tmp_path, day=1)
    nothing = area_reviews(scored)
    assert (len(nothing.table), nothing.report.judged, nothing.key) == (0, 0, ())


def test_a_sample_of_the_list_serves_until_one_for_areas_comes_back(scored: SeasonContext, tmp_path: Path) -> None:
    of_list, file = draw(scored)
    come_back(scored, file, everything_right, tmp_path)
    assert area_reviews(scored).report.campaign == of_list["campaign"]
    for_areas, file = draw_areas(scored)
    assert area_reviews(scored).report.campaign == of_list["campaign"]  # nobody has visited it yet
    come_back(scored, file, everything_right, tmp_path, day=1)
    assert area_reviews(scored).report.campaign == for_areas["campaign"]
    assert review_report(scored)["campaign"] == of_list["campaign"]


def test_other_estimators_stand_beside_the_estimate(
    scored: SeasonContext, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = season_estimators(scored)
    plain = found.table
    assert found.reviews == ReviewSample(campaign=None)
    assert list(plain.columns) == [
        "nuts_id",
        "crop",
        "estimate",
        "se",
        "register",
        "register scaled",
        "mapped",
        "posterior",
    ]
    assert plain["estimate"].to_numpy() == pytest.approx(plain["posterior"].to_numpy())  # nothing was reviewed
    assert plain["register scaled"].to_numpy() == pytest.approx(plain["register"].to_numpy())  # all is declared
    assert (plain["se"] >= 0).all()
    _, file = draw_areas(scored)
    come_back(scored, file, everything_right, tmp_path)
    reviewed = season_estimators(scored, nuts="FRH01").table
    assert {"difference", "PPI++", "parcel ratio"} <= set(reviewed.columns)
    assert set(reviewed["nuts_id"]) == {"FRH01"}
    with pytest.raises(InputError, match="no parcel lies in DE2"):
        season_estimators(scored, nuts="DE2")
    agency, data = str(tmp_path / "simulated-bretagne.yaml"), str(scored.agency.resolve("", season=2018))
    assert cropmap(["stats", "estimators", agency, "--season", "2018", "--data", data]) == 0
    assert "no cell is hidden" in capsys.readouterr().out


def test_probabilities_that_are_gone_are_an_error(season: SeasonContext) -> None:
    with pytest.raises(InputError, match="probabilities are not in the store"):
        draw_areas(season)


def test_those_who_were_judged_stand_for_those_who_were_not() -> None:
    sample = pd.DataFrame(
        {
            "parcel_id": list("abcdef"),
            "stratum": ["one"] * 4 + ["two"] * 2,
            "area_ha": [1.0, 1.0, 2.0, 2.0, 3.0, 3.0],
            "inclusion_probability": [0.1, 0.1, 0.2, 0.2, 1.0, 1.0],
            "declared_code": ["BTH"] * 6,
            "finding": ["right", "wrong", "wrong", None, "cannot_tell", "right"],
            "found_code": [None, "MIE", None, None, None, None],
        }
    )
    found = judged(sample, "c")
    assert found.report == ReviewSample(campaign="c", drawn=6, judged=3, wrong_without_crop=1)
    rows = found.table.set_index("parcel_id")
    assert rows["found_code"].to_dict() == {"a": "BTH", "b": "MIE", "f": "BTH"}
    assert rows["inclusion_probability"].to_dict() == pytest.approx({"a": 0.05, "b": 0.05, "f": 0.5})
    expanded = sample.set_index("parcel_id")["area_ha"] / rows["inclusion_probability"]
    assert expanded.sum() == pytest.approx((sample["area_ha"] / sample["inclusion_probability"]).sum())
