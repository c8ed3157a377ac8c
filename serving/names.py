"""Types of parameters: names of limited length without NUL, which PostgreSQL refuses, and years of seasons."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path, Query

_WORD: Final[dict[str, Any]] = {"min_length": 1, "max_length": 200, "pattern": r"^[^\x00]+$"}
_YEAR: Final[dict[str, Any]] = {"ge": 1980, "le": 2200, "examples": [2018]}
_AGENCY: Final = _WORD | {"examples": ["bretagne"]}
_NUTS: Final = _WORD | {"examples": ["FRH01"]}
_CROP: Final = _WORD | {"examples": ["C1500"]}
_PARCEL: Final = _WORD | {"examples": ["007"]}
_HOLDER: Final = _WORD | {"pattern": r"^[^/\x00]+$", "examples": ["field desk@bretagne"]}

AgencyQuery = Annotated[str | None, Query(description="agency, as `/agencies` names it", **_AGENCY)]
SeasonQuery = Annotated[int | None, Query(description="campaign year", **_YEAR)]
NutsQuery = Annotated[str | None, Query(description="NUTS region, with all below it: FRH0 takes in FRH01", **_NUTS)]
CropQuery = Annotated[str | None, Query(description="crop, as the rows name it", **_CROP)]
LevelQuery = Annotated[int | None, Query(description="NUTS level", examples=[3], ge=0, le=3)]

OneAgencyQuery = Annotated[str, Query(description="agency, as `/agencies` names it", **_AGENCY)]
OneSeasonQuery = Annotated[int, Query(description="campaign year", **_YEAR)]
AfterQuery = Annotated[
    str | None, Query(description="mark of a page, as its `next` holds it", **_WORD | {"max_length": 1000})
]

AgencyPath = Annotated[str, Path(description="agency, as `/agencies` names it", **_AGENCY)]
SeasonPath = Annotated[int, Path(description="campaign year", **_YEAR)]
ParcelPath = Annotated[str, Path(description="the agency's own parcel identifier; may hold slashes", **_PARCEL)]

SdmxAgencyPath = Annotated[str, Path(description="agency; `*` or `all` for every one of the key", **_WORD)]
SdmxIdPath = Annotated[str, Path(description="identifier; `*` or `all` for every one", **_WORD)]
SdmxVersionPath = Annotated[str, Path(description="`latest`, `+`, `~`, `*`, `all` or 1.0", **_WORD)]

HolderPath = Annotated[str, Path(description="its name, without a slash", **_HOLDER)]
