"""Whole assessments of populations whose truth is known."""

import json

import numpy as np
import pytest

from cropmap.assessments.assess import assess
from cropmap.assessments.evaluation import against_truth
from cropmap.assessments.gates import Limits
from cropmap.assessments.report import AssessmentReport
from cropmap.assessments.suspects import suspects
from cropmap.contracts.tables import ASSESSMENT_COLUMNS
from tests.assessments.population import CROPS, Scores, legend, simulate


@pytest.mark.slow
def test_realised_rate_is_near_the_target_over_seeds() -> None:
    rates, recalls = [], []
    for seed in range(3):
        parcels, scores, truth = simulate(parcels=6_000, wrong=0.04, seed=seed)
        assessed = assess(parcels, scores, legend(), false_alarm_rate=0.10, seed=0)
        check = against_truth(assessed.table, truth, legend())
        rates.append(1 - check.precision)
        recalls.append(check.recall)
        assert assessed.report.estimated_rate is not None
        assert assessed.report.estimated_rate <= 0.10
        assert check.flags == assessed.report.flags > 150
    assert 0.04 < np.mean(rates) < 0.125
    assert max(rates) < 0.15
    assert np.mean(recalls) > 0.8


@pytest.mark.slow
def test_rightly_declared_population_is_hardly_flagged() -> None:
    parcels, scores, truth = simulate(parcels=5_000, wrong=0.0, seed=1)
    assessed = assess(parcels, scores, legend(), false_alarm_rate=0.10, seed=0)
    assert against_truth(assessed.table, truth, legend()).flags <= 3
    assert "fewer than 10 flags" in assessed.report.reliability


def test_classifier_that_knows_nothing_is_refused_and_supports_nothing() -> None:
    parcels, scores, _ = simulate(parcels=3_000, wrong=0.04, seed=2, noise=50.0)
    assessed = assess(parcels, scores, legend(), false_alarm_rate=0.10, seed=0)
    assert set(assessed.table["verdict"]) == {"inconclusive"}
    assert set(assessed.table["reason"]) == {"NO_RELIABLE_EVIDENCE"}
    assert assessed.report.reliability.startswith("refused: the classifier is hardly better")
    assert assessed.table["right_probability"].isna().all()
    assert suspects(parcels, scores, legend(), seed=0) == frozenset()


@pytest.mark.slow
def test_class_that_was_not_learnt_is_refused_alone() -> None:
    parcels, scores, truth = simulate(parcels=5_000, wrong=0.02, seed=4)
    logits, rape = scores.logits.copy(), CROPS.index("rape")
    logits[:, rape] = np.random.default_rng(0).permutation(logits[:, rape])
    blind = Scores(scores.parcel_ids, CROPS, logits, scores.n_observations)
    assessed = assess(parcels, blind, legend(), false_alarm_rate=0.10, seed=0)
    assert assessed.report.guards is not None
    assert assessed.report.guards.classes_refused == ("rape",)
    declared_rape = assessed.table[assessed.table["declared_crop"] == "rape"]
    assert "mismatch" not in set(declared_rape["verdict"])
    assert declared_rape["priority"].isna().all()
    assert against_truth(assessed.table, truth, legend()).precision > 0.9
    names = set(parcels["parcel_id"][parcels["crop_code"] == "RAPE"])
    assert not suspects(parcels, blind, legend(), seed=0) & names


def test_small_population_is_provisional_and_a_tiny_one_refused() -> None:
    parcels, scores, truth = simulate(parcels=2_500, wrong=0.03, seed=0)
    assessed = assess(parcels, scores, legend(), false_alarm_rate=0.10, seed=0)
    assert assessed.report.reliability == "provisional: fewer than 10,000 parcels"
    assert against_truth(assessed.table, truth, legend()).precision > 0.8
    tiny = assess(parcels[:450], scores, legend(), false_alarm_rate=0.10, seed=0, limits=Limits(min_class_parcels=10))
    assert "mismatch" not in set(tiny.table["verdict"])
    assert {"conform", "inconclusive"} <= set(tiny.table["verdict"])
    assert "fewer than 500" in tiny.report.reliability


def test_crops_of_one_group_are_never_held_against_each_other() -> None:
    alike = legend({"meadow": "grass", "pasture": "grass"})
    parcels, scores, truth = simulate(parcels=5_000, wrong=0.04, seed=3)
    assessed = assess(parcels, scores, alike, false_alarm_rate=0.10, seed=0)
    table = assessed.table.set_index("parcel_id")
    crossed = [p for p, crop in truth.items() if {crop, table.at[p, "declared_crop"]} == {"meadow", "pasture"}]
    assert len(crossed) > 10
    assert (table.loc[crossed, "verdict"] == "mismatch").sum() <= 1
    assert not [pair for pair in assessed.report.pairs_not_assessed if pair.declared == "grass"]
    grass = table[(table["declared_crop"] == "meadow") & (table["verdict"] == "conform")]
    assert {"meadow", "pasture"} <= set(grass["predicted_crop"])


def test_look_alikes_are_named_and_not_flagged_wholesale() -> None:
    parcels, scores, _ = simulate(parcels=4_000, wrong=0.04, seed=5)
    assessed = assess(parcels, scores, legend(), false_alarm_rate=0.10, seed=0)
    pairs = {(pair.declared, pair.looks_like) for pair in assessed.report.pairs_not_assessed}
    assert {("meadow", "pasture"), ("pasture", "meadow")} <= pairs
    assert "LOOK_ALIKE_CROPS" in assessed.report.reasons


