"""Whole tables: additivity, what is kept, what is flagged, what is hidden."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.errors import InputError
from cropmap.statistics.areas import Estimated, estimate_areas
from cropmap.statistics.difference import prior_size
from cropmap.statistics.report import StatisticsReport
from tests.statistics.population import CROPS, REGIONS, Predicted, legend, review, simulate

_open = partial(estimate_areas, legend=legend(), min_holdings=1, min_holdings_nuts3=1, dominance=(1, 1.0))
"""no confidentiality, so that every figure can be read"""


def _check_additivity(estimated: Estimated, frame: pd.DataFrame) -> None:
    table = estimated.table
    parts = table[~table["crop"].isin(estimated.report.sums_published)]
    area = frame.groupby(frame["nuts_id"])["area_ha"].sum()
    for figure in ("estimate_ha", "declared_ha", "mapped_ha"):
        wide = parts.pivot(index="nuts_id", columns="crop", values=figure)
        for code in wide.index[wide.index.str.len() < 5]:
            children = wide[wide.index.str.startswith(code) & (wide.index.str.len() == len(code) + 1)]
            np.testing.assert_allclose(children.sum(), wide.loc[code], rtol=1e-9, atol=1e-9)
        if figure == "estimate_ha":
            nuts3 = wide[wide.index.str.len() == 5].sum(axis=1)
            np.testing.assert_allclose(nuts3, area.reindex(nuts3.index).fillna(0), rtol=1e-9, atol=1e-9)
    assert (parts["estimate_ha"] >= 0).all()
    assert (parts["se_ha"][parts["estimate_ha"] > 0] > 0).all()
    inside = (table["ci95_low_ha"] <= table["estimate_ha"] + 1e-9) & (
        table["estimate_ha"] <= table["ci95_high_ha"] + 1e-9
    )
    assert inside.all()
    assert (table["ci95_low_ha"] >= 0).all()


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    parcels=st.integers(1, 40),
    seed=st.integers(0, 1_000),
    rate=st.sampled_from([0.0, 0.2, 1.0]),
    undeclared=st.sampled_from([0.0, 0.3, 1.0]),
)
@pytest.mark.slow
def test_crops_add_up_to_the_region_and_children_to_parents(
    parcels: int, seed: int, rate: float, undeclared: float
) -> None:
    frame, predicted, truth = simulate(parcels=parcels, seed=seed, undeclared=undeclared, wrong=0.2)
    predicted.probabilities[:: max(parcels // 3, 1)] = np.nan
    reviews = review(frame, truth, rate=rate, seed=seed)
    reviews["inclusion_probability"] *= 0.9  # a certainty draw would rightly leave no error
    _check_additivity(_open(frame, predicted, reviews=reviews), frame)


def test_a_parcel_that_is_divided_at_a_border_counts_in_both_regions_and_once_above() -> None:
    frame, predicted, truth = simulate(parcels=60, seed=1, regions=("FRH01",))
    frame.loc[[0, 1], "holding_id"] = None
    half = frame.assign(area_ha=frame["area_ha"] / 2)
    divided = pd.concat([half, half.assign(nuts_id="FRH02")], ignore_index=True)
    reviews = review(frame, truth, rate=0.3, seed=1)
    whole, parts = _open(frame, predicted, reviews=reviews), _open(divided, predicted, reviews=reviews)
    _check_additivity(parts, divided)
    assert (parts.report.parcels, parts.report.parcels_divided_at_borders) == (60, 60)
    assert parts.report.reviews == whole.report.reviews == len(reviews)
    upper = [estimated.table[estimated.table["nuts_id"] == "FRH0"].set_index("crop") for estimated in (whole, parts)]
    for figure in ("declared_ha", "mapped_ha", "n_parcels", "n_holdings"):
        assert upper[1][figure].astype(float).tolist() == pytest.approx(upper[0][figure].astype(float).tolist())
    assert upper[1]["estimate_ha"].tolist() == pytest.approx(upper[0]["estimate_ha"].tolist(), rel=0.02)
    for region in ("FRH01", "FRH02"):
        lower = parts.table[parts.table["nuts_id"] == region].set_index("crop")
        assert lower["n_parcels"].tolist() == upper[0]["n_parcels"].tolist()


def test_table_has_every_region_level_and_crop_once() -> None:
    frame, predicted, _ = simulate(parcels=400, seed=0)
    table = _open(frame, predicted).table
    assert tuple(table.columns) == STATISTIC_COLUMNS
    assert not table.duplicated(["nuts_id", "crop"]).any()
    regions = table.drop_duplicates("nuts_id").set_index("nuts_id")["level"].to_dict()
    assert regions == {
        "DE": 0,
        "FR": 0,
        "DE2": 1,
        "FRH": 1,
        "FRI": 1,
        "DE21": 2,
        "FRH0": 2,
        "FRI1": 2,
        "DE21B": 3,
        "FRH01": 3,
        "FRH02": 3,
        "FRI11": 3,
    }
    assert len(table) == 12 * 6


def test_sum_of_items_is_the_class_and_has_its_own_error() -> None:
    frame, predicted, _ = simulate(parcels=800, seed=1)
    table = _open(frame, predicted).table.set_index(["nuts_id", "crop"])
    row = table.loc["FRH01"]
    assert row.at["C1500+G3000", "estimate_ha"] == pytest.approx(row.loc[["C1500", "G3000"], "estimate_ha"].sum())
    assert row.at["C1500+G3000", "declared_ha"] == pytest.approx(row.loc[["C1500", "G3000"], "declared_ha"].sum())
    assert 0 < row["se_ha"]["C1500+G3000"] != pytest.approx(row.loc[["C1500", "G3000"], "se_ha"].sum())


def test_split_follows_declared_use_in_the_region_then_in_the_parent() -> None:
    """FRH01 declares 6 ha of grain to 2 ha of green maize; FRH02 declares none and follows its parent."""
    frame = pd.DataFrame(
        {
            "parcel_id": list("abcdef"),
            "nuts_id": ["FRH01", "FRH01", "FRH01", "FRH02", "FRH02", "FRI11"],
            "area_ha": [6.0, 2.0, 4.0, 10.0, 3.0, 5.0],
            "crop_code": pd.Series(["MIS", "MIE", None, None, "BTH", "MIE"], dtype=object),
            "holding_id": list("stuvwx"),
        }
    )
    sure = {"corn": [1.0, 0, 0, 0], "wheat": [0.0, 0, 0, 1]}
    rows = [sure["corn"]] * 4 + [sure["wheat"], sure["corn"]]
    predicted = Predicted(np.array(list("abcdef"), dtype=object), CROPS, np.array(rows, dtype=np.float32))
    table = _open(frame, predicted).table.set_index(["nuts_id", "crop"])
    assert table.at[("FRH01", "C1500"), "mapped_ha"] == pytest.approx(6 + 4 * 0.75)
    assert table.at[("FRH01", "G3000"), "estimate_ha"] == pytest.approx(2 + 4 * 0.25, abs=1e-3)
    assert table.at[("FRH02", "C1500"), "estimate_ha"] == pytest.approx(7.5, abs=1e-3)
    assert table.at[("FRI11", "C1500"), "estimate_ha"] == pytest.approx(0, abs=1e-3)


def test_gated_and_unmapped_declarations_still_count() -> None:
    frame, predicted, _ = simulate(parcels=300, seed=2, regions=("FRH01",), undeclared=0.0)
    frame.loc[:9, "crop_code"] = "HBL"
    frame.loc[10:14, "crop_code"] = "BEE"
    frame.loc[15:24, "crop_code"] = "BTH"
    predicted.probabilities[15:25] = np.nan
    estimated = _open(frame, predicted)
    table = estimated.table.set_index(["nuts_id", "crop"]).loc["FRH01"]
    assert table.at["I4000", "declared_ha"] == pytest.approx(frame.loc[:9, "area_ha"].sum())
    assert table.at["I4000", "estimate_ha"] == pytest.approx(table.at["I4000", "declared_ha"])
    assert table.at["I4000", "basis"] == "register"
    assert table.at["I4000", "obs_flag"] is None
    assert table["se_ha"]["I4000"] > 0
    assert table.at["I4000", "n_parcels"] == 10
    assert table.at["local:other", "declared_ha"] == pytest.approx(frame.loc[10:14, "area_ha"].sum())
    assert table["declared_ha"].drop("C1500+G3000").sum() == pytest.approx(frame["area_ha"].sum())
    assert estimated.report.parcels_without_prediction == 10
    _check_additivity(estimated, frame)


@pytest.mark.slow
def test_estimate_is_nearer_the_truth_than_register_and_map() -> None:
    error = {"estimate_ha": 0.0, "mapped_ha": 0.0, "declared_ha": 0.0}
    covered, cells = 0, 0
    for seed in range(6):
        frame, predicted, truth = simulate(parcels=4_000, seed=seed)
        codes = {"MIE": "G3000", "MIS": "C1500", "BTH": "C1110", "PPH": "J0000", "DIV": "local:misc"}
        true = frame.assign(crop=truth["code"].map(codes)).groupby(["nuts_id", "crop"])["area_ha"].sum()
        table = _open(frame, predicted).table.set_index(["nuts_id", "crop"]).loc[true.index]
        for figure in error:
            error[figure] += float(((table[figure] - true) ** 2).sum())
        covered += int(((table["ci95_low_ha"] <= true) & (true <= table["ci95_high_ha"])).sum())
        cells += len(true)
    assert error["estimate_ha"] < 0.25 * error["declared_ha"]
    assert error["estimate_ha"] < 0.4 * error["mapped_ha"]
    assert cells == 120
    assert covered / cells > 0.9


def test_reviews_make_it_model_assisted_and_pull_towards_what_was_found() -> None:
    frame, predicted, truth = simulate(parcels=2_000, seed=3, wrong=0.2)
    plain = _open(frame, predicted)
    reviewed = _open(frame, predicted, reviews=review(frame, truth, rate=0.2, seed=1))
    assert set(plain.table["basis"]) == {"synthetic"}
    assert set(reviewed.table["basis"]) == {"model_assisted"}
    assert reviewed.report.reviews > 300
    assert plain.report.reviews == 0
    assert reviewed.report.overconfidence["confirmed"] > 1.5  # one in five declarations is wrong, 3 % assumed
    assert "confirmed" in reviewed.report.overconfident
    change = reviewed.table["estimate_ha"] - plain.table["estimate_ha"]
    assert change.abs().max() > 1


def test_a_crop_that_nobody_declared_is_found_with_an_error() -> None:
    """One review finds green maize where only grain was ever declared: a correction, and not a certain one."""
    frame, predicted, _ = simulate(parcels=60, seed=17, regions=("FRH01",), undeclared=0.0)
    frame["crop_code"] = frame["crop_code"].replace("MIE", "MIS")
    reviews = pd.DataFrame({"parcel_id": ["p00003"], "found_code": ["MIE"], "inclusion_probability": [0.05]})
    table = _open(frame, predicted, reviews=reviews).table.set_index(["nuts_id", "crop"])
    estimate_ha = table["estimate_ha"]["FRH01", "G3000"]
    assert estimate_ha > 0
    assert table["se_ha"]["FRH01", "G3000"] > 0.1 * estimate_ha


def test_every_parcel_reviewed_with_certainty_leaves_no_sampling_error() -> None:
    frame, predicted, truth = simulate(parcels=200, seed=4, regions=("FRH01",))
    reviews = pd.DataFrame({"parcel_id": frame["parcel_id"], "found_code": truth["code"], "inclusion_probability": 1.0})
    table = _open(frame, predicted, reviews=reviews).table.set_index(["nuts_id", "crop"])
    true = frame["area_ha"][truth["code"] == "BTH"].sum()
    assert table.at[("FRH01", "C1110"), "estimate_ha"] == pytest.approx(true, rel=1e-9)
    assert table.at[("FRH01", "C1110"), "se_ha"] == pytest.approx(0, abs=1e-6)


def test_before_declarations_everything_is_forecast() -> None:
    frame, predicted, _ = simulate(parcels=300, seed=5, undeclared=1.0)
    estimated = _open(frame, predicted)
    assert set(estimated.table["obs_flag"]) == {"f"}
    assert estimated.report.forecast
    assert "C1500+G3000" in set(estimated.table["crop"])
    assert not {"C1500", "G3000"} & set(estimated.table["crop"])
    assert (estimated.table["declared_ha"] == 0).all()
    _check_additivity(estimated, frame)


def test_low_reliability_is_flagged() -> None:
    frame, predicted, _ = simulate(parcels=200, seed=6)
    table = _open(frame, predicted).table
    unsure = (table["se_ha"] / table["estimate_ha"] > 0.25) & (table["estimate_ha"] > 0)
    assert (table["cv"] > 0.25).any()
    assert table["cv"][unsure].isna().any()  # a figure above 100 % would say nothing
    assert set(table["obs_flag"][unsure]) == {"u"}
    assert set(table["obs_flag"][~unsure]) == {"e"}


def test_region_without_parcels_is_zero_not_absent() -> None:
    frame, predicted, _ = simulate(parcels=300, seed=7, regions=("FRH01",))
    table = _open(frame, predicted, regions=["FRH04"]).table
    empty = table[table["nuts_id"] == "FRH04"]
    assert len(empty) == 6
    assert (empty[["estimate_ha", "se_ha", "declared_ha", "ci95_high_ha", "n_parcels"]] == 0).all(axis=None)
    assert empty["cv"].isna().all()
    assert empty["conf_status"].isna().all()


@pytest.mark.slow
def test_region_of_one_parcel_is_estimated_and_hidden() -> None:
    frame, predicted, _ = simulate(parcels=300, seed=8, regions=("FRH01",))
    frame.loc[0, ["nuts_id", "crop_code"]] = ["FRI11", "BTH"]
    _check_additivity(_open(frame, predicted), frame)
    table = estimate_areas(frame, predicted, legend()).table.set_index(["nuts_id", "crop"])
    assert table.at[("FRI11", "C1110"), "conf_status"] == "C"
    assert table["estimate_ha"].isna()["FRI11", "C1110"]


def test_single_class() -> None:
    frame, predicted, _ = simulate(parcels=50, seed=9)
    frame["crop_code"] = "BTH"
    only = Predicted(predicted.parcel_ids, ("wheat",), np.ones((50, 1), dtype=np.float32))
    estimated = _open(frame, only)
    assert set(estimated.table["crop"]) == {"C1110"}
    _check_additivity(estimated, frame)


@pytest.mark.slow
def test_confidential_cells_are_empty_in_every_figure() -> None:
    frame, predicted, _ = simulate(parcels=400, seed=10)
    estimated = estimate_areas(frame, predicted, legend())
    hidden = estimated.table[estimated.table["conf_status"] == "C"]
    assert 0 < len(hidden) == estimated.report.confidential_cells < len(estimated.table)
    figures = ["declared_ha", "mapped_ha", "estimate_ha", "se_ha", "ci95_low_ha", "ci95_high_ha", "cv"]
    assert hidden[[*figures, "n_parcels", "n_holdings", "obs_flag"]].isna().all(axis=None)
    shown = estimated.table[estimated.table["conf_status"].isna() & (estimated.table["n_parcels"] > 0)]
    assert (shown["n_holdings"] >= np.where(shown["level"] == 3, 10, 4)).all()
    assert "gave no hidden figure away" in estimated.report.confidentiality


@pytest.mark.slow
def test_a_table_without_any_holding_is_for_internal_use() -> None:
    """Parcels are no holdings: how many contribute is not known, and a figure may be one farm's."""
    frame, predicted, _ = simulate(parcels=300, seed=11, regions=("FRH01",))
    blank = estimate_areas(frame.assign(holding_id=" "), predicted, legend())
    estimated = estimate_areas(frame.assign(holding_id=None), predicted, legend())
    pd.testing.assert_frame_equal(estimated.table, blank.table)
    assert estimated.report.parcels_without_holding == 300
    assert set(estimated.table["conf_status"]) <= {"C", "N"}
    assert estimated.table["n_holdings"].isna().all()
    assert estimated.table["n_parcels"].notna().any()
    assert estimated.report.disclosure.internal == ("HOLDINGS_UNKNOWN",)
    assert estimated.report.confidentiality.startswith("not for publication: no parcel names its holding")
    known = estimate_areas(frame, predicted, legend())
    figures = ["declared_ha", "mapped_ha", "estimate_ha", "se_ha"]
    both = (known.table["conf_status"] != "C") & (estimated.table["conf_status"] != "C")
    pd.testing.assert_frame_equal(known.table.loc[both, figures], estimated.table.loc[both, figures])


