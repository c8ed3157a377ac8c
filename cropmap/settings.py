"""Settings of one installation, read from the environment. The decisions of an agency stand in its agency file.

Secrets are read only from the environment. An address that may contain a password is a SecretStr; `Settings.shown()`
and everything that is printed or logged is masked by `masking`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cropmap.buckets import StoreSettings
from cropmap.errors import ConfigurationError
from cropmap.masking import mask_logs, masked
from cropmap.store import Store

PREFIX: Final = "CROPMAP_"
DASK: Final = re.compile(r"(local:[1-9]\d{0,3}|(tcp|tls|ws|wss)://[^\s/@]+:\d+)?")

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
"""Set before prefect, mlflow or matplotlib are imported: no telemetry is sent and no window is opened."""


PRIVATE: Final = ("logs", "store", "mlflow", "prefect", "datasets")
"""folders of the home that contain personal data or messages about them"""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    home: Path = Field(
        Path(".cropmap"),
        description="folder for all local files: embedded database, store, logs, files of Prefect; default: `.cropmap`",
    )
    store: SecretStr = Field(
        SecretStr(""), description="object store: a folder or `s3://bucket/prefix`; default: `store` in the home"
    )
    database_url: SecretStr = Field(
        SecretStr(""), description="libpq URL of a PostgreSQL database; default: the embedded database of the home"
    )
    catalog_headers: SecretStr = Field(
        SecretStr(""),
        description="headers that a STAC API requires, one `Name: value` per line, such as `Authorization: Bearer …`; "
        "they are sent only to the host of the catalogue",
    )
    data: Path | None = Field(
        None,
        description="folder to which relative paths of agency files refer; default: the folder of each agency file",
    )
    scratch: Path | None = Field(
        None,
        description="folder for whole copies of remote JPEG 2000 files while they are read; default: `scratch` in the "
        "home",
    )
    scratch_gb: float = Field(
        4.0, gt=0, description="gigabytes of such copies; the files that are being read may exceed it"
    )
    pg_bin: Path | None = Field(
        None,
        description="folder with PostgreSQL binaries for the embedded database; default: those installed with cropmap",
    )
    mlflow_tracking_uri: SecretStr = Field(
        SecretStr(""),
        validation_alias="MLFLOW_TRACKING_URI",
        description="MLflow server or database that records trainings; default: a database beside that of cropmap",
    )
    threads: int = Field(
        os.cpu_count() or 1,
        ge=1,
        description="threads for decoding, training and inference; default: the number of processors",
    )
    dask: str = Field(
        "",
        description="where units of work run: `local:N`, N processes of this machine; `tcp://HOST:PORT` or "
        "`tls://HOST:PORT`, the scheduler of a Dask cluster; default: in this process. See `docs/cluster.md`",
    )

    @field_validator("dask")
    @classmethod
    def _a_cluster(cls, value: str) -> str:
        if not DASK.fullmatch(value):
            raise ValueError("write local:N (N processes), or the address of a scheduler such as tcp://10.0.0.5:8786")
        return value

    @classmethod
    def load(cls, *, home: Path | None = None) -> Settings:
        """Settings from the environment; `home` from the command line wins. Raises ConfigurationError."""
        try:
            return cls() if home is None else cls(home=home)
        except ValidationError as error:
            problem = error.errors()[0]
            name = PREFIX + str(problem["loc"][0]).upper() if problem["loc"] else PREFIX
            raise ConfigurationError(problem["msg"].removeprefix("Value error, "), where=name) from error

    @property
    def home_path(self) -> Path:
        """The absolute path of the home, whether or not it exists."""
        return self.home.absolute()

    @property
    def scratch_path(self) -> Path:
        return self.scratch.absolute() if self.scratch else self.home_path / "scratch"

    def make_home(self) -> Path:
        """The home, created where there is none. Other users get no access, because it contains declarations.

        Others can traverse a home of root and nothing more, because PostgreSQL runs as another user.
        """
        home = self.home_path
        home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        for name in PRIVATE:
            folder = home / name
            folder.mkdir(mode=0o700, exist_ok=True)
            with suppress(PermissionError):  # another user's: theirs to close
                if folder.stat().st_mode & 0o007:
                    folder.chmod(folder.stat().st_mode & 0o770)
        return home

    def open_store(self) -> Store:
        return Store(self.store.get_secret_value() or self.home_path / "store")

    def shown(self) -> dict[str, str]:
        """Each setting with secrets masked: addresses without their passwords."""
        shown = {}
        for settings in (self, StoreSettings.load()):
            for (variable, _), (_, value) in zip(documented_settings(type(settings)), settings, strict=True):
                text = str(value.get_secret_value() if isinstance(value, SecretStr) else value)
                shown[variable] = masked(text)
        return shown


def keep_quiet(home: Path) -> None:
    """Switches off telemetry, masks secrets in the log, and keeps Prefect's files in the home unless it is configured
    otherwise."""
    mask_logs()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_HOME", str(home / "prefect"))
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "cropmap")
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "true")


def documented_settings(model: type[BaseSettings] = Settings) -> Iterator[tuple[str, str]]:
    """(environment variable, meaning) of every setting."""
    for name, field in model.model_fields.items():
        yield (
            str(field.validation_alias or f"{model.model_config['env_prefix']}{name.upper()}"),
            field.description or "",
        )