def test_table_keeps_every_declaration_and_its_order() -> None:
    parcels, scores, _ = simulate(parcels=2_000, wrong=0.03, seed=6)
    parcels.loc[0, "has_geometry"] = False
    parcels.loc[1, "pixels"] = 1.0
    parcels.loc[2, "parcel_id"] = "never seen"
    parcels.loc[3, "crop_code"] = "BEE"
    parcels.loc[4, "crop_code"] = None
    assessed = assess(parcels, scores, legend(), false_alarm_rate=0.10, seed=0)
    table = assessed.table
    assert tuple(table.columns) == ASSESSMENT_COLUMNS
    assert list(table["parcel_id"]) == list(parcels["parcel_id"].drop(4))
    assert list(table["reason"][:4]) == ["NO_GEOMETRY", "TOO_SMALL", "TOO_FEW_OBSERVATIONS", "CROP_NOT_IN_LEGEND"]
    assert set(table["verdict"][:4]) == {"not_assessable"}
    assert table["declared_crop"][3] is None
    assert table["predicted_crop"][2] is None
    assert table["priority"][:4].isna().all()
    assert sum(assessed.report.verdicts.values()) == 1_999


def test_priority_is_the_area_expected_to_be_wrong() -> None:
    parcels, scores, _ = simulate(parcels=2_000, wrong=0.03, seed=6)
    table = assess(parcels, scores, legend(), false_alarm_rate=0.10, seed=0).table
    assert table["priority"].to_numpy() == pytest.approx((1 - table["right_probability"]) * parcels["area_ha"])


def test_report_states_assumption_and_sensitivity_but_no_recall() -> None:
    parcels, scores, _ = simulate(parcels=2_000, wrong=0.04, seed=7)
    report = assess(parcels, scores, legend(), false_alarm_rate=0.10, seed=0).report
    text = json.dumps(report.as_json())
    assert AssessmentReport.read(json.loads(text), where="a test") == report
    assert list(report.as_json()) == [
        "target",
        "flags",
        "estimated_rate",
        "assumption",
        "sensitivity",
        "reliability",
        "guards",
        "verdicts",
        "reasons",
        "pairs_not_assessed",
    ]
    assert "recall" not in text
    assert "0.1%" in report.assumption
    band = report.sensitivity
    assert [row.tail for row in band] == [0.0, 0.001, 0.005]
    rates = [row.estimated_rate for row in band if row.estimated_rate is not None]
    assert len(rates) == 3
    assert rates[0] < rates[1] < rates[2]
    assert rates[1] == pytest.approx(report.estimated_rate)


@pytest.mark.slow
def test_a_declaration_that_a_review_confirmed_leaves_the_list_for_good() -> None:
    parcels, scores, _ = simulate(parcels=4_000, wrong=0.04, seed=7)
    before = assess(parcels, scores, legend(), false_alarm_rate=0.10, seed=0)
    flagged = before.table.loc[before.table["verdict"] == "mismatch", "parcel_id"]
    right = set(flagged.iloc[::4])
    after = assess(
        parcels.assign(confirmed=parcels["parcel_id"].isin(right)), scores, legend(), false_alarm_rate=0.10, seed=0
    )
    rows = after.table[after.table["parcel_id"].isin(right)]
    assert set(rows["verdict"]) == {"conform"}
    assert set(rows["reason"]) == {"CONFIRMED_BY_REVIEW"}
    assert (rows["priority"] == 0).all()
    listed = set(after.table.loc[after.table["verdict"] == "mismatch", "parcel_id"])
    assert not listed & right
    assert set(flagged) - right <= listed  # the others stay; some may join them
    assert after.report.estimated_rate is not None
    assert after.report.estimated_rate <= 0.10


def test_suspects_are_mostly_wrong_declarations() -> None:
    parcels, scores, truth = simulate(parcels=4_000, wrong=0.04, seed=8)
    names = suspects(parcels, scores, legend(), seed=0)
    declared = dict(zip(parcels["parcel_id"], parcels["crop_code"], strict=True))
    wrong = {parcel for parcel, crop in truth.items() if declared[parcel] != crop.upper()}
    assert len(names & wrong) / len(names) > 0.8
    assert len(names & wrong) / len(wrong) > 0.6


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_declaration(rows: int) -> None:
    parcels, scores, _ = simulate(parcels=20, wrong=0.0, seed=0)
    assessed = assess(parcels[:rows], scores, legend(), false_alarm_rate=0.10, seed=0)
    assert len(assessed.table) == rows
    assert set(assessed.table["reason"]) <= {"CLASS_TOO_RARE"}
    assert assessed.report.reliability == "refused: no assessable parcel"


def test_no_prediction_at_all() -> None:
    parcels, scores, _ = simulate(parcels=20, wrong=0.0, seed=0)
    none = Scores(scores.parcel_ids[:0], CROPS, scores.logits[:0], scores.n_observations[:0])
    assessed = assess(parcels, none, legend(), false_alarm_rate=0.10, seed=0)
    assert set(assessed.table["reason"]) == {"TOO_FEW_OBSERVATIONS"}


def test_one_class_compares_nothing() -> None:
    parcels, scores, _ = simulate(parcels=600, wrong=0.0, seed=0)
    wheat = parcels["crop_code"].to_numpy() == "WHEAT"
    only = Scores(scores.parcel_ids, ("wheat",), scores.logits[:, 5:], scores.n_observations)
    assessed = assess(parcels[wheat], only, legend(), false_alarm_rate=0.10, seed=0)
    assert set(assessed.table["reason"]) == {"NO_RELIABLE_EVIDENCE"}
