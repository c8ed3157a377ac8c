"""The shared vocabulary: bands, closed word lists, and the columns of every table that rooms hand to each other.

Nothing here computes. A column list is a contract: the room that writes a table and the room that reads it
import the same name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import pyarrow as pa

BANDS: Final = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
"""The ten bands of the model input, in the order of the feature axis."""

RESOLUTION_M: Final = {
    "B02": 10,
    "B03": 10,
    "B04": 10,
    "B08": 10,
    "B05": 20,
    "B06": 20,
    "B07": 20,
    "B8A": 20,
    "B11": 20,
    "B12": 20,
    "SCL": 20,
}
"""Native resolution in metres (ESA S2 Products Specification Document)."""

BANDS_10M: Final = tuple(b for b in BANDS if RESOLUTION_M[b] == 10)
BANDS_20M: Final = tuple(b for b in BANDS if RESOLUTION_M[b] == 20)

SCL_CLEAR: Final = (4, 5, 6, 7)
"""Scene classes that count as clear: vegetation, bare soil, water, unclassified (S2 L2A ATBD)."""

REFLECTANCE_SCALE: Final = 10_000
"""Stored observations are int16 reflectance x 10 000."""
REFLECTANCE_NODATA: Final = -32_768

EPSG_WGS84: Final = 4326
"""Geometries at rest."""
EPSG_EQUAL_AREA: Final = 3035
"""ETRS89-LAEA: every area in hectares is computed here."""


class RejectReason(StrEnum):
    """Why a row of a declarations file was not accepted."""

    MISSING_PARCEL_ID = "MISSING_PARCEL_ID"
    DUPLICATE_PARCEL_ID = "DUPLICATE_PARCEL_ID"
    MISSING_CODE = "MISSING_CODE"
    UNKNOWN_CODE = "UNKNOWN_CODE"
    EMPTY_GEOMETRY = "EMPTY_GEOMETRY"
    INVALID_GEOMETRY = "INVALID_GEOMETRY"
    DUPLICATE_GEOMETRY = "DUPLICATE_GEOMETRY"
    AREA_CONTRADICTS_GEOMETRY = "AREA_CONTRADICTS_GEOMETRY"
    OUTSIDE_REGIONS = "OUTSIDE_REGIONS"
    NOT_A_CROP = "NOT_A_CROP"
    """the profile leaves such rows out: landscape elements, overlays"""
    UNUSABLE_ROW = "UNUSABLE_ROW"
    """another number of fields than the header, a NUL, or a value of kilobytes"""


class Notice(StrEnum):
    """What somebody should know of a declaration that was accepted; stored and counted like a rejection."""

    PARTS_MERGED = "PARTS_MERGED"
    """several rows of one identifier, crop and holding are the parts of one parcel"""
    PLACEHOLDER_HOLDING = "PLACEHOLDER_HOLDING"
    """the holding is a word that names nobody, and is taken as missing"""
    NEAREST_REGION = "NEAREST_REGION"
    """outside every region of the boundaries by no more than `regions.tolerance_m`"""
    SEVERAL_CROPS = "SEVERAL_CROPS"
    """another row declares another crop on the same outline or identifier; that row is rejected"""
    OVERLAP = "OVERLAP"
    """another accepted parcel claims part of the same ground"""


class RowReject(StrEnum):
    """Why an observation of a parcel is not used: a stored one, or a row of a table made elsewhere."""

    MISSING_PARCEL_ID = "MISSING_PARCEL_ID"
    MISSING_DATE = "MISSING_DATE"
    OUTSIDE_SEASON = "OUTSIDE_SEASON"
    UNKNOWN_PARCEL = "UNKNOWN_PARCEL"
    """not declared in the season"""
    NO_BAND_VALUE = "NO_BAND_VALUE"
    """every band is empty although the row is not said to be cloudy"""
    REFLECTANCE_OUT_OF_RANGE = "REFLECTANCE_OUT_OF_RANGE"
    TOO_CLOUDY = "TOO_CLOUDY"
    DUPLICATE_PARCEL_DATE = "DUPLICATE_PARCEL_DATE"
    """the clearest row of the parcel and day is the one that counts"""


class Exclusion(StrEnum):
    """Why a parcel takes no part in an evaluation; the first that fits is counted."""

    PARCEL_NOT_IN_TABLE = "PARCEL_NOT_IN_TABLE"
    """labelled, but the observations do not know it"""
    PARCEL_WITHOUT_LABEL = "PARCEL_WITHOUT_LABEL"
    CROP_NOT_IN_LEGEND = "CROP_NOT_IN_LEGEND"
    PARCEL_TOO_SMALL = "PARCEL_TOO_SMALL"
    PARCEL_WITHOUT_FOLD = "PARCEL_WITHOUT_FOLD"
    PARCEL_WITHOUT_OBSERVATION = "PARCEL_WITHOUT_OBSERVATION"
    """every row of it is unusable"""
    CLASS_TOO_RARE = "CLASS_TOO_RARE"


class QuarantineReason(StrEnum):
    """Why an acquisition was set aside."""

    UNREADABLE_FILE = "UNREADABLE_FILE"
    MISSING_BAND = "MISSING_BAND"
    WRONG_CRS = "WRONG_CRS"
    WRONG_GRID = "WRONG_GRID"
    OFFSET_UNKNOWN = "OFFSET_UNKNOWN"
    OFFSET_CONTRADICTED = "OFFSET_CONTRADICTED"
    INCOMPLETE_METADATA = "INCOMPLETE_METADATA"
    SUPERSEDED = "SUPERSEDED"
    """the same tile and datatake exists under a higher processing baseline"""
    DUPLICATE = "DUPLICATE"
    INVALID_ID = "INVALID_ID"
    """no text, too long, or one that looks like a path"""
    FORBIDDEN_ADDRESS = "FORBIDDEN_ADDRESS"
    """a file of the item lies where its catalogue may not point to"""
    UNSUPPORTED_FORMAT = "UNSUPPORTED_FORMAT"
    """neither GeoTIFF nor JPEG 2000: Zarr, VRT"""


class AcquisitionWarning(StrEnum):
    """What speaks against an acquisition that is observed all the same."""

    OFFSET_DOUBTFUL = "OFFSET_DOUBTFUL"
    """its parcels look as if an offset were applied twice or not at all, and nothing decides it"""


class AcquisitionStatus(StrEnum):
    FOUND = "found"
    OBSERVED = "observed"
    QUARANTINED = "quarantined"


class RunStatus(StrEnum):
    RUNNING = "running"
    PUBLISHED = "published"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """stopped by a signal, or left behind by a process that is gone; the same command goes on with it"""


class Verdict(StrEnum):
    CONFORM = "conform"
    INCONCLUSIVE = "inconclusive"
    MISMATCH = "mismatch"
    NOT_ASSESSABLE = "not_assessable"


class Reason(StrEnum):
    """Why a declaration has its verdict. The first six are gates, in this order; the first that fires wins."""

    NO_GEOMETRY = "NO_GEOMETRY"
    TOO_SMALL = "TOO_SMALL"
    TOO_FEW_OBSERVATIONS = "TOO_FEW_OBSERVATIONS"
    CROP_NOT_IN_LEGEND = "CROP_NOT_IN_LEGEND"
    CLASS_TOO_RARE = "CLASS_TOO_RARE"
    CROP_NOT_LEARNT = "CROP_NOT_LEARNT"
    """the model that judges the parcel was trained without any parcel of the declared crop, which grows in one fold"""
    NO_RELIABLE_EVIDENCE = "NO_RELIABLE_EVIDENCE"
    """a guard refused the list, or this class's part of it"""
    DECLARED_CROP_SUPPORTED = "DECLARED_CROP_SUPPORTED"
    OTHER_CROP_SUPPORTED = "OTHER_CROP_SUPPORTED"
    LOOK_ALIKE_CROPS = "LOOK_ALIKE_CROPS"
    WEAK_EVIDENCE = "WEAK_EVIDENCE"
    CONFIRMED_BY_REVIEW = "CONFIRMED_BY_REVIEW"
    """a person found the declared crop there, whatever the images say"""


