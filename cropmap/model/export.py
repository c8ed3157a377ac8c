"""Trained networks to ONNX files with dynamic batch and time, checked against torch before they are used.

A network is translated once per configuration; the other folds' files are the same graph with their own
weights. Traps of torch 2.13 that this module works around (each is guarded by the checks below):
- torch keeps a dispatch cache for the LSTM; from the second export on it freezes the time axis at the example's
  length, silently. The cache is cleared before and after.
- constant folding at export merges weights into nameless tensors; it is left off (ONNX Runtime folds at load).
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from scipy.special import softmax

from cropmap.dataset.batches import pad
from cropmap.dataset.series import Series
from cropmap.errors import ModelError, ParityError
from cropmap.model.artifact import PARITY_TOLERANCE
from cropmap.model.networks import Network, build_network
from cropmap.model.training_config import TrainingConfig

INPUTS: Final = ("reflectance", "day_of_year", "valid")
OUTPUT: Final = "logits"
SHAPES: Final = ((1, 1), (1, 7), (3, 1), (5, 23), (16, None))
"""(batch, time) at which both are compared on real series; None takes the series at full length"""


def export_network(network: Network, bands: tuple[str, ...], config: TrainingConfig) -> bytes:
    """The network as an ONNX file: reflectance [batch, time, C'], day_of_year and valid [batch, time] -> logits."""
    model = onnx.ModelProto()
    model.ParseFromString(_graph(bands, network.classes, replace(config, members=len(network.members))))
    state = {name: value.numpy() for name, value in network.merged().state_dict().items()}
    _fill(model, state)
    _require_dynamic(model)
    return bytes(model.SerializeToString(deterministic=True))


def check_parity(file: bytes, network: Network, series: Series, *, where: str = "model") -> float:
    """Largest difference of a probability between torch and ONNX Runtime over SHAPES, on real series.

    Raises ParityError above PARITY_TOLERANCE or where the file does not run at another shape.
    """
    session = onnxruntime.InferenceSession(file, _options(), providers=["CPUExecutionProvider"])
    worst = 0.0
    for shape in SHAPES:
        reflectance, day_of_year, valid = _sample(series, shape)
        inputs = dict(zip(INPUTS, (reflectance, day_of_year, valid), strict=True))
        with torch.inference_mode():
            expected = network(*(torch.from_numpy(part) for part in inputs.values())).numpy()
        try:
            exported = session.run([OUTPUT], inputs)[0]
        except Exception as error:  # ONNX Runtime raises bare exceptions of several kinds
            raise ParityError(f"does not run at batch x time {reflectance.shape[:2]} ({error})", where=where) from error
        gap = np.abs(softmax(exported, axis=1) - softmax(expected, axis=1)).max()
        if not gap <= PARITY_TOLERANCE:  # also catches NaN
            raise ParityError(
                f"probabilities differ from torch by {gap:.1e} at batch x time {reflectance.shape[:2]}",
                where=where,
                mend=f"At most {PARITY_TOLERANCE:g} is accepted; this file must not predict",
            )
        worst = max(worst, float(gap))
    return worst


@lru_cache(maxsize=8)
def _graph(bands: tuple[str, ...], classes: int, config: TrainingConfig) -> bytes:
    """The graph of a network of this configuration, with weights that are still to be filled in."""
    network = build_network(bands, classes, replace(config, dropout=0.0)).merged().eval()
    example = (torch.rand(3, 7, len(bands) + 1), torch.rand(3, 7), torch.ones(3, 7, dtype=torch.bool))
    batch, time = torch.export.Dim("batch"), torch.export.Dim("time")
    with _quiet(), _fresh_lstm_dispatch():
        program = torch.onnx.export(
            network,
            example,
            dynamo=True,
            optimize=False,
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_shapes=({0: batch, 1: time},) * 3,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:  # stack traces of the machine that exported: no business of the reader
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:], model.metadata_props[:], model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    return bytes(model.SerializeToString(deterministic=True))


def _fill(model: onnx.ModelProto, state: Mapping[str, NDArray[np.float32]]) -> None:
    """Puts a network's state in place of the initializers of the same names."""
    places = {tensor.name: tensor for tensor in model.graph.initializer}
    missing = {name for name, value in state.items() if name not in places or tuple(places[name].dims) != value.shape}
    if missing:
        raise ModelError(f"the exported graph has no place for {sorted(missing)}")
    for name, value in state.items():
        places[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), name))


def _require_dynamic(model: onnx.ModelProto) -> None:
    for value in model.graph.input:
        axes = [axis.dim_param for axis in value.type.tensor_type.shape.dim[:2]]
        if not all(axes) or axes[0] == axes[1]:
            raise ParityError(
                f"input {value.name} has fixed axes {value.type.tensor_type.shape.dim}",
                mend="torch froze the batch or time axis at export: this file must not predict",
            )


def _sample(series: Series, shape: tuple[int, int | None]) -> tuple[NDArray[Any], ...]:
    """Observed parcels, evenly picked and repeated where there are too few, cut or padded to the time asked for."""
    count, time = shape
    observed = np.flatnonzero(series.lengths > 0)
    batch = pad(series, observed[np.linspace(0, len(observed) - 1, count).astype(np.int64)])
    if time is None:
        return batch.inputs
    short = time - batch.valid.shape[1]
    return tuple(
        np.pad(part[:, :time], [(0, 0), (0, max(short, 0))] + [(0, 0)] * (part.ndim - 2)) for part in batch.inputs
    )


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return options


@contextlib.contextmanager
def _fresh_lstm_dispatch() -> Iterator[None]:
    cache = torch.ops.aten.lstm.input._dispatch_cache
    cache.clear()
    try:
        yield
    finally:
        cache.clear()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """torch's exporter talks about its own internals; what matters is checked afterwards."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
