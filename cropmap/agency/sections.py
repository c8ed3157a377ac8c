"""The sections of an agency file: their keys, each with its default, its meaning and what it may be.

Each section is checked by itself; what binds several of them together is checked by `Agency`. Nothing is read here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from cropmap.assessments.gates import LIMITS, Limits
from cropmap.cron import checked_cron, checked_zone
from cropmap.errors import ConfigurationError
from cropmap.schemas import Architecture, Confidentiality
from cropmap.seasons import Season
from cropmap.sources.declarations.profiles import GENERIC, ROLES
from cropmap.sources.nuts_codes import no_code, of_other_editions, words

Share = Annotated[float, Field(gt=0, lt=1)]
TRUSTED_PLACE: Final = re.compile(r"(\*\.)?[A-Za-z0-9][A-Za-z0-9.-]*|\[?[0-9a-fA-F:]+\]?|(s3|gs)://[^/\s]+/?|/.+")
Cron = Annotated[str, AfterValidator(checked_cron)]

GUARDS: Final = frozenset({"max_withdrawn_share", "max_doubled_share"})
"""keys of `declarations` that can stop a load, and do not change the result of one that is not stopped"""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RegionsSection(Section):
    nuts_version: Literal[2016, 2021, 2024] = Field(
        description="version of the NUTS classification: 2016, 2021 or 2024"
    )
    boundaries: str = Field(
        description="file of NUTS boundaries from GISCO (GPKG, SHP, GeoJSON, TopoJSON or Parquet; zipped or not). Use "
        "the scale 1 : 1 million: coarser boundaries exclude parcels at coasts and borders"
    )
    codes: list[str] = Field(
        min_length=1, description="NUTS codes of any level; the season covers all their NUTS-3 regions"
    )
    tolerance_m: float = Field(
        3_000,
        ge=0,
        description="largest distance in metres at which a parcel outside all regions is assigned to the nearest one, "
        "with notice NEAREST_REGION; a parcel farther away is rejected as OUTSIDE_REGIONS. With boundaries of "
        "1 : 20 million, parcels lie up to 2.8 km outside",
    )
    complete: list[str] = Field(
        [],
        description="regions above `codes` that the declarations cover completely, although not all their NUTS-3 "
        "regions are in `codes`. All other regions above are marked partial_region and left out of SDMX, JSON-stat, "
        "TSV and the comparison with Eurostat",
    )

    @model_validator(mode="after")
    def _of_this_edition(self) -> Self:
        if wrong := next(filter(None, map(no_code, self.codes)), None):
            raise ValueError(wrong)
        if foreign := of_other_editions(self.codes, nuts_version=self.nuts_version):
            code, editions = next(iter(foreign.items()))
            of = f"NUTS {words(editions)}" if editions else "an earlier edition"
            raise ValueError(f"NUTS {self.nuts_version} does not have {words(foreign)} ({code} is of {of})")
        return self


class AcquisitionsSection(Section):
    catalog: str | None = Field(
        None,
        description="STAC catalogue: a catalog.json on disk or the URL of a STAC API; or a folder of `.SAFE` products "
        "or zip files of them (`docs/catalogues.md`). Without a catalogue, observations are imported with `cropmap "
        "observations import`",
    )
    collection: str = Field("sentinel-2-l2a", description="STAC collection of Sentinel-2 L2A items")
    window: tuple[str, str] = Field(
        ("{season}-01-01", "{season}-12-31"),
        description="first and last day of the acquisitions; {season}, {previous} and {next} are replaced by years",
    )
    provider: str | None = Field(
        None,
        description="catalogue whose layout, access and limits apply: name of a built-in one or a YAML file "
        "(`docs/catalogues.md`); default: recognised by the addresses of the catalogue and its items",
    )
    file_providers: list[str] = Field(
        [],
        description="further providers of files that the catalogue's items refer to, as YAML files, each with its own "
        "access and limits; the built-in ones are always known",
    )
    offset: Literal["item", "baseline"] = Field(
        "item",
        description="source of the radiometric offset. item: the STAC item alone; baseline: where the item has none, "
        "the processing baseline (-0.1 from 04.00 on). Use baseline for mirrors of Planetary Computer; Planetary "
        "Computer itself is recognised automatically",
    )
    trusted: list[str] = Field(
        [],
        description="further hosts (`example.org`, `*.example.org`), buckets (`s3://name`) and folders that the "
        "catalogue may refer to. Always permitted are its own host or folder, the data folder, the folder of the "
        "agency file, and the known providers (`docs/catalogues.md`)",
    )

    @field_validator("trusted")
    @classmethod
    def _hosts_buckets_folders(cls, trusted: list[str]) -> list[str]:
        for place in trusted:
            if not TRUSTED_PLACE.fullmatch(place):
                raise ValueError(f"{place!r} is no host (example.org, *.example.org), bucket (s3://name) or /folder")
        return trusted

    @field_validator("window")
    @classmethod
    def _two_days(cls, window: tuple[str, str]) -> tuple[str, str]:
        try:
            for year in (2023, 2024):  # a common and a leap year
                Season.from_window(year, window)
        except ConfigurationError as error:
            raise ValueError(f"{error.what}. {error.mend}") from error
        return window


class DeclarationsSection(Section):
    path: str = Field(
        description="file of declarations: a vector file, Parquet (also a folder of parts), or CSV with outlines, "
        "also in an archive (formats: `docs/declarations.md`)"
    )
    profile: str = Field(
        GENERIC,
        description="layout of the file: name of a built-in profile (`docs/declarations.md`), a YAML file, or generic, "
        "which uses `columns`. The following keys override those of the profile",
    )
    columns: dict[str, str] = Field(
        {},
        description="name in cropmap: column of the file. parcel_id and crop_code (or crop_name) are needed, "
        "holding_id and area are optional. Case is ignored. `a+b` joins two columns; `fid` is the feature id or row "
        "number, which may change with the next delivery",
    )
    layer: str | None = Field(None, description="layer of a file with several; a pattern reads all matching layers")
    member: str | None = Field(
        None,
        description="name or pattern of the file within an archive of several files, or of the inner archive or "
        "folder that holds it",
    )
    crs: str | None = Field(
        None,
        description="coordinate system, such as EPSG:2154. Needed where the file names none, or one without a datum. "
        "It overrides that of the file; a note gives the difference in metres",
    )
    axis_order: Literal["easting_first", "northing_first"] | None = Field(
        None,
        description="order of the coordinates in the file (longitude is an easting), where it differs from the order "
        "that its format or CRS prescribes: a GML file that contradicts its srsName, latitude first in GeoJSON or WKT",
    )
    allow_partial: bool = Field(
        False,
        description="true: read a file that states that it is incomplete (a page of a WFS answer); what is missing "
        "from it counts as not declared",
    )
    encoding: str | None = Field(
        None, description="encoding of the text where the file does not name it, such as CP1250"
    )
    area_unit: Literal["ha", "m2"] | None = Field(
        None, description="unit of the declared area: ha or m2; default: that of the profile, else ha"
    )
    code_pattern: str | None = Field(
        None,
        description="regular expression whose first group is the crop code, for a column that contains more than the "
        "code, such as `110 - Winter wheat` or a link that ends in it",
    )
    wkt_column: str | None = Field(None, description="column with the geometry (WKT) of a CSV or Parquet file")
    exclude: dict[str, list[str | int | float | bool]] | None = Field(
        None, description="column: values or patterns of rows that are not crops; they are rejected as NOT_A_CROP"
    )
    no_holding: list[str] | None = Field(
        None,
        description="placeholders in the holding column where no holding is known, in addition to NULL, 0, unknown and "
        "the like, which are recognised in many languages. Such a holding counts as missing, with notice "
        "PLACEHOLDER_HOLDING",
    )
    max_holding_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None,
        description="a holding on more than this share of the rows (and on 20 rows or more) is taken for a "
        "placeholder; default: that of the profile, else 0.25. 1: never",
    )
    max_withdrawn_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="a load stops before it writes anything if it would withdraw more than this share of the season's "
        "declarations, or move them to other land. The message gives the option that permits it (`--accept`)",
    )
    max_doubled_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="a load stops before it writes anything if more than this share of the declared land is declared "
        "twice (several crops on one outline, or overlapping outlines). The message gives the option that permits it "
        "(`--accept`)",
    )
    codes: str | None = Field(
        None,
        description="code list with HCAT3 codes (columns of EuroCrops) for the legends hcat3…; {season} in its name is "
        "replaced by the campaign year, as in `profile`, `layer` and `member`",
    )
    more_codes: dict[str, str] | None = Field(
        None,
        description="crop code (or name, where the list has no codes): HCAT3 code in quotes, for crops of the file "
        "that are missing from the code list; added to those of the profile",
    )

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        if unknown := set(columns) - set(ROLES):
            raise ValueError(f"{', '.join(sorted(unknown))} is none of {', '.join(ROLES)}")
        return columns

    @model_validator(mode="after")
    def _needed(self) -> Self:
        if self.profile == GENERIC and not (
            "parcel_id" in self.columns and {"crop_code", "crop_name"} & set(self.columns)
        ):
            raise ValueError("declarations.columns needs parcel_id and crop_code (or crop_name), or set a profile")
        return self


class ObservationsSection(Section):
    inner_buffer_10m_m: float = Field(
        10,
        ge=0,
        description="width in metres of the strip inside the parcel's edge that is left out, for the 10 m bands",
    )
    inner_buffer_20m_m: float = Field(20, ge=0, description="the same for the 20 m bands")
    min_clear_fraction: float = Field(
        0.5, ge=0, le=1, description="an observation is used if at least this share of the parcel's pixels is clear"
    )


class FoldsSection(Section):
    by: Literal["region", "block", "file", "random"] = Field(
        "region",
        description="folds of the cross-validation: by NUTS-3 region, by spatial block, or from a file (parcel_id, "
        "fold); parcels of one holding are kept together. random: accuracy is overestimated, because neighbours are "
        "in other folds; for comparison only, and reports state it",
    )
    file: str | None = Field(None, description="CSV with the columns parcel_id and fold, for `by: file`")
    n: int = Field(5, ge=2, le=50, description="number of folds, for `by: block` and `by: random`")
    block_size_m: float = Field(2_000, gt=0, description="edge of a spatial block in metres, for `by: block`")
    neighbour_distance_m: float = Field(
        200,
        ge=0,
        description="parcels within this distance in metres of a scored parcel are left out of the training of its "
        "model; not with `by: random`",
    )


class ModelSection(Section):
    architecture: Architecture = Field(
        Architecture.TRANSFORMER, description="network whose predictions are published: lstm or transformer"
    )
    networks: list[Architecture] = Field(
        [Architecture.LSTM, Architecture.TRANSFORMER],
        min_length=1,
        description="networks that are trained and compared in a season",
    )
    folds: FoldsSection = FoldsSection()
    epochs: int = Field(
        25,
        ge=1,
        description="largest number of passes over the training parcels; training stops early when it no longer "
        "improves",
    )
    min_steps: int = Field(
        600,
        ge=0,
        description="least number of optimiser steps; with few parcels, more passes than `epochs` are made to reach it",
    )
    members: int = Field(
        1,
        ge=1,
        le=9,
        description="networks per fold that are trained together and averaged; the results vary less, and training "
        "takes as many times longer",
    )
    seed: int = Field(
        0, ge=0, description="seed of every random choice; the same seed gives the same results to the bit"
    )


class AssessmentSection(Section):
    false_alarm_rate: Share = Field(0.10, description="target share of right declarations among the mismatches")
    clean_up_rounds: int = Field(
        2,
        ge=0,
        le=3,
        description="number of times that the published network is trained again without declarations that look wrong, "
        "because a network that has learnt wrong labels reproduces them. These declarations are still assessed",
    )
    min_pixels: float = Field(
        LIMITS.min_pixels,
        ge=0,
        description="a parcel with fewer 10 m pixels inside the inner buffer is not assessable (TOO_SMALL)",
    )
    min_observations: int = Field(
        LIMITS.min_observations,
        ge=1,
        description="a parcel with fewer clear observations is not assessable (TOO_FEW_OBSERVATIONS)",
    )
    min_class_parcels: int = Field(
        LIMITS.min_class_parcels,
        ge=2,
        description="a crop with fewer declared parcels is not assessable (CLASS_TOO_RARE)",
    )
    groups: dict[str, list[str]] = Field(
        {},
        description="name of a group: crop classes that are not distinguished in assessments, such as crops with one "
        "payment. Added to the inseparable groups of the legend, whose classes may be regrouped here",
    )

    @property
    def limits(self) -> Limits:
        return Limits(self.min_pixels, self.min_observations, self.min_class_parcels)


class ReviewSection(Section):
    delta: Share = Field(
        0.10,
        description="accepted risk of certifying a list that contains more right declarations than "
        "`assessment.false_alarm_rate`; fixed for a sample when it is drawn",
    )
    list_share: Share = Field(
        0.80,
        description="share of the reviews that is drawn from the mismatches; the rest is a control sample of all other "
        "declarations",
    )


class StatisticsSection(Section):
    confidentiality: Confidentiality = Field(
        Confidentiality.FULL,
        description="full: primary and secondary suppression with an audit, for publication. primary (without "
        "secondary suppression) and off are for internal use, and every row is marked N (`docs/confidentiality.md`)",
    )
    min_holdings: int = Field(4, ge=1, description="a cell with fewer holdings is confidential")
    min_holdings_nuts3: int = Field(
        10, ge=1, description="the same for NUTS-3 regions; the larger of the two numbers applies there"
    )
    dominance: tuple[int, Share] = Field(
        (2, 0.85),
        description="(n, k): a cell is confidential if its n largest holdings have more than the share k of it",
    )
    p_percent: Annotated[float, Field(gt=0, le=100)] | None = Field(
        None,
        description="p: a cell is confidential if its second largest holding can estimate the largest to within p %; "
        "none: this rule is not applied",
    )
    border_parcels: Literal["largest", "split"] = Field(
        "largest",
        description="a parcel on the border of NUTS-3 regions counts in the region with its largest part (largest), "
        "or its area is divided (split). `nuts_id` of a parcel and its fold always follow the largest part",
    )

    @field_validator("confidentiality", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: Any) -> Any:
        """YAML reads a bare off as false."""
        return "off" if value is False else value


class ScheduleSection(Section):
    observe: Cron | None = Field(None, description="cron line: observe new acquisitions and load declarations")
    predict: Cron | None = Field(None, description="cron line: predict, assess, aggregate and publish")
    retrain: Cron | None = Field(None, description="cron line: train the networks")
    timezone: Annotated[str, AfterValidator(checked_zone)] = Field(
        "UTC", description="time zone of the cron lines and of the day that determines the season of a scheduled run"
    )
    settling_days: int = Field(
        14,
        ge=0,
        le=366,
        description="days after the end of a window in which scheduled runs still process its season, because the last "
        "acquisitions arrive late",
    )


class RetentionSection(Section):
    years: int = Field(
        10,
        ge=0,
        le=200,
        description="years after the campaign year at whose end `cropmap season expire` removes the season's personal "
        "data (`docs/erasure.md`)",
    )
    audit_years: int = Field(
        10,
        ge=0,
        le=200,
        description="whole calendar years for which entries of the audit log are kept; `cropmap season expire` removes "
        "older ones",
    )
