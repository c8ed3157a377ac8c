"""Retrain: every network on every fold, then its artifact: calibrated, exported to ONNX, checked, registered."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from cropmap.errors import PartialFailureError
from cropmap.stages import training as stage
from flows.request import SeasonRequest
from flows.units import one_line, unit

train_network = unit("train", "train {architecture}")(stage.train_network)


@flow(name="retrain", flow_run_name="retrain {request.label}")
def retrain(request: SeasonRequest) -> dict[str, Any]:
    """A fold that was trained on the same data with the same settings is not trained again.

    One network after the other: each trains its folds side by side, one process per fold.
    """
    context = request.open()
    networks: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for architecture in stage.networks_to_train(context):
        state = train_network(context, architecture=architecture, return_state=True)
        result = state.result(raise_on_failure=False)
        if isinstance(result, BaseException):
            failed[architecture] = one_line(result)
        else:
            networks[str(architecture)] = result
    rows = [{"network": name, **metrics} for name, metrics in networks.items()]
    create_table_artifact(key="accuracy", table=rows, description=f"Out-of-fold accuracy: {request.label}")
    if failed:
        raise PartialFailureError(failed, of=len(failed) + len(networks), unit="networks")
    return networks