def test_parcels_of_an_unknown_holding_may_be_anybody_s() -> None:
    """One farm grows all misc of a region on twelve parcels whose holding is not named."""
    frame, predicted, _ = simulate(parcels=900, seed=11, regions=("FRH01", "FRH02"), undeclared=0.0)
    misc = frame["crop_code"] == "DIV"
    frame.loc[misc, "crop_code"] = "BTH"
    farm = frame.index[frame["nuts_id"] == "FRH01"][:12]
    frame.loc[farm, "crop_code"] = "DIV"
    frame.loc[farm, "holding_id"] = None
    estimated = estimate_areas(frame, predicted, legend())
    table = estimated.table.set_index(["nuts_id", "crop"])
    for region in ("FRH01", "FRH0", "FRH", "FR"):
        assert table.at[(region, "local:misc"), "conf_status"] == "C", region
    assert estimated.report.disclosure.internal == ()
    assert "12 parcels name no holding" in estimated.report.confidentiality
    assert table["conf_status"].isna().any()


def test_report_is_json_and_says_what_was_checked() -> None:
    frame, predicted, _ = simulate(parcels=1_000, seed=12)
    frame.loc[:4, "nuts_id"] = None
    report = _open(frame, predicted).report
    assert StatisticsReport.read(json.loads(json.dumps(report.as_json())), where="a test") == report
    assert list(report.as_json()) == [
        "parcels",
        "parcels_divided_at_borders",
        "parcels_outside_regions",
        "parcels_without_prediction",
        "area_share_without_prediction",
        "parcels_without_holding",
        "area_share_by_verdict",
        "area_in_reviewed_cells",
        "overconfidence",
        "overconfident",
        "contradiction",
        "raking_tolerance",
        "largest_raking_gap",
        "regions_not_raked",
        "reviews",
        "reviews_outside",
        "prior_size",
        "declaration_error",
        "sums_published",
        "forecast",
        "cells",
        "confidentiality",
        "confidential_cells",
        "sum_members",
        "disclosure",
    ]
    assert report.parcels_outside_regions == 5
    assert report.parcels == 995
    assert report.largest_raking_gap < 0.01
    assert report.regions_not_raked == ()
    assert report.prior_size == 20  # 897 declared parcels would be 18
    assert report.declaration_error == 0.03


