"""What the API answers, field by field. Rows of public tables have the columns of their contract, in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, Final, Literal, TypeVar, cast

from pydantic import BaseModel, Field, create_model

from cropmap.contracts.columns import Column, public
from cropmap.contracts.tables import (
    AGENCY,
    AREA_HA,
    ASSESSMENT,
    CROP_STATISTIC,
    DECLARATION,
    HOLDING_ID,
    MODEL_VERSION,
    NUMBER,
    NUTS_ID,
    PARCEL_ID,
    PREDICTION,
    RUN_ID,
    RUN_LOG,
    SEASON,
    SIMULATED,
    STAGE,
    STATISTIC_RELEASE,
)
from cropmap.schemas import AccessRole

Answer = TypeVar("Answer", bound=BaseModel)


def with_columns(columns: Iterable[Column]) -> Callable[[type[Answer]], type[Answer]]:
    """Gives an answer these columns, before the fields that it has of its own."""

    def made(answer: type[Answer]) -> type[Answer]:
        fields: dict[str, Any] = {column.name: _field(column) for column in columns}
        own: dict[str, Any] = {name: (field.annotation, field) for name, field in answer.model_fields.items()}
        bases: Any = answer.__bases__
        return cast(
            type[Answer],
            create_model(
                answer.__name__, __base__=bases, __doc__=answer.__doc__, __module__=answer.__module__, **fields, **own
            ),
        )

    return made


def _field(column: Column) -> tuple[Any, Any]:
    kind: Any = column.words or column.kind.python
    example = [column.kind.python(column.example)] if column.example else None
    about = Field(description=column.description, examples=example)
    return (kind | None if column.shown_nullable else kind), about


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


@with_columns(CROP_STATISTIC)
class Statistic(BaseModel):
    """The area of one crop in one region."""


@with_columns(STATISTIC_RELEASE.without("code_version"))
class StatisticRelease(BaseModel):
    """A table of crop areas as it was released: frozen, numbered."""


@with_columns((*CROP_STATISTIC, NUMBER, STAGE))
class ReleasedStatistic(BaseModel):
    """A row of a release."""


ASSESSED: Final = public(ASSESSMENT.without("parcel_id"))


@with_columns(ASSESSED)
class ParcelAssessment(BaseModel):
    """What the evidence says about a declaration. A verdict decides nothing: it ranks what a person should look at."""


@with_columns((AGENCY, SEASON, RUN_ID, PARCEL_ID, HOLDING_ID, NUTS_ID, AREA_HA, SIMULATED, *ASSESSED))
class Assessment(BaseModel):
    """The assessment of one declaration, with the holding that declared it (personal data)."""


class AssessmentPage(BaseModel):
    """A page of assessments, the most urgent first."""

    items: list[Assessment]
    next: str | None = Field(
        description="address of the next page; null after the last one",
        examples=["/assessments?agency=bretagne&season=2018&after=eyJydW4iOi"],
    )


@with_columns(DECLARATION.only("crop_code", "declared_area_ha"))
class Declaration(BaseModel):
    """What was declared for a parcel."""


@with_columns((*PREDICTION.without("parcel_id"), MODEL_VERSION))
class ParcelPrediction(BaseModel):
    """What the satellites show on a parcel."""


class Observation(BaseModel):
    """One acquisition over a parcel."""

    sensed_at: datetime
    clear_fraction: float = Field(description="share of the parcel's pixels that is neither cloud nor shadow, 0 to 1")
    reflectance: dict[str, float | None] = Field(
        description="mean surface reflectance of the clear pixels per band, 0 to 1; null where none is clear",
        examples=[{"B04": 0.041, "B08": 0.352}],
    )


@with_columns((AGENCY, SEASON, SIMULATED, PARCEL_ID, NUTS_ID, AREA_HA, RUN_ID))
class Parcel(BaseModel):
    """One parcel: what was declared, what was seen, and how the two fit."""

    declaration: Declaration | None
    prediction: ParcelPrediction | None
    assessment: ParcelAssessment | None
    observations: list[Observation] | None = Field(
        description="every acquisition over the parcel by time, clouded ones too; null where the API has no store"
    )
    geometry: dict[str, Any] | None = Field(None, description="GeoJSON in EPSG:4326; only with `geometry=true`")


@with_columns(RUN_LOG)
class Run(BaseModel):
    """One attempt to make a season, also one that failed."""


class Held(BaseModel):
    """What keys and accounts have in common."""

    name: str = Field(examples=["field desk@bretagne"])
    role: AccessRole = Field(description="what its holder may do")
    agency: str | None = Field(description="agency that it is for; null is every agency", examples=["bretagne"])


class Key(Held):
    """A key of a program. The key itself is not kept."""

    created_at: datetime
    expires_at: datetime | None = Field(description="from when it is refused; null is never")
    last_used_at: datetime | None = Field(description="noted once in ten minutes")
    revoked_at: datetime | None = Field(description="since when it is refused for good")


class MadeKey(Held):
    """A key that was made just now."""

    expires_at: datetime | None = Field(description="from when it is refused; null is never")
    key: str = Field(description="the key, for header `X-API-Key`; it is shown this once", examples=["cropmap_…"])


class Account(Held):
    """An account of a person. The password is not kept."""

    created_at: datetime
    password_set_at: datetime
    last_used_at: datetime | None = Field(description="noted once in ten minutes")
    disabled_at: datetime | None = Field(description="since when it is closed")


class MadeAccount(Held):
    """An account that was made just now."""

    password: str | None = Field(description="the one that was made, shown this once; null where the request had one")


class SetPassword(BaseModel):
    """An account that has another password."""

    name: str = Field(examples=["jeanne@bretagne"])
    password: str | None = Field(description="the one that was made, shown this once; null where the request had one")


class Health(BaseModel):
    """Whether this API can answer questions."""

    status: Literal["ok", "unavailable"]
    database: Literal["up", "down"]
    migrations: Literal["up to date", "open", "unknown"] = Field(
        description='"open": run `cropmap db upgrade`; "unknown" while the database is down'
    )
    newest_season: PublishedSeason | None = Field(description="what was published last; null without a valid key")
