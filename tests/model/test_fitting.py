"""Training, cross-fitting and calibration on a problem that can be learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cropmap.dataset.dataset import Dataset
from cropmap.dataset.series import Series
from cropmap.errors import ModelError
from cropmap.model import checkpoints
from cropmap.model.calibration import Calibration, calibrate_across, fit_calibration
from cropmap.model.crossfit import cross_fit
from cropmap.model.fitting import as_trained, evaluate_out_of_fold
from cropmap.model.fold import BEGUN, fold_name, rules_version, train_fold
from cropmap.model.networks import network_module
from cropmap.model.processes import train_together
from cropmap.model.training import train
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture
from cropmap.store import Store
from tests.model.problems import make_dataset, tiny
from tests.studies.random_split import random_split_gap

BOTH = pytest.mark.parametrize("architecture", list(Architecture))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return make_dataset()


@BOTH
@pytest.mark.slow
def test_a_separable_problem_is_learnt_by_models_that_did_not_see_it(
    architecture: Architecture, store: Store, dataset: Dataset
) -> None:
    out = evaluate_out_of_fold(store, dataset, tiny(architecture, min_steps=120), seed=1, workers=1)
    assert out.evaluation.n == 89  # one parcel has no observation
    assert out.evaluation.oa > 0.85
    assert np.isnan(out.probabilities[4]).all()
    assert np.isnan(out.cross_fit.logits[4]).all()
    history = out.cross_fit.folds[0].history
    assert history[-1]["train_loss"] < history[0]["train_loss"] - 0.3


@pytest.mark.slow
@BOTH
def test_the_same_seed_gives_the_same_bits_and_another_does_not(architecture: Architecture, dataset: Dataset) -> None:
    config = tiny(architecture, min_steps=10)
    first, again, other = (
        train(dataset, dataset.folds.training_mask(0), config, seed=seed).network.state_dict() for seed in (5, 5, 6)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["members.0.head.out.weight"], other["members.0.head.out.weight"])


def test_training_leaves_the_random_numbers_of_others_alone(dataset: Dataset) -> None:
    before = torch.get_rng_state()
    train(dataset, dataset.folds.training_mask(0), tiny(Architecture.LSTM, min_steps=2), seed=1)
    assert torch.equal(before, torch.get_rng_state())


def test_a_killed_cross_fit_resumes_with_the_folds_that_are_missing(store: Store, dataset: Dataset) -> None:
    config = tiny(Architecture.LSTM, min_steps=10)
    whole = cross_fit(store, dataset, config, seed=1, workers=1)
    lost = fold_name(dataset, 1, config, seed=1)
    kept = store.local_path(fold_name(dataset, 0, config, seed=1))
    written = kept.stat().st_mtime_ns
    store.remove(lost)
    resumed = cross_fit(store, dataset, config, seed=1, workers=1)
    np.testing.assert_array_equal(whole.logits, resumed.logits)
    assert kept.stat().st_mtime_ns == written
    assert store.exists(lost)


class Memory:
    """Checkpoints that are kept at every evaluation, and a plug that is pulled at one of them."""

    def __init__(self, pull_at: int) -> None:
        self.kept: list[bytes] = []
        self.pull_at = pull_at

    def read(self) -> bytes | None:
        return self.kept[-1] if self.kept else None

    def write(self, state: bytes) -> None:
        self.kept.append(state)
        if len(self.kept) == self.pull_at:
            raise KeyboardInterrupt


@BOTH
def test_a_training_killed_half_way_goes_on_to_the_same_bits(
    architecture: Architecture, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.0)
    config = tiny(architecture, min_steps=20, evaluations=5, dropout=0.3, truncate_rate=0.5)
    learn_from = dataset.folds.training_mask(0)
    whole = train(dataset, learn_from, config, seed=1)
    memory = Memory(pull_at=3)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, learn_from, config, seed=1, checkpoints=memory)
    shares: list[float] = []
    resumed = train(dataset, learn_from, config, seed=1, checkpoints=memory, on_step=shares.append)
    assert shares[0] == pytest.approx(12 / 20)
    assert resumed.history == whole.history
    states = whole.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_finished_fold_leaves_no_checkpoint(store: Store, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.0)
    config = tiny(Architecture.LSTM, min_steps=10)
    cross_fit(store, dataset, config, seed=1, workers=1)
    assert not [name for name in store.names("training") if name.endswith(BEGUN)]


@pytest.mark.slow
def test_two_processes_train_the_network_that_one_does(store: Store, tmp_path: Path, dataset: Dataset) -> None:
    # without augmentation: each process draws it for its own share
    config = tiny(
        Architecture.LSTM, min_steps=12, batch_size=16, drop_rate=0.0, shift_days=0.0, cloud_rate=0.0, truncate_rate=0.0
    )
    alone = train_fold(store, dataset, 0, config, seed=1)
    other = Store(tmp_path / "together")
    train_together(other, dataset, 0, config, 1, None, processes=2)
    together = train_fold(other, dataset, 0, config, seed=1)
    assert np.abs(alone.logits).max() > 0.1
    np.testing.assert_allclose(together.logits, alone.logits, atol=1e-3)


@pytest.mark.slow
def test_folds_trained_side_by_side_are_the_same_bits(store: Store, dataset: Dataset) -> None:
    config = tiny(Architecture.LSTM, min_steps=10)
    alone = cross_fit(store, dataset, config, seed=1, workers=1)
    for k in range(3):
        store.remove(fold_name(dataset, k, config, seed=1))
    np.testing.assert_array_equal(alone.logits, cross_fit(store, dataset, config, seed=1, workers=2).logits)


@pytest.mark.slow
def test_a_random_split_pretends_to_be_better_where_places_differ(store: Store, dataset: Dataset) -> None:
    # each region grows its own crop-to-phenology table: nothing learnt elsewhere helps
    turned = (dataset.label + dataset.folds.fold) % 3
    local = replace(dataset, label=turned.astype(np.int16), series=_with_region_mark(dataset))
    gap = random_split_gap(store, local, tiny(Architecture.TRANSFORMER, min_steps=120), seed=1, workers=1)
    assert gap.spatial.n == gap.at_random.n == 89
    assert gap.oa > 0.2
    assert gap.oa == gap.at_random.oa - gap.spatial.oa


def _with_region_mark(dataset: Dataset) -> Series:
    """The red band brighter by region, so that a network can know where a parcel lies."""
    mark = np.repeat(dataset.folds.fold, dataset.series.lengths).astype(np.float32)
    reflectance = dataset.series.reflectance.copy()
    reflectance[:, 0] += np.float32(0.3) * mark
    return replace(dataset.series, reflectance=reflectance)


def test_suspects_are_not_learnt_from_but_still_scored(store: Store, dataset: Dataset) -> None:
    config = tiny(Architecture.TRANSFORMER, min_steps=5)
    suspects = np.arange(len(dataset.label)) % 5 == 0
    whole = cross_fit(store, dataset, config, seed=1, workers=1)
    cleaned = cross_fit(store, dataset, config, seed=1, suspects=suspects, workers=1)
    learnable = dataset.folds.training_mask(2) & (dataset.series.lengths > 0)
    assert cleaned.folds[2].n_training == (learnable & ~suspects).sum() < whole.folds[2].n_training
    assert np.isfinite(cleaned.logits[dataset.judged]).all()
    assert not np.array_equal(whole.logits[dataset.judged], cleaned.logits[dataset.judged])


def test_validation_parcels_stop_a_training_that_gets_no_better(dataset: Dataset) -> None:
    config = tiny(
        Architecture.LSTM, min_steps=200, learning_rate=0.0, validation_share=0.2, min_validation_parcels=5, patience=3
    )
    trained = train(dataset, dataset.folds.training_mask(0), config, seed=1)
    assert trained.steps < 200
    assert len(trained.history) == 4  # the first is the best, then three without a better one
    assert trained.n_training < (dataset.folds.training_mask(0) & (dataset.series.lengths > 0)).sum()


def test_validation_takes_no_more_parcels_than_it_needs(dataset: Dataset) -> None:
    config = tiny(
        Architecture.LSTM, min_steps=5, validation_share=0.5, min_validation_parcels=2, max_validation_parcels=6
    )
    everyone = np.ones(len(dataset.label), bool)
    trained = train(dataset, everyone, config, seed=1)
    assert int((dataset.series.lengths > 0).sum()) - 6 <= trained.n_training < int((dataset.series.lengths > 0).sum())
    assert "validation_loss" in trained.history[-1]


def test_a_fold_without_two_classes_to_learn_is_refused(dataset: Dataset) -> None:
    one_class = replace(dataset, label=np.zeros_like(dataset.label))
    with pytest.raises(ModelError, match="fewer than two classes"):
        train(one_class, one_class.folds.training_mask(0), tiny(Architecture.LSTM), seed=1)


def test_a_loss_that_is_no_number_stops_the_training(dataset: Dataset) -> None:
    with pytest.raises(ModelError, match="the loss is nan at step"):
        train(
            dataset, dataset.folds.training_mask(0), tiny(Architecture.LSTM, learning_rate=1e30, clip_norm=1e30), seed=1
        )


def test_logit_adjustment_finds_more_of_a_rare_class(dataset: Dataset) -> None:
    rare = dataset.label.copy()
    rare[np.flatnonzero(rare == 0)[6:]] = -1  # six barley parcels are left
    scarce = replace(dataset, label=rare)
    found = []
    for tau in (0.0, 2.0):
        config = tiny(Architecture.LSTM, min_steps=40, logit_adjustment=tau)
        network = train(scarce, np.ones(len(rare), bool), config, seed=1).network
        head = network.members[0].get_submodule("head.out")
        assert isinstance(head, torch.nn.Linear)
        with torch.inference_mode():
            found.append(float(head.bias[0] - head.bias.mean()))
    assert found[1] > found[0]


def test_calibration_takes_back_a_temperature_and_a_bias() -> None:
    random = np.random.default_rng(3)
    honest = random.normal(0, 1.5, (200_000, 3)).astype(np.float32)
    shares = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    label = (random.random((200_000, 1)) > shares.cumsum(axis=1)).sum(axis=1).astype(np.int16)
    overconfident = ((honest - np.array([0.5, 0, -0.5], np.float32)) * 4).astype(np.float32)
    fitted = fit_calibration(overconfident, label)
    assert fitted.temperature == pytest.approx(4, rel=0.05)
    assert fitted.bias[0] - fitted.bias[2] == pytest.approx(1, abs=0.08)
    before, after = Calibration(1.0, (0.0,) * 3), fitted

    def nll(calibration: Calibration) -> float:
        return float(-np.log(calibration.probabilities(overconfident)[np.arange(len(label)), label]).mean())

    assert nll(after) < nll(before) - 0.3
    np.testing.assert_allclose(after.probabilities(overconfident).sum(axis=1), 1, atol=1e-6)


def test_a_fold_is_calibrated_on_the_others() -> None:
    logits = np.array([[2, 0], [0, 2], [3, 0], [0, 3]], np.float32)
    label, fold = np.array([0, 1, 1, 0], np.int16), np.array([0, 0, 1, 1], np.int16)
    out = calibrate_across(logits, label, fold)
    # fold 1 is always wrong: what was learnt from it makes fold 0 doubt, and the other way round
    assert out[0, 0] < 0.55
    assert out[2, 0] > 0.9


def test_one_other_fold_moves_no_class_against_another() -> None:
    random = np.random.default_rng(5)
    logits = random.normal(0, 1, (4_000, 2)).astype(np.float32)
    label = np.zeros(4_000, np.int16)  # all of class 0, whatever the scores say
    two, three = np.arange(4_000, dtype=np.int16) % 2, np.arange(4_000, dtype=np.int16) % 3
    likelier = logits.argmax(axis=1)
    np.testing.assert_array_equal(calibrate_across(logits, label, two).argmax(axis=1), likelier)
    assert (calibrate_across(logits, label, three).argmax(axis=1) == 0).mean() > (likelier == 0).mean() + 0.2


def test_what_is_written_down_names_the_rate_that_was_taken() -> None:
    config = TrainingConfig(architecture=Architecture.TRANSFORMER)
    assert as_trained(config)["learning_rate"] == 1e-3
    assert as_trained(replace(config, architecture=Architecture.LSTM))["learning_rate"] == 2e-3
    assert as_trained(replace(config, learning_rate=0.5))["learning_rate"] == 0.5
    assert as_trained(config)["architecture"] == "transformer"


def test_the_rules_of_a_network_are_its_own_module_and_what_all_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change to one network's module trains that network again, and no other."""
    lstm, transformer = rules_version(Architecture.LSTM), rules_version(Architecture.TRANSFORMER)
    assert lstm != transformer
    monkeypatch.setattr(network_module(Architecture.LSTM), "__file__", __file__)  # other bytes
    assert rules_version.__wrapped__(Architecture.LSTM) != lstm
    assert rules_version.__wrapped__(Architecture.TRANSFORMER) == transformer
