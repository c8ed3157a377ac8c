"""The shared vocabulary: bands, constants, and closed lists of words and of reason codes.

Nothing here computes. The columns of the tables are stated in `cropmap.contracts`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self

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


class ReasonCode(StrEnum):
    """A closed list of codes that are stored or counted, each with its meaning and what to do about it.

    A member is written `CODE = "CODE", meaning, mend`: a clause, and an instruction. docs/reasons.md is made of them.
    """

    meaning: str
    mend: str

    def __new__(cls, code: str, meaning: str = "", mend: str = "") -> Self:  # a code alone finds its member
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning, member.mend = meaning, mend
        return member

    @property
    def stated(self) -> tuple[str, str, str]:
        """As it is written, for another list with the same code."""
        return str(self), self.meaning, self.mend


class RejectReason(ReasonCode):
    """Why a row of a declarations file was not accepted."""

    MISSING_PARCEL_ID = (
        "MISSING_PARCEL_ID",
        "the row has no identifier, one that a spreadsheet rounded (`1,23E+11`), or a placeholder that several rows "
        "share",
        "Name the column of the identifier in `declarations.columns.parcel_id`, or give the row one",
    )
    DUPLICATE_PARCEL_ID = (
        "DUPLICATE_PARCEL_ID",
        "an earlier row has the same identifier",
        "Look whether another column makes the identifier unique: `parcel_id: a+b` joins two columns",
    )
    MISSING_CODE = (
        "MISSING_CODE",
        "no crop is declared",
        "Name the column of the crop in `declarations.columns.crop_code`; rows without a crop stay out",
    )
    UNKNOWN_CODE = (
        "UNKNOWN_CODE",
        "the legend does not list the crop's code",
        "Add the code to the legend, or to `declarations.more_codes`; the answer of `declarations load` lists them",
    )
    EMPTY_GEOMETRY = (
        "EMPTY_GEOMETRY",
        "the row has no outline, or an empty one",
        "Ask the source for the outline; without one a parcel cannot be seen",
    )
    INVALID_GEOMETRY = (
        "INVALID_GEOMETRY",
        "not a polygon, a coordinate that is no number, an outline that crosses itself more than 500 times or is "
        "nested more than 32 levels deep, or one whose repair would change its area by 1%",
        "Correct the outline in the source; the detail says what is wrong with it",
    )
    DUPLICATE_GEOMETRY = (
        "DUPLICATE_GEOMETRY",
        "an earlier row has the same outline",
        "Exclude rows that lie over others, such as catch crops, with `declarations.exclude`",
    )
    AREA_CONTRADICTS_GEOMETRY = (
        "AREA_CONTRADICTS_GEOMETRY",
        "claimed and drawn area differ by more than 0.1 ha and more than 25%",
        "Check `declarations.area_unit` and the file's coordinate system where many rows are concerned",
    )
    OUTSIDE_REGIONS = (
        "OUTSIDE_REGIONS",
        "the parcel touches none of the agency's regions, and none is near",
        "Check `regions.codes`, `declarations.crs` and `declarations.axis_order` where many rows are concerned",
    )
    NOT_A_CROP = (
        "NOT_A_CROP",
        "the file's profile says that such rows are no crop",
        "Nothing; change `declarations.exclude` where such rows are to be read",
    )
    UNUSABLE_ROW = (
        "UNUSABLE_ROW",
        "another number of fields than the header, a control character, or a value of more than 500 characters",
        "Correct the row in the source; the detail says what is wrong with it",
    )
    HOLDING_ERASED = (
        "HOLDING_ERASED",
        "the row's holding was erased by `cropmap forget`; neither its parcel nor its holding is stored",
        "Nothing; ask the source for a file without the holding",
    )


class Notice(ReasonCode):
    """What somebody should know of a declaration that was accepted; stored and counted like a rejection."""

    PARTS_MERGED = (
        "PARTS_MERGED",
        "several rows of the same identifier, crop and holding are one parcel",
        "Nothing; the detail names the other rows",
    )
    PLACEHOLDER_HOLDING = (
        "PLACEHOLDER_HOLDING",
        "its holding is a word that names nobody, and counts as missing",
        "Nothing; where the word does name a holding, raise `declarations.max_holding_share`",
    )
    NEAREST_REGION = (
        "NEAREST_REGION",
        "outside the boundaries by up to `regions.tolerance_m`; it counts in the nearest region",
        "Use boundaries at 1 : 1 million where many parcels are concerned; `regions.tolerance_m` is the limit",
    )
    SEVERAL_CROPS = (
        "SEVERAL_CROPS",
        "another row declares another crop on the same land; that row is rejected",
        "Name the rows that do not count in `declarations.exclude`; `declarations inspect` proposes the key",
    )
    OVERLAP = (
        "OVERLAP",
        "another accepted parcel claims part of the same ground",
        "Look which of the two claims is right; their areas count twice in the statistics",
    )


class RowReject(ReasonCode):
    """Why an observation of a parcel is not used: a stored one, or a row of a table made elsewhere."""

    MISSING_PARCEL_ID = ("MISSING_PARCEL_ID", "the row names no parcel", "Fill column `parcel_id`")
    MISSING_DATE = (
        "MISSING_DATE",
        "the row has no day, or one before 1900 or after 2199",
        "Fill the column of the day with dates, timestamps or ISO text",
    )
    OUTSIDE_SEASON = (
        "OUTSIDE_SEASON",
        "the day lies outside the season's window; in `evaluate`, outside the year that holds most rows and the years "
        "beside it",
        "Nothing; change `acquisitions.window` where such days are to be used",
    )
    UNKNOWN_PARCEL = (
        "UNKNOWN_PARCEL",
        "the season's declarations do not contain the parcel",
        "Load the declarations first, and compare the identifiers: leading zeros are lost where they are numbers",
    )
    NO_BAND_VALUE = (
        "NO_BAND_VALUE",
        "every band is empty or 0, and the row is not marked as wholly cloudy",
        "Look for the values in the system that made the table",
    )
    REFLECTANCE_OUT_OF_RANGE = (
        "REFLECTANCE_OUT_OF_RANGE",
        "a band is below -0.2 or above 2",
        "Scale reflectance to 0-1; where few rows are concerned, nothing",
    )
    TOO_CLOUDY = (
        "TOO_CLOUDY",
        "less than half of the parcel is clear",
        "Nothing; the season's share is `observations.min_clear_fraction`",
    )
    DUPLICATE_PARCEL_DATE = (
        "DUPLICATE_PARCEL_DATE",
        "another row of the parcel and day is at least as clear, and counts",
        "Nothing",
    )


class Exclusion(ReasonCode):
    """Why a parcel takes no part in an evaluation; the first that fits is counted."""

    PARCEL_NOT_IN_TABLE = (
        "PARCEL_NOT_IN_TABLE",
        "labelled, but the observations do not know it",
        "Compare the identifiers of both files: leading zeros are lost where they are numbers",
    )
    PARCEL_WITHOUT_LABEL = (
        "PARCEL_WITHOUT_LABEL",
        "observed, but not in the labels, or with an empty label",
        "Give the parcel a crop in the labels",
    )
    CROP_NOT_IN_LEGEND = (
        "CROP_NOT_IN_LEGEND",
        "the declared code has no class in the legend",
        "Give the code a class in the legend where the crop is to be learnt",
    )
    PARCEL_TOO_SMALL = (
        "PARCEL_TOO_SMALL",
        "fewer pixels inside the parcel than `assessment.min_pixels`",
        "Nothing: a smaller parcel shows its neighbours",
    )
    PARCEL_WITHOUT_FOLD = ("PARCEL_WITHOUT_FOLD", "not in the folds, or with an empty fold", "Give the parcel a fold")
    PARCEL_WITHOUT_OBSERVATION = (
        "PARCEL_WITHOUT_OBSERVATION",
        "every row of the parcel is unusable",
        "Look at the reasons of its rows",
    )
    CLASS_TOO_RARE = (
        "CLASS_TOO_RARE",
        "its class has one parcel; in an agency's season, fewer than `assessment.min_class_parcels`",
        "Join the class with a similar one in the legend",
    )


class QuarantineReason(ReasonCode):
    """Why an acquisition was set aside."""

    UNREADABLE_FILE = (
        "UNREADABLE_FILE",
        "a file of the acquisition cannot be opened or read to its end",
        "Nothing: every run tries again; where it stays, fetch the file anew and check the credentials",
    )
    MISSING_BAND = (
        "MISSING_BAND",
        "no file for one of the ten bands or the scene classification",
        "Check that acquisitions.collection is one of Sentinel-2 L2A",
    )
    WRONG_CRS = (
        "WRONG_CRS",
        "the coordinate system is not the UTM zone of the tile",
        "Take the acquisition from a catalogue that keeps ESA's grid",
    )
    WRONG_GRID = (
        "WRONG_GRID",
        "the pixels do not lie on the grid of the tile",
        "Take the acquisition from a catalogue that keeps ESA's grid",
    )
    OFFSET_UNKNOWN = (
        "OFFSET_UNKNOWN",
        "pixels carry an offset from baseline 04.00 on, and nothing states whether these do",
        "Take the items from a catalogue that states the offset, or where a mirror keeps "
        "ESA's pixels set acquisitions.offset: baseline",
    )
    OFFSET_CONTRADICTED = (
        "OFFSET_CONTRADICTED",
        "the pixels contradict the offset that the item states, and it is not clear that the other one holds",
        "Tell the catalogue's provider; the acquisition is tried again when its item, a local file, the parcels or the "
        "rules change",
    )
    INCOMPLETE_METADATA = (
        "INCOMPLETE_METADATA",
        "the item lacks tile, date, coordinate system or place, or a field has another type",
        "Tell the catalogue's provider; every search of the catalogue looks again",
    )
    SUPERSEDED = (
        "SUPERSEDED",
        "the same tile and datatake exists under a higher processing baseline",
        "Nothing: the other item is used",
    )
    DUPLICATE = (
        "DUPLICATE",
        "the item is listed twice, or was received by two ground stations",
        "Nothing: the other item is used",
    )
    INVALID_ID = (
        "INVALID_ID",
        "the id is no text, has more than 200 characters, cannot be printed, or looks like a path",
        "Tell the catalogue's provider",
    )
    FORBIDDEN_ADDRESS = (
        "FORBIDDEN_ADDRESS",
        "a file of the item lies where its catalogue may not point to",
        "Add the hosts, buckets or folders that you trust to acquisitions.trusted",
    )
    UNSUPPORTED_FORMAT = (
        "UNSUPPORTED_FORMAT",
        "a Level-1C product, or files that are neither GeoTIFF nor JPEG 2000, but Zarr or VRT",
        "Take a collection of Level-2A products as GeoTIFF, COG or JPEG 2000 files",
    )


class AcquisitionWarning(ReasonCode):
    """What is to be known of an acquisition that is observed all the same."""

    OFFSET_DOUBTFUL = (
        "OFFSET_DOUBTFUL",
        "its parcels look as if an offset were applied twice or not at all, and nothing decides it",
        "Compare the acquisition with its product; where its offset is wrong, tell the catalogue's provider",
    )
    OFFSET_CORRECTED = (
        "OFFSET_CORRECTED",
        "its parcels show that the item states a wrong offset, and its numbers were moved by 0.1",
        "Nothing is to be done; tell the catalogue's provider that the item is wrong",
    )


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


class Reason(ReasonCode):
    """Why a declaration has its verdict. The first six are gates, in this order; the first that fires wins."""

    NO_GEOMETRY = ("NO_GEOMETRY", "the declaration has no outline", "Ask for the outline")
    TOO_SMALL = (
        "TOO_SMALL",
        "too few satellite pixels lie inside the parcel",
        "Check the parcel by other means; the limit is `assessment.min_pixels`",
    )
    TOO_FEW_OBSERVATIONS = (
        "TOO_FEW_OBSERVATIONS",
        "the parcel was seen clear too seldom",
        "Wait for further acquisitions; the limit is `assessment.min_observations`",
    )
    CROP_NOT_IN_LEGEND = (
        "CROP_NOT_IN_LEGEND",
        "the declared code has no class that a satellite could tell",
        "Give the code a class in the legend where it has one",
    )
    CLASS_TOO_RARE = (
        "CLASS_TOO_RARE",
        "too few parcels of the declared crop were there to learn it from",
        "Join the class with a similar one in the legend; the limit is `assessment.min_class_parcels`",
    )
    CROP_NOT_LEARNT = (
        "CROP_NOT_LEARNT",
        "the model that judges the parcel was trained without any parcel of the declared crop, which grows in one fold",
        "Use folds that divide the crop, such as `model.folds.by: block`",
    )
    NO_RELIABLE_EVIDENCE = (
        "NO_RELIABLE_EVIDENCE",
        "a guard refused the list of mismatches, or this class's part of it",
        "See what the run's report says of the guard; more observations or another legend may help",
    )
    DECLARED_CROP_SUPPORTED = ("DECLARED_CROP_SUPPORTED", "the series supports the declared crop", "Nothing")
    OTHER_CROP_SUPPORTED = (
        "OTHER_CROP_SUPPORTED",
        "the series supports another crop than the declared one",
        "Look at the parcel, the highest priority first; `cropmap evidence` draws its series",
    )
    LOOK_ALIKE_CROPS = (
        "LOOK_ALIKE_CROPS",
        "the declared crop and its likeliest competitor look too much alike to be held against each other",
        "Check the parcel by other means where the difference matters",
    )
    WEAK_EVIDENCE = (
        "WEAK_EVIDENCE",
        "the series speaks neither clearly for nor clearly against the declaration",
        "Check the parcel by other means where the difference matters",
    )
    CONFIRMED_BY_REVIEW = (
        "CONFIRMED_BY_REVIEW",
        "a person found the declared crop there, whatever the images say",
        "Nothing",
    )


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


class FindingReject(ReasonCode):
    """Why a row of a file of findings was not taken."""

    MISSING_PARCEL_ID = ("MISSING_PARCEL_ID", "the row names no parcel", "Fill column `parcel_id`")
    UNKNOWN_PARCEL = (
        "UNKNOWN_PARCEL",
        "the season's declarations do not contain the parcel",
        "Compare with the file that `review sample` wrote: a spreadsheet drops leading zeros",
    )
    NOT_IN_SAMPLE = (
        "NOT_IN_SAMPLE",
        "the parcel is declared, but was not drawn",
        "Nothing: findings of other parcels than the drawn ones would bias the result",
    )
    OTHER_CAMPAIGN = (
        "OTHER_CAMPAIGN",
        "the row names a sample that was not drawn for this season",
        "Import the file with its own `--season`",
    )
    UNKNOWN_FINDING = (
        "UNKNOWN_FINDING",
        "the finding is none of `right`, `wrong` and `cannot_tell`",
        "Write one of the three words",
    )
    UNKNOWN_CODE = (
        "UNKNOWN_CODE",
        "the code that was found is not in the legend",
        "Write the code as the legend has it, or leave it empty",
    )
    CONTRADICTORY = (
        "CONTRADICTORY",
        "the finding and the crop that was found exclude each other",
        "Correct one of the two: `wrong` goes with another code than the declared one, `right` with none other",
    )
    UNREADABLE_DATE = ("UNREADABLE_DATE", "the day of the review is no date", "Write it as 2018-07-31 or 31.07.2018")
    DUPLICATE_PARCEL = (
        "DUPLICATE_PARCEL",
        "the same parcel again; where the rows differ, none of them is taken",
        "Keep the row that is right",
    )


class CertificateReason(ReasonCode):
    """Why a list is certified, or is not."""

    CERTIFIED = ("CERTIFIED", "the reviews certify the list", "Nothing")
    NO_LIST = (
        "NO_LIST",
        "the run has no list of mismatches",
        "See what the run's report says: its guards refused a list, or nothing was suspicious",
    )
    LIST_USED_BEFORE = (
        "LIST_USED_BEFORE",
        "another sample of this list was reviewed first, and a list is tested once",
        "Draw a sample of the next run's list",
    )
    SAMPLE_TOO_SMALL = (
        "SAMPLE_TOO_SMALL",
        "so few parcels of the list were drawn that no finding could certify it",
        "Draw a larger sample of the next run's list: a target of 10 % needs 22 parcels, 5 % needs 45",
    )
    TOO_FEW_REVIEWED = (
        "TOO_FEW_REVIEWED",
        "too few of the drawn parcels are reviewed yet, and those left count as right",
        "Visit the rest: it can still be certified",
    )
    TOO_MANY_RIGHT = (
        "TOO_MANY_RIGHT",
        "too many of the reviewed parcels are right, or could not be judged",
        "Have those judged that could not be, or set a larger target for the next run",
    )


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
    """it is known from elsewhere that no figure stands for fewer holdings than it may"""
    SIMULATION = "simulation"


class Revision(StrEnum):
    """What became of a figure from one release to the next."""

    UNCHANGED = "unchanged"
    REVISED = "revised"
    NEW = "new"
    GONE = "gone"
    CONFIDENTIAL = "confidential"
    """hidden in one of the two, or in both: no difference is shown"""


class LeftOut(ReasonCode):
    """Why a figure or a line is not in a table of crop statistics, or is not compared."""

    NO_ITEM_OF_ITS_OWN = (
        "NO_ITEM_OF_ITS_OWN",
        "a crop of the agency's own (`local:…`) or a sum of items: Eurostat's code list has no name for it",
        "Give the legend's codes one Eurostat item a class where the crop is to be exported",
    )
    UNKNOWN_CROP = (
        "UNKNOWN_CROP",
        "looks like an item, but the code list does not have it",
        "Correct `eurostat_code` in the legend",
    )
    UNKNOWN_STRUCPRO = (
        "UNKNOWN_STRUCPRO",
        "a measure that the code list does not have",
        "Nothing: the other measures are read",
    )
    UNKNOWN_FLAG = (
        "UNKNOWN_FLAG",
        "a flag that the code list does not have",
        "Nothing: the figure cannot be read without its flag",
    )
    BROKEN_LINE = (
        "BROKEN_LINE",
        "a line with too few or too many cells, or a key that is none",
        "Fetch the file again; the numbers of the lines are named",
    )
    NO_NUMBER = (
        "NO_NUMBER",
        "a cell that is neither a number nor `:`",
        "Fetch the file again; the numbers of the lines are named",
    )
    SERIES_TWICE = (
        "SERIES_TWICE",
        "the same series again: the first line counts",
        "Nothing, where the file was not put together by hand",
    )
    PARTIAL_REGION = (
        "PARTIAL_REGION",
        "the register covers only a part of the region: its sum is no figure of the region",
        "Nothing; `regions.codes` says which regions the register covers",
    )
    HIDDEN_HERE = ("HIDDEN_HERE", "confidential in the table that is compared", "Nothing")
    HIDDEN_THERE = ("HIDDEN_THERE", "confidential in Eurostat's file", "Nothing")
    NO_VALUE = (
        "NO_VALUE",
        "the file has the series, but neither this year nor an earlier one",
        "Fetch a later edition of the file",
    )
    REGION_NOT_IN_FILE = (
        "REGION_NOT_IN_FILE",
        "the file does not have the region",
        "Compare in the NUTS version of the file: `stats export --recode-to` changes it",
    )
    CROP_NOT_IN_FILE = (
        "CROP_NOT_IN_FILE",
        "the file has the region, but no area of this crop in it",
        "Fetch the file with all crops; some countries report fewer",
    )


class Architecture(StrEnum):
    """The networks by name: the one place where they are listed. `cropmap/model/networks` has a module of each name."""

    LSTM = "lstm"
    TRANSFORMER = "transformer"


CARRIED_FORWARD: Final = "(carried forward)"
"""Crop code of an outline that stands in for a declaration which is still to come."""


class AuditAction(StrEnum):
    """What somebody did with rows of parcels."""

    READ = "read"
    """one parcel, or a page of a list"""
    EXPORT = "export"
    """a file"""
    CHANGE = "change"


class AccessRole(StrEnum):
    """What the holder of an API key or an account may do in an agency."""

    OPERATOR = "operator"
    """runs; no parcel, no holding and no area"""
    CONTROLLER = "controller"
    """parcels and assessments, which name holdings, and areas"""
    STATISTICIAN = "statistician"
    """published areas and releases; no parcel and no holding"""
    PUBLIC = "public"
    """releases alone"""
    ADMINISTRATOR = "administrator"
    """keys and accounts, which it makes and ends; nothing of seasons, parcels and areas"""


class Confidentiality(StrEnum):
    """How far a table of areas is protected."""

    FULL = "full"
    """primary and secondary suppression, audited: for publication"""
    PRIMARY = "primary"
    """hidden cells can be recovered from sums: for internal use"""
    OFF = "off"
    """nothing is hidden: for internal use"""


class Internal(ReasonCode):
    """Why a table of areas is not for publication."""

    NOT_PROTECTED = (
        "NOT_PROTECTED",
        "its hidden cells can be recovered (statistics.confidentiality is not full)",
        "Set statistics.confidentiality: full in the agency file and run the season again",
    )
    HOLDINGS_UNKNOWN = (
        "HOLDINGS_UNKNOWN",
        "no parcel names its holding, and a figure may be that of one farm",
        "Give declarations.columns.holding_id and run the season again; if you know who farms the land, say "
        f"--allow {ReleaseWord.UNKNOWN_HOLDINGS}",
    )
    AUDIT_REFUSED = (
        "AUDIT_REFUSED",
        "hidden figures can be recovered, however much is hidden",
        "Merge crops in the legend, or raise the areas' level; what an earlier release showed cannot be hidden again",
    )


HIDDEN_STATUSES: Final = frozenset("CP")
"""conf_status of a cell whose figures are not shown; those of N are, for internal use"""
