"""The compose file starts nothing open, holds no secret, and sets nothing that no program reads."""

from __future__ import annotations

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.settings import Settings as PrefectSettings
from prefect.settings.legacy import _get_settings_fields

import cropmap
from cropmap.settings import Settings
from serving.settings import ServingSettings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "infra" / "compose.yaml"
REFERENCE = re.compile(r"\$\{(\w+):\?[^}]+\}")
"""`${NAME:?message}`: compose refuses to start where NAME is not set."""
SECRET = re.compile(rf"({REFERENCE.pattern}|\w+:{REFERENCE.pattern}|[\w+]+://\w+:{REFERENCE.pattern}@[\w/]+)")
"""A reference alone, `user:reference`, or a URL with `user:reference@`."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return document


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def roles_variables() -> set[str]:
    return set(re.findall(r"^\\getenv \w+ (\w+)$", (ROOT / "infra" / "roles.sql").read_text(), re.MULTILINE))


def example_variables() -> set[str]:
    lines = (ROOT / "infra" / ".env.example").read_text().splitlines()
    return {line.partition("=")[0] for line in lines if "=" in line and not line.startswith("#")}


def known_variables() -> set[str]:
    cropmap_names = {f"CROPMAP_{name.upper()}" for name in {*Settings.model_fields, *ServingSettings.model_fields}}
    # read as text: importing MLflow's command line takes seconds and warns
    spec = find_spec("mlflow")
    assert spec is not None
    assert spec.origin is not None
    mlflow = Path(spec.origin).parent
    modules = [mlflow / "environment_variables.py", mlflow / "cli" / "__init__.py", mlflow / "utils" / "cli_args.py"]
    mlflow_names = {name for module in modules for name in re.findall(r"\bMLFLOW_\w+", module.read_text())}
    # of the images and of libraries, as their documentation names them
    others = {"POSTGRES_PASSWORD", "POSTGRES_INITDB_ARGS", "DO_NOT_TRACK", "HOME", "MPLBACKEND"}
    return cropmap_names | mlflow_names | set(_get_settings_fields(PrefectSettings)) | roles_variables() | others


def test_the_whole_house_is_there(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {"database", "migrate", "api", "prefect", "worker", "mlflow"}


def test_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        tag = service["image"].partition(":")[2]
        assert re.match(r"\d+(\.\d+)*", tag), f"{name}: {service['image']}"
        if service["image"].startswith("cropmap"):
            assert tag == cropmap.__version__


def test_every_variable_set_is_read_by_a_program(services: dict[str, dict[str, Any]]) -> None:
    known = known_variables()
    unknown = {f"{name}: {key}" for name, service in services.items() for key in service["environment"]} - {
        f"{name}: {key}" for name in services for key in known
    }
    assert unknown == set()


def test_secrets_come_from_the_environment(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for key, value in service["environment"].items():
            if "PASSWORD" in key or "AUTH_STRING" in key or "@" in value:
                assert SECRET.fullmatch(value), f"{name}: {key} is written out"


def test_the_example_environment_is_complete_and_empty() -> None:
    assert set(REFERENCE.findall(COMPOSE.read_text())) == example_variables()
    for line in (ROOT / "infra" / ".env.example").read_text().splitlines():
        assert line.startswith("#") or not line.partition("=")[2], f"a value in the example: {line}"


def test_nothing_listens_beyond_this_machine(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"api", "prefect", "mlflow"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert compose["networks"]["inner"] == {"internal": True}
    assert services["database"]["networks"] == services["migrate"]["networks"] == ["inner"]


def test_services_are_contained(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or name == "database"
        assert "privileged" not in service
        assert "user" not in service, "the image's own user"


def test_each_program_signs_in_with_its_own_role(services: dict[str, dict[str, Any]]) -> None:
    roles = {
        name: value.partition("://")[2].partition(":")[0]
        for name, service in services.items()
        for value in service["environment"].values()
        if "@database" in value
    }
    assert roles == {
        "migrate": "cropmap_owner",
        "worker": "cropmap_worker",
        "api": "cropmap_api",
        "prefect": "prefect",
        "mlflow": "mlflow",
    }


def test_telemetry_is_off(services: dict[str, dict[str, Any]]) -> None:
    for name in set(services) - {"database"}:
        environment = services[name]["environment"]
        assert environment["DO_NOT_TRACK"] == "1"
        assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
        assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


def test_volumes_are_named_and_exist(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    mounted = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    named = {source for source in mounted if not source.startswith((".", "$"))}
    assert named == set(compose["volumes"])
    assert (COMPOSE.parent / "roles.sql").is_file()


def test_dockerfile_pins_drops_root_and_checks_health() -> None:
    text = (ROOT / "Dockerfile").read_text()
    runtime = text[text.index("AS runtime") :]
    assert "--constraint constraints.txt" in text
    assert re.search(r"^USER 10001:10001$", runtime, re.MULTILINE)
    assert runtime.index("USER 10001") < runtime.index("ENTRYPOINT")
    assert "HEALTHCHECK" in runtime
    assert 'ENTRYPOINT ["cropmap"]' in runtime
    copied = {word for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE) for word in line.split()[:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_compose_accepts_it(tmp_path: Path) -> None:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("this docker client has no compose")
    values = tmp_path / "env"
    values.write_text("".join(f"{name}={tmp_path if 'FOLDER' in name else 'x'}\n" for name in example_variables()))
    command = ["docker", "compose", "--env-file", str(values), "--file", str(COMPOSE), "config", "--quiet"]
    assert subprocess.run(command, capture_output=True, check=False).stderr == b""
