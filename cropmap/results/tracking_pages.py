"""MLflow's pages over the trainings of this installation, started with one command.

cropmap records with mlflow-skinny, which has no pages. The whole of MLflow wants older releases of pyarrow and pandas
than cropmap uses; it gets an environment of its own in the home, made once, from the package index.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path
from typing import Final

from cropmap.buckets import StoreSettings
from cropmap.database import embedded
from cropmap.database.connection import sqlalchemy_url
from cropmap.errors import ConfigurationError
from cropmap.settings import Settings
from cropmap.stages.context import MLFLOW_DATABASE, database_url

FOLDER: Final = "mlflow-pages"
DRIVER: Final = "psycopg[binary]"
BUCKETS: Final = "boto3"
"""what MLflow reads a bucket with"""


def tracking_uri(settings: Settings) -> str:
    """Where the trainings are recorded: MLFLOW_TRACKING_URI, else a database beside ours."""
    own = settings.mlflow_tracking_uri.get_secret_value()
    return own or sqlalchemy_url(embedded.create_database(database_url(settings), MLFLOW_DATABASE))


def serve_pages(settings: Settings, *, uri: str, host: str, port: int) -> int:
    """Serves MLflow's pages over a database until a signal ends it. Raises ConfigurationError where MLflow cannot be
    installed. The address of the database is passed in the environment: it may hold a password."""
    program = _mlflow(settings.home_path / FOLDER)
    environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment |= StoreSettings.load().for_amazons_tools()
    command = [str(program), "server", "--host", host, "--port", str(port)]
    return subprocess.run(command, env=environment, cwd=settings.home_path, check=False).returncode


def _mlflow(folder: Path) -> Path:
    """The program `mlflow` of that environment, which is made where it is not there whole."""
    version, program = metadata.version("mlflow-skinny"), folder / "bin" / "mlflow"
    made, wanted = folder / "version", f"{version} {BUCKETS}"
    if program.is_file() and made.is_file() and made.read_text(encoding="utf-8") == wanted:
        return program
    print(f"installing MLflow {version} into {folder}, once (some minutes) ...", file=sys.stderr, flush=True)
    venv.EnvBuilder(with_pip=True, clear=True).create(folder)
    packages = [f"mlflow=={version}", DRIVER, "sqlalchemy<2.1", BUCKETS]
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages]
    done = subprocess.run(pip, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise ConfigurationError(
            f"MLflow {version} cannot be installed ({last})",
            where=str(folder),
            mend="Try again where the package index can be reached, or point any MLflow server at the database",
        )
    made.write_text(wanted, encoding="utf-8")
    return program
