"""The agency file: the decisions of one paying agency or statistical office about its seasons.

Unknown keys are errors. Every key is described on its field; `docs/agency-file.md` is written from these texts.
Relative paths refer to the data folder (`--data`, `CROPMAP_DATA`) where one is given, else to the folder of the agency
file; `{season}` in a path or a window is replaced by the campaign year.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field, PrivateAttr, ValidationError, model_validator

from cropmap.agency.sections import (
    GUARDS,
    AcquisitionsSection,
    AssessmentSection,
    DeclarationsSection,
    ModelSection,
    ObservationsSection,
    RegionsSection,
    RetentionSection,
    ReviewSection,
    ScheduleSection,
    Section,
    StatisticsSection,
)
from cropmap.dissemination.names import ENGLISH, TAG, CodeName, read_names
from cropmap.dissemination.vocabulary import crop_items
from cropmap.documents import read_document
from cropmap.errors import ConfigurationError
from cropmap.legends import Legend
from cropmap.legends.code_lists import read_code_list
from cropmap.legends.hcat3 import LEVELS, hcat3_legend
from cropmap.provenance import value_hash
from cropmap.seasons import Season, SeasonsAt
from cropmap.sources.catalogs.providers import Provider
from cropmap.sources.declarations.profiles import Profile


def _short_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", name):
        raise ValueError(f"{name!r} is no short name: up to 63 of a to z, 0 to 9, - and _, a letter or digit first")
    return name


def _language(tag: str) -> str:
    if not TAG.fullmatch(tag) or tag == ENGLISH:
        raise ValueError(f"{tag!r} is no language beside English: a tag such as fr, br or sr-Latn")
    return tag


Name = Annotated[str, AfterValidator(_short_name)]


class Agency(Section):
    """One agency file, made by `Agency.read(path, data=...)`."""

    agency: Name = Field(description="short name of the agency in lower case; it identifies the agency in every table")
    simulated: bool = Field(False, description="true: the inputs are simulated, and every result is marked so")
    regions: RegionsSection
    acquisitions: AcquisitionsSection = AcquisitionsSection()
    declarations: DeclarationsSection
    observations: ObservationsSection = ObservationsSection()
    legend: str = Field(
        description="name of a built-in legend, a CSV or XLSX file ({season} in its name is replaced by the campaign "
        "year), or hcat3 (hcat3_level3 … hcat3_level6): classes by HCAT level, made from `declarations.codes`"
    )
    model: ModelSection = ModelSection()
    assessment: AssessmentSection = AssessmentSection()
    review: ReviewSection = ReviewSection()
    statistics: StatisticsSection = StatisticsSection()
    languages: list[Annotated[str, AfterValidator(_language)]] = Field(
        [],
        description="languages of the agency beside English (fr, br, sr-Latn: BCP 47), in which the API names codes "
        "too. The first is that of the names in the boundary file",
    )
    names: str | None = Field(
        None,
        description="file with names of codes in these languages, CSV or XLSX: columns list, code, language, name. "
        "`cropmap stats names` writes a table of all codes for it. Without a file, regions alone have other names",
    )
    schedule: ScheduleSection = ScheduleSection()
    retention: RetentionSection = RetentionSection()

    _file: Path = PrivateAttr(default=Path("agency.yaml"))
    _sent: list[Provider] | None = PrivateAttr(default=None)
    _season: int | None = PrivateAttr(default=None)
    _data: Path | None = PrivateAttr(default=None)

    @classmethod
    def read(cls, path: Path, *, data: Path | None = None) -> Agency:
        """Reads and checks an agency file. Raises ConfigurationError, in one line: what, where and how to mend."""
        document = read_document(path)
        if data is not None and not data.is_dir():
            raise ConfigurationError(f"data folder {data} does not exist", where="--data / CROPMAP_DATA")
        try:
            agency = cls.model_validate(document)
        except ValidationError as error:
            raise ConfigurationError(_first_problem(error), where=str(path), mend=_hint(error)) from error
        agency._file, agency._data = path.absolute(), data
        return agency

    @classmethod
    def received(cls, document: str, *, providers: Sequence[str] = ()) -> Agency:
        """The agency as another machine read and checked it: `model_dump_json` of its own and of its `providers`. It
        has no file here."""
        agency = cls.model_validate_json(document)
        agency._sent = [Provider.model_validate_json(provider) for provider in providers]
        return agency

    @property
    def file(self) -> Path:
        return self._file

    @property
    def data(self) -> Path | None:
        return self._data

    def read_again(self) -> Agency:
        """The file as it stands now; of a received agency itself. Raises ConfigurationError."""
        return self if self._sent is not None else Agency.read(self._file, data=self._data)

    def resolve(self, reference: str, *, season: int) -> str:
        """The absolute path of a reference, as text; URLs are returned unchanged."""
        reference = reference.replace("{season}", str(season))
        if "://" in reference:
            return reference
        return str((self._data or self._file.parent) / reference)

    def of_season(self, year: int) -> Self:
        """The same agency, with {season} in the names of legend, code list and profile replaced by the year."""
        bound = self.model_copy()
        bound._season = year
        return bound

    def season(self, year: int) -> Season:
        return Season.from_window(year, self.acquisitions.window)

    def seasons_at(self, day: date) -> SeasonsAt:
        """The seasons that scheduled runs work on at a day of the schedule's time zone."""
        return Season.at(day, self.acquisitions.window, settling_days=self.schedule.settling_days)

    def read_legend(self) -> Legend:
        """The legend with the agency's groups. It is built in, made from the code list, or a file in the data folder or
        that of the agency file."""
        legend = self._legend()
        for entry in legend.entries:
            if entry.eurostat_code and entry.eurostat_code not in crop_items():
                near = difflib.get_close_matches(entry.eurostat_code, crop_items(), n=3, cutoff=0.6)
                raise ConfigurationError(
                    f"{entry.eurostat_code!r} is no crop item of Eurostat (code {entry.crop_code})",
                    where=self.legend,
                    mend=f"Near items: {', '.join(near) or 'none'}; leave the field empty where there is none",
                )
        return legend.with_groups(self.assessment.groups)

    def _legend(self) -> Legend:
        if self.legend in LEVELS:
            assert self.declarations.codes, "checked when the file was read"
            named = self._in_season(self.declarations.codes, key="declarations.codes")
            codes = read_code_list(self._base(named) / named)
            return hcat3_legend(codes.with_more(self.read_profile().more_codes), level=LEVELS[self.legend])
        named = self._in_season(self.legend, key="legend")
        return Legend.read(named, base=self._base(named))

    def read_names(self) -> list[CodeName]:
        """The names of codes in the agency's languages; none without a file. Raises ConfigurationError."""
        return [] if self.names is None else read_names(self._base(self.names) / self.names, languages=self.languages)

    @property
    def region_language(self) -> str | None:
        """Of the names in the boundary file; None where the agency names no language."""
        return self.languages[0] if self.languages else None

    def read_profile(self) -> Profile:
        """The layout of the declarations file: the profile, overridden by the keys of the agency file."""
        section = self.declarations
        named = self._in_season(section.profile, key="declarations.profile")
        profile = Profile.read(named, base=self._base(named))
        keys = section.model_dump(
            exclude={"path", "profile", "codes", *GUARDS}, exclude_none=True, exclude_defaults=True
        )
        for key in {"layer", "member"} & keys.keys():
            keys[key] = self._in_season(keys[key], key=f"declarations.{key}")
        return profile.overridden(keys)

    def read_provider(self) -> Provider | None:
        """The catalogue's provider by the agency's word; None where it is to be recognised. Raises
        ConfigurationError."""
        reference = self.acquisitions.provider
        return None if reference is None else Provider.read(reference, base=self._base(reference))

    def read_file_providers(self) -> list[Provider]:
        """Those of the files that the catalogue refers to. Raises ConfigurationError."""
        return [Provider.read(name, base=self._base(name)) for name in self.acquisitions.file_providers]

    def providers(self) -> list[Provider]:
        """Every provider that the agency file names. Raises ConfigurationError."""
        if self._sent is not None:
            return self._sent
        provider = self.read_provider()
        return [*self.read_file_providers(), *([provider] if provider else [])]

    def _in_season(self, reference: str, *, key: str) -> str:
        """A name with {season} replaced. Raises ConfigurationError where it is needed and no season is known."""
        if "{season}" not in reference:
            return reference
        if self._season is None:
            raise ConfigurationError(f"{reference!r} is another one each season", where=key, mend="Give --season")
        return reference.replace("{season}", str(self._season))

    def _base(self, reference: str) -> Path:
        """The data folder where it contains the file, else the folder of the agency file."""
        return self._data if self._data and (self._data / reference).is_file() else self._file.parent

    @model_validator(mode="after")
    def _file_for_its_folds(self) -> Self:
        if self.model.folds.by == "file" and not self.model.folds.file:
            raise ValueError("model.folds.by: file needs model.folds.file")
        return self

    @model_validator(mode="after")
    def _codes_for_their_legend(self) -> Self:
        if self.legend in LEVELS and not self.declarations.codes:
            raise ValueError(f"legend {self.legend} is made from a code list: set declarations.codes")
        if self.declarations.codes and self.legend not in LEVELS:
            raise ValueError(f"declarations.codes is read by the legends {', '.join(LEVELS)} alone")
        return self

    @model_validator(mode="after")
    def _languages_for_their_names(self) -> Self:
        if len(set(self.languages)) < len(self.languages):
            raise ValueError("languages names one twice")
        if self.names is not None and not self.languages:
            raise ValueError("names is read for the languages of the agency: set languages")
        return self

    def decisions_hash(self) -> str:
        """Hash of all keys that can change a result, which are all but the schedule, the retention, the sampling of
        reviews, the limits that stop a load, the access to files, and what codes are called."""
        access = {"file_providers"}
        if self.acquisitions.provider is None:  # runs of before this key was there keep their ids
            access.add("provider")
        whole = dict.fromkeys(("schedule", "retention", "review", "languages", "names"), True)
        left_out: Any = {**whole, "declarations": set(GUARDS), "acquisitions": access}
        return value_hash(self.model_dump(mode="json", exclude=left_out))


def _first_problem(error: ValidationError) -> str:
    problems = []
    for item in error.errors(include_input=False):
        key = ".".join(str(part) for part in item["loc"]) or "the file"
        message = "unknown key" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
        problems.append(" ".join(f"{key}: {message}".split()))
    return "; ".join(problems)


def _hint(error: ValidationError) -> str:
    if not any(item["type"] == "extra_forbidden" for item in error.errors()):
        return ""
    return "Every key is listed by `cropmap agency-keys` and in docs/agency-file.md"


def documented_keys(model: type[BaseModel] = Agency, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(key, default, description) of every key, in the order of the file."""
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from documented_keys(kind, f"{prefix}{name}.")
        else:
            default = "needed" if field.is_required() else _shown(field.default)
            yield f"{prefix}{name}", default, field.description or ""


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(str(v) for v in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
