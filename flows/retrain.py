"""Retrain: every network on every fold, then its artifact: calibrated, exported to ONNX, checked, registered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from cropmap.costs import rates
from cropmap.errors import PartialFailureError
from cropmap.stages import training as stage
from cropmap.stages.nothing_to_learn import why_no_model
from cropmap.stages.open_season import OpenSeason
from flows.engine import Cluster, cluster_of
from flows.request import SeasonRequest
from flows.units import claimed, gather_from_cluster, one_line, unit, watch

if TYPE_CHECKING:
    from cropmap.model.elsewhere import FoldJob

log = logging.getLogger("cropmap.flows.retrain")

train_network = unit("train", "train {architecture}")(stage.train_network)
trains = unit("train fold", "train {name}", retried=False)(watch)


@flow(name="retrain", flow_run_name="retrain {request.label}")
def retrain(request: SeasonRequest, *, season: OpenSeason | None = None) -> dict[str, object]:
    """A fold that was trained on the same data with the same settings is not trained again.

    One network after the other: each trains its folds side by side, one process per fold, or on a cluster one unit.
    A longer flow hands its `season` over.
    """
    return request.each_season(
        lambda season_request: _retrain(season_request, season or OpenSeason(season_request.open()))
    )


def _retrain(request: SeasonRequest, season: OpenSeason) -> dict[str, object]:
    networks: dict[str, Any] = {}
    failed: dict[str, str] = {}
    with claimed(season.context, "train"), cluster_of(request.settings()) as cluster:
        elsewhere = OnWorkers(cluster, season) if cluster else None
        if why := why_no_model(season):
            log.warning("%s: %s", request.label, why)
        for architecture in stage.networks_to_train(season):
            with rates.measured(season.context.store, f"train {architecture}") as done:
                trained = stage.is_trained(season, architecture)
                state = train_network(season, architecture=architecture, elsewhere=elsewhere, return_state=True)
                result = state.result(raise_on_failure=False)
                if not (trained or elsewhere or isinstance(result, BaseException)):
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


@dataclass(frozen=True)
class OnWorkers:
    """Folds as units of the cluster: each is trained into the store, where the usual path finds it."""

    cluster: Cluster
    season: OpenSeason

    @property
    def owner(self) -> str:
        return self.season.context.agency.agency

    def train(self, jobs: Sequence[FoldJob], trained: Callable[[FoldJob, float], None], /) -> None:
        from flows.worker import FoldUnit

        units = {str(unit): unit for unit in map(FoldUnit, jobs)}
        groups = {name: [name] for name in units}

        def told(name: str, seconds: float | BaseException) -> None:
            if not isinstance(seconds, BaseException):
                trained(units[name].job, seconds)

        gather_from_cluster(self.cluster, self.season, units, watched=trains, groups=groups, of="folds", done=told)