class ReviewPart(StrEnum):
    """Where a parcel of a review sample was drawn from."""

    LIST = "list"
    """the published mismatches"""
    CONTROL = "control"
    """everything else that was assessed or could not be"""
    AREA = "area"
    """all declarations, for area statistics"""


class ReviewPurpose(StrEnum):
    """What a review sample was drawn for."""

    LIST = "list"
    """to certify the list of mismatches, and to see what it misses"""
    AREAS = "areas"
    """to correct the area statistics"""


class Finding(StrEnum):
    """What a person found of a declaration."""

    RIGHT = "right"
    WRONG = "wrong"
    CANNOT_TELL = "cannot_tell"


class FindingReject(StrEnum):
    """Why a row of a file of findings was not taken."""

    MISSING_PARCEL_ID = "MISSING_PARCEL_ID"
    UNKNOWN_PARCEL = "UNKNOWN_PARCEL"
    """not declared in the season"""
    NOT_IN_SAMPLE = "NOT_IN_SAMPLE"
    OTHER_CAMPAIGN = "OTHER_CAMPAIGN"
    """the row names a sample that was not drawn for this season"""
    UNKNOWN_FINDING = "UNKNOWN_FINDING"
    UNKNOWN_CODE = "UNKNOWN_CODE"
    CONTRADICTORY = "CONTRADICTORY"
    """the finding and the crop that was found exclude each other"""
    UNREADABLE_DATE = "UNREADABLE_DATE"
    DUPLICATE_PARCEL = "DUPLICATE_PARCEL"
    """the same parcel again; where the rows differ, none of them is taken"""


