"""What every step of a season needs: the agency's decisions, the season, and where things are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Final

from cropmap.agency import Agency
from cropmap.database import embedded, migrations
from cropmap.database.connection import Connection, connect, sqlalchemy_url
from cropmap.errors import ConfigurationError, MigrationError
from cropmap.observations import scratch
from cropmap.schemas import Architecture
from cropmap.seasons import Season, SeasonKey
from cropmap.settings import Settings
from cropmap.sources.catalogs.providers.in_use import use
from cropmap.sources.catalogs.sign_in.secrets import read_headers
from cropmap.store import Store

MLFLOW_DATABASE: Final = "mlflow"


@dataclass(frozen=True)
class SeasonContext:
    agency: Agency
    season: Season
    """cut at `as_of`"""
    as_of: date | None
    """None: everything in the window counts"""
    architecture: Architecture
    """the network whose predictions are published"""
    store: Store
    database_url: str = field(repr=False)
    mlflow_uri: str = field(repr=False)
    mlflow_artifacts: str
    """a folder of the home; of a store in a bucket, which several homes share, an address in it"""
    threads: int
    datasets: Path
    """folder of the series that are mapped; what lies in it can be made again"""
    catalog_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """for the catalogue's own host"""

    @classmethod
    def open(
        cls,
        settings: Settings,
        agency_file: Path,
        *,
        season: int,
        as_of: date | None = None,
        data: Path | None = None,
        architecture: Architecture | None = None,
        create: bool = False,
    ) -> SeasonContext:
        """Reads the agency file, opens store and database; `create` is for what takes something in, and makes them.

        Raises ConfigurationError (what is asked for is not here) or DatabaseUnavailableError.
        """
        agency = Agency.read(agency_file, data=data or settings.data)
        agency.season(season)
        url = ready_database(settings, create=create)
        mlflow = settings.mlflow_tracking_uri.get_secret_value() or _embedded_mlflow(url)
        return cls._of(settings, agency, url, mlflow, season=season, as_of=as_of, architecture=architecture)

    @classmethod
    def of_worker(
        cls, settings: Settings, agency: Agency, *, season: int, as_of: date | None, architecture: Architecture
    ) -> SeasonContext:
        """The same season on another machine, by its own settings, for units of work: they need store and database,
        and no MLflow. Nothing is made. Raises ConfigurationError, MigrationError or DatabaseUnavailableError.
        """
        url = ready_database(settings)
        return cls._of(settings, agency, url, "", season=season, as_of=as_of, architecture=architecture)

    @classmethod
    def _of(
        cls,
        settings: Settings,
        agency: Agency,
        url: str,
        mlflow_uri: str,
        *,
        season: int,
        as_of: date | None,
        architecture: Architecture | None,
    ) -> SeasonContext:
        store = settings.open_store()
        scratch.use(settings.scratch_path, int(settings.scratch_gb * 1e9))
        return cls(
            agency=agency,
            season=agency.season(season).until(as_of),
            as_of=as_of,
            architecture=architecture or agency.model.architecture,
            store=store,
            database_url=url,
            mlflow_uri=mlflow_uri,
            mlflow_artifacts=str(settings.home_path / "mlflow") if store.is_local else store.address("mlflow"),
            threads=settings.threads,
            datasets=settings.home_path / "datasets",
            catalog_headers=read_headers(settings.catalog_headers.get_secret_value()),
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "agency", self.agency.of_season(self.season.year))
        for provider in self.agency.providers():
            use(provider)

    def read_again(self) -> SeasonContext:
        """The same season by the agency file as it stands now. Raises ConfigurationError."""
        agency = self.agency.read_again()
        by_file = self.architecture == self.agency.model.architecture
        return replace(
            self,
            agency=agency,
            season=agency.season(self.season.year).until(self.as_of),
            architecture=agency.model.architecture if by_file else self.architecture,
        )

    def connect(self) -> Connection:
        """An autocommit connection, for a `with` block."""
        return connect(self.database_url)

    @property
    def key(self) -> SeasonKey:
        return {"agency": self.agency.agency, "season": self.season.year}

    @property
    def networks(self) -> tuple[Architecture, ...]:
        """What is trained: the file's list, and always the network that is published."""
        return tuple(dict.fromkeys([*self.agency.model.networks, self.architecture]))


def has_database(settings: Settings) -> bool:
    """Whether there is one to ask: a server's, or the home's."""
    return bool(settings.database_url.get_secret_value()) or embedded.exists(settings.home_path)


def database_url(settings: Settings, *, create: bool = False) -> str:
    """The server of CROPMAP_DATABASE_URL, else the embedded one of the home, started when it is not running.

    Raises ConfigurationError where the home has none, unless `create` makes it: a question in the wrong folder
    ends with an error and leaves no empty database there.
    """
    if url := settings.database_url.get_secret_value():
        return url
    home = settings.home_path
    if not create and not has_database(settings):
        raise ConfigurationError(
            "there is no database here",
            where=str(home),
            mend="Name the home with --home or CROPMAP_HOME, or a server with CROPMAP_DATABASE_URL; "
            "`cropmap declarations load` and `cropmap season run` make one",
        )
    if create:
        settings.make_home()
    return embedded.ensure_running(home, pg_bin=settings.pg_bin)


def ready_database(settings: Settings, *, create: bool = False) -> str:
    """URL of a database with every migration applied.

    An embedded database is brought up to date at once, an empty one of a server where `create` allows it. A server that
    others share is left as it is: there MigrationError asks the owner for `cropmap db upgrade`.
    """
    url = database_url(settings, create=create)
    with connect(url) as connection:
        steps = migrations.status(connection)
        pending = [step.name for step in steps if step.applied_at is None]
        if not pending:
            return url
        if settings.database_url.get_secret_value() and len(pending) == len(steps) and not create:
            raise MigrationError("the database holds no season", mend="Its owner runs `cropmap db upgrade`")
        if settings.database_url.get_secret_value() and len(pending) < len(steps):
            raise MigrationError(f"the database lacks {', '.join(pending)}", mend="Its owner runs `cropmap db upgrade`")
        migrations.upgrade(connection)
    return url


def migration_status(settings: Settings) -> dict[str, str]:
    with connect(database_url(settings)) as connection:
        return {step.name: str(step.applied_at or "open") for step in migrations.status(connection)}


def upgrade_database(settings: Settings) -> dict[str, object]:
    with connect(database_url(settings, create=True)) as connection:
        applied = migrations.upgrade(connection)
    return {"applied": applied or "nothing was open"}


def stop_embedded(settings: Settings) -> None:
    embedded.stop(settings.home_path)


def _embedded_mlflow(url: str) -> str:
    """MLflow's own database in the same cluster."""
    return sqlalchemy_url(embedded.create_database(url, MLFLOW_DATABASE))
