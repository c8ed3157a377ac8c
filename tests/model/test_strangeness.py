from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date

import numpy as np
import pytest

from cropmap.dataset.series import Series
from cropmap.model.strangeness import RANKS, SEASONS, Familiar, learn_familiar, out_of_distribution
from tests.model.problems import make_dataset

FLAT = Familiar(
    mean=((0.1, 0.3),) * SEASONS,
    covariance=((0.01, 0.0), (0.0, 0.04)),
    distances=tuple(np.linspace(0, 10, RANKS).tolist()),  # a distance of 1 is stranger than a tenth
)


def series(*parcels: list[tuple[int, float, float]]) -> Series:
    """Per parcel its observations: day of year, B04, B08."""
    rows = np.array([row for parcel in parcels for row in parcel]).reshape(-1, 3)
    return Series(
        parcel_ids=np.array([f"P{i}" for i in range(len(parcels))]),
        offsets=np.cumsum([0, *map(len, parcels)]).astype(np.int64),
        day_of_year=rows[:, 0].astype(np.int16),
        reflectance=rows[:, 1:].astype(np.float32),
        clear_fraction=np.ones(len(rows), np.float32),
        bands=("B04", "B08"),
        day_zero=date(2017, 12, 31),
    )


def test_the_rank_of_a_parcel_is_that_of_its_median_observation() -> None:
    found = out_of_distribution(
        series(
            [(100, 0.3, 0.3)],  # (0.2 / 0.1)^2 = 4
            [(100, 0.2, 0.5)],  # (0.1 / 0.1)^2 + (0.2 / 0.2)^2 = 2
            [(100, 0.2, np.nan)],  # 1 of one band stands for 2 of two
            [(10, 0.1, 0.3), (20, 0.3, 0.3), (-5, 5.0, 5.0)],  # 0, 4 and a cloud
            [],
            [(400, 9.0, 0.3)],
        ),
        FLAT,
    )
    np.testing.assert_allclose(found, [0.4, 0.2, 0.2, 0.4, np.nan, 1.0], atol=1e-6)


def test_the_time_of_year_counts() -> None:
    summer_green = replace(FLAT, mean=((0.1, 0.2),) * 6 + ((0.1, 0.6),) * 6)
    winter, summer = series([(20, 0.1, 0.6)]), series([(200, 0.1, 0.6)])
    assert out_of_distribution(winter, summer_green)[0] == pytest.approx(0.4)  # (0.4 / 0.2)^2
    assert out_of_distribution(summer, summer_green)[0] == pytest.approx(0, abs=1e-6)


@pytest.fixture(scope="module")
def familiar() -> Familiar:
    return learn_familiar(make_dataset(600))


def test_parcels_like_the_training_parcels_are_spread_evenly(familiar: Familiar) -> None:
    ranks = out_of_distribution(make_dataset(400, seed=8).series, familiar)
    ranks = np.sort(ranks[np.isfinite(ranks)])
    assert len(ranks) == 399
    assert np.abs(ranks - np.linspace(0, 1, 399)).max() < 0.09  # Kolmogorov-Smirnov, 1 % level: 0.082 for n = 399


@pytest.mark.parametrize(
    ("base", "spread", "scale"),
    [
        pytest.param((0.03, 0.015), 0.005, 0, id="water"),
        pytest.param((0.25, 0.3), 0.01, 0, id="town"),
        pytest.param((0, 0), 0, 3, id="scaled by three"),
    ],
)
def test_water_towns_and_wrong_scales_are_out(
    familiar: Familiar, base: tuple[float, float], spread: float, scale: float
) -> None:
    normal = make_dataset(100, seed=9).series
    noise = np.random.default_rng(1).standard_normal(normal.reflectance.shape)
    changed = (np.array(base) + spread * noise + scale * np.nan_to_num(normal.reflectance)).astype(np.float32)
    ranks = out_of_distribution(replace(normal, reflectance=changed), familiar)
    assert np.nanmean(ranks > 0.99) > 0.95


def test_what_is_familiar_survives_the_manifest(familiar: Familiar) -> None:
    assert Familiar.from_json(asdict(familiar)) == familiar
    assert len(familiar.distances) == RANKS
