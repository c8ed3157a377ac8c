from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from cropmap.dataset.batches import pad
from cropmap.errors import ParityError
from cropmap.model.export import INPUTS, check_parity, export_network
from cropmap.model.networks import Network
from cropmap.model.training import new_network, standardise
from cropmap.model.training_config import TrainingConfig
from cropmap.schemas import Architecture
from tests.model.problems import CROPS, make_dataset, tiny

DATASET = make_dataset()
BANDS = DATASET.series.bands
CONFIGS = {
    **{str(architecture): tiny(architecture) for architecture in Architecture},
    "three transformers": tiny(Architecture.TRANSFORMER, members=3),
    "second lstm, both ways": tiny(Architecture.LSTM, width=24, bidirectional=True),
}


def network(config: TrainingConfig, seed: int) -> Network:
    made = new_network(BANDS, len(CROPS), config, seed=seed)
    standardise(made, DATASET.series, np.arange(40))
    return made.eval()


@pytest.mark.slow
def test_every_export_of_a_process_keeps_its_axes_and_predicts_what_torch_predicts() -> None:
    for name, config in CONFIGS.items():  # one after the other: torch freezes the time axis of a second LSTM
        for seed in (1, 2) if name == "lstm" else (1,):
            made = network(config, seed)
            data = export_network(made, BANDS, config)
            model = onnx.load_from_string(data)
            axes = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input]
            assert axes == [["batch", "time", 3], ["batch", "time"], ["batch", "time"]], name
            session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
            for count in (1, 2, 31):
                batch = pad(DATASET.series, np.arange(count) + 5)
                expected = made(*(torch.from_numpy(part) for part in batch.inputs)).detach().numpy()
                found = session.run(None, dict(zip(INPUTS, batch.inputs, strict=True)))[0]
                np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)
            assert check_parity(data, made, DATASET.series) < 1e-5


@pytest.mark.slow
def test_a_file_names_no_path_of_the_machine_that_made_it_and_repeats() -> None:
    config = CONFIGS["transformer"]
    data = export_network(network(config, 1), BANDS, config)
    assert b".py" not in data
    assert data == export_network(network(config, 1), BANDS, config)
    assert data != export_network(network(config, 2), BANDS, config)


def perturbed(data: bytes, name: str, by: float | NDArray[np.float32]) -> bytes:
    model = onnx.load_from_string(data)
    tensor = next(t for t in model.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.asarray(by, np.float32), name))
    return bytes(model.SerializeToString())


def test_a_file_with_a_changed_weight_is_refused() -> None:
    config = CONFIGS["transformer"]
    made = network(config, 1)
    data = export_network(made, BANDS, config)
    changed = np.zeros(3, np.float32)
    changed[1] = 0.01
    with pytest.raises(ParityError, match=r"^fold-1\.onnx: probabilities differ from torch by .* must not predict$"):
        check_parity(perturbed(data, "members.0.head.out.bias", changed), made, DATASET.series, where="fold-1.onnx")
    with pytest.raises(ParityError, match="by nan at batch x time"):
        check_parity(perturbed(data, "members.0.head.out.bias", np.nan), made, DATASET.series)


def test_a_file_that_froze_an_axis_is_refused() -> None:
    config = CONFIGS["transformer"]
    made = network(config, 1)
    model = onnx.load_from_string(export_network(made, BANDS, config))
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[1].dim_value = 7
    with pytest.raises(ParityError, match=r"does not run at batch x time \(1, 1\)"):
        check_parity(bytes(model.SerializeToString()), made, DATASET.series)
