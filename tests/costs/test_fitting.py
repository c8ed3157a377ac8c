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
    first, second = ({**units, "kiloparcels x dates": 1.0} for units in UNITS)
    known = [Measured(first, 9, 9, 1), Measured(second, 8, 8, 1)]
    planned = estimate("observe", {"acquisitions": 1.0}, known, processors=2)
    assert planned.cpu_s >= 0
    assert planned.measured


def test_short_and_long_series_tell_a_steps_own_time_apart() -> None:
    """A season of other series and a hundred times as many steps is planned from some seconds of both."""
    stage, rate = "train lstm", {"trainings": 0.0, "kilosteps": 30.0, "megaobservations": 60.0}
    short, long = (
        {"trainings": 0.0, "kilosteps": 0.02, "megaobservations": 0.02 * 32 * length / 1e3} for length in (6, 60)
    )
    known = [Measured(units, took(rate, units), took(rate, units), 0.0) for units in (short, long)]
    season = {"trainings": 0.0, "kilosteps": 2.0, "megaobservations": 2.0 * 32 * 25 / 1e3}
    assert estimate(stage, season, known, processors=2).cpu_s == pytest.approx(took(rate, season), rel=0.05)


def test_a_measurement_that_did_not_count_a_unit_says_nothing() -> None:
    before = Measured({"trainings": 4.0, "megaobservations": 0.1}, 90.0, 90.0, 1.0)
    season = {"trainings": 4.0, "kilosteps": 0.6, "megaobservations": 0.1}
    assert estimate("train lstm", season, [before], processors=2) == estimate("train lstm", season, [], processors=2)
