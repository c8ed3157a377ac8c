from __future__ import annotations

import numpy as np
import pytest
import torch

from cropmap.dataset.batches import pad
from cropmap.model.networks import Network
from cropmap.model.networks.lstm import reversed_prefix
from cropmap.model.networks.parts import Inputs
from cropmap.model.training import logits_of, new_network, standardise
from cropmap.schemas import Architecture
from tests.model.problems import CROPS, make_dataset, tiny

DATASET = make_dataset()
EVERY_NETWORK = pytest.mark.parametrize(
    ("architecture", "bidirectional"),
    [*((architecture, False) for architecture in Architecture), (Architecture.LSTM, True)],
)


def network(architecture: Architecture, bidirectional: bool) -> Network:
    made = new_network(DATASET.series.bands, len(CROPS), tiny(architecture, bidirectional=bidirectional), seed=3)
    standardise(made, DATASET.series, np.arange(60))
    return made.eval()


@EVERY_NETWORK
def test_a_parcel_has_the_same_logits_alone_and_in_a_padded_batch(
    architecture: Architecture, bidirectional: bool
) -> None:
    made = network(architecture, bidirectional)
    index = np.array([0, 7, 2, 30, 11])
    assert len(set(DATASET.series.lengths[index])) > 2
    together = logits_of(made, DATASET.series, index)
    alone = np.concatenate([logits_of(made, DATASET.series, index[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    assert np.ptp(together, axis=0).min() > 1e-3  # parcels do differ


@EVERY_NETWORK
def test_what_stands_in_the_padding_does_not_matter(architecture: Architecture, bidirectional: bool) -> None:
    made = network(architecture, bidirectional)
    reflectance, day, valid = (torch.from_numpy(part) for part in pad(DATASET.series, np.array([0, 1, 2])).inputs)
    spoiled = reflectance.masked_fill(~valid[..., None], float("nan")), day.masked_fill(~valid, 999.0)
    with torch.inference_mode():
        torch.testing.assert_close(made(reflectance, day, valid), made(*spoiled, valid), atol=2e-6, rtol=0)


@EVERY_NETWORK
def test_the_calendar_is_read(architecture: Architecture, bidirectional: bool) -> None:
    made = network(architecture, bidirectional)
    reflectance, day, valid = (torch.from_numpy(part) for part in pad(DATASET.series, np.array([0, 1, 2])).inputs)
    with torch.inference_mode():
        gap = (made(reflectance, day, valid) - made(reflectance, day - 365, valid)).abs().max()
    assert gap > 1e-3  # the autumn before is not the autumn after


@EVERY_NETWORK
def test_a_series_of_missing_bands_or_without_a_step_gives_finite_logits(
    architecture: Architecture, bidirectional: bool
) -> None:
    made = network(architecture, bidirectional)
    reflectance = torch.full((2, 3, 3), float("nan"))
    valid = torch.tensor([[True, True, False], [False, False, False]])
    assert torch.isfinite(made(reflectance, torch.zeros(2, 3), valid)).all()


def inputs_of(made: Network) -> Inputs:
    inputs = made.members[0].inputs
    assert isinstance(inputs, Inputs)
    return inputs


def test_a_missing_band_counts_as_the_mean_of_training() -> None:
    made = network(Architecture.LSTM, False)
    inputs = inputs_of(made)
    row = torch.tensor([[[0.1, 0.4, 0.9]]])
    filled = row.clone()
    filled[..., 0] = inputs.mean[0]
    gap = row.clone()
    gap[..., 0] = float("nan")
    day = torch.tensor([[100.0]])
    inputs.above, inputs.below = [], []
    inputs.register_module("project", torch.nn.Identity())
    torch.testing.assert_close(inputs(gap, day), inputs(filled, day))
    assert not torch.equal(inputs(row, day), inputs(filled, day))


def test_standardising_uses_the_given_parcels_only() -> None:
    made = new_network(DATASET.series.bands, 3, tiny(Architecture.LSTM), seed=1)
    standardise(made, DATASET.series, np.array([1]))
    rows = slice(*DATASET.series.offsets[1:3])
    values = DATASET.series.reflectance[rows].astype(np.float64)
    np.testing.assert_allclose(inputs_of(made).mean[:2].numpy(), np.nanmean(values, axis=0), rtol=1e-5)
    np.testing.assert_allclose(inputs_of(made).std[:2].numpy(), np.nanstd(values, axis=0), rtol=1e-4)


def test_only_the_valid_prefix_is_turned_around() -> None:
    valid = torch.tensor([[True, True, True, False], [True, False, False, False]])
    assert reversed_prefix(valid).tolist() == [[2, 1, 0, 3], [0, 1, 2, 3]]


@pytest.mark.parametrize("architecture", list(Architecture))
def test_members_begin_apart_and_speak_with_their_mean_probability(architecture: Architecture) -> None:
    made = new_network(DATASET.series.bands, 3, tiny(architecture, members=2), seed=1).eval()
    inputs = tuple(torch.from_numpy(part) for part in pad(DATASET.series, np.array([0, 1, 2])).inputs)
    with torch.inference_mode():
        first, second = (torch.softmax(one, dim=1) for one in made.each(*inputs))
        together = torch.softmax(made(*inputs), dim=1)
    assert (first - second).abs().max() > 1e-3
    torch.testing.assert_close(together, (first + second) / 2)