def test_probabilities_learnt_from_more_parcels_are_trusted_more() -> None:
    sizes = {n: _open(*simulate(parcels=n, seed=12)[:2]).report.prior_size for n in (2_000, 4_000)}
    assert sizes[2_000] == pytest.approx(0.9 * 2_000 / 50, rel=0.1)
    assert sizes[4_000] == pytest.approx(0.9 * 4_000 / 50, rel=0.1)
    assert [prior_size(n) for n in (0, 25_000, 10**6)] == [20, 500, 2_000]


def test_probabilities_that_are_not_raked_are_reported_and_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sure of one class each, and wrong about most of few parcels: 30 rounds do not reach the declared counts, and no
    more are allowed here."""
    monkeypatch.setattr("cropmap.statistics.posterior.RAKED", np.inf)
    frame, predicted, _ = simulate(parcels=25, seed=13, regions=REGIONS[:1], undeclared=0.0)
    rng = np.random.default_rng(7)
    certain = np.eye(4, dtype=np.float32)[rng.integers(0, 4, size=25)]
    frame["crop_code"] = rng.choice(["MIE", "PPH", "DIV", "BTH"], size=25, p=[0.1, 0.1, 0.1, 0.7])
    estimated = _open(frame, Predicted(predicted.parcel_ids, CROPS, certain))
    assert estimated.report.largest_raking_gap > 0.01
    assert estimated.report.regions_not_raked == ("FRH01",)
    assert set(estimated.table["obs_flag"]) == {"u"}
    _check_additivity(estimated, frame)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inclusion_probability": 0.0}, "inclusion probability"),
        ({"found_code": "XXX"}, "'XXX' is not in the legend"),
        ({"parcel_id": "p00001"}, "p00001 is reviewed twice"),
    ],
)
def test_bad_reviews_are_refused_in_one_line(change: dict[str, str | float], message: str) -> None:
    frame, predicted, truth = simulate(parcels=100, seed=14)
    reviews = review(frame, truth, rate=0.3, seed=0)
    reviews = pd.concat([reviews[reviews["parcel_id"] != "p00001"], reviews[:1].assign(parcel_id="p00001")])
    changed: dict[str, str | float] = {"parcel_id": "p00000x", **change}
    reviews = pd.concat([reviews, reviews[:1].assign(**changed)])
    with pytest.raises(InputError, match=message):
        _open(frame, predicted, reviews=reviews)


def test_bad_regions_and_areas_are_refused() -> None:
    frame, predicted, _ = simulate(parcels=10, seed=15)
    with pytest.raises(InputError, match="'FRH0' is not a NUTS-3 code"):
        _open(frame.assign(nuts_id="FRH0"), predicted)
    with pytest.raises(InputError, match="no area"):
        _open(frame.assign(area_ha=np.nan), predicted)


def test_sharp_probabilities_are_raked_for_as_long_as_it_takes() -> None:
    frame, predicted, _ = simulate(parcels=25, seed=13, regions=REGIONS[:1], undeclared=0.0)
    rng = np.random.default_rng(7)
    certain = np.eye(4, dtype=np.float32)[rng.integers(0, 4, size=25)]
    frame["crop_code"] = rng.choice(["MIE", "PPH", "DIV", "BTH"], size=25, p=[0.1, 0.1, 0.1, 0.7])
    estimated = _open(frame, Predicted(predicted.parcel_ids, CROPS, certain))
    assert estimated.report.largest_raking_gap < 0.01
    assert estimated.report.regions_not_raked == ()
