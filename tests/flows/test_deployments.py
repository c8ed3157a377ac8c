"""An agency's schedule on a real Prefect server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.schedules import CronSchedule

from cropmap.errors import ConfigurationError, InputError
from flows.deployments import schedule, scheduled, unschedule
from flows.ingest import ingest
from flows.request import SeasonRequest
from tests.flows.conftest import YEAR, change_agency

AGENCY = "simulated-bretagne"
BY_WORKER = "PREFECT__RUNTIME__DEPLOYMENT__ID"
"""Prefect's way to say that a deployment's run asks"""


@pytest.fixture(autouse=True)
def _database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_DATABASE_URL", database_url)
    for name in ("CROPMAP_HOME", "CROPMAP_DATA", "CROPMAP_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _nothing_scheduled(prefect_url: str) -> Iterator[None]:
    yield
    with get_client(sync_client=True) as client:
        for deployment in client.read_deployments():
            client.delete_deployment(deployment.id)


def _deployments() -> dict[str, tuple[list[str], int | None, str | None]]:
    with get_client(sync_client=True) as client:
        found = client.read_deployments()
    return {
        f"{d.entrypoint}/{d.name}": (
            [s.schedule.cron for s in d.schedules if isinstance(s.schedule, CronSchedule)],
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
    assert "removed" in str(schedule(path, pool="cropmap", data=inputs, home=inputs / "home")["retrain"])
    assert _deployments() == {f"flows.ingest.ingest/{AGENCY}": (["30 6 * * *"], 1, "cropmap")}


def test_a_cron_line_that_is_none_is_refused(prefect_url: str, inputs: Path) -> None:
    path = change_agency(inputs, schedule={"observe": "every morning"})
    with pytest.raises(ConfigurationError, match=r"schedule\.observe"):
        schedule(path, pool="cropmap", data=None, home=None)


def _request(agency: str = AGENCY) -> SeasonRequest:
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(f"ingest/{agency}")
    return SeasonRequest.model_validate(found.parameters["request"])


def test_a_deployment_names_absolute_places_and_the_settings_it_needs(
    prefect_url: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_agency(inputs, schedule={"observe": "0 6 * * *"})
    monkeypatch.chdir(inputs)
    schedule(Path("agency.yaml"), pool="cropmap", data=None, home=Path("../home"))
    request = _request()
    assert request.agency_file == inputs / "agency.yaml"
    assert request.home is not None
    assert request.home.is_absolute()
    assert request.home.resolve() == tmp_path / "home"
    assert request.needs == ("CROPMAP_DATABASE_URL",)
    assert request.home.is_dir()


def test_a_schedule_without_a_home_is_refused(
    prefect_url: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_agency(inputs, schedule={"observe": "0 6 * * *"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="--home"):
        schedule(inputs / "agency.yaml", pool="cropmap", data=None, home=None)
    assert not (tmp_path / ".cropmap").exists()
    assert scheduled() == []


def test_a_worker_that_is_elsewhere_is_refused_and_leaves_nothing(
    prefect_url: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(BY_WORKER, "00000000-0000-0000-0000-000000000000")
    request = SeasonRequest(agency_file=inputs / "agency.yaml", season=YEAR)
    before = sorted(tmp_path.rglob("*"))
    for asked, said in (
        (request, "names no home"),
        (request.model_copy(update={"home": tmp_path / "gone"}), "is not on the worker's machine"),
        (request.model_copy(update={"home": tmp_path, "needs": ("CROPMAP_STORE",)}), "CROPMAP_STORE: is not set"),
    ):
        with pytest.raises(ConfigurationError, match=said) as caught:
            ingest(asked)
        assert "\n" not in str(caught.value)
    monkeypatch.delenv("CROPMAP_DATABASE_URL")
    with pytest.raises(ConfigurationError, match="there is no database here"):
        ingest(request.model_copy(update={"home": tmp_path}))
    assert sorted(tmp_path.rglob("*")) == before


def test_an_agency_that_was_renamed_takes_its_deployments_along(prefect_url: str, inputs: Path) -> None:
    path = change_agency(inputs, schedule={"observe": "0 6 * * *", "predict": "0 7 * * *"})
    schedule(path, pool="cropmap", data=None, home=inputs / "home")
    change_agency(inputs, agency="bretagne")
    said = schedule(path, pool="cropmap", data=None, home=inputs / "home")
    assert said["removed"] == [f"ingest/{AGENCY}", f"predict/{AGENCY}"]
    assert [row["deployment"] for row in scheduled()] == ["ingest/bretagne", "predict/bretagne"]


def test_deployments_of_a_file_that_is_gone_are_shown_and_removed(prefect_url: str, inputs: Path) -> None:
    path = change_agency(inputs, schedule={"observe": "0 6 * * *"})
    schedule(path, pool="cropmap", data=None, home=inputs / "home")
    assert unschedule([], gone=True) == {"removed": []}
    path.rename(inputs / "elsewhere.yaml")
    assert [row["state"] for row in scheduled()] == ["the agency file is gone"]
    assert unschedule([], gone=True) == {"removed": [f"ingest/{AGENCY}"]}
    with pytest.raises(InputError, match=AGENCY):
        unschedule([AGENCY], gone=False)


def test_runs_are_named_by_agency_and_season(inputs: Path) -> None:
    assert SeasonRequest(agency_file=inputs / "agency.yaml", season=2018).label == f"{AGENCY} 2018"
    request = SeasonRequest(agency_file=inputs / "agency.yaml")
    years = request.seasons()
    assert request.label == f"{AGENCY} {' and '.join(map(str, years.all))}"
    assert "this year" not in request.label
    named = SeasonRequest(agency_file=change_agency(inputs, agency="a_b"), season=2018)
    assert named.artifact_key("statistics") == "statistics-a--b-2018"
    assert SeasonRequest(agency_file=inputs / "none.yaml", season=2018).label.endswith("none.yaml 2018")
