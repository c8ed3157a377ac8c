import numpy as np
import pytest

from cropmap.legends import Legend
from cropmap.simulation.crops import CLASS_COUNTS, CROPS, VARIETIES
from cropmap.simulation.landscape import REGIONS
from cropmap.simulation.population import Population, crop_of, region_shares, settle

REGION = np.repeat(np.arange(4, dtype=np.int16), [3000, 2000, 2500, 4000])


@pytest.fixture(scope="module")
def people() -> Population:
    return settle(REGION, seed=5, wrong_share=0.03)


def test_morbihan_has_the_shares_of_the_talk(people: Population) -> None:
    counts = np.bincount(crop_of(people.variety)[REGION == 3], minlength=13)
    expected = np.array(list(CLASS_COUNTS.values())) / 126_000 * 4000  # the table's counts add up to about 126,000
    np.testing.assert_allclose(counts, expected, atol=45)
    assert region_shares("FRH04")[CROPS.index("corn")] == pytest.approx(25059 / 125_957)


def test_regions_differ(people: Population) -> None:
    vegetables = crop_of(people.variety) == CROPS.index("vegetables")
    share = [vegetables[region == REGION].mean() for region in range(len(REGIONS))]
    assert share[1] > 1.3 * share[3]


def test_a_holding_has_2_to_15_neighbouring_parcels_of_one_region(people: Population) -> None:
    sizes = np.bincount(people.holding)
    assert sizes.min() >= 2
    assert 14 <= sizes.max() <= 15
    assert (np.diff(people.holding) >= 0).all()
    for holding in (0, 100, people.holding.max()):
        assert len(set(REGION[people.holding == holding])) == 1


def test_holdings_have_preferences(people: Population) -> None:
    corn = crop_of(people.variety) == CROPS.index("corn")
    sizes = np.bincount(people.holding)
    share = np.bincount(people.holding, corn)[sizes > 7] / sizes[sizes > 7]
    by_chance = np.sqrt(corn.mean() * (1 - corn.mean()) / sizes[sizes > 7]).mean()
    assert share.std() > 1.2 * by_chance


def test_wrong_declarations_are_as_many_as_planted(people: Population) -> None:
    assert people.wrong.sum() == round(0.03 * len(REGION))
    true, said = crop_of(people.variety), crop_of(people.declared)
    assert ((true != said) == people.wrong).all()
    assert (people.variety == people.declared)[~people.wrong].all()


def test_half_the_wrong_ones_are_plausible(people: Population) -> None:
    true, said = (crop_of(v)[people.wrong] for v in (people.variety, people.declared))
    flows = {("permanent meadows", "temporary meadows"), ("corn", "temporary meadows"), ("common wheat", "barley")}
    plausible = [(CROPS[t], CROPS[s]) in flows for t, s in zip(true, said, strict=True)]
    assert (345 // 2) / 345 <= np.mean(plausible) < 0.65  # 345 wrong ones; chance adds a few
    assert len(set(said)) > 8


def test_none_is_wrong_when_none_is_planted() -> None:
    assert not settle(REGION, seed=5, wrong_share=0.0).wrong.any()


def test_the_legend_knows_every_code_and_gives_thirteen_classes() -> None:
    legend = Legend.read("fr_breizhcrops13")
    crops = {variety.crop: legend.crop_of(variety.code) for variety in VARIETIES}
    assert None not in crops.values()
    assert len(set(crops.values())) == 13
    assert set(crops.values()) == set(legend.crops)
    for variety in VARIETIES:
        assert legend.crop_of(variety.code) == crops[variety.crop]
