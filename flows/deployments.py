"""An agency's schedule as Prefect deployments: one per cron line of its agency file, run by a process worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import httpx
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType

from cropmap.agency import Agency
from cropmap.errors import ConfigurationError, CropmapError
from flows.ingest import ingest
from flows.predict import predict
from flows.request import SeasonRequest
from flows.retrain import retrain

FLOWS: Final[dict[str, Flow[Any, Any]]] = {"observe": ingest, "predict": predict, "retrain": retrain}
"""key of the agency file's `schedule` -> the flow it runs"""


def schedule(agency_file: Path, *, pool: str, data: Path | None, home: Path | None) -> dict[str, Any]:
    """Creates or updates one deployment per cron line and removes those whose line is gone.

    Two runs of one deployment never overlap: a late one waits. Raises ConfigurationError without a server.
    """
    agency = Agency.read(agency_file, data=data)
    url = PREFECT_API_URL.value()
    if not url:
        raise ConfigurationError("is not set", where="PREFECT_API_URL", mend="Start `prefect server start` and set it")
    request = SeasonRequest(agency_file=agency_file, data=_absolute(data), home=_absolute(home))
    try:
        with get_client(sync_client=True) as client:
            _ensure_pool(client, pool)
            return {key: _apply(client, agency, key, pool=pool, request=request) for key in FLOWS}
    except httpx.HTTPError as error:
        raise CropmapError(f"the Prefect server does not answer ({error})", where=url) from error


def _apply(client: SyncPrefectClient, agency: Agency, key: str, *, pool: str, request: SeasonRequest) -> str:
    flow, cron = FLOWS[key], getattr(agency.schedule, key)
    if cron is None:
        return _remove(client, f"{flow.name}/{agency.agency}")
    deployment: RunnerDeployment = flow.to_deployment(  # type: ignore[assignment]
        name=agency.agency,
        parameters={"request": request.model_dump(mode="json")},
        schedule=Cron(cron, timezone=agency.schedule.timezone),
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        work_pool_name=pool,
        entrypoint_type=EntrypointType.MODULE_PATH,
        tags=["cropmap", agency.agency],
        description=flow.description,
    )
    deployment.apply()
    return f"{flow.name}/{agency.agency} at {cron} {agency.schedule.timezone}"


def _remove(client: SyncPrefectClient, name: str) -> str:
    try:
        client.delete_deployment(client.read_deployment_by_name(name).id)
    except ObjectNotFound:
        return "not scheduled"
    return f"{name} removed"


def _ensure_pool(client: SyncPrefectClient, pool: str) -> None:
    try:
        client.read_work_pool(pool)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))


def _absolute(path: Path | None) -> Path | None:
    return path.absolute() if path else None
