"""What codes and concepts are called, by language: English, and the languages of an agency.

English is always there. An agency brings the other names in a file (`read_names`); those of regions come from its
boundary file too. Where a name is missing in a language, the English one stands for it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from cropmap.dissemination import vocabulary
from cropmap.dissemination.spreadsheets import unguarded
from cropmap.errors import ConfigurationError
from cropmap.schemas import BASIS_MEANING
from cropmap.sheets import read_sheet
from cropmap.sources.nuts_codes import no_code

ENGLISH: Final = "en"
TAG: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
"""a language, its script or its region (BCP 47): fr, br, sr-Latn"""
REGIONS: Final = "geo"
CONCEPT: Final = "concept"
"""the list of what dimensions, attributes and the table itself are called"""
COLUMNS: Final = ("list", "code", "language", "name")
LONGEST: Final = 500
"""characters of a name"""
TABLE: Final = "CROP_AREA"
LABEL: Final = "Crop areas by NUTS region"
CONCEPTS: Final = {
    "freq": "Time frequency",
    "crops": "Crop",
    "strucpro": "Structure of production: the measure",
    REGIONS: "NUTS region",
    "TIME_PERIOD": "Campaign year",
    "OBS_VALUE": "Estimated area in 1000 ha",
    "OBS_FLAG": "Observation status",
    "CONF_STATUS": "Confidentiality status",
    "UNIT_MEASURE": "Unit of measure",
    "CONCEPT": "Area concept of Regulation (EU) 2022/2379",
    "BASIS": "How the area came about",
    "STD_ERR": "Standard error in 1000 ha",
    "CI95_LOW": "Lower end of the 95 % interval in 1000 ha",
    "CI95_HIGH": "Upper end of the 95 % interval in 1000 ha",
    "CV": "Coefficient of variation, a share of the value",
    "COMMENT_OBS": "Says where a figure is simulated",
}


class CodeName(NamedTuple):
    """A name of a code in one language."""

    code_list: str
    """a key of `named_lists`, or REGIONS"""
    code: str
    language: str
    name: str


@dataclass(frozen=True)
class Names:
    """The names of one agency's codes beside their English ones."""

    by_code: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """(list, code) -> language -> name"""
    regions: Sequence[str] = ()
    """codes of the regions that figures are of; none: not known here"""

    @classmethod
    def of(cls, rows: Collection[CodeName], *, regions: Sequence[str] = ()) -> Names:
        by_code: dict[tuple[str, str], dict[str, str]] = {}
        for row in rows:
            by_code.setdefault((row.code_list, row.code), {})[row.language] = row.name
        return cls(by_code, tuple(regions))

    @property
    def languages(self) -> tuple[str, ...]:
        """English, then the others by their tag."""
        others = {language for names in self.by_code.values() for language in names}
        return (ENGLISH, *sorted(others - {ENGLISH}))

    def every(self, code_list: str, code: str, english: str) -> dict[str, str]:
        """language -> name, English first; languages without a name of it are left out."""
        return {ENGLISH: english, **self.by_code.get((code_list, code), {})}

    def best(self, code_list: str, code: str, english: str, *, language: str) -> str:
        """The name in a language, or in English where it has none."""
        names = self.every(code_list, code, english)
        return names.get(language, names[ENGLISH])


ENGLISH_ONLY: Final = Names()


def code_lists() -> dict[str, Mapping[str, str]]:
    """The lists that a data structure has: code -> English name."""
    measures = {measure.code: measure.label for measure in vocabulary.measures().values()}
    flags = vocabulary.flag_meanings()
    return {
        "freq": {vocabulary.ANNUAL: "Annual"},
        "crops": vocabulary.crop_items(),
        "strucpro": measures,
        "CONF_STATUS": {code: text for code, text in flags.items() if code in vocabulary.CONF_STATUSES},
        "BASIS": {str(basis): text for basis, text in BASIS_MEANING.items()},
    }


def named_lists() -> dict[str, Mapping[str, str]]:
    """What an agency may name: every list but that of regions, code -> English name."""
    flags = vocabulary.flag_meanings()
    return {
        CONCEPT: {TABLE: LABEL, **CONCEPTS},
        **code_lists(),
        "OBS_FLAG": {code: text for code, text in flags.items() if code not in vocabulary.CONF_STATUSES},
    }


def read_names(path: Path, *, languages: Sequence[str]) -> list[CodeName]:
    """The names of an agency's file (CSV or XLSX: list, code, language, name), sorted. Rows without a name are left
    out: they are still to be translated.

    Raises ConfigurationError, with the line, for a list, a code or a language that is not known, and for two names of
    one code in one language.
    """
    sheet = read_sheet(path)
    if missing := [name for name in COLUMNS if sheet.find(name) is None]:
        raise ConfigurationError(
            f"missing columns {', '.join(missing)}", where=str(path), mend=f"Needed: {', '.join(COLUMNS)}"
        )
    known, found = named_lists(), dict[tuple[str, str, str], CodeName]()
    for line, row in sheet.columns(COLUMNS):
        if not (name := " ".join(unguarded(row["name"]).split())):
            continue
        one = CodeName(row["list"], row["code"], row["language"], name)
        if wrong := _wrong(one, known, languages):
            raise ConfigurationError(f"line {line}: {wrong[0]}", where=str(path), mend=wrong[1])
        key = (one.code_list, one.code, one.language)
        if found.setdefault(key, one) != one:
            what = f"{one.code_list} {one.code} has two names in {one.language}"
            raise ConfigurationError(f"line {line}: {what}", where=str(path), mend="Keep one of them")
    return [found[key] for key in sorted(found)]


def _wrong(one: CodeName, known: Mapping[str, Mapping[str, str]], languages: Sequence[str]) -> tuple[str, str] | None:
    """What is wrong with a row, and how to mend it."""
    if one.language not in languages:
        return f"{one.language!r} is no language of the agency", f"languages: {', '.join(languages)}"
    if len(one.name) > LONGEST:
        return f"the name has {len(one.name)} characters", f"At most {LONGEST}"
    if one.code_list == REGIONS:
        wrong = no_code(one.code)
        return (wrong, "Write codes as the boundary file has them") if wrong else None
    if one.code_list not in known:
        return f"{one.code_list!r} is no list", f"Lists: {', '.join((*known, REGIONS))}"
    if one.code not in known[one.code_list]:
        near = difflib.get_close_matches(one.code, known[one.code_list], n=3, cutoff=0.6)
        return f"{one.code!r} is no code of {one.code_list}", f"Near codes: {', '.join(near) or 'none'}"
    return None


def untranslated(rows: Collection[CodeName], *, languages: Sequence[str]) -> Iterator[tuple[CodeName, str]]:
    """Every code in every language with the name that `rows` has, empty where it has none, and the English one; then
    the regions of `rows`."""
    named = Names.of(rows)
    for code_list, codes in named_lists().items():
        for code, english in codes.items():
            for language in languages:
                name = named.by_code.get((code_list, code), {}).get(language, "")
                yield CodeName(code_list, code, language, name), english
    yield from ((row, "") for row in rows if row.code_list == REGIONS)
