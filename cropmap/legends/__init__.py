"""A legend maps a national crop code to a model class and to its Eurostat crop.

Tables stand beside this file as CSV, or anywhere an agency keeps its own, also as XLSX (`cropmap.sheets`): columns
`crop_code, crop_name, crop, eurostat_code, inseparable_group`, and where the agency keeps them `hcat3_code,
hcat3_name`. A code with an empty `crop` is known but not mapped (its parcels are declared area, and `not_assessable`);
a code that is not listed at all is unknown (its row is rejected and counted). `cropmap.legends.hcat3` makes one from a
country's code list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from cropmap.errors import ConfigurationError
from cropmap.provenance import content_hash
from cropmap.sheets import ERROR, read_sheet

COLUMNS: Final = ("crop_code", "crop_name", "crop", "eurostat_code", "inseparable_group")
OPTIONAL: Final = ("hcat3_code", "hcat3_name")
FOLDER: Final = Path(__file__).parent
NOTHING: Final = frozenset({"null", "(null)", "none", "nil", "nan", "na", "n/a", "n.a.", "-", "--", "?"})
"""what people and programs write into a cell that should be empty"""


@dataclass(frozen=True)
class LegendEntry:
    crop_code: str
    """national code, text: leading zeros count"""
    crop_name: str
    crop: str | None
    """model class, None where the code is known but not mapped"""
    eurostat_code: str | None
    """Eurostat crop item (code list CROPS), None where it is no statistical crop"""
    inseparable_group: str
    """classes in one group are never held against each other; the class itself where the table says nothing"""
    hcat3_code: str | None = None
    """harmonised crop (HCAT3), ten digits; None where the table names none"""
    hcat3_name: str | None = None


@dataclass(frozen=True)
class Legend:
    name: str
    entries: tuple[LegendEntry, ...]
    hash: str

    @classmethod
    def read(cls, reference: str, *, base: Path | None = None) -> Legend:
        """Opens a CSV file (relative paths resolve at `base`), else the built-in legend of this name or file name."""
        path = (base or Path()) / reference
        if not path.is_file():
            path = FOLDER / f"{Path(reference).stem}.csv"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.csv")))
            raise ConfigurationError(
                f"{reference} is no built-in legend and no file in {base or Path()}",
                where="legend",
                mend=f"Built in are: {known}",
            )
        sheet = read_sheet(path)
        missing = [name for name in COLUMNS if sheet.find(name) is None]
        if missing:
            raise ConfigurationError(
                f"missing columns {', '.join(missing)}", where=str(path), mend=f"Needed: {', '.join(COLUMNS)}"
            )
        entries = _entries(sheet.columns((*COLUMNS, *OPTIONAL)), where=str(path))
        return cls(path.stem, entries, content_hash(sheet.text))

    @cached_property
    def by_code(self) -> dict[str, LegendEntry]:
        return {entry.crop_code: entry for entry in self.entries}

    @cached_property
    def crops(self) -> tuple[str, ...]:
        """Model classes, sorted."""
        return tuple(sorted({entry.crop for entry in self.entries if entry.crop}))

    def crop_of(self, crop_code: str) -> str | None:
        entry = self.by_code.get(crop_code)
        return entry.crop if entry else None

    def group_of(self, crop: str) -> str:
        return next((e.inseparable_group for e in self.entries if e.crop == crop), crop)

    def with_groups(self, groups: Mapping[str, Iterable[str]]) -> Legend:
        """The same legend with further classes held together, by the name of their group.

        Raises ConfigurationError for a class that the legend does not have, or that stands in two groups.
        """
        group_of: dict[str, str] = {}
        for name, crops in groups.items():
            for crop in crops:
                if crop not in self.crops or crop in group_of:
                    what = f"is also in {group_of[crop]}" if crop in group_of else f"is no class of {self.name}"
                    raise ConfigurationError(
                        f"group {name}: {crop} {what}",
                        where="assessment.groups",
                        mend=f"A class stands in one group at most. Classes: {', '.join(self.crops)}",
                    )
                group_of[crop] = name
        if not group_of:
            return self
        entries = tuple(
            replace(e, inseparable_group=group_of.get(e.crop or "", e.inseparable_group)) for e in self.entries
        )
        return Legend(self.name, entries, content_hash(self.hash, *(f"{c}={g}" for c, g in sorted(group_of.items()))))

    def eurostat_codes_of(self, crop: str) -> tuple[str, ...]:
        """Eurostat items of a class, sorted; several where the class holds several uses (grain, silage maize)."""
        return tuple(sorted({e.eurostat_code for e in self.entries if e.crop == crop and e.eurostat_code}))


def _entries(rows: Iterable[tuple[int, Mapping[str, str]]], *, where: str) -> tuple[LegendEntry, ...]:
    entries: dict[str, LegendEntry] = {}
    spelt: dict[str, str] = {}
    for number, row in rows:
        code = row["crop_code"]
        if not code or code in entries:
            raise ConfigurationError(
                f"line {number}: crop_code {code!r} is {'twice in the table' if code else 'empty'}", where=where
            )
        _refuse_filler(row, number, where=where)
        crop = " ".join(row["crop"].split()) or None
        alike = spelt.setdefault(crop.casefold(), crop) if crop else crop
        if alike != crop:
            raise ConfigurationError(
                f"line {number}: the classes {alike!r} and {crop!r} differ in capital letters alone",
                where=where,
                mend="Write them alike",
            )
        entries[code] = LegendEntry(
            crop_code=code,
            crop_name=" ".join(row["crop_name"].split()),
            crop=crop,
            eurostat_code=row["eurostat_code"] or None,
            inseparable_group=row["inseparable_group"] or (crop or ""),
            hcat3_code=row["hcat3_code"] or None,
            hcat3_name=row["hcat3_name"] or None,
        )
    if not entries:
        raise ConfigurationError("lists no code", where=where, mend="One line per code below the names of the columns")
    return tuple(entries.values())


def _refuse_filler(row: Mapping[str, str], number: int, *, where: str) -> None:
    """Raises ConfigurationError for a word in the place of an empty cell: it would be a class of its own."""
    for column in ("crop_code", "crop", "eurostat_code", "inseparable_group"):
        text = row[column]
        if ERROR.fullmatch(text):
            raise ConfigurationError(
                f"line {number}: {column} is {text}, a spreadsheet's error", where=where, mend="Mend its formula"
            )
        if column != "crop_code" and text.casefold() in NOTHING:
            raise ConfigurationError(
                f"line {number}: {column} is {text!r}, which stands for nothing",
                where=where,
                mend="Leave the cell empty",
            )
