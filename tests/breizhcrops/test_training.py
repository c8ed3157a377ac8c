"""Compatibility mode: the published networks to the last weight, the published sampling, any dataset's folds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from cropmap.breizhcrops.networks import Dropout, build_compat
from cropmap.breizhcrops.samples import batches, make_samples, sample_steps
from cropmap.breizhcrops.step import stepping
from cropmap.breizhcrops.training import PUBLISHED, CompatConfig, evaluate_compat
from cropmap.dataset.dataset import Dataset
from cropmap.errors import ConfigurationError, ModelError
from cropmap.schemas import Architecture
from cropmap.store import Store
from tests.model.problems import make_dataset

BOTH = pytest.mark.parametrize("architecture", list(PUBLISHED))
QUICK = {"batch_size": 30, "learning_rate": 3e-3}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return make_dataset()


@pytest.mark.parametrize(
    ("architecture", "count"), [(Architecture.LSTM, 1_335_331), (Architecture.TRANSFORMER, 168_969)]
)
def test_parameter_counts_are_the_published_ones(architecture: Architecture, count: int) -> None:
    assert sum(p.numel() for p in build_compat(architecture, 13, 9, seed=1).parameters()) == count


@BOTH
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # of torch, about the peer's layer
def test_published_weights_give_the_published_answers(architecture: Architecture) -> None:
    peer = pytest.importorskip("breizhcrops.models", reason="the breizhcrops package is not installed")
    torch.manual_seed(1)
    theirs = (peer.LSTM() if architecture is Architecture.LSTM else peer.TransformerModel()).eval()
    ours = build_compat(architecture, 13, 9, seed=1).eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = torch.rand(7, 45, 13)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x).log_softmax(dim=1), theirs(x), rtol=0, atol=1e-5)


@BOTH
def test_the_settings_are_the_published_ones(architecture: Architecture) -> None:
    config = CompatConfig.published(architecture)
    assert (config.batch_size, config.dates) == (256, 45)
    assert config.epochs == {"lstm": 17, "transformer": 30}[architecture]
    assert CompatConfig.published(architecture, epochs=60) == replace(config, epochs=60)


def test_a_network_that_was_not_published_is_refused_with_those_that_were() -> None:
    with pytest.raises(ConfigurationError) as caught:
        CompatConfig.published("gru")  # type: ignore[arg-type]  # what the types rule out
    assert str(caught.value) == "gru: is none of the published BreizhCrops networks. Known: lstm, transformer"


def test_dates_are_a_random_subset_in_order_and_repeat_only_where_there_are_too_few() -> None:
    length = np.array([45, 90, 3, 46])
    steps = sample_steps(length, 45, np.random.default_rng(1))
    assert steps.shape == (4, 45)
    assert (np.diff(steps, axis=1) >= 0).all()
    assert (steps >= 0).all()
    assert (steps < length[:, None]).all()
    assert steps[0].tolist() == list(range(45))
    assert [len(set(row.tolist())) for row in steps] == [45, 45, 3, 45]
    mean = np.mean([sample_steps(length, 45, np.random.default_rng(seed))[1] for seed in range(200)])
    assert mean == pytest.approx(44.5, abs=1)  # no part of the season is preferred


@pytest.mark.parametrize("rate", [0.02, 0.57])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float) -> None:
    drop = Dropout(rate, [np.random.default_rng(1)])
    x = torch.ones(400, 500, requires_grad=True)
    out = drop(x)
    assert float((out == 0).float().mean()) == pytest.approx(rate, rel=0.05)
    assert float(out.detach().max()) == pytest.approx(1 / (1 - rate))
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out)  # what was dropped has no gradient, what was kept has the scale
    assert torch.equal(drop.eval()(x), x)


@BOTH
def test_parts_of_a_batch_side_by_side_are_the_whole_batch(architecture: Architecture) -> None:
    """Without dropout, one step of plain descent moves the weights alike, however the batch is split."""
    x, label = torch.rand(5, 45, 3, generator=torch.manual_seed(1)), torch.tensor([0, 1, 1, 0, 1])
    moved = []
    for lanes in (1, 2, 7):  # the last has lanes without a part
        torch.manual_seed(1)
        network = build_compat(architecture, 3, 2, seed=1, lanes=lanes).eval()
        with stepping(network, torch.optim.SGD(network.parameters(), lr=1.0), lanes=lanes) as step:
            loss = step(x, label)
        moved.append([loss, *network.state_dict().values()])
    for other in moved[1:]:
        torch.testing.assert_close(other, moved[0], rtol=1e-4, atol=1e-6)


def test_rows_with_a_missing_band_are_dropped_unless_a_parcel_has_no_other(dataset: Dataset) -> None:
    reflectance = np.array([[0.1, 0.2], [np.nan, 0.4], [0.3, 0.6], [np.nan, 0.8]], np.float32)
    series = replace(
        dataset.series.take(np.array([0, 1])),
        offsets=np.array([0, 3, 4]),
        reflectance=reflectance,
        day_of_year=np.arange(4, dtype=np.int16),
        clear_fraction=np.ones(4, np.float32),
    )
    samples = make_samples(series, device="cpu")
    assert samples.length.tolist() == [2, 1]
    torch.testing.assert_close(samples.values, torch.tensor([[0.1, 0.2], [0.3, 0.6], [0.2, 0.8]]))


def test_a_pass_shows_every_parcel_once(dataset: Dataset) -> None:
    samples = make_samples(dataset.series, device="cpu")
    parcels = np.flatnonzero(samples.length)
    shown = list(batches(samples, parcels, np.random.default_rng(1), batch_size=40, dates=45))
    assert [tuple(x.shape) for x, _ in shown] == [(40, 45, 2), (40, 45, 2), (9, 45, 2)]
    assert sorted(np.concatenate([part for _, part in shown]).tolist()) == parcels.tolist()
    first, part = shown[0]
    own = {tuple(row) for row in dataset.series.reflectance[slice(*dataset.series.offsets[part[0] : part[0] + 2])]}
    assert {tuple(row.numpy()) for row in first[0]} <= own


def _config(architecture: Architecture, epochs: int, **changes: Any) -> CompatConfig:
    return replace(CompatConfig.published(architecture, epochs=epochs), **(QUICK | changes))


@BOTH
@pytest.mark.slow
def test_any_dataset_is_scored_on_its_own_folds(architecture: Architecture, store: Store, dataset: Dataset) -> None:
    owner = np.repeat(np.arange(len(dataset.series)), dataset.series.lengths)
    third = 0.4 * dataset.label[owner, None].astype(np.float32)  # tells the crops apart without days
    values = np.hstack([dataset.series.reflectance, third])
    dataset = replace(dataset, series=replace(dataset.series, reflectance=values, bands=("B04", "B08", "B11")))
    result = evaluate_compat(store, dataset, _config(architecture, 6), seed=1)
    assert result.evaluation.n == 89  # the same parcels as our own networks: all with an observation
    assert result.evaluation.oa > 0.7
    assert set(result.folds) == set(dataset.folds.names)
    for k, name in enumerate(dataset.folds.names):
        assert (dataset.folds.fold[result.folds[name].judged] == k).all()
        assert result.folds[name].losses[-1] < result.folds[name].losses[0]


@BOTH
@pytest.mark.slow
def test_a_fold_can_be_asked_for_alone_and_the_seed_decides(
    architecture: Architecture, store: Store, dataset: Dataset
) -> None:
    config = _config(architecture, 1)
    alone = evaluate_compat(store, dataset, config, seed=5, folds=[1])
    assert np.isfinite(alone.probabilities).all(axis=1).sum() == (dataset.judged & (dataset.folds.fold == 1)).sum()
    kept = store.names("training")
    assert len(kept) == 1
    again = evaluate_compat(Store(f"{store.root}2"), dataset, config, seed=5, folds=[1])
    other = evaluate_compat(store, dataset, config, seed=6, folds=[1])
    np.testing.assert_array_equal(alone.probabilities, again.probabilities)
    assert not np.array_equal(alone.probabilities, other.probabilities, equal_nan=True)
    resumed = evaluate_compat(store, dataset, config, seed=5, folds=[1])
    np.testing.assert_array_equal(alone.probabilities, resumed.probabilities)
    assert resumed.folds[dataset.folds.names[1]].seconds == alone.folds[dataset.folds.names[1]].seconds


def test_one_class_is_nothing_to_learn(store: Store, dataset: Dataset) -> None:
    with pytest.raises(ModelError, match="fewer than two classes"):
        evaluate_compat(
            store, replace(dataset, label=np.zeros_like(dataset.label)), _config(Architecture.LSTM, 1), seed=1
        )


def test_training_leaves_the_random_numbers_of_others_alone(store: Store, dataset: Dataset) -> None:
    before = torch.get_rng_state()
    evaluate_compat(store, dataset, _config(Architecture.TRANSFORMER, 1), seed=1, folds=[0])
    assert torch.equal(before, torch.get_rng_state())