class CertificateReason(StrEnum):
    """Why a list is certified, or is not."""

    CERTIFIED = "CERTIFIED"
    NO_LIST = "NO_LIST"
    LIST_USED_BEFORE = "LIST_USED_BEFORE"
    """another sample of the same list was reviewed first: a second try would spend the risk twice"""
    SAMPLE_TOO_SMALL = "SAMPLE_TOO_SMALL"
    TOO_FEW_REVIEWED = "TOO_FEW_REVIEWED"
    """more reviews could still certify it"""
    TOO_MANY_RIGHT = "TOO_MANY_RIGHT"


class CsvDialect(StrEnum):
    """How a CSV file is written."""

    PLAIN = "plain"
    """UTF-8, comma, decimal point: for programs"""
    BOM = "bom"
    """the same with a byte order mark, without which Excel takes UTF-8 for the code page of the country"""
    SEMICOLON = "semicolon"
    """byte order mark, semicolon, decimal comma: what Excel opens by a double click where the comma is decimal"""


class Basis(StrEnum):
    """How a published area came about."""

    REGISTER = "register"
    MODEL_ASSISTED = "model_assisted"
    SYNTHETIC = "synthetic"


BASIS_MEANING: Final = {
    Basis.REGISTER: "the declared area",
    Basis.MODEL_ASSISTED: "the model's estimate, corrected by reviews",
    Basis.SYNTHETIC: "the model's estimate where a fifth or more of the region's area has no reviews, or a recoded "
    "figure that was cut or combined",
}


class ReleaseStage(StrEnum):
    """How final a released table is, in the order in which a season is released."""

    FIRST = "first"
    """an estimate in season; flag f"""
    PROVISIONAL = "provisional"
    """after declarations closed; flag p"""
    FINAL = "final"


class ReleaseWord(StrEnum):
    """What a person says to release a table all the same."""

    UNKNOWN_HOLDINGS = "unknown-holdings"
    """it is known from elsewhere that no figure tells of fewer holdings than it may"""
    SIMULATION = "simulation"


class Revision(StrEnum):
    """What became of a figure from one release to the next."""

    UNCHANGED = "unchanged"
    REVISED = "revised"
    NEW = "new"
    GONE = "gone"
    CONFIDENTIAL = "confidential"
    """hidden in one of the two, or in both: no difference is shown"""


class LeftOut(StrEnum):
    """Why a figure or a line is not in a table of crop statistics, or is not compared."""

    NO_ITEM_OF_ITS_OWN = "NO_ITEM_OF_ITS_OWN"
    """a crop of the agency's own (`local:…`) or a sum of items: Eurostat's code list has no name for it"""
    UNKNOWN_CROP = "UNKNOWN_CROP"
    """looks like an item, but the code list does not have it"""
    UNKNOWN_STRUCPRO = "UNKNOWN_STRUCPRO"
    UNKNOWN_FLAG = "UNKNOWN_FLAG"
    BROKEN_LINE = "BROKEN_LINE"
    """too few or too many cells, or a key that is none"""
    NO_NUMBER = "NO_NUMBER"
    """neither a number nor `:`"""
    SERIES_TWICE = "SERIES_TWICE"
    """the same series again: the first line counts"""
    PARTIAL_REGION = "PARTIAL_REGION"
    """the register covers only a part of the region: its sum is no figure of the region"""
    HIDDEN_HERE = "HIDDEN_HERE"
    """confidential in the table that is compared"""
    HIDDEN_THERE = "HIDDEN_THERE"
    """confidential in Eurostat's file"""
    NO_VALUE = "NO_VALUE"
    """the file has the series, but neither this year nor an earlier one"""
    REGION_NOT_IN_FILE = "REGION_NOT_IN_FILE"
    CROP_NOT_IN_FILE = "CROP_NOT_IN_FILE"
    """the file has the region, but no area of this crop in it"""


