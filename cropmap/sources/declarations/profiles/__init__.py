"""How the native file of an authority is laid out, as data: one small YAML file per source beside this module, or
the agency's own. In: a profile's name or path, and the keys given in the agency file. Out: a checked Profile.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cropmap.documents import read_document
from cropmap.errors import ConfigurationError
from cropmap.sources.files.gml import AxisOrder

FOLDER: Final = Path(__file__).parent
GENERIC: Final = "generic"
ROLES: Final = ("parcel_id", "crop_code", "crop_name", "holding_id", "area")
SUFFIXES: Final = (".yaml", ".yml")


def _known_roles(columns: dict[str, str]) -> dict[str, str]:
    if unknown := set(columns) - set(ROLES):
        raise ValueError(f"{', '.join(sorted(unknown))} is none of {', '.join(ROLES)}")
    return columns


def _with_a_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{pattern!r} is no regular expression ({error})") from error
    if not groups:
        raise ValueError(f"{pattern!r} has no group (in brackets) for the code")
    return pattern


Columns = Annotated[dict[str, str], AfterValidator(_known_roles)]
Values = list[str | int | float | bool]


class Translation(BaseModel):
    """A table in the same file that gives every crop name in another language, that of the code list."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    layer: str = Field(description="name or pattern of the table")
    source: str = Field(alias="from", description="its column with the names as declared")
    target: str = Field(alias="to", description="its column with the names to look up")


class Profile(BaseModel):
    """One layout. Every key has a default: what a file says by itself need not be said again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    name: str = GENERIC
    files: list[str] = []
    """patterns of the file's name, to recognise it; operators rename files, so that the columns count for more"""
    member: str | None = None
    """name or pattern of the file within an archive of several"""
    layer: str | None = None
    """name or pattern; all layers that fit are read"""
    crs: str | None = None
    """wins over what the file says; where it says nothing, it is needed"""
    axis_order: AxisOrder | None = None
    """where coordinates do not stand as the format and the CRS prescribe"""
    allow_partial: bool = False
    """read a file that says itself that it is a part"""
    encoding: str | None = None
    """where the file says a wrong one, or none"""
    columns: Columns = {}
    """role -> column, `a+b` joins two; without parcel_id the feature id or row number stands for it"""
    area_unit: Literal["ha", "m2"] = "ha"
    wkt_column: str | None = None
    code_pattern: Annotated[str, AfterValidator(_with_a_group)] | None = None
    """regular expression whose first group is the code, for columns that hold more than it (`110 - Winter wheat`)"""
    exclude: dict[str, Values] = {}
    """column -> values (patterns) of rows that are no crop: landscape elements, overlays"""
    translation: Translation | None = None
    no_holding: list[str] = []
    """what stands in the column of the holding where none is known, beside NULL, 0, unknown and the like"""
    max_holding_share: float = Field(0.25, gt=0, le=1)
    """one holding on a larger share of the rows is what stands where none is known"""
    more_codes: dict[str, str] = {}
    """code (or name, where the list has no codes) -> HCAT3 code: what the file uses and the code list lacks"""

    @classmethod
    def read(cls, reference: str, *, base: Path | None = None) -> Profile:
        """A profile file (relative paths start at `base`), else the built-in one of this name."""
        path = (base or Path()) / reference
        if path.suffix.lower() not in SUFFIXES:
            path = FOLDER / f"{reference}.yaml"
        if reference == GENERIC:
            return cls()
        if not path.is_file():
            raise ConfigurationError(
                f"{reference} is no built-in profile and no file",
                where="declarations.profile",
                mend=f"Built in are: {', '.join([GENERIC, *built_in()])}",
            )
        return _parse(path)

    def overridden(self, keys: Mapping[str, Any]) -> Profile:
        """This profile with the keys that are given; columns are added role by role, codes one by one."""
        added = {key: getattr(self, key) | dict(keys.get(key) or {}) for key in ("columns", "more_codes")}
        return self.model_copy(update={**keys, **added})

    def named_columns(self) -> list[str]:
        """Every column of the file that the profile reads."""
        parts = [part.strip() for name in self.columns.values() for part in name.split("+")]
        return list(dict.fromkeys([*parts, *self.exclude]))

    def recognises(self, file_name: str, layer: str, columns: Sequence[str]) -> bool:
        """Whether the layer has every column of the profile, and the file's or the layer's name fits."""
        own = {column.casefold() for column in columns}
        here = all(name.casefold() in own for name in self.named_columns() if name != "fid")
        fits_file = any(fnmatch.fnmatch(file_name.lower(), pattern.lower()) for pattern in self.files)
        fits_layer = bool(self.layer) and fnmatch.fnmatch(layer.lower(), (self.layer or "").lower())
        return here and bool(self.columns) and (fits_file or fits_layer)


def built_in() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def recognise(file_name: str, layer: str, columns: Sequence[str]) -> Profile | None:
    """The built-in profile of this layer; None where none or several recognise it."""
    fitting = [p for p in map(_built_in, built_in()) if p.recognises(file_name, layer, columns)]
    return fitting[0] if len(fitting) == 1 else None


@cache
def _built_in(name: str) -> Profile:
    return _parse(FOLDER / f"{name}.yaml")


def _parse(path: Path) -> Profile:
    try:
        document = read_document(path)
    except ConfigurationError as error:
        raise ConfigurationError(f"is no profile ({error.what})", where=str(path)) from error
    if not isinstance(document, dict):
        raise ConfigurationError("is no profile", where=str(path), mend="The keys are in docs/declarations.md")
    try:
        return Profile.model_validate({"name": path.stem, **document})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        what = "unknown key" if first["type"] == "extra_forbidden" else " ".join(first["msg"].split())
        raise ConfigurationError(
            f"{key}: {what}", where=str(path), mend="The keys are in docs/declarations.md"
        ) from error
