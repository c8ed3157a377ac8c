"""An agency's schedule on a real Prefect server."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from cropmap.errors import ConfigurationError
from flows.deployments import schedule
from tests.flows.conftest import change_agency

AGENCY = "simulated-bretagne"


def _deployments() -> dict[str, tuple[list[str], int | None, str | None]]:
    with get_client(sync_client=True) as client:
        found = client.read_deployments()
    return {
        f"{d.entrypoint}/{d.name}": (
            [s.schedule.cron for s in d.schedules],
            d.global_concurrency_limit.limit if d.global_concurrency_limit else None,
            d.work_pool_name,
        )
        for d in found
    }


def test_each_cron_line_becomes_one_deployment_and_a_removed_line_removes_it(prefect_url: str, inputs: Path) -> None:
    path = change_agency(inputs, schedule={"observe": "0 6 * * *", "retrain": "0 3 1 7 *", "timezone": "Europe/Paris"})
    said = schedule(path, pool="cropmap", data=inputs, home=inputs / "home")
    assert said["predict"] == "not scheduled"
    expected = {
        f"flows.ingest.ingest/{AGENCY}": (["0 6 * * *"], 1, "cropmap"),
        f"flows.retrain.retrain/{AGENCY}": (["0 3 1 7 *"], 1, "cropmap"),
    }
    assert _deployments() == expected

    change_agency(inputs, schedule={"observe": "30 6 * * *"})
    assert "removed" in schedule(path, pool="cropmap", data=inputs, home=inputs / "home")["retrain"]
    assert _deployments() == {f"flows.ingest.ingest/{AGENCY}": (["30 6 * * *"], 1, "cropmap")}


def test_a_cron_line_that_is_none_is_refused(prefect_url: str, inputs: Path) -> None:
    path = change_agency(inputs, schedule={"observe": "every morning"})
    with pytest.raises(ConfigurationError, match=r"schedule\.observe"):
        schedule(path, pool="cropmap", data=None, home=None)
