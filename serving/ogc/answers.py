"""What the routes of OGC API Features answer, field by field."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from cropmap.contracts.columns import Column, public
from cropmap.contracts.tables import (
    AGENCY,
    AREA_HA,
    ASSESSMENT,
    COUNTRY,
    CROP_CODE,
    DECLARED_AREA_HA,
    MODEL_VERSION,
    NUTS_ID,
    PARCEL_ID,
    PREDICTION,
    REGION,
    RUN_ID,
    SEASON,
    SIMULATED,
)
from cropmap.database.features import FeatureKind
from serving.answers import with_columns

NOT_DECLARED: Final = "the declaration was withdrawn"
NOT_IN_RUN: Final = "the published run does not have the parcel"
OF_SEASON: Final = (AGENCY, SEASON)
OF_RUN: Final = (MODEL_VERSION, RUN_ID, SIMULATED)

COLUMNS: Final[dict[FeatureKind, tuple[Column, ...]]] = {
    FeatureKind.PARCELS: (
        *OF_SEASON,
        PARCEL_ID,
        NUTS_ID,
        AREA_HA.replaced(null=f"{NOT_IN_RUN}, and {NOT_DECLARED}"),
        CROP_CODE.replaced(null=NOT_DECLARED),
        DECLARED_AREA_HA,
        *(column.replaced(null=column.null or NOT_IN_RUN) for column in PREDICTION.without("parcel_id")),
        *OF_RUN,
    ),
    FeatureKind.ASSESSMENTS: (
        *OF_SEASON,
        PARCEL_ID,
        NUTS_ID,
        AREA_HA,
        *public(ASSESSMENT.without("parcel_id")),
        *OF_RUN,
    ),
    FeatureKind.REGIONS: (
        *OF_SEASON,
        *REGION.only("nuts_id", "level"),
        COUNTRY,
        *REGION.only("name", "national_name", "language", "nuts_version"),
        SIMULATED.replaced(
            meaning="true where the season's inputs were simulated: its outlines may be of no real region"
        ),
    ),
}
"""properties of the features of each collection, in their order; the holding is left out, as in `/parcels`"""


class Link(BaseModel):
    """Where to go from here (RFC 8288)."""

    href: str
    rel: str = Field(examples=["next"])
    type: str | None = Field(None, examples=["application/geo+json"])
    title: str | None = None


class LandingPage(BaseModel):
    """Where the collections are, what this API conforms to, and its description."""

    title: str
    description: str
    links: list[Link]


class Conformance(BaseModel):
    """The conformance classes of OGC API Features that this API implements."""

    conformsTo: list[str]  # noqa: N815  the standard's own name


class Spatial(BaseModel):
    """Where the outlines of a collection lie."""

    bbox: list[tuple[float, float, float, float]] = Field(description="west, south, east, north in degrees")
    crs: str


class Temporal(BaseModel):
    """Which time the features of a collection are of."""

    interval: list[tuple[str, str]] = Field(description="first and last moment of the published campaign years")
    trs: str = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"


class Extent(BaseModel):
    """What a collection covers of what the key may see."""

    spatial: Spatial | None = None
    temporal: Temporal


class Collection(BaseModel):
    """A collection of features."""

    id: str = Field(examples=["parcels"])
    title: str
    description: str
    extent: Extent | None = Field(None, description="missing where nothing is published")
    itemType: str = "feature"  # noqa: N815  the standard's own name
    crs: list[str] = Field(description="coordinate systems that `crs` and `bbox-crs` take")
    storageCrs: str = Field(description="coordinate system in which the outlines are kept")  # noqa: N815
    links: list[Link]


class Collections(BaseModel):
    """The collections that the key may read."""

    links: list[Link]
    collections: list[Collection]
    crs: list[str]


class FeatureSchema(BaseModel):
    """JSON Schema of the features of a collection."""

    title: str
    type: Literal["object"]
    properties: dict[str, Any]


@with_columns(COLUMNS[FeatureKind.PARCELS])
class ParcelProperties(BaseModel):
    """What was declared for a parcel, and what the satellites show."""


@with_columns(COLUMNS[FeatureKind.ASSESSMENTS])
class AssessmentProperties(BaseModel):
    """What the evidence says about a declaration. A verdict decides nothing: it ranks what a person should look at."""


@with_columns(COLUMNS[FeatureKind.REGIONS])
class RegionProperties(BaseModel):
    """A NUTS region of a season. It has no figures: those of `/releases` are joined by `nuts_id`."""


class _Feature(BaseModel):
    type: Literal["Feature"]
    id: str = Field(description="agency, campaign year, and parcel or region", examples=["bretagne:2018:007"])
    geometry: dict[str, Any] | None = Field(description="GeoJSON in the coordinate system that was asked for")


class ParcelFeature(_Feature):
    """The outline of a parcel with what was declared and what the satellites show."""

    properties: ParcelProperties


class AssessmentFeature(_Feature):
    """The outline of a parcel with the assessment of its declaration."""

    properties: AssessmentProperties


class RegionFeature(_Feature):
    """The outline of a NUTS region."""

    id: str = Field(description="agency, campaign year and region", examples=["bretagne:2018:FRH01"])
    properties: RegionProperties


class _Page(BaseModel):
    type: Literal["FeatureCollection"]
    numberReturned: int = Field(description="features of this page")  # noqa: N815
    links: list[Link] = Field(description="`next` leads to the next page; the last page has none")


class ParcelFeatures(_Page):
    """A page of parcels in the order of agency, campaign year and parcel."""

    features: list[ParcelFeature]


class AssessmentFeatures(_Page):
    """A page of assessments in the order of agency, campaign year and parcel."""

    features: list[AssessmentFeature]


class RegionFeatures(_Page):
    """A page of regions in the order of agency, campaign year and code."""

    features: list[RegionFeature]
