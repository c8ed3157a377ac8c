"""Every public table, column by column: what rooms hand to each other, what is stored, what readers see.

A public column is added here, in a migration, and in the code that fills it; then `make docs`.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from cropmap.contracts.columns import Column, Kind, Table, View, public, stored_schema
from cropmap.schemas import (
    BANDS,
    Basis,
    CertificateReason,
    Finding,
    Notice,
    Reason,
    RejectReason,
    ReleaseStage,
    ReviewPart,
    RunStatus,
    Verdict,
)

SHARE: Final = (0.0, 1.0)
"""bounds of a share or a probability"""
HIDDEN: Final = "a confidential cell"

# What several tables have.

AGENCY: Final = Column("agency", Kind.TEXT, "name of the agency", example="bretagne")
SEASON: Final = Column("season", Kind.INTEGER, "campaign year", example="2018")
PARCEL_ID: Final = Column("parcel_id", Kind.TEXT, "identifier as declared, text: leading zeros count", example="007")
HOLDING_ID: Final = Column(
    "holding_id", Kind.TEXT, "holding that declared the parcel", null="the agency's file names none", personal=True
)
NUTS_ID: Final = Column(
    "nuts_id", Kind.TEXT, "NUTS-3 region of the parcel", null="the parcel lies in no region", example="FRH01"
)
AREA_HA: Final = Column("area_ha", Kind.REAL, "drawn area in hectares, in the equal-area projection EPSG:3035")
DECLARED_AREA_HA: Final = Column(
    "declared_area_ha", Kind.REAL, "claimed area in hectares", null="the agency's file has none"
)
CROP_CODE: Final = Column(
    "crop_code", Kind.TEXT, "national crop code, text: leading zeros count; as the legend writes it", example="056"
)
RUN_ID: Final = Column("run_id", Kind.TEXT, "the run that made the row")
MODEL_VERSION: Final = Column(
    "model_version", Kind.TEXT, "the network behind the predictions", null="nothing was predicted yet"
)
CODE_VERSION: Final = Column("code_version", Kind.TEXT, "version of cropmap that made it")
AS_OF: Final = Column("as_of", Kind.DATE, "last day of acquisitions that were used", null="the whole season")
NUTS_VERSION: Final = Column(
    "nuts_version", Kind.INTEGER, "edition of the NUTS classification", null="the run has no regions"
)
SIMULATED: Final = Column(
    "simulated", Kind.BOOLEAN, "true where the inputs were simulated: no figure of the row describes real land"
)
PARTIAL_REGION: Final = Column(
    "partial_region", Kind.BOOLEAN, "true where the register covers only a part of the region"
)
SOURCE_FILE: Final = Column("source_file", Kind.TEXT, "name of the file that was read")
ROW_NUMBER: Final = Column("row_number", Kind.INTEGER, "row of the file, from 1")
DETAIL: Final = Column("detail", Kind.TEXT, "what exactly is meant, in one line; may be empty text")
VERSION: Final = Column("version", Kind.INTEGER, "1, 2, …; the highest counts")

# The register.

DECLARATION: Final = Table(
    "declaration",
    "Accepted declarations, one row a parcel.",
    (
        PARCEL_ID,
        CROP_CODE,
        HOLDING_ID,
        DECLARED_AREA_HA,
        AREA_HA,
        ROW_NUMBER.replaced(null="an outline that was carried forward"),
        Column("repaired", Kind.BOOLEAN, "true where the outline was invalid and was repaired"),
    ),
)
DECLARATION_COLUMNS: Final = (*DECLARATION.names, "geometry")
"""Accepted declarations (GeoDataFrame, EPSG:4326). Text is None and declared_area_ha NaN where there is nothing."""
REJECTION: Final = Table(
    "rejection",
    "Rows of declarations files that were not accepted.",
    (
        SOURCE_FILE,
        ROW_NUMBER,
        PARCEL_ID.replaced(null="the row names none"),
        Column("reason", Kind.TEXT, "why the row was not accepted", words=RejectReason),
        DETAIL,
    ),
)
REJECTION_COLUMNS: Final = REJECTION.names
NOTICE: Final = Table(
    "notice",
    "What somebody should know of accepted declarations, one row per declaration and notice.",
    (SOURCE_FILE, ROW_NUMBER, PARCEL_ID, Column("notice", Kind.TEXT, "what is to be known", words=Notice), DETAIL),
)
NOTICE_COLUMNS: Final = NOTICE.names

REGION: Final = Table(
    "region",
    "NUTS regions of a season, one edition of NUTS a season.",
    (
        Column("nuts_id", Kind.TEXT, "NUTS code of the region", example="FRH01"),
        Column("level", Kind.INTEGER, "NUTS level of the region", bounds=(0, 3), example="3"),
        Column("name", Kind.TEXT, "name in Latin letters; the code where the boundary file has none"),
        Column("national_name", Kind.TEXT, "name as the country writes it; `name` where the boundary file has none"),
        Column(
            "language", Kind.TEXT, "language of `national_name` (BCP 47)", null="the agency names none", example="fr"
        ),
        Column("nuts_version", Kind.INTEGER, "edition of the NUTS classification", example="2024"),
    ),
)
"""stored with agency, season and outline"""
COUNTRY: Final = Column("country", Kind.TEXT, "country code of NUTS (`EL` for Greece)", example="FR")

# The observations.

OBSERVATION: Final = Table(
    "observation",
    "One file per tile and acquisition, sorted by parcel_id: one row per parcel that the acquisition covers.",
    (
        PARCEL_ID,
        Column("clear_pixels", Kind.SINGLE, "clear 10 m pixels inside the parcel: sum of the covered shares"),
        Column("total_pixels", Kind.SINGLE, "all 10 m pixels inside the parcel: sum of the covered shares"),
        *(
            Column(
                band,
                Kind.SMALL,
                f"mean surface reflectance x 10 000 of the clear pixels in band {band}; -32768 where none is clear",
            )
            for band in BANDS
        ),
    ),
)
OBSERVATION_SCHEMA: Final[pa.Schema] = stored_schema(OBSERVATION)
"""File metadata: item_id, datetime, tile, parcel_set, observation_version, and what `observations.identity` says of the
pixels: processing_baseline, offset, scale, nodata, checksum, size, generated_at, places."""

# The products.

NOT_SEEN: Final = "the parcel has no usable observation"
PREDICTION: Final = Table(
    "prediction",
    "What the satellites show on a parcel.",
    (
        PARCEL_ID,
        Column("crop", Kind.TEXT, "likeliest crop, a class of the legend", null=NOT_SEEN, example="maize"),
        Column("probability", Kind.REAL, "probability of `crop`", null=NOT_SEEN, bounds=SHARE),
        Column("second_crop", Kind.TEXT, "next likeliest crop", null=NOT_SEEN),
        Column("second_probability", Kind.REAL, "probability of `second_crop`", null=NOT_SEEN, bounds=SHARE),
        Column("n_observations", Kind.INTEGER, "clear observations that were used"),
        Column("last_observation", Kind.DATE, "day of the latest of them", null=NOT_SEEN),
        Column(
            "scored_by",
            Kind.TEXT,
            "the fold whose model never saw this parcel, or the mean of all folds for a parcel without a label",
            null=NOT_SEEN,
            example="fold 2",
        ),
        Column(
            "out_of_distribution",
            Kind.REAL,
            "share of the training parcels that are less unusual than this one: above 0.99 the training data hold next "
            "to nothing like it",
            null="nothing was seen, or nothing was trained",
            bounds=SHARE,
        ),
    ),
)
PREDICTION_COLUMNS: Final = PREDICTION.names
DECLARED_CODE: Final = CROP_CODE.replaced(name="declared_code", meaning="national crop code that was declared, text")
DECLARED_CROP: Final = Column(
    "declared_crop", Kind.TEXT, "its class in the legend", null="the legend has none for the code"
)
PREDICTED_CROP: Final = Column("predicted_crop", Kind.TEXT, "likeliest crop by the published prediction", null=NOT_SEEN)
VERDICT: Final = Column(
    "verdict", Kind.TEXT, "what the evidence says of the declaration; it decides nothing about aid", words=Verdict
)
ASSESSMENT: Final = Table(
    "assessment",
    "What the evidence says about a declaration. A verdict decides nothing: it ranks what a person should look at.",
    (
        PARCEL_ID,
        DECLARED_CODE,
        DECLARED_CROP,
        PREDICTED_CROP,
        Column(
            "declared_probability",
            Kind.REAL,
            "probability of the declared crop, adapted to its region and to wrong declarations",
            null="the declaration is not assessable",
            bounds=SHARE,
        ),
        Column(
            "right_probability",
            Kind.REAL,
            "probability that the declaration is right",
            null="the declaration is not assessable, or a guard refused the evidence",
            bounds=SHARE,
            public=False,
        ),
        VERDICT,
        Column("reason", Kind.TEXT, "why this verdict", words=Reason),
        Column(
            "priority",
            Kind.REAL,
            "area in hectares that is expected to be wrongly declared; higher is sooner",
            null="the declaration is not assessable, or a guard refused the evidence",
        ),
    ),
)
ASSESSMENT_COLUMNS: Final = ASSESSMENT.names


def _figure(name: str, meaning: str, kind: Kind = Kind.REAL) -> Column:
    return Column(name, kind, meaning, null=HIDDEN, figure=True)


STATISTIC: Final = Table(
    "statistic",
    "The area of one crop in one region. A confidential cell keeps its row and loses every figure.",
    (
        Column("nuts_id", Kind.TEXT, "NUTS code of the region", example="FRH01"),
        Column("level", Kind.INTEGER, "NUTS level of the region", bounds=(0, 3)),
        Column("crop", Kind.TEXT, "Eurostat's item, a sum of items (`+`) or the agency's own class (`local:`)"),
        Column("strucpro", Kind.TEXT, "Eurostat's measure: AR_THS_HA area, MAR_THS_HA main area"),
        Column("concept", Kind.TEXT, "area concept of Regulation (EU) 2023/1538: SA, MA, HA or PA"),
        Column("basis", Kind.TEXT, "how the area came about", words=Basis, masked=True),
        _figure("declared_ha", "area by declarations, in hectares"),
        _figure("mapped_ha", "area by the model's map, in hectares"),
        _figure("estimate_ha", "estimated area in hectares: corrected for what the map gets wrong"),
        _figure("se_ha", "standard error of the estimate, in hectares"),
        _figure("ci95_low_ha", "lower end of the 95 % interval, in hectares"),
        _figure("ci95_high_ha", "upper end of the 95 % interval, in hectares"),
        _figure("cv", "coefficient of variation: standard error / estimate; above 25 %, `obs_flag` has u"),
        _figure("n_parcels", "parcels that declared the crop", Kind.INTEGER),
        _figure("n_holdings", "holdings that declared the crop, at least", Kind.INTEGER).replaced(
            null="a confidential cell, or no parcel names its holding"
        ),
        Column(
            "obs_flag",
            Kind.TEXT,
            "SDMX observation status, one letter or several: b break in time series, e estimated, f forecast, "
            "p provisional, r revised, u low reliability",
            null="nothing to say",
            masked=True,
        ),
        Column(
            "conf_status",
            Kind.TEXT,
            '"C": confidential, every figure of the row is empty; "N": not for publication',
            null="for publication",
        ),
    ),
)
STATISTIC_COLUMNS: Final = STATISTIC.names

# The reviews.

CAMPAIGN_ID: Final = Column("campaign_id", Kind.TEXT, "the sample that the parcel was drawn in")
REVIEW_SAMPLE: Final = Table(
    "review_parcel",
    "Parcels of a review sample, as they were drawn.",
    (
        PARCEL_ID,
        Column("part", Kind.TEXT, "where the parcel was drawn from", words=ReviewPart),
        Column("stratum", Kind.TEXT, "stratum of the sample"),
        Column("stratum_size", Kind.INTEGER, "parcels of the stratum"),
        Column(
            "list_rank", Kind.INTEGER, "rank in the list of mismatches, 1 the likeliest", null="not drawn from the list"
        ),
        Column("inclusion_probability", Kind.REAL, "probability with which the parcel was drawn", bounds=SHARE),
    ),
)
FINDING: Final = Table(
    "review",
    "What a person found of a parcel that was drawn.",
    (
        Column("finding", Kind.TEXT, "what a person found of the declaration", words=Finding),
        Column(
            "found_code", Kind.TEXT, "code of the crop that was found", null="the declaration is right, or nobody knows"
        ),
        Column("reviewed_by", Kind.TEXT, "who reviewed", null="not said", personal=True, public=False),
        Column("reviewed_at", Kind.DATE, "day of the review", null="not said"),
        Column("note", Kind.TEXT, "what the reviewer wrote", null="nothing", personal=True, public=False),
    ),
)

# How they are stored: under the run, the release or the sample that they belong to.

PLACE: Final = (NUTS_ID, AREA_HA)
"""what a product row needs of the register to stand for itself"""
NUMBER: Final = Column("number", Kind.INTEGER, "number of the release: 1, 2, … in a season")
STORED_PREDICTION: Final = Table("prediction", PREDICTION.meaning, (RUN_ID, *PREDICTION, *PLACE))
STORED_ASSESSMENT: Final = Table("assessment", ASSESSMENT.meaning, (RUN_ID, *ASSESSMENT, HOLDING_ID, *PLACE))
STORED_STATISTIC: Final = Table("statistic", STATISTIC.meaning, (RUN_ID, *STATISTIC))
RELEASED_ROW: Final = Table("released_row", STATISTIC.meaning, (AGENCY, SEASON, NUMBER, *STATISTIC))
STORED_REJECTION: Final = Table("rejection", REJECTION.meaning, (AGENCY, SEASON, *REJECTION))
STORED_NOTICE: Final = Table("notice", NOTICE.meaning, (AGENCY, SEASON, *NOTICE))
STORED_SAMPLE: Final = Table("review_parcel", REVIEW_SAMPLE.meaning, (CAMPAIGN_ID, RUN_ID, *REVIEW_SAMPLE))
STORED_FINDING: Final = Table(
    "review",
    FINDING.meaning,
    (
        CAMPAIGN_ID,
        PARCEL_ID,
        VERSION,
        *FINDING,
        SOURCE_FILE,
        Column("imported_at", Kind.TIME, "when the finding was imported"),
    ),
)
STORED: Final = (
    STORED_PREDICTION,
    STORED_ASSESSMENT,
    STORED_STATISTIC,
    RELEASED_ROW,
    STORED_REJECTION,
    STORED_NOTICE,
    STORED_SAMPLE,
    STORED_FINDING,
)

# What readers see.

ASSESSED_PARCEL: Final = (AGENCY, SEASON, PARCEL_ID, HOLDING_ID, *PLACE)
FLAGS: Final = Table(
    "flags",
    "The file of `cropmap flags export`: assessments, highest priority first (docs/flags.md).",
    (*ASSESSED_PARCEL, *ASSESSMENT.without("parcel_id"), RUN_ID, SIMULATED),
)
CROP_PREDICTION: Final = View(
    "crop_prediction",
    "Predictions of published seasons, one row a parcel.",
    (AGENCY, SEASON, PARCEL_ID, *PLACE, *PREDICTION.without("parcel_id"), MODEL_VERSION, RUN_ID, SIMULATED),
    reader="cropmap_controller",
)
CROP_ASSESSMENT: Final = View(
    "crop_assessment",
    "Assessments of published seasons, one row a declaration.",
    public(FLAGS),
    reader="cropmap_controller",
)
CROP_STATISTIC: Final = View(
    "crop_statistic",
    "Crop areas of published seasons, one row per region, crop, measure and concept.",
    (AGENCY, SEASON, AS_OF, NUTS_VERSION, *STATISTIC, RUN_ID, SIMULATED, PARTIAL_REGION),
    reader="cropmap_reader",
)
REJECTED_DECLARATION: Final = View(
    "rejected_declaration", REJECTION.meaning, (*STORED_REJECTION, SIMULATED), reader="cropmap_controller"
)
DECLARATION_NOTICE: Final = View(
    "declaration_notice", NOTICE.meaning, (*STORED_NOTICE, SIMULATED), reader="cropmap_controller"
)
DECLARATION_LOG: Final = View(
    "declaration_log",
    "Every version of every declaration, and how it differs from the one before. A version that ended without a "
    "following one was withdrawn.",
    (
        AGENCY,
        SEASON,
        PARCEL_ID,
        VERSION,
        Column("valid_from", Kind.TIME, "when the version was loaded"),
        Column("valid_to", Kind.TIME, "when a later load ended it", null="it stands"),
        Column(
            "change",
            Kind.TEXT,
            "how it differs from the version before: new, came back, crop changed, outline changed, crop and outline "
            "changed, other changes",
        ),
        CROP_CODE,
        HOLDING_ID,
        DECLARED_AREA_HA,
        *PLACE,
        *DECLARATION.only("row_number"),
        SOURCE_FILE,
        Column("source_hash", Kind.TEXT, "SHA-256 of that file"),
        SIMULATED,
    ),
    reader="cropmap_controller",
)
RUN_LOG: Final = View(
    "run_log",
    "Every attempt to make a season, also those that failed. `cropmap_reader` sees it without `n_parcels` and "
    "`detail`, keys of operators without `n_parcels`.",
    (
        RUN_ID,
        AGENCY,
        SEASON,
        AS_OF,
        Column("status", Kind.TEXT, "what became of the run", words=RunStatus),
        Column("started_at", Kind.TIME, "when its latest attempt began"),
        Column("finished_at", Kind.TIME, "when that attempt ended", null="it has not ended"),
        CODE_VERSION,
        MODEL_VERSION,
        Column("n_acquisitions", Kind.INTEGER, "acquisitions that were used", null="not known yet"),
        Column("n_parcels", Kind.INTEGER, "parcels that were predicted", null="not known yet"),
        DETAIL.replaced(meaning="what failed, and which units; or a remark", null="nothing to say"),
        SIMULATED,
    ),
    reader="cropmap_controller",
)
REVIEWED_PARCEL: Final = View(
    "reviewed_parcel",
    "Parcels of review samples with their latest finding. Who reviewed, and the notes, are not shown.",
    (
        AGENCY,
        SEASON,
        PARCEL_ID,
        DECLARED_CODE,
        DECLARED_CROP,
        PREDICTED_CROP,
        VERDICT,
        *REVIEW_SAMPLE.only("part", "stratum", "inclusion_probability", "list_rank"),
        *(column.replaced(null=column.null or "not reviewed yet") for column in public(FINDING)),
        VERSION.replaced(meaning="version of the finding: 1, 2, …", null="not reviewed yet"),
        CAMPAIGN_ID,
        RUN_ID.replaced(meaning="the run whose declarations were drawn"),
        SIMULATED,
    ),
    reader="cropmap_controller",
)
LIST_CERTIFICATION: Final = View(
    "list_certification",
    "What reviews allow to say of a run's list of mismatches, one row a sample.",
    (
        AGENCY,
        SEASON,
        RUN_ID.replaced(meaning="the run whose list was reviewed"),
        CAMPAIGN_ID.replaced(meaning="the sample that was reviewed"),
        Column("certified", Kind.BOOLEAN, "whether the list, or its first part, is certified"),
        Column("reason", Kind.TEXT, "why it is certified, or is not", words=CertificateReason),
        Column(
            "target",
            Kind.REAL,
            "share of right declarations that the list aims at, at most",
            null="the run has no list",
            bounds=SHARE,
        ),
        Column("confidence", Kind.REAL, "probability with which the statement holds: 1 - δ", bounds=SHARE),
        Column("list_size", Kind.INTEGER, "declarations of the list"),
        Column("certified_size", Kind.INTEGER, "how many of its first declarations are certified; 0 where none is"),
        Column("sampled", Kind.INTEGER, "declarations of the list that were drawn"),
        Column("reviewed", Kind.INTEGER, "of these, those with a finding"),
        Column("found_right", Kind.INTEGER, "of these, those that were found right"),
        Column(
            "estimated_rate",
            Kind.REAL,
            "share of right declarations that the run estimated without reviews",
            null="the run has no list",
            bounds=SHARE,
        ),
        Column("statement", Kind.TEXT, "the one sentence that may be published"),
        Column("stated_at", Kind.TIME, "when it was stated"),
        SIMULATED,
    ),
    reader="cropmap_controller",
)
STAGE: Final = Column(
    "stage", Kind.TEXT, "first (in season), provisional (declarations closed) or final", words=ReleaseStage
)
STATISTIC_RELEASE: Final = View(
    "statistic_release",
    "Released tables of crop areas: numbered, and never changed.",
    (
        AGENCY,
        SEASON,
        NUMBER,
        STAGE,
        AS_OF,
        NUTS_VERSION,
        Column("released_at", Kind.TIME, "when it was released"),
        Column("note", Kind.TEXT, "what was said with it", null="nothing"),
        MODEL_VERSION,
        CODE_VERSION,
        RUN_ID.replaced(meaning="the run that it was made from"),
        Column("content_hash", Kind.TEXT, "SHA-256 of its rows"),
        SIMULATED,
    ),
    reader="cropmap_reader",
)
RELEASED_STATISTIC: Final = View(
    "released_statistic",
    "The rows of released tables, as they were released.",
    (AGENCY, SEASON, NUMBER, STAGE, AS_OF, NUTS_VERSION, *STATISTIC, RUN_ID, SIMULATED, PARTIAL_REGION),
    reader="cropmap_reader",
)
VIEWS: Final = (
    CROP_PREDICTION,
    CROP_ASSESSMENT,
    CROP_STATISTIC,
    REJECTED_DECLARATION,
    DECLARATION_NOTICE,
    DECLARATION_LOG,
    RUN_LOG,
    REVIEWED_PARCEL,
    LIST_CERTIFICATION,
    STATISTIC_RELEASE,
    RELEASED_STATISTIC,
)
FILES: Final = (FLAGS, OBSERVATION)
"""tables that leave as files; those of crop areas have the columns of `crop_statistic`"""
