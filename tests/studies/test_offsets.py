"""What the study of offsets counts, at a small size, and what a season must give whatever the seed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.studies.offsets import SETTINGS, Setting, count, for_weeks, scattered, simulate

FEW = Setting("few", parcels=60, planted=scattered(0.3))


def test_errors_are_planted_in_both_directions_and_never_before_04() -> None:
    season = simulate(FEW, seed=3)
    assert {round(value, 1) for value in season.correction.values()} == {-0.1, 0.0, 0.1}
    old = [item for item, means in season.acquisitions.items() if means.baseline == "02.06"]
    assert old
    assert {season.correction[item] for item in old} == {0.0}
    same = simulate(FEW, seed=3)
    assert same.correction == season.correction
    assert all(
        np.array_equal(means.reflectance, same.acquisitions[item].reflectance, equal_nan=True)
        for item, means in season.acquisitions.items()
    )


@pytest.mark.parametrize("setting", [FEW, Setting("weeks", parcels=60, planted=for_weeks), SETTINGS[4]])
@pytest.mark.slow
def test_most_are_corrected_and_nothing_is_spoilt(setting: Setting) -> None:
    counts = sum((count(simulate(setting, seed=seed)) for seed in (1, 2, 3)), start=count(simulate(setting, seed=0)))
    assert counts["spoilt"] == 0
    assert counts["wrong corrected"] >= 0.85 * counts["wrong"] > 0
    assert counts["wrong corrected"] + counts["wrong contradicted"] >= 0.95 * counts["wrong"]
    assert counts["right contradicted"] <= 0.02 * counts["right"]
