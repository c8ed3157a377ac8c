"""Samples for areas: who is drawn, with what probability, and what the sample then estimates."""

import numpy as np
import pytest

from cropmap.errors import InputError
from cropmap.statistics.review_design import SAMPLE_COLUMNS, draw_area_sample
from tests.statistics.population import legend, simulate


def test_same_seed_draws_the_same_parcels_whatever_their_order() -> None:
    frame, predicted, _ = simulate(parcels=2_000, seed=1)
    drawn = draw_area_sample(frame, predicted, legend(), budget=150, seed=4)
    shuffled = frame.sample(frac=1, random_state=0)
    again = draw_area_sample(shuffled, predicted, legend(), budget=150, seed=4)
    assert tuple(drawn.columns) == SAMPLE_COLUMNS
    assert drawn.equals(again)
    assert drawn["parcel_id"].is_unique
    other = draw_area_sample(frame, predicted, legend(), budget=150, seed=5)
    assert set(other["parcel_id"]) != set(drawn["parcel_id"])


def test_budget_is_kept_and_every_stratum_seen() -> None:
    frame, predicted, _ = simulate(parcels=4_000, seed=2)
    drawn = draw_area_sample(frame, predicted, legend(), budget=300, seed=0)
    per_stratum = drawn.groupby("stratum").agg(n=("parcel_id", "size"), size=("stratum_size", "first"))
    assert 300 <= len(drawn) <= 300 + 2 * len(per_stratum)
    assert (per_stratum["n"] >= np.minimum(2, per_stratum["size"])).all()
    assert drawn["inclusion_probability"].between(0, 1, inclusive="right").all()
    assert {name.split(" / ")[1] for name in per_stratum.index} >= {"agrees", "conflict", "undeclared"}


def test_expanded_areas_are_the_areas_of_the_strata() -> None:
    """With π proportional to area drawn parcels share their stratum's area evenly; large ones stand for their own."""
    frame, predicted, _ = simulate(parcels=3_000, seed=3)
    frame.loc[0, "area_ha"] = 5_000.0
    drawn = draw_area_sample(frame, predicted, legend(), budget=200, seed=0).merge(frame, on="parcel_id")
    assert drawn.set_index("parcel_id").at["p00000", "inclusion_probability"] == 1
    expanded = (drawn["area_ha"] / drawn["inclusion_probability"]).sum()
    assert expanded == pytest.approx(frame["area_ha"].sum(), rel=1e-9)


@pytest.mark.slow
def test_expanded_sample_is_unbiased_and_steadier_than_a_random_one() -> None:
    frame, predicted, truth = simulate(parcels=1_500, seed=4)
    wheat = frame["area_ha"].where(truth["code"] == "BTH", 0.0)
    area = dict(zip(frame["parcel_id"], wheat, strict=True))
    found, rng = [], np.random.default_rng(0)
    for seed in range(60):
        drawn = draw_area_sample(frame, predicted, legend(), budget=120, seed=seed)
        found.append((drawn["parcel_id"].map(area) / drawn["inclusion_probability"]).sum())
    simple = [rng.choice(wheat, 120, replace=False).mean() * len(wheat) for _ in range(60)]
    assert np.mean(found) == pytest.approx(wheat.sum(), abs=3 * np.std(found) / np.sqrt(60))
    assert np.std(found) < 0.6 * np.std(simple)


def test_a_budget_above_the_population_draws_everybody() -> None:
    frame, predicted, _ = simulate(parcels=50, seed=5)
    drawn = draw_area_sample(frame, predicted, legend(), budget=500, seed=0)
    assert len(drawn) == 50
    assert (drawn["inclusion_probability"] == 1).all()


def test_nothing_to_draw_from_is_an_error() -> None:
    frame, predicted, _ = simulate(parcels=10, seed=6)
    with pytest.raises(InputError, match="no parcel lies in a region"):
        draw_area_sample(frame.assign(nuts_id=None), predicted, legend(), budget=5, seed=0)
