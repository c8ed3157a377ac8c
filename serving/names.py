"""Types of parameters: names of limited length without NUL, which PostgreSQL refuses, and years of seasons."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path, Query

_WORD: Final = {"min_length": 1, "max_length": 200, "pattern": r"^[^\x00]+$"}
_YEAR: Final = {"ge": 1980, "le": 2200}

AgencyQuery = Annotated[str | None, Query(description="agency, as `/agencies` names it", **_WORD)]
SeasonQuery = Annotated[int | None, Query(description="campaign year", **_YEAR)]
NutsQuery = Annotated[str | None, Query(description="NUTS region, with all below it: FRH0 takes in FRH01", **_WORD)]
CropQuery = Annotated[str | None, Query(description="crop, as the rows name it", **_WORD)]
LevelQuery = Annotated[int | None, Query(description="NUTS level", ge=0, le=3)]

OneAgencyQuery = Annotated[str, Query(description="agency, as `/agencies` names it", **_WORD)]
OneSeasonQuery = Annotated[int, Query(description="campaign year", **_YEAR)]
AfterQuery = Annotated[
    str | None, Query(description="mark of a page, as its `next` holds it", **_WORD | {"max_length": 1000})
]

AgencyPath = Annotated[str, Path(description="agency, as `/agencies` names it", **_WORD)]
SeasonPath = Annotated[int, Path(description="campaign year", **_YEAR)]
ParcelPath = Annotated[str, Path(description="the agency's own parcel identifier; may hold slashes", **_WORD)]

SdmxAgencyPath = Annotated[str, Path(description="agency; `*` or `all` for every one of the key", **_WORD)]
SdmxIdPath = Annotated[str, Path(description="identifier; `*` or `all` for every one", **_WORD)]
SdmxVersionPath = Annotated[str, Path(description="`latest`, `+`, `~`, `*`, `all` or 1.0", **_WORD)]
