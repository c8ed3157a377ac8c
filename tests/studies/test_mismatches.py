"""What is planted follows its law, and the law its pattern."""

import numpy as np
import pytest

from cropmap.simulation.crops import CROPS
from cropmap.simulation.landscape import REGIONS
from cropmap.simulation.population import region_shares
from tests.studies.mismatches import FLOWS, Pattern, atypical, declare, joint_shares, law

SHARES = np.array([region_shares(region) for region in REGIONS]) / len(REGIONS)


@pytest.mark.parametrize("pattern", Pattern)
def test_law_has_the_asked_share_of_wrong_declarations(pattern: Pattern) -> None:
    planted = law(pattern, wrong_share=0.03, shares=SHARES, seed=4)
    assert planted.sum(axis=2) == pytest.approx(np.ones((4, 13)))
    assert (SHARES * (1 - planted.diagonal(axis1=1, axis2=2))).sum() == pytest.approx(0.03)


def test_concentrated_flows_have_their_shares() -> None:
    planted = law(Pattern.CONCENTRATED, wrong_share=0.03, shares=SHARES, seed=4)
    true, said, share = FLOWS[0]
    mass = (SHARES * planted[:, :, CROPS.index(said)])[:, CROPS.index(true)].sum() / 0.03
    uniform = 0.15 * SHARES[:, CROPS.index(true)].sum() / 12
    assert mass == pytest.approx(share + uniform, rel=0.02)


def test_classes_and_regions_differ_and_follow_the_seed() -> None:
    one, other = (law(Pattern.CLASS_AND_REGION, wrong_share=0.03, shares=SHARES, seed=seed) for seed in (1, 2))
    wrong = 1 - one.diagonal(axis1=1, axis2=2)
    assert wrong.max() > 4 * wrong.min()
    assert not np.allclose(one, other)


def test_declarations_are_drawn_from_the_law() -> None:
    planted = law(Pattern.UNIFORM, wrong_share=0.0, shares=SHARES, seed=0)
    corn, wheat, rape = (CROPS.index(crop) for crop in ("corn", "common wheat", "rapeseed"))
    planted[1, corn] = 0
    planted[1, corn, wheat], planted[1, corn, rape] = 0.25, 0.75
    true, region = np.full(8_000, corn), np.repeat([0, 1], 4_000).astype(np.int16)
    declared = declare(true, region, planted, seed=3)
    assert (declared[:4_000] == corn).all()
    assert set(declared[4_000:].tolist()) == {wheat, rape}
    assert (declared[4_000:] == rape).mean() == pytest.approx(0.75, abs=0.03)
    np.testing.assert_array_equal(declared, declare(true, region, planted, seed=3))


def test_atypical_parcels_are_of_another_class_than_their_signal() -> None:
    grown = np.arange(13_000) % 13
    true = atypical(grown, share=0.01, seed=0)
    assert 90 <= (true != grown).sum() <= 170
    assert (atypical(grown, share=0.0, seed=0) == grown).all()


def test_joint_shares() -> None:
    shares = joint_shares(np.array([0, 0, 3, 12]), np.array([0, 1, 1, 3], np.int16))
    assert shares[0, 0] == shares[1, 0] == shares[1, 3] == shares[3, 12] == 0.25
    assert shares.sum() == 1
