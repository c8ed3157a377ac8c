"""Rates from measurements: none, one, and several of different sizes."""

from __future__ import annotations

import pytest

from cropmap.costs.fitting import STATED, estimate, fitted
from cropmap.costs.rates import STAGES, Measured

RATES = {"acquisitions": 0.2, "megapixels": 0.01}
UNITS = ({"acquisitions": 40.0, "megapixels": 300.0}, {"acquisitions": 40.0, "megapixels": 9000.0})


def took(rates: dict[str, float], units: dict[str, float]) -> float:
    return sum(rates[name] * amount for name, amount in units.items())


def test_without_measurements_the_stated_rates_count() -> None:
    assert fitted(RATES, []) == pytest.approx(RATES)
    planned = estimate("observe", UNITS[0], [], processors=2)
    assert not planned.measured
    assert planned.wall_s == pytest.approx(planned.cpu_s / 2)


def test_one_measurement_scales_all_rates() -> None:
    slower = {name: 3 * rate for name, rate in RATES.items()}
    assert fitted(RATES, [(UNITS[0], took(slower, UNITS[0]))]) == pytest.approx(slower, rel=0.01)


def test_two_sizes_tell_the_rates_apart() -> None:
    other = {"acquisitions": 0.6, "megapixels": 0.005}
    found = fitted(RATES, [(units, took(other, units)) for units in UNITS])
    assert found == pytest.approx(other, rel=0.05)


def test_a_measurement_that_is_no_work_says_nothing() -> None:
    assert fitted(RATES, [(UNITS[0], 0.01), (UNITS[0], 1e6)]) == pytest.approx(RATES)


def test_every_stage_has_rates() -> None:
    assert set(STATED) == set(STAGES)


def test_rates_are_never_negative() -> None:
    known = [Measured(UNITS[0], 9, 9, 1), Measured(UNITS[1], 8, 8, 1)]
    planned = estimate("observe", {"acquisitions": 1.0}, known, processors=2)
    assert planned.cpu_s >= 0
    assert planned.measured
