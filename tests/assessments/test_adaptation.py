"""Scores that are off in a region are put right there; what is right is left alone."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import check_grad
from scipy.special import log_softmax

from cropmap.assessments import adaptation
from cropmap.assessments.adaptation import adapted
from cropmap.assessments.channel import fit_channel
from tests.assessments.population import CENTRES, CROPS

SHARES = np.array([[0.30, 0.05, 0.30, 0.05, 0.05, 0.25], [0.05, 0.45, 0.05, 0.20, 0.20, 0.05]])
"""of the crops in two regions; the classifier knows the mean of both"""

Loss = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
"""a point to the loss there and its gradient"""


def _two_regions(parcels: int, *, seed: int, wrong: float = 0.03) -> tuple[np.ndarray, ...]:
    """Logits of who knows the crops' clouds but not the regions' shares; declared, region, truth."""
    rng = np.random.default_rng(seed)
    region = rng.integers(0, 2, parcels)
    true = (rng.random((parcels, 1)) > SHARES.cumsum(axis=1)[region]).sum(axis=1)
    signal = CENTRES[true] + 1.5 * rng.normal(size=(parcels, 4))
    logits = np.log(SHARES.mean(axis=0)) - ((signal[:, None] - CENTRES) ** 2).sum(axis=2) / (2 * 1.5**2)
    declared = true.copy()
    mistaken = rng.random(parcels) < wrong
    declared[mistaken] = (true[mistaken] + rng.integers(1, len(CROPS), mistaken.sum())) % len(CROPS)
    return logits, declared, region, true


def _loss(logits: np.ndarray, true: np.ndarray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(true)), true].mean())


def test_shares_of_a_region_are_learnt_from_noisy_declarations() -> None:
    logits, declared, region, true = _two_regions(8_000, seed=0)
    channel = fit_channel(logits, declared, seed=0)
    found = adapted(logits, declared, region, channel, seed=0)
    best = logits + np.log(SHARES[region] / SHARES.mean(axis=0))
    gained = _loss(channel.calibrated(logits), true) - _loss(found, true)
    assert gained > 0.9 * (_loss(logits, true) - _loss(best, true)) > 0.05


def test_scores_that_are_right_lose_nothing() -> None:
    logits, declared, region, true = _two_regions(8_000, seed=1)
    best = logits + np.log(SHARES[region] / SHARES.mean(axis=0))
    channel = fit_channel(best, declared, seed=0)
    found = adapted(best, declared, region, channel, seed=0)
    assert _loss(found, true) < _loss(channel.calibrated(best), true) + 0.002


def test_few_parcels_move_little() -> None:
    logits, declared, region, _ = _two_regions(8_000, seed=2)
    channel = fit_channel(logits, declared, seed=0)
    few = slice(None, 40)
    moved = adapted(logits[few], declared[few], region[few], channel, seed=0) - channel.calibrated(logits[few])
    more = adapted(logits, declared, region, channel, seed=0) - channel.calibrated(logits)
    assert np.abs(moved).mean() < 0.6 * np.abs(more).mean()


@pytest.mark.slow
def test_a_declaration_does_not_speak_for_itself() -> None:
    """Maize fields are declared as barley, one in the first world and ten in the second."""
    logits, declared, region, true = _two_regions(8_000, seed=3)
    barley, maize = CROPS.index("barley"), CROPS.index("corn")
    channel = fit_channel(logits, declared, seed=0)
    for count, most in ((1, 0.02), (10, 0.3)):
        chosen = np.flatnonzero((true == maize) & (declared == maize))[:count]
        lied = declared.copy()
        lied[chosen] = barley
        honest, other = (adapted(logits, said, region, channel, seed=0)[chosen] for said in (declared, lied))
        assert np.abs((honest - other)[:, maize] - (honest - other)[:, barley]).max() < most
        assert np.median(other[:, maize] - other[:, barley]) > 5


def test_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, declared, region, _ = _two_regions(60, seed=4)
    channel = fit_channel(logits, declared, seed=0)
    seen: list[Loss] = []

    def noted(loss: Loss, *_: object, **__: object) -> object:
        seen.append(loss)
        return SimpleNamespace(x=np.zeros(8 * 6))

    monkeypatch.setattr(adaptation, "minimize", noted)
    adapted(logits, declared, region, channel, seed=0)
    point = 0.3 * np.random.default_rng(0).normal(size=8 * 6)
    assert check_grad(lambda p: seen[0](p)[0], lambda p: seen[0](p)[1], point) < 1e-4


def test_more_parcels_than_the_sample_are_all_adapted(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, declared, region, true = _two_regions(3_000, seed=5)
    channel = fit_channel(logits, declared, seed=0)
    monkeypatch.setattr(adaptation, "SAMPLE", 2_000)
    found = adapted(logits, declared, region, channel, seed=0)
    assert _loss(found, true) < _loss(channel.calibrated(logits), true) - 0.05
    np.testing.assert_array_equal(found, adapted(logits, declared, region, channel, seed=0))
