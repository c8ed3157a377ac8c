"""The estimators against worked examples."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropmap.statistics.difference import (
    CellTotals,
    ReviewedStrata,
    Reviews,
    add_up,
    benchmark,
    correct,
    overconfidence,
)
from cropmap.statistics.posterior import declared_shares, posterior, rake
from tests.studies.classical import ParcelStratum, difference_estimate, error_matrix_estimate, ratio_estimate

pytestmark = pytest.mark.shared_data
VERDICTS = ("confirmed", "conflict", "undeclared")


def _read(domain: Path, name: str) -> Any:
    return json.loads((domain / name).read_text())


def test_raking_and_posterior(domain: Path) -> None:
    golden = _read(domain, "area_golden_posterior.json")
    probabilities, declared = np.array(golden["p"]), np.array(golden["declared"])
    area, expected, close = np.array(golden["area_ha"]), golden["expected"], golden["tolerance"]
    raked = rake(probabilities, declared)
    shares = declared_shares(declared, classes=3)
    q = posterior(raked.probabilities, declared, shares=shares, declaration_error=golden["eps"])
    assert shares == pytest.approx(expected["share"], abs=close)
    assert raked.factors == pytest.approx(expected["alpha"], abs=close)
    assert raked.probabilities == pytest.approx(np.array(expected["p2"]), abs=close)
    assert q == pytest.approx(np.array(expected["q"]), abs=close)
    assert area @ raked.probabilities == pytest.approx(expected["sum_area_p2"], abs=1e-5)
    assert area @ q == pytest.approx(expected["sum_area_q"], abs=1e-5)


def _with_group(values: list[float], groups: list[list[int]]) -> list[float]:
    return [*values, *(sum(values[member] for member in group) for group in groups)]


def _population(golden: Any) -> tuple[CellTotals, ReviewedStrata, Reviews]:
    regions, groups = ["R1", "R2"], golden["groups"]
    region = np.array([regions.index(s["region"]) for s in golden["strata"]])
    verdict = np.array([VERDICTS.index(s["verdict"]) for s in golden["strata"]])
    strata_area = np.array([s["A"] for s in golden["strata"]])
    strata_variance = np.array([s["V0"] + s["V0g"] for s in golden["strata"]])
    area, synthetic, variance = np.zeros((2, 3)), np.zeros((2, 3, 4)), np.zeros((2, 3, 4))
    np.add.at(area, (region, verdict), strata_area)
    np.add.at(variance, (region, verdict), strata_variance)
    np.add.at(synthetic, (region, verdict), np.array([_with_group(s["Z"], groups) for s in golden["strata"]]))
    sample = golden["sample"]
    reviews = Reviews(
        stratum=np.array([row["h"] for row in sample]),
        area=np.array([row["a"] for row in sample]),
        inclusion=np.array([row["pi"] for row in sample]),
        truth=np.array([_with_group(row["y"], groups) for row in sample], dtype=float),
        posterior=np.array([_with_group(row["q"], groups) for row in sample]),
    )
    strata = ReviewedStrata(region, verdict, strata_area, strata_variance)
    nothing = np.zeros_like(variance)
    return CellTotals(area, synthetic, variance, nothing, nothing), strata, reviews


@pytest.mark.parametrize(
    ("case", "nu", "use_phi"), [("nu120", 120, False), ("nu120_phi", 120, True), ("nu80", 80, False)]
)
def test_shrunken_difference(domain: Path, case: str, nu: float, use_phi: bool) -> None:
    golden = _read(domain, "area_golden_shrunken_difference.json")
    cells, strata, reviews = _population(golden)
    phi = np.array([golden["phi"][v] if use_phi else 1.0 for v in VERDICTS])
    corrected = correct(cells, strata, reviews, overconfidence=phi, crops=3, prior_size=nu, unadjusted=True)
    _compare(golden, golden["expected"][case], corrected)


def test_no_reviews(domain: Path) -> None:
    golden = _read(domain, "area_golden_shrunken_difference.json")
    cells, strata, reviews = _population(golden)
    none = Reviews(*(value[:0] for value in vars(reviews).values()))
    corrected = correct(cells, strata, none, overconfidence=np.ones(3), crops=3, prior_size=120, unadjusted=True)
    _compare(golden, golden["expected"]["no_reviews"], corrected)


def _compare(golden: Any, expected: Any, corrected: Any) -> None:
    close = golden["tolerance"]
    assert corrected.omega.ravel() == pytest.approx(expected["omega"], abs=close)
    assert corrected.correction.reshape(6, 4) == pytest.approx(np.array(expected["D"]), abs=close)
    assert corrected.sampling.reshape(6, 4) == pytest.approx(np.array(expected["VD"]), abs=close)
    assert corrected.prior.reshape(6, 4) == pytest.approx(np.array(expected["tau2"]), abs=close)
    regions = add_up(corrected, np.array([0, 1]), parents=2)
    low, high = regions.interval(np.array(golden["region_area"])[:, None])
    assert regions.area == pytest.approx(np.array(expected["T"]), abs=close)
    assert regions.se == pytest.approx(np.array(expected["se"]), abs=close)
    assert regions.df == pytest.approx(np.array(expected["df"]), abs=close)
    assert low == pytest.approx(np.array(expected["lo"]), abs=close)
    assert high == pytest.approx(np.array(expected["hi"]), abs=close)
    whole = add_up(corrected, np.array([0, 0]), parents=1)
    assert whole.area[0] == pytest.approx(expected["parent_T"], abs=close)
    assert whole.se[0] == pytest.approx(expected["parent_se"], abs=close)


def test_overconfidence(domain: Path) -> None:
    golden = _read(domain, "area_golden_shrunken_difference.json")
    _, strata, reviews = _population(golden)
    verdict = strata.verdict[reviews.stratum]
    phi = overconfidence(reviews.truth[:, :3], reviews.posterior[:, :3], verdict, verdicts=3)
    assert phi == pytest.approx([golden["phi"][v] for v in VERDICTS], rel=1e-6)


def test_benchmark(domain: Path) -> None:
    golden = _read(domain, "area_golden_shrunken_difference.json")["benchmark"]
    mended = benchmark(np.array(golden["T"]), np.array(golden["V"]), np.array(golden["total"]))
    assert mended == pytest.approx(np.array(golden["expected"]), abs=1e-7)
    assert mended.sum(axis=1) == pytest.approx(golden["total"])


@pytest.mark.parametrize("case", ["first", "second"])
def test_olofsson(domain: Path, case: str) -> None:
    golden = _read(domain, "olofsson_golden.json")
    total = golden["total_area_ha"] if case == "first" else 1.0
    golden = golden if case == "first" else golden["second_case"]
    expected = golden["results"]
    found = error_matrix_estimate(
        np.array(golden["counts"], dtype=float), np.array(golden["map_share"]), total_area=total
    )
    assert found.area == pytest.approx(expected["area"])
    assert 1.96 * found.se_area == pytest.approx(expected["ci95_area"])
    assert found.users_accuracy == pytest.approx(expected["ua"])
    assert 1.96 * found.se_users_accuracy == pytest.approx(expected["ci_ua"])
    assert found.producers_accuracy == pytest.approx(expected["pa"])
    assert 1.96 * found.se_producers_accuracy == pytest.approx(expected["ci_pa"])
    assert found.overall_accuracy == pytest.approx(expected["oa"])
    assert 1.96 * found.se_overall_accuracy == pytest.approx(expected["ci_oa"])
    if case == "first":
        assert (round(found.area[0]), round(1.96 * found.se_area[0])) == (21_158, 6_158)


def test_parcel_estimators(domain: Path) -> None:
    golden = _read(domain, "parcel_estimator_golden.json")
    strata = []
    for name, population in golden["population"].items():
        area, truth, mapped = np.array(golden["sample_area_y_z"][name], dtype=float).T
        strata.append(ParcelStratum(population["N"], population["A"], population["Z"], area, truth, mapped))
    ratio, difference = ratio_estimate(strata), difference_estimate(strata)
    assert ratio.area == pytest.approx(golden["separate_ratio_estimator"]["area"])
    assert ratio.ci95 == pytest.approx(golden["separate_ratio_estimator"]["ci95"])
    assert difference.area == pytest.approx(golden["difference_estimator"]["area"])
    assert difference.ci95 == pytest.approx(golden["difference_estimator"]["ci95"])
