"""What a flow run is asked to do, as one parameter that Prefect can store, show and schedule."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from prefect.runtime import deployment
from pydantic import BaseModel, ConfigDict

from cropmap.agency import Agency
from cropmap.errors import ConfigurationError, CropmapError, PartialFailureError
from cropmap.logs import ensure_logging
from cropmap.schemas import Architecture
from cropmap.seasons import SeasonsAt
from cropmap.settings import Settings, keep_quiet
from cropmap.stages.context import SeasonContext
from cropmap.stages.first_check import open_checked

log = logging.getLogger("cropmap.flows.request")

SHARED_SETTINGS: Final = (
    *("CROPMAP_DATABASE_URL", "CROPMAP_STORE", "CROPMAP_STORE_ENDPOINT", "CROPMAP_STORE_ACCESS_KEY_ID"),
    "MLFLOW_TRACKING_URI",
)
"""where a season is kept: a worker that lacks one of them would begin a season of its own"""


class SeasonRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    agency_file: Path
    season: int | None = None
    """None, for schedules: by the agency's window, on the day of its time zone on which the flow runs"""
    as_of: date | None = None
    model: Architecture | None = None
    data: Path | None = None
    home: Path | None = None
    accept: str | None = None
    """the word with which a load said that this very declarations file may pass"""
    needs: tuple[str, ...] = ()
    """environment variables without which a worker is not where the schedule was made for"""

    def open(self, *, observing: bool = False) -> SeasonContext:
        """The season's context, after what its agency file names was checked. What a worker runs finds its home and
        database, and makes none: a worker that is started elsewhere would otherwise observe a season into a folder
        that nobody looks into."""
        by_worker = deployment.id is not None
        year = self.season or self.seasons().current
        settings = self._of_worker() if by_worker else self.settings()
        keep_quiet(settings.home_path)
        context = open_checked(
            settings,
            self.agency_file,
            season=year,
            as_of=self.as_of,
            model=self.model,
            data=self.data,
            observing=observing,
            create=not by_worker,
        )
        ensure_logging(settings.home_path)
        return context

    def settings(self) -> Settings:
        return Settings.load(home=self.home)

    def _of_worker(self) -> Settings:
        mend = "Give the worker the settings that `cropmap schedule` had, or run `cropmap schedule` on its machine"
        missing = [name for name in self.needs if not os.environ.get(name)]
        if missing:
            raise ConfigurationError("is not set for this worker", where=", ".join(missing), mend=mend)
        settings = Settings.load(home=self.home)
        if self.home is None and not os.environ.get("CROPMAP_HOME"):
            raise ConfigurationError("the schedule names no home, and this worker has none", mend=mend)
        if not settings.home_path.is_dir():
            raise ConfigurationError("this home is not on the worker's machine", where=str(settings.home), mend=mend)
        return settings

    def seasons(self) -> SeasonsAt:
        """The seasons that a schedule works on now."""
        agency = self._agency()
        return agency.seasons_at(datetime.now(ZoneInfo(agency.schedule.timezone)).date())

    def each_season(self, work: Callable[[SeasonRequest], dict[str, object]]) -> dict[str, object]:
        """The answer of the season that is asked for; of a schedule's several, by year.

        A season that fails does not keep the others. Raises what it failed of, where there are several
        PartialFailureError.
        """
        years = [self.season] if self.season else list(self.seasons().all)
        if len(years) == 1:
            return work(self.model_copy(update={"season": years[0]}))
        answers: dict[str, object] = {}
        failed: dict[str, str] = {}
        for year in years:
            try:
                answers[str(year)] = work(self.model_copy(update={"season": year}))
            except CropmapError as error:
                log.error("season %s: %s", year, error)  # noqa: TRY400 - one line, as for every error of ours
                failed[str(year)] = str(error)
        if failed:
            raise PartialFailureError(failed, of=len(years), unit="seasons")
        return answers

    @property
    def label(self) -> str:
        """Agency and season, for the names of flow runs; says no more where the agency file cannot be read."""
        try:
            years = [self.season] if self.season else self.seasons().all
            return f"{self._agency().agency} {' and '.join(map(str, years))}"
        except CropmapError:
            return f"{self.agency_file} {self.season or ''}".strip()

    def artifact_key(self, what: str) -> str:
        """Name of one of Prefect's artifacts: what it shows, of which agency and season. Prefect knows no `_`."""
        return f"{what}-{self.label.lower()}".replace("_", "--").replace(" ", "-")

    def _agency(self) -> Agency:
        return Agency.read(self.agency_file, data=self.data or Settings.load(home=self.home).data)
