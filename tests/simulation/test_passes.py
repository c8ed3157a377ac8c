import numpy as np
import pytest

from cropmap.errors import ConfigurationError
from cropmap.schemas import SCL_CLEAR
from cropmap.simulation.passes import passes
from cropmap.simulation.sky import sky


def test_every_tile_has_its_dates_from_two_orbits_and_both_satellites() -> None:
    plan = passes(season=2018, dates=40, seed=2)
    for tile, orbits in (("30UVU", {94, 137}), ("30UWU", {94, 51})):
        seen = [one for one in plan if tile in one.tiles]
        assert len(seen) == 40
        assert {one.relative_orbit for one in seen} == orbits
        assert {one.platform for one in seen} == {"sentinel-2a", "sentinel-2b"}
        gaps = np.diff([one.day_of_year for one in seen])
        assert gaps.min() >= 0
        assert len(set(gaps.tolist())) > 4


def test_one_orbit_passes_every_five_days_with_satellites_in_turn() -> None:
    plan = [one for one in passes(season=2018, dates=90, seed=2) if one.relative_orbit == 94]
    for one in plan:
        assert (one.day_of_year - plan[0].day_of_year) % 5 == 0
        turns = (one.day_of_year - plan[0].day_of_year) // 5
        assert (one.platform == plan[0].platform) == (turns % 2 == 0)


def test_baselines_do_not_follow_the_date() -> None:
    plan = passes(season=2018, dates=40, seed=2)
    new = [one.day_of_year for one in plan if one.baseline == "05.00"]
    old = [one.day_of_year for one in plan if one.baseline == "02.06"]
    assert min(new) < max(old)
    assert min(old) < max(new)


@pytest.mark.parametrize("dates", [1, 101])
def test_impossible_numbers_of_dates_are_refused(dates: int) -> None:
    with pytest.raises(ConfigurationError, match="--dates"):
        passes(season=2018, dates=dates, seed=2)


@pytest.mark.slow
def test_the_classification_is_good_but_not_perfect() -> None:
    missed, false, cloudy, clear = 0, 0, 0, 0
    for one in passes(season=2018, dates=8, seed=2):
        above = sky(one, shape=(90, 120), pixel_m=20.0, seed=2)
        cloud, flagged = above.opacity > 0.1, above.seen > 0
        missed, cloudy = missed + int((cloud & ~flagged).sum()), cloudy + int(cloud.sum())
        dark = above.shadow > 0.1
        false, clear = false + int((~cloud & ~dark & flagged).sum()), clear + int((~cloud & ~dark).sum())
    assert 0 < missed / cloudy < 0.05
    assert 0 < false / clear < 0.15
    assert not set(SCL_CLEAR) & {3, 8, 9, 10}


def test_clouds_cover_their_share_and_are_blobs() -> None:
    one = next(p for p in passes(season=2018, dates=40, seed=2) if 0.3 < p.cloud_share < 0.6)
    cloud = sky(one, shape=(300, 300), pixel_m=20.0, seed=2).opacity > 0
    assert cloud.mean() == pytest.approx(one.cloud_share, abs=0.01)
    assert (cloud[:, 1:] == cloud[:, :-1]).mean() > 0.95
