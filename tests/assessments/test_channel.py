"""The channel recovers what was planted, and its gradient is the derivative of its loss."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import check_grad
from scipy.special import softmax

from cropmap.assessments import channel as channels
from cropmap.assessments.channel import Channel, fit_channel
from tests.assessments.population import CROPS, SHARES, simulate

Loss = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
"""a point to the loss there and its gradient"""


def _case(seed: int, *, wrong: float = 0.04, parcels: int = 5_000) -> tuple[np.ndarray, np.ndarray]:
    frame, scores, _ = simulate(parcels=parcels, wrong=wrong, seed=seed)
    declared = np.array([CROPS.index(code.lower()) for code in frame["crop_code"]])
    return scores.logits, declared


def test_temperature_is_recovered_through_the_noise() -> None:
    logits, declared = _case(3)
    fitted = fit_channel(logits, declared, seed=0)
    assert np.exp(fitted.log_scale) == pytest.approx(1 / 1.6, rel=0.1)  # scores are 1.6 times too sharp


def test_background_is_the_planted_rate_per_pair_and_look_alikes_are_held_at_it() -> None:
    logits, declared = _case(3, wrong=0.05)
    fitted = fit_channel(logits, declared, seed=0)
    assert fitted.background == pytest.approx(0.05 / 5, rel=0.3)
    meadow, pasture = CROPS.index("meadow"), CROPS.index("pasture")
    assert not fitted.identifiable[meadow, pasture]
    assert fitted.matrix[meadow, pasture] <= fitted.background
    assert fitted.identifiable[CROPS.index("rape"), CROPS.index("corn")]
    assert fitted.matrix.sum(axis=1) == pytest.approx(np.ones(6))


def test_right_probability_is_bayes_rule() -> None:
    """Two classes, q = (0.9, 0.1), 20 % of true 0 declared as 1 and none of true 1 as 0."""
    matrix = np.array([[0.8, 0.2], [0.0, 1.0]])
    fitted = Channel(0.0, np.zeros(2), matrix, 0.1, np.ones((2, 2), dtype=bool), np.array([0.5, 0.5]), 0.0)
    clean = np.array([[0.9, 0.1], [0.9, 0.1]])
    right = fitted.right_probability(clean, np.array([0, 1]))
    assert right == pytest.approx([1.0, 0.1 / (0.1 + 0.9 * 0.2)])
    assert fitted.right(clean)[0] == pytest.approx(right)


def test_gradient_of_the_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    scores, declared = rng.normal(size=(40, 3)), rng.integers(0, 3, size=40)
    matrix = softmax(rng.normal(size=(3, 3)) + 3 * np.eye(3), axis=1)
    seen: list[Loss] = []

    def noted(loss: Loss, *_: object, **__: object) -> object:
        seen.append(loss)
        return SimpleNamespace(x=[0])

    monkeypatch.setattr(channels, "minimize", noted)
    channels._fit_calibration(np.zeros(4), scores, declared, matrix, np.array([0.5, 0.3, 0.2]), 0.01)
    point = np.array([0.3, 0.2, -0.4, 0.1])
    assert check_grad(lambda p: seen[0](p)[0], lambda p: seen[0](p)[1], point) < 1e-6


def test_same_seed_same_bits_and_a_sample_is_enough() -> None:
    logits, declared = _case(1)
    once, again = (fit_channel(logits, declared, seed=7, sample=3_000) for _ in range(2))
    assert np.array_equal(once.matrix, again.matrix)
    assert np.array_equal(once.bias, again.bias)
    whole = fit_channel(logits, declared, seed=7)
    assert once.background == pytest.approx(whole.background, rel=0.4)


def test_shares_come_from_all_declarations_not_from_the_sample() -> None:
    logits, declared = _case(2)
    fitted = fit_channel(logits, declared, seed=0, sample=500)
    assert fitted.shares == pytest.approx(np.bincount(declared) / len(declared))
    assert fitted.shares == pytest.approx(SHARES, abs=0.03)


def test_a_typical_parcel_has_its_softmax_back() -> None:
    logits, declared = _case(3)
    fitted = fit_channel(logits, declared, seed=0)
    scores = logits.astype(float)
    centred = scores - scores.mean(axis=1, keepdims=True)
    expected = softmax(np.exp(fitted.log_scale) * centred + fitted.bias, axis=1)
    np.testing.assert_allclose(fitted.typical(fitted.clean(logits)), expected, atol=1e-12)
