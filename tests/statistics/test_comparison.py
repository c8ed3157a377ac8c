"""Simple and classical estimators beside the estimate."""

import pandas as pd
import pytest

from cropmap.statistics.comparison import COMPARED, compare_estimators
from tests.statistics.population import legend, review, simulate

ITEMS = {"MIE": "G3000", "MIS": "C1500", "BTH": "C1110", "PPH": "J0000", "DIV": "local:misc"}


def _wide(found: pd.DataFrame) -> pd.DataFrame:
    return found.set_index(["nuts_id", "crop", "estimator"])["area_ha"].unstack()


def _true(frame: pd.DataFrame, truth: pd.DataFrame) -> pd.Series:
    return frame.assign(crop=truth["code"].map(ITEMS)).groupby(["nuts_id", "crop"])["area_ha"].sum()


def test_without_reviews_the_sampled_estimators_are_absent() -> None:
    frame, predicted, _ = simulate(parcels=400, seed=1)
    found = compare_estimators(frame, predicted, legend())
    assert tuple(found.columns) == COMPARED
    assert set(found["estimator"]) == {"register", "register scaled", "mapped", "posterior"}
    area = frame.groupby("nuts_id")["area_ha"].sum()
    parts = _wide(found).drop(index="C1500+G3000", level="crop").groupby("nuts_id").sum()
    for name in ("register scaled", "mapped", "posterior"):
        assert parts[name].to_numpy() == pytest.approx(area.to_numpy())
    declared = frame[frame["crop_code"].notna()].groupby("nuts_id")["area_ha"].sum()
    assert parts["register"].to_numpy() == pytest.approx(declared.to_numpy())


def test_a_census_leaves_no_difference() -> None:
    frame, predicted, truth = simulate(parcels=600, seed=2, wrong=0.2)
    reviews = pd.DataFrame({"parcel_id": frame["parcel_id"], "found_code": truth["code"], "inclusion_probability": 1.0})
    found = compare_estimators(frame, predicted, legend(), reviews=reviews)
    wide, true = _wide(found), _true(frame, truth)
    for name in ("difference", "PPI++"):
        assert wide.loc[true.index, name].to_numpy() == pytest.approx(true.to_numpy(), rel=1e-9)
    assert found.loc[found["estimator"] == "difference", "se_ha"].to_numpy() == pytest.approx(0, abs=1e-6)
    pooled = wide.groupby([wide.index.get_level_values("nuts_id").str[:4], "crop"])["parcel ratio"].sum()
    area = true.groupby([true.index.get_level_values("nuts_id").str[:4], "crop"]).sum()
    # rows are pooled over NUTS-2, within it they shift
    assert pooled[area.index].to_numpy() == pytest.approx(area.to_numpy(), rel=0.05)


def test_a_sample_scatters_around_the_truth_and_claims_an_error() -> None:
    frame, predicted, truth = simulate(parcels=3_000, seed=3, wrong=0.1)
    true, inside, cells = _true(frame, truth), 0, 0
    for seed in range(5):
        reviews = review(frame, truth, rate=0.2, seed=seed)
        found = compare_estimators(frame, predicted, legend(), reviews=reviews).set_index(
            ["nuts_id", "crop", "estimator"]
        )
        for name in ("difference", "PPI++"):
            rows = found.xs(name, level="estimator").loc[true.index]
            inside += int(((rows["area_ha"] - true).abs() <= 2.2 * rows["se_ha"]).sum())
            cells += len(true)
    assert inside / cells > 0.85
