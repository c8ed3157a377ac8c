"""What a flow run is asked to do, as one parameter that Prefect can store, show and schedule."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cropmap.schemas import Architecture
from cropmap.settings import Settings, keep_quiet
from cropmap.stages.context import SeasonContext


class SeasonRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    agency_file: Path
    season: int | None = None
    """None: the year in which the flow runs, for schedules"""
    as_of: date | None = None
    model: Architecture | None = None
    data: Path | None = None
    home: Path | None = None
    accept: str | None = None
    """the word with which a load said that this very declarations file may pass"""

    def open(self) -> SeasonContext:
        settings = Settings.load(home=self.home)
        keep_quiet(settings.home_path)
        return SeasonContext.open(
            settings,
            self.agency_file,
            season=self.season or datetime.now(UTC).year,
            as_of=self.as_of,
            data=self.data,
            architecture=self.model,
        )

    @property
    def label(self) -> str:
        file = self.agency_file
        name = file.parent.name if file.stem == "agency" else file.stem
        return f"{name} {self.season or 'this year'}"
