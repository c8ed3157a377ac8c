"""Is this installation able to work? One line per check; a check that fails says how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from typing import Final

from cropmap.database import embedded, migrations
from cropmap.database.connection import connect, sqlalchemy_url
from cropmap.errors import CropmapError
from cropmap.masking import masked
from cropmap.provenance import code_version
from cropmap.settings import Settings
from cropmap.stages.context import MLFLOW_DATABASE, has_database, ready_database

PINNED: Final = {
    "torch": "2.13.0",
    "prefect": "3.8",
    "fastapi": "0.1",
    "sqlalchemy": "2.0",
    "mlflow-skinny": "3.17",
    "onnxruntime": "1.",
    "rasterio": "1.4",
    "exactextract": "0.3",
}
"""Versions known to work together; others fail silently (see pyproject.toml)."""


NONE_YET: Final = "none yet; the first `cropmap declarations load`, `season run` or `demo` makes it in"


def examine(settings: Settings) -> dict[str, str]:
    """Runs every check; a value that starts with FAILED is one that must be mended."""
    checks: dict[str, Callable[[], str]] = {
        "packages": _packages,
        "store": lambda: _store(settings),
        "database": lambda: _database(settings),
        "mlflow": lambda: _mlflow(settings),
    }
    return {
        "cropmap": code_version(),
        "python": sys.version.split()[0],
        "home": str(settings.home_path),
        **{name: masked(_outcome(check)) for name, check in checks.items()},
    }


def _outcome(check: Callable[[], str]) -> str:
    try:
        return check()
    except (CropmapError, OSError) as error:
        return f"FAILED: {error}"


def _packages() -> str:
    installed = {name: metadata.version(name) for name in PINNED}
    wrong = [f"{name} {version}" for name, version in installed.items() if not version.startswith(PINNED[name])]
    return f"FAILED: {', '.join(wrong)}. Install with constraints.txt" if wrong else f"{len(installed)} as tested"


def _store(settings: Settings) -> str:
    if not settings.store and not settings.home_path.is_dir():
        return f"{NONE_YET} {settings.home_path / 'store'}"
    store = settings.open_store()
    store.write_bytes(".doctor", b"ok")
    overwritten = store.write_once(".doctor", b"another writer's")
    store.remove(".doctor")
    if overwritten:
        return f"FAILED: {store.root} overwrites what is to be written once. Take a server that obeys If-None-Match"
    return f"{store.root} can be written"


def _database(settings: Settings) -> str:
    if not has_database(settings):
        return f"{NONE_YET} {settings.home_path}"
    url = ready_database(settings)
    with connect(url) as connection:
        version = connection.info.server_version // 10_000
        applied = len(migrations.status(connection))
    return f"{url} PostgreSQL {version}, {applied} migrations applied"


def _mlflow(settings: Settings) -> str:
    """Sends it a request: an address alone does not show that a server answers there."""
    from cropmap.model.tracking import require

    address = settings.mlflow_tracking_uri.get_secret_value()
    if not address and not has_database(settings):
        return f"{NONE_YET} {settings.home_path}"
    uri = address or sqlalchemy_url(embedded.create_database(ready_database(settings), MLFLOW_DATABASE))
    require(uri)
    return f"{uri} answers"
