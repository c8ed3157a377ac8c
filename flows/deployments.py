"""Agencies' schedules as Prefect deployments: one per cron line of an agency file, run by a process worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType

from cropmap.agency import Agency
from cropmap.errors import ConfigurationError, CropmapError, InputError
from cropmap.settings import Settings
from cropmap.stages.context import ready_database
from cropmap.stages.first_check import check_inputs
from flows.ingest import ingest
from flows.predict import predict
from flows.request import SHARED_SETTINGS, SeasonRequest
from flows.retrain import retrain

FLOWS: Final[dict[str, Flow[Any, Any]]] = {"observe": ingest, "predict": predict, "retrain": retrain}
"""key of the agency file's `schedule` -> the flow it runs"""
TAG: Final = "cropmap"
PAGE: Final = 200
GOOD: Final = "scheduled"


def schedule(agency_file: Path, *, pool: str, data: Path | None, home: Path | None) -> dict[str, object]:
    """Creates or updates one deployment per cron line and removes those whose line is gone, and those that the file
    had under another name of the agency.

    What a worker needs to find the same home and database is stored with it, as absolute paths and as names of
    settings. Two runs of one deployment never overlap, and no two of an agency: a late one waits. Raises
    ConfigurationError without a server, without a home, or for inputs that are not there.
    """
    file = agency_file.absolute()
    settings = Settings.load(home=home)
    folder = data or settings.data
    agency = Agency.read(file, data=folder)
    with _client() as client:
        request = _request(settings, file, folder=folder, has_home=home is not None)
        check_inputs(agency, season=request.seasons().current, observing=False)
        _ensure_pool(client, pool)
        done = {key: _apply(client, agency, key, pool=pool, request=request) for key in FLOWS}
        renamed = [d for d in _deployments(client) if _file_of(d) == str(file) and d.name != agency.agency]
        for deployment in renamed:
            client.delete_deployment(deployment.id)
    return {**done, **({"removed": sorted(_name(d) for d in renamed)} if renamed else {})}


def _request(settings: Settings, file: Path, *, folder: Path | None, has_home: bool) -> SeasonRequest:
    """What the deployments ask for; its home and its database are there afterwards."""
    if not has_home and not os.environ.get("CROPMAP_HOME") and not settings.home_path.is_dir():
        raise ConfigurationError(
            "there is no home here that scheduled runs could work in",
            where=str(settings.home_path),
            mend="Name it with --home or CROPMAP_HOME",
        )
    settings.make_home()
    ready_database(settings, create=True)
    return SeasonRequest(
        agency_file=file,
        data=folder.absolute() if folder else None,
        home=settings.home_path,
        needs=tuple(name for name in SHARED_SETTINGS if os.environ.get(name)),
    )


def scheduled() -> list[dict[str, str]]:
    """Every deployment of ours on the server: its agency, cron lines and file, and what is wrong with it."""
    with _client() as client:
        return [
            {
                "deployment": _name(deployment),
                "cron": "; ".join(str(getattr(s.schedule, "cron", s.schedule)) for s in deployment.schedules),
                "agency_file": _file_of(deployment),
                "state": _state(deployment),
            }
            for deployment in sorted(_deployments(client), key=_name)
        ]


def unschedule(agencies: list[str], *, gone: bool) -> dict[str, list[str]]:
    """Removes the deployments of these agencies and, with `gone`, those whose agency file is gone or names another.

    Raises InputError for an agency that has none.
    """
    with _client() as client:
        known = _deployments(client)
        for agency in agencies:
            if agency not in {d.name for d in known}:
                raise InputError(f"nothing is scheduled for agency {agency}", mend="See `cropmap schedules`")
        removed = [d for d in known if d.name in agencies or (gone and _is_gone(d))]
        for deployment in removed:
            client.delete_deployment(deployment.id)
    return {"removed": sorted(_name(d) for d in removed)}


def _state(deployment: DeploymentResponse) -> str:
    """Whether the file that the deployment runs still is that agency's; judged on this machine."""
    path = Path(_file_of(deployment))
    if not path.is_file():
        return "the agency file is gone"
    try:
        agency = Agency.read(path).agency
    except CropmapError as error:
        return f"the agency file cannot be read: {error}"
    return GOOD if agency == deployment.name else f"the agency file is that of {agency}"


def _is_gone(deployment: DeploymentResponse) -> bool:
    """A file with a mistake in it is still there."""
    return _state(deployment).startswith(("the agency file is gone", "the agency file is that of"))


def _deployments(client: SyncPrefectClient) -> list[DeploymentResponse]:
    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    deployments: list[DeploymentResponse] = []
    while page := client.read_deployments(deployment_filter=ours, limit=PAGE, offset=len(deployments)):
        deployments += page
    return deployments


def _name(deployment: DeploymentResponse) -> str:
    flow = (deployment.entrypoint or "flow").rsplit(".", 1)[-1]
    return f"{flow}/{deployment.name}"


def _file_of(deployment: DeploymentResponse) -> str:
    request = (deployment.parameters or {}).get("request")
    return str(request.get("agency_file", "")) if isinstance(request, dict) else ""


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
        tags=[TAG, agency.agency],
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


@contextmanager
def _client() -> Iterator[SyncPrefectClient]:
    """The Prefect server that schedules. Raises ConfigurationError without one, CropmapError where it is away."""
    url = PREFECT_API_URL.value()
    if not url:
        raise ConfigurationError("is not set", where="PREFECT_API_URL", mend="Start `prefect server start` and set it")
    try:
        with get_client(sync_client=True) as client:
            yield client
    except httpx.HTTPError as error:
        raise CropmapError(f"the Prefect server does not answer ({error})", where=url) from error
