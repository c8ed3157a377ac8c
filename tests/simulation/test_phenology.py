import numpy as np
import pytest

from cropmap.schemas import BANDS
from cropmap.simulation.crops import VARIETIES
from cropmap.simulation.phenology import Stand, covers, draw, reflectance

RED, NEAR, GREEN = BANDS.index("B04"), BANDS.index("B08"), BANDS.index("B03")
CODES = [variety.code for variety in VARIETIES]


def stand(code: str, *, region: int = 0, n: int = 400) -> Stand:
    index = np.full(n, CODES.index(code), np.int16)
    rng = np.random.default_rng(11)
    return draw(index, np.full(n, region, np.int16), np.arange(n, dtype=np.int32), rng)


def ndvi(code: str, day: float, **kwargs: int) -> float:
    spectrum = reflectance(stand(code, **kwargs), day)
    return float(np.median((spectrum[:, NEAR] - spectrum[:, RED]) / (spectrum[:, NEAR] + spectrum[:, RED])))


@pytest.mark.parametrize(
    ("code", "green_day", "bare_day"), [("BTH", 130, 215), ("MIS", 225, 140), ("ORH", 115, 195), ("CZH", 142, 205)]
)
def test_a_crop_is_green_in_its_season_and_not_outside(code: str, green_day: float, bare_day: float) -> None:
    assert ndvi(code, green_day) > 0.65
    assert ndvi(code, bare_day) < 0.45


def test_meadows_stay_green_all_year() -> None:
    assert min(ndvi("PPH", day) for day in (20, 110, 200, 290, 350)) > 0.45


@pytest.mark.slow
def test_winter_barley_ripens_before_wheat_and_corn_last() -> None:
    days = np.arange(100, 300, 4.0)

    def ripe(code: str) -> float:
        curve = np.array([ndvi(code, day) for day in days])
        peak = int(curve.argmax())
        return float(days[peak + np.flatnonzero(curve[peak:] < 0.6)[0]])

    assert ripe("ORH") < ripe("BTH") < ripe("TTH") < ripe("MIE")


def test_rapeseed_flowers_yellow() -> None:
    flowering, after = reflectance(stand("CZH"), 106), reflectance(stand("CZH"), 138)
    assert np.median(flowering[:, GREEN]) > 1.3 * np.median(after[:, GREEN])


def test_finistere_is_eleven_days_behind_ille_et_vilaine() -> None:
    late, early = stand("BTH", region=1), stand("BTH", region=2)
    assert float(np.mean(late.green_up[:, 0] - early.green_up[:, 0])) == pytest.approx(11, abs=0.1)


def test_covers_are_shares_of_the_ground() -> None:
    for code in CODES:
        for day in (-5.0, 60.0, 150.0, 240.0, 364.0):
            green, dry = covers(stand(code, n=50), day)
            assert min(green.min(), dry.min()) >= 0
            assert (green + dry).max() <= 0.981


def test_wet_soil_is_darker() -> None:
    bare = stand("MIS")
    assert reflectance(bare, 140, wetness=1.0).mean() < reflectance(bare, 140).mean()
