"""Retrain: every network on every fold, then its artifact: calibrated, exported to ONNX, checked, registered."""

from __future__ import annotations

import logging
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from cropmap.costs import rates
from cropmap.errors import PartialFailureError
from cropmap.stages import training as stage
from cropmap.stages.nothing_to_learn import why_no_model
from cropmap.stages.open_season import OpenSeason
from flows.request import SeasonRequest
from flows.units import claimed, one_line, unit

log = logging.getLogger("cropmap.flows.retrain")

train_network = unit("train", "train {architecture}")(stage.train_network)


@flow(name="retrain", flow_run_name="retrain {request.label}")
def retrain(request: SeasonRequest, *, season: OpenSeason | None = None) -> dict[str, object]:
    """A fold that was trained on the same data with the same settings is not trained again.

    One network after the other: each trains its folds side by side, one process per fold.
    A longer flow hands its `season` over.
    """
    return request.each_season(
        lambda season_request: _retrain(season_request, season or OpenSeason(season_request.open()))
    )


def _retrain(request: SeasonRequest, season: OpenSeason) -> dict[str, object]:
    networks: dict[str, Any] = {}
    failed: dict[str, str] = {}
    with claimed(season.context, "train"):
        if why := why_no_model(season):
            log.warning("%s: %s", request.label, why)
        for architecture in stage.networks_to_train(season):
            with rates.measured(season.context.store, f"train {architecture}") as done:
                trained = stage.is_trained(season, architecture)
                state = train_network(season, architecture=architecture, return_state=True)
                result = state.result(raise_on_failure=False)
                if not trained and not isinstance(result, BaseException):
                    done.update(rates.training_units(season, architecture))
            if isinstance(result, BaseException):
                failed[architecture] = one_line(result)
            else:
                networks[str(architecture)] = result
    rows = [{"network": name, **metrics} for name, metrics in networks.items()]
    create_table_artifact(
        key=request.artifact_key("accuracy"), table=rows, description=f"Out-of-fold accuracy: {request.label}"
    )
    if failed:
        raise PartialFailureError(failed, of=len(failed) + len(networks), unit="networks")
    return networks
