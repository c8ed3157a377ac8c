"""The same declarations and scores give the same rows, twice and in other processes."""

import multiprocessing
from typing import Any

import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from cropmap.assessments import channel, guards
from cropmap.assessments.assess import assess, assess_at
from cropmap.assessments.explanation import explain_declarations
from cropmap.assessments.gates import Limits
from cropmap.assessments.suspects import suspects
from cropmap.provenance import content_hash
from cropmap.schemas import Verdict
from tests.assessments.population import legend, simulate


def rows(seed: int) -> str:
    parcels, scores, _ = simulate(parcels=1_500, wrong=0.04, seed=seed)
    assessed = assess(parcels, scores, legend(), false_alarm_rate=0.1, seed=0)
    return content_hash(assessed.table.to_csv(float_format="%.17g"), str(assessed.report))


@pytest.mark.slow
def test_rows_are_the_same_twice_and_whatever_the_number_of_processes() -> None:
    once = [rows(seed) for seed in (1, 2)]
    assert once == [rows(seed) for seed in (1, 2)]
    assert once[0] != once[1]
    spawn = multiprocessing.get_context("spawn")
    for processes in (1, 2):
        with spawn.Pool(processes) as pool:
            assert pool.map(rows, (1, 2)) == once


@pytest.mark.slow
def test_linear_algebra_keeps_to_one_thread_whatever_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """25,000 declarations of 13 crops came out with other last digits under one thread than under two."""
    threads = []
    skill = guards.skill

    def watched(*arguments: Any) -> float:
        threads.append({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
        return skill(*arguments)

    monkeypatch.setattr(guards, "skill", watched)
    parcels, scores, _ = simulate(parcels=1_500, wrong=0.04, seed=1)
    with threadpool_limits(limits=2, user_api="blas"):
        assess(parcels, scores, legend(), false_alarm_rate=0.1, seed=0)
        suspects(parcels, scores, legend(), seed=0)
        explain_declarations(
            parcels,
            scores,
            legend(),
            false_alarm_rate=0.1,
            seed=0,
            limits=Limits(min_pixels=1, min_observations=1, min_class_parcels=1),
        )
    assert threads == [{1}] * 3


@pytest.mark.slow
def test_several_targets_at_once_are_each_as_if_asked_alone() -> None:
    parcels, scores, _ = simulate(parcels=1_500, wrong=0.04, seed=3)
    together = assess_at(parcels, scores, legend(), false_alarm_rates=(0.1, 0.2), seed=0)
    for one, target in zip(together, (0.1, 0.2), strict=True):
        alone = assess(parcels, scores, legend(), false_alarm_rate=target, seed=0)
        pd.testing.assert_frame_equal(one.table, alone.table)
        assert one.report == alone.report


def test_rows_are_the_same_however_many_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    parcels, scores, _ = simulate(parcels=1_500, wrong=0.04, seed=1)
    whole = assess(parcels, scores, legend(), false_alarm_rate=0.1, seed=0)
    monkeypatch.setattr(channel, "ROWS", 400)
    parts = assess(parcels, scores, legend(), false_alarm_rate=0.1, seed=0)
    pd.testing.assert_frame_equal(parts.table, whole.table, rtol=1e-9)
    assert (whole.table["verdict"] == Verdict.MISMATCH).any()
