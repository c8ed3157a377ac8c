"""An LSTM with its input projection multiplied into the first layer's weights: the same function, a fifth less work.

In training the projection keeps the number of weights small; at inference W (P x + p) + b = (W P) x + (W p + b) spares
one of the multiplications per step. In: a network. Out: a copy for export.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from cropmap.model.networks import Lstm, Network


def merged(network: Network) -> Network:
    """A copy that gives the same logits but for rounding; Transformers, which add to their projection, stay."""
    copy = deepcopy(network)
    for member in copy.members:
        if isinstance(member, Lstm):
            project = member.inputs.project
            member.onward = _merge(member.onward, project)
            if member.backward_in_time is not None:
                member.backward_in_time = _merge(member.backward_in_time, project)
            member.inputs.add_module("project", nn.Identity())
    return copy


def _merge(lstm: nn.LSTM, project: nn.Linear) -> nn.LSTM:
    made = nn.LSTM(project.in_features, lstm.hidden_size, lstm.num_layers, batch_first=True)
    state = {name: value.double() for name, value in lstm.state_dict().items()}
    state["bias_ih_l0"] = state["bias_ih_l0"] + state["weight_ih_l0"] @ project.bias.detach().double()
    state["weight_ih_l0"] = state["weight_ih_l0"] @ project.weight.detach().double()
    made.load_state_dict({name: value.to(torch.float32) for name, value in state.items()})
    return made.train(lstm.training)
