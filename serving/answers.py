"""What the API answers, field by field: the columns of the public views, with their meaning and unit."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from cropmap.schemas import Basis, Reason, ReleaseStage, RunStatus, Verdict


class PublishedSeason(BaseModel):
    """A season of an agency that readers see."""

    agency: str = Field(examples=["bretagne"])
    season: int = Field(description="campaign year", examples=[2018])
    simulated: bool = Field(description="true where the inputs were simulated: no figure of it describes real land")
    as_of: date | None = Field(description="last day of acquisitions that were used; null is the whole season")
    published_at: datetime
    model_version: str | None = Field(description="the network behind the predictions")
    run_id: str = Field(description="the run that made every row of this season")


class PublishedAgency(BaseModel):
    """An agency with its published seasons."""

    agency: str = Field(examples=["bretagne"])
    simulated: bool = Field(description="true where any of its published seasons is simulated")
    seasons: list[int] = Field(description="published campaign years, oldest first", examples=[[2017, 2018]])


class Statistic(BaseModel):
    """The area of one crop in one region."""

    agency: str
    season: int
    as_of: date | None = Field(description="last day of acquisitions that were used; null is the whole season")
    nuts_version: int | None = Field(description="edition of the NUTS classification")
    nuts_id: str = Field(examples=["FRH01"])
    level: int = Field(description="NUTS level, 0 to 3")
    crop: str = Field(description="Eurostat crop item, or model class")
    strucpro: str = Field(description="Eurostat measure code")
    concept: str = Field(description="area concept of Regulation (EU) 2022/2379")
    basis: Basis | None = Field(description="how the area came about; null in a confidential cell")
    declared_ha: float | None
    mapped_ha: float | None
    estimate_ha: float | None = Field(description="estimated area, corrected for what the map gets wrong")
    se_ha: float | None = Field(description="standard error of the estimate")
    ci95_low_ha: float | None
    ci95_high_ha: float | None
    cv: float | None = Field(description="coefficient of variation, se / estimate")
    n_parcels: int | None
    n_holdings: int | None
    obs_flag: str | None = Field(description="SDMX observation status")
    conf_status: str | None = Field(
        description='"C": confidential, every figure of the row is empty; "N": not for publication'
    )
    run_id: str
    simulated: bool = Field(description="true where the inputs were simulated: the figure describes no real land")
    partial_region: bool = Field(description="true where the register covers only a part of the region")


class StatisticRelease(BaseModel):
    """A table of crop areas as it was released: frozen, numbered."""

    agency: str
    season: int
    number: int = Field(description="1, 2, … in a season")
    stage: ReleaseStage = Field(description="first (in season), provisional (declarations closed) or final")
    as_of: date | None = Field(description="last day of acquisitions that were used; null is the whole season")
    nuts_version: int | None
    released_at: datetime
    note: str | None
    model_version: str | None
    run_id: str = Field(description="the run that it was made from")
    content_hash: str = Field(description="SHA-256 of its rows")
    simulated: bool = Field(description="true where the inputs were simulated")


class ReleasedStatistic(Statistic):
    """A row of a release."""

    number: int = Field(description="of the release")
    stage: ReleaseStage


class ParcelAssessment(BaseModel):
    """What the evidence says about a declaration. A verdict decides nothing: it ranks what a person should look at."""

    declared_code: str
    declared_crop: str | None
    predicted_crop: str | None
    declared_probability: float | None = Field(
        description="probability of the declared crop, adapted to its region and to wrong declarations"
    )
    verdict: Verdict
    reason: Reason = Field(description="why this verdict")
    priority: float | None = Field(description="rank among what should be looked at; higher is sooner")


class AssessedParcel(BaseModel):
    """Which declaration, and of whom."""

    agency: str
    season: int
    run_id: str
    parcel_id: str
    holding_id: str | None = Field(description="personal data; null where the agency's file has none")
    nuts_id: str | None
    area_ha: float
    simulated: bool = Field(description="true where the inputs were simulated")


class Assessment(ParcelAssessment, AssessedParcel):
    """The assessment of one declaration, with the holding that declared it (personal data)."""


class AssessmentPage(BaseModel):
    """A page of assessments, the most urgent first."""

    items: list[Assessment]
    next: str | None = Field(
        description="address of the next page; null after the last one",
        examples=["/assessments?agency=bretagne&season=2018&after=eyJydW4iOi"],
    )


class Declaration(BaseModel):
    """What was declared for a parcel."""

    crop_code: str = Field(description="national crop code, text: leading zeros count", examples=["056"])
    declared_area_ha: float | None


class ParcelPrediction(BaseModel):
    """What the satellites show on a parcel."""

    crop: str | None = Field(description="null where the parcel has no usable observation")
    probability: float | None
    second_crop: str | None
    second_probability: float | None
    n_observations: int
    last_observation: date | None
    scored_by: str | None = Field(description="the fold whose model never saw this parcel", examples=["fold 2"])
    out_of_distribution: float | None = Field(
        description="share of the training parcels that look more ordinary than this one, 0 to 1: above 0.99 the "
        "models have seen next to nothing like it"
    )
    model_version: str | None


class Observation(BaseModel):
    """One acquisition over a parcel."""

    sensed_at: datetime
    clear_fraction: float = Field(description="share of the parcel's pixels that is neither cloud nor shadow, 0 to 1")
    reflectance: dict[str, float | None] = Field(
        description="mean surface reflectance of the clear pixels per band, 0 to 1; null where none is clear",
        examples=[{"B04": 0.041, "B08": 0.352}],
    )


class Parcel(BaseModel):
    """One parcel: what was declared, what was seen, and how the two fit."""

    agency: str
    season: int
    simulated: bool = Field(description="true where the inputs were simulated")
    parcel_id: str
    nuts_id: str | None
    area_ha: float
    run_id: str
    declaration: Declaration | None
    prediction: ParcelPrediction | None
    assessment: ParcelAssessment | None
    observations: list[Observation] | None = Field(
        description="every acquisition over the parcel by time, clouded ones too; null where the API has no store"
    )
    geometry: dict[str, Any] | None = Field(None, description="GeoJSON in EPSG:4326; only with `geometry=true`")


class Run(BaseModel):
    """One attempt to make a season, also one that failed."""

    run_id: str
    agency: str
    season: int
    as_of: date | None
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None
    code_version: str
    model_version: str | None
    n_acquisitions: int | None
    n_parcels: int | None
    detail: str | None = Field(description="what failed, and which units; or a remark")
    simulated: bool = Field(description="true where the inputs are simulated")


class Health(BaseModel):
    """Whether this API can answer questions."""

    status: Literal["ok", "unavailable"]
    database: Literal["up", "down"]
    migrations: Literal["up to date", "open", "unknown"] = Field(
        description='"open": run `cropmap db upgrade`; "unknown" while the database is down'
    )
    newest_season: PublishedSeason | None = Field(description="what was published last; null without a valid key")
