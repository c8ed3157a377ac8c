"""The generic legend: model classes and Eurostat crops for any country whose codes are mapped to HCAT3.

In: the agency's code list and a level. Out: a legend. An HCAT3 code is hierarchical by its digits, two per level
(33 01 01 04 02: crop, arable, cereal, barley, spring), so that a class is the code cut at the level. What a crop is
grown for does not make another class: `grown_as` in `crops.csv` puts silage maize with grain maize, and each keeps
its own Eurostat crop. A code that is coarser than the level and has finer ones beside it in the list ("cereals"
beside "barley") is no class: its parcels are declared area, and not assessable. Nor is 3399 (not known and other).
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from cropmap.legends import Legend, LegendEntry
from cropmap.legends.code_lists import CodeList
from cropmap.provenance import content_hash

CROPS: Final = Path(__file__).with_name("crops.csv")
LEVELS: Final = {"hcat3": 5, "hcat3_level3": 3, "hcat3_level4": 4, "hcat3_level5": 5, "hcat3_level6": 6}
"""name in the agency file -> depth of the classes; the highest levels (1, 2) tell no crops apart"""
DIGITS: Final = 10
UNKNOWN: Final = "3399000000"
UNSPECIFIED: Final = ("98", "99")
"""last two digits of `unspecified season` and the like"""


@dataclass(frozen=True)
class HarmonisedCrop:
    crop: str
    """our word for it, empty: the name in the agency's list"""
    eurostat_code: str | None
    grown_as: str | None
    """HCAT3 code of the same plant grown for something else; their class is one"""


def hcat3_legend(codes: CodeList, *, level: int) -> Legend:
    """One entry per listed code; a code without HCAT3 code is known and has no class."""
    listed = {entry.hcat3_code: entry.hcat3_name for entry in codes.entries if entry.hcat3_code}
    grown = {code: _grown(code) for code in listed}
    classes = {code: _class_code(grown[code], level, set(grown.values())) for code in listed}
    names = _names({code for code in classes.values() if code}, listed)
    entries = []
    for entry in codes.entries:
        code = entry.hcat3_code
        crop = names.get(classes[code] or "") if code else None
        item = eurostat_code(code) if code else None
        own_name, harmonised = entry.name or entry.code, entry.hcat3_name or None
        entries.append(LegendEntry(entry.code, own_name, crop, item, crop or "", code, harmonised))
    table = CROPS.read_text(encoding="utf-8")
    return Legend(f"hcat3 level {level}, {codes.name}", tuple(entries), content_hash(codes.hash, table, str(level)))


def eurostat_code(hcat3_code: str) -> str | None:
    """Eurostat crop of the code, else of the nearest coarser code that has one."""
    return next((item for code in _line(hcat3_code) if (item := _eurostat(code))), None)


def _eurostat(code: str) -> str | None:
    known = crops().get(code)
    return known.eurostat_code if known else None


def depth(hcat3_code: str) -> int:
    """1 to 6: how many pairs of digits say something."""
    pairs = [hcat3_code[i : i + 2] for i in range(0, DIGITS, 2)]
    filled = max((i for i, pair in enumerate(pairs) if pair != "00"), default=0)
    return filled + 2 if filled else (1 if pairs[0][1] == "0" else 2)


def cut(hcat3_code: str, level: int) -> str:
    """The code at this level, filled up with zeros; coarser codes stay."""
    return hcat3_code[: 2 * (level - 1)].ljust(DIGITS, "0")


def _line(code: str) -> list[str]:
    """The code and what it belongs to, finest first, down to the third level."""
    return [cut(code, level) for level in range(depth(code), 2, -1)]


def _grown(code: str) -> str:
    known = crops().get(code)
    return (known.grown_as if known else None) or code


def _class_code(code: str, level: int, used: Collection[str]) -> str | None:
    code = cut(code, level)
    if level == 6 and code.endswith(UNSPECIFIED):
        code = cut(code, 5)
    coarse = depth(code) < level and any(other != code and cut(other, depth(code)) == code for other in used)
    return None if coarse or code == UNKNOWN else code


def _names(classes: Collection[str], listed: dict[str, str]) -> dict[str, str]:
    """A name for every class: ours, the list's, else what the names of its members end in; unique by its code."""
    names = {code: _name(code, listed) for code in sorted(classes)}
    taken = list(names.values())
    return {code: name if taken.count(name) == 1 else f"{name} {code}" for code, name in names.items()}


def _name(code: str, listed: dict[str, str]) -> str:
    known = crops().get(code)
    if known and known.crop:
        return known.crop
    own = listed.get(code) or _common_end([n for c, n in listed.items() if cut(c, depth(code)) == code])
    return own.replace("_", " ").lower() or f"hcat3 {code}"


def _common_end(names: list[str]) -> str:
    """Words that all names end in: winter_barley and spring_barley are barley."""
    words = [name.split("_")[::-1] for name in names]
    if len(words) == 1:
        return names[0]
    shared = []
    for position in zip(*words, strict=False):
        if len(set(position)) > 1:
            break
        shared.append(position[0])
    return "_".join(shared[::-1])


@cache
def crops() -> dict[str, HarmonisedCrop]:
    with CROPS.open(encoding="utf-8") as file:
        return {
            row["hcat3_code"]: HarmonisedCrop(row["crop"], row["eurostat_code"] or None, row["grown_as"] or None)
            for row in csv.DictReader(file)
        }