class Architecture(StrEnum):
    LSTM = "lstm"
    TRANSFORMER = "transformer"


OBSERVATION_SCHEMA: Final = pa.schema(
    [
        pa.field("parcel_id", pa.string(), nullable=False),
        pa.field("clear_pixels", pa.float32(), nullable=False),  # sum of coverage fractions, 10 m grid
        pa.field("total_pixels", pa.float32(), nullable=False),
        *(pa.field(band, pa.int16(), nullable=False) for band in BANDS),
    ]
)
"""One file per tile x acquisition, rows sorted by parcel_id, one row per parcel that the acquisition covers.

A band is the mean reflectance x 10 000 over the clear pixels of the parcel, REFLECTANCE_NODATA where none is.
File metadata: item_id, datetime, tile, parcel_set, observation_version, and what `observations.identity` says of the
pixels: processing_baseline, offset, scale, nodata, checksum, size, generated_at, places.
"""

DECLARATION_COLUMNS: Final = (
    "parcel_id",
    "crop_code",
    "holding_id",
    "declared_area_ha",
    "area_ha",
    "row_number",
    "repaired",
    "geometry",
)
"""Accepted declarations (GeoDataFrame, EPSG:4326). holding_id None where the file has none; declared_area_ha NaN."""

CARRIED_FORWARD: Final = "(carried forward)"
"""Crop code of an outline that stands in for a declaration which is still to come."""

REJECTION_COLUMNS: Final = ("source_file", "row_number", "parcel_id", "reason", "detail")

NOTICE_COLUMNS: Final = ("source_file", "row_number", "parcel_id", "notice", "detail")
"""One row per accepted declaration and Notice."""

PREDICTION_COLUMNS: Final = (
    "parcel_id",
    "crop",
    "probability",
    "second_crop",
    "second_probability",
    "n_observations",
    "last_observation",
    "scored_by",
    "out_of_distribution",
)
"""`crop` is a class name of the legend, None where the parcel has no usable observation; last_observation a date;
scored_by "fold 2" (a model that never saw the parcel) or "mean of 4 folds" (parcels without a label);
out_of_distribution the share of training parcels that look more ordinary, 0-1, NaN where nothing was seen or nothing
was trained."""

ASSESSMENT_COLUMNS: Final = (
    "parcel_id",
    "declared_code",
    "declared_crop",
    "predicted_crop",
    "declared_probability",
    "right_probability",
    "verdict",
    "reason",
    "priority",
)


class Confidentiality(StrEnum):
    """How far a table of areas is protected."""

    FULL = "full"
    """primary and secondary suppression, audited: for publication"""
    PRIMARY = "primary"
    """hidden cells can be recovered from sums: for internal use"""
    OFF = "off"
    """nothing is hidden: for internal use"""


class Internal(StrEnum):
    """Why a table of areas is not for publication."""

    NOT_PROTECTED = "NOT_PROTECTED"
    """statistics.confidentiality is not full"""
    HOLDINGS_UNKNOWN = "HOLDINGS_UNKNOWN"
    """no parcel names its holding: nobody can say how many contribute to a cell"""
    AUDIT_REFUSED = "AUDIT_REFUSED"
    """hidden figures could be recovered, or the audit was not solved, however much was hidden"""


HIDDEN_STATUSES: Final = frozenset("CP")
"""conf_status of a cell whose figures are not shown; those of N are, for internal use"""

STATISTIC_COLUMNS: Final = (
    "nuts_id",
    "level",
    "crop",
    "strucpro",
    "concept",
    "basis",
    "declared_ha",
    "mapped_ha",
    "estimate_ha",
    "se_ha",
    "ci95_low_ha",
    "ci95_high_ha",
    "cv",
    "n_parcels",
    "n_holdings",
    "obs_flag",
    "conf_status",
)
"""Confidential cells keep their row with conf_status "C" and every figure empty, n_parcels and n_holdings too. The
other rows have none, or "N" (not for publication) where the table is not fully protected."""
