"""Settings of the API, from the environment; the command line passes what it knows better (the embedded database)."""

from __future__ import annotations

from typing import Final

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cropmap.errors import ConfigurationError

PREFIX: Final = "CROPMAP_"


class ServingSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    database_url: SecretStr = Field(
        SecretStr(""), description="libpq URL of the database; `cropmap serve` fills in the embedded one"
    )
    store: SecretStr = Field(
        SecretStr(""),
        description="object store with the observations: a folder or s3://bucket/prefix; "
        "`cropmap serve` fills in the store of the home; without one a parcel has no series",
    )
    host: str = Field("127.0.0.1", description="address that the API listens on; 127.0.0.1 is this machine only")
    port: int = Field(8000, ge=0, le=65_535, description="port that the API listens on")
    pool_size: int = Field(
        4, ge=1, le=100, description="database connections that the API keeps at most, and threads that use them"
    )
    max_requests: int = Field(
        200, ge=1, description="requests that are worked on or wait for a thread; one more is answered 429"
    )
    series_cache_mb: int = Field(
        512, ge=1, description="memory for the observation files of the tiles that were asked about last, in MB"
    )
    database_timeout_s: float = Field(
        5.0, gt=0, description="seconds that a request waits for a database connection before it answers 503"
    )

    @classmethod
    def load(cls, **known: object) -> ServingSettings:
        """Settings from the environment; `known` values win. Raises ConfigurationError."""
        try:
            return cls(**known)  # type: ignore[arg-type]
        except ValidationError as error:
            problem = error.errors()[0]
            name = PREFIX + str(problem["loc"][0]).upper() if problem["loc"] else PREFIX
            raise ConfigurationError(problem["msg"], where=name) from error
