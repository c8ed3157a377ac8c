"""Settings of one installation, from the environment; what an agency decides stands in its agency file.

Secrets come from the environment only: an address that may hold a password is a SecretStr, and `Settings.shown()` and
everything that is printed or logged passes `masking`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cropmap.errors import ConfigurationError
from cropmap.masking import mask_logs, masked
from cropmap.store import Store

PREFIX: Final = "CROPMAP_"

QUIET: Final = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MPLBACKEND": "agg",
    # a run without a server starts a temporary one: on a busy machine that takes longer than Prefect's 20 s
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # a flow's errors reach the person as our one line; Prefect's tracebacks stay in its own log
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
}
"""Set before prefect, mlflow or matplotlib are imported: nothing reports home, nothing opens a window."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    home: Path = Field(
        Path(".cropmap"), description="everything local: embedded database, store, logs, Prefect's files"
    )
    store: SecretStr = Field(
        SecretStr(""), description="object store: a folder or s3://bucket/prefix; default: `store` in the home"
    )
    database_url: SecretStr = Field(
        SecretStr(""), description="libpq URL of a PostgreSQL server; default: the embedded one in the home"
    )
    catalog_headers: SecretStr = Field(
        SecretStr(""),
        description="headers that a STAC API wants, one `Name: value` a line, such as `Authorization: Bearer …`; sent "
        "to the catalogue's own host alone",
    )
    data: Path | None = Field(None, description="folder that relative paths of agency files start from")
    pg_bin: Path | None = Field(None, description="folder with other PostgreSQL binaries for the embedded server")
    mlflow_tracking_uri: SecretStr = Field(
        SecretStr(""),
        validation_alias="MLFLOW_TRACKING_URI",
        description="MLflow server or database (MLFLOW_TRACKING_URI); default: a database beside ours",
    )
    threads: int = Field(
        os.cpu_count() or 1, ge=1, description="threads for decoding, training and inference on this machine"
    )

    @classmethod
    def load(cls, *, home: Path | None = None) -> Settings:
        """Settings from the environment; `home` from the command line wins. Raises ConfigurationError."""
        try:
            return cls() if home is None else cls(home=home)
        except ValidationError as error:
            problem = error.errors()[0]
            name = PREFIX + str(problem["loc"][0]).upper() if problem["loc"] else PREFIX
            raise ConfigurationError(problem["msg"], where=name) from error

    @property
    def home_path(self) -> Path:
        path = self.home.absolute()
        path.mkdir(parents=True, exist_ok=True)
        return path

    def open_store(self) -> Store:
        return Store(self.store.get_secret_value() or self.home_path / "store")

    def shown(self) -> dict[str, str]:
        """Each setting as a person may see it: addresses without their passwords."""
        return {
            variable: masked(str(value.get_secret_value() if isinstance(value, SecretStr) else value))
            for (variable, _), (_, value) in zip(documented_settings(), self, strict=True)
        }


def keep_quiet(home: Path) -> None:
    """Switches off every report home, masks what is logged from now on, and keeps Prefect's own files in our home
    unless told otherwise."""
    mask_logs()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_HOME", str(home / "prefect"))
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "cropmap")
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "true")


def documented_settings(model: type[BaseSettings] = Settings) -> Iterator[tuple[str, str]]:
    """(environment variable, meaning) of every setting."""
    for name, field in model.model_fields.items():
        yield str(field.validation_alias or PREFIX + name.upper()), field.description or ""
