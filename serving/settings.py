"""Settings of the API, read from the environment; the command line fills in the embedded database."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cropmap.errors import ConfigurationError

PREFIX: Final = "CROPMAP_"
ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


class ServingSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    database_url: SecretStr = Field(
        SecretStr(""), description="libpq URL of the database; `cropmap serve` fills in the embedded database"
    )
    store: SecretStr = Field(
        SecretStr(""),
        description="object store with the observations: a folder or `s3://bucket/prefix`; `cropmap serve` fills in "
        "the store of the home; without a store, no series of parcels are served",
    )
    host: str = Field("127.0.0.1", description="address that the API listens on; default: 127.0.0.1, this machine only")
    port: int = Field(8000, ge=0, le=65_535, description="port that the API listens on; default: 8000")
    pool_size: int = Field(
        4, ge=1, le=100, description="largest number of database connections, and of threads that use them; default: 4"
    )
    max_requests: int = Field(
        200,
        ge=1,
        description="largest number of requests in progress or waiting; one more is answered 429; default: 200",
    )
    rate_per_minute: int = Field(
        6000,
        ge=0,
        description="requests that one API key may send in a minute; one more is answered 429; 0 sets no limit; "
        "default: 6000",
    )
    cors_origins: str = Field(
        "",
        description="origins whose pages may use the API in a browser, separated by blanks, such as "
        "`https://maps.example.org`; default: none",
    )
    series_cache_mb: int = Field(
        512, ge=1, description="memory for observation files of recently requested tiles, in MB; default: 512"
    )
    database_timeout_s: float = Field(
        5.0, gt=0, description="seconds a request waits for a database connection before it is answered 503; default: 5"
    )

    @field_validator("cors_origins")
    @classmethod
    def _require_origins(cls, value: str) -> str:
        for origin in value.split():
            if not ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin} is no origin: scheme and host, with a port where it has one, and no path")
        return value

    @property
    def origins(self) -> list[str]:
        return self.cors_origins.split()

    @classmethod
    def load(cls, **known: object) -> ServingSettings:
        """Settings from the environment; `known` values override them. Raises ConfigurationError."""
        try:
            return cls(**known)  # type: ignore[arg-type]
        except ValidationError as error:
            problem = error.errors()[0]
            name = PREFIX + str(problem["loc"][0]).upper() if problem["loc"] else PREFIX
            raise ConfigurationError(problem["msg"], where=name) from error
