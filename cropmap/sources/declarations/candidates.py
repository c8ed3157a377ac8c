"""Which column of an unknown file may be the parcel's identifier, its crop, its area. In: attributes as text, the
drawn areas, and legends to hold codes against. Out: candidates per role, best first, each with its reason. Pure.

Values count for more than names: an identifier is unique, an area agrees with the drawn one, a code stands in a code
list and goes with one name. The words are those that the columns of some twenty countries are made of.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from cropmap.errors import DeclarationFileError
from cropmap.legends.matching import Matcher
from cropmap.sources.files.numbers import read_numbers
from cropmap.sources.outlines import Areas

Role = Literal["parcel_id", "crop_code", "crop_name", "area", "holding_id"]

CROP: Final = re.compile(
    r"crop|cult|cul_|kult|gewas|gws|afg|snar|schlagnut|plod|grdkod|lnf|nutz|product|prod_|ugdym|poljop|ro[sś]lin|upraw"
    r"|növény|kood|kasv|pas[ei]|usev|vrsta|raba|kmet|uso_|utiliz|destin|especie|codnut|code_bez|fruit_type|ec_|specific_?land_?use|specificvalue",
    re.IGNORECASE,
)
CODE: Final = re.compile(r"kod|cod|code|nr$|_nr|num|typ|id$|_id|sifra|href$", re.IGNORECASE)
NAME: Final = re.compile(
    r"name|nam$|nimi|naziv|bez|desc|opis|libel|label|nombre|nome|tekst|text|lang|trans|title$", re.IGNORECASE
)
IDENTIFIER: Final = re.compile(r"ident|_id$|^id|uuid", re.IGNORECASE)
PARCEL: Final = re.compile(
    r"id|parc|feld|field|blo[ck]|blok|schlag|mark|lot|kennung|ref|pole|tunnus|plot|skifte|uuid|guid|lpis", re.IGNORECASE
)
ROW_NUMBER: Final = re.compile(r"^(objectid|fid|ogc_fid|gid|gml_?id|oid|index|rowid|id_0)(_?\d+)?$", re.IGNORECASE)
AREA_NAMES: Final = re.compile(
    r"area|^ha$|_ha|fl[aä]e?che|surf|sup|opp|vymer|pow|pinta|gr(oe|ö)ss|size|aal|pind|plat|ploš|pov", re.IGNORECASE
)
COMPUTED: Final = re.compile(r"^(shape|st|geom|gis|calc)[._]?", re.IGNORECASE)
HOLDING: Final = re.compile(
    r"farm|hold|betrieb|bedrijf|exploit|cvr|subj|client|benef|applic|journal|firm|farmer|cuaa|bnr|ktu?n", re.IGNORECASE
)
OTHER: Final = re.compile(
    r"year|jahr|jaar|anno|a[nñ]o|period|campa|season|date|datum|status|munic|gemein|obec|prov|region|comar|kanton"
    r"|canton|county|zone|program|irrig|varie|sort|group|grup|class|perim|leng|x_|y_|elig|beitrag",
    re.IGNORECASE,
)
DATE: Final = re.compile(r"^\d{4}-\d\d-\d\d|^\d\d?[./]\d\d?[./]\d{4}")
MAX_CROPS: Final = 3_000
"""the longest national list has some thousand codes"""
WITHIN: Final = 0.1
"""an area column agrees with the drawn area where it is within a tenth of it"""
UNITS: Final[tuple[tuple[Literal["ha", "m2"], float], ...]] = (("ha", 1.0), ("m2", 1e-4))
"""with the hectares of each"""
SAMPLES: Final = 4
TRIED_TOGETHER: Final = 8
SHOWN: Final = 3
MIN_SCORE: Final = 1.5
MIN_MATCHED: Final = 0.3
MIN_ID_SCORE: Final = 0.5
NEARLY: Final = 0.95
"""an identifier may be repeated now and then: such rows are rejected and counted"""


@dataclass(frozen=True)
class Candidate:
    role: Role
    column: str
    """a column, or two as `a+b`"""
    score: float
    """for the order only"""
    why: str
    samples: tuple[str, ...]
    unit: Literal["ha", "m2"] | None = None
    """of an area"""
    goes_with: tuple[str, ...] = ()
    """columns that hold one value for each of its values: the name beside a code"""


@dataclass(frozen=True)
class ColumnFacts:
    name: str
    filled: int
    distinct: int
    numeric: bool
    decimals: bool
    letters: float
    """share of the values with a letter"""
    length: float
    """mean number of characters"""
    dates: bool
    samples: tuple[str, ...]
    matched: Mapping[str, float]
    """legend -> share of the filled rows whose code or name it has"""


def facts(attributes: pd.DataFrame, matchers: Mapping[str, Matcher]) -> list[ColumnFacts]:
    return [_facts(str(name), attributes[name], matchers) for name in attributes]


def _facts(name: str, column: pd.Series[Any], matchers: Mapping[str, Matcher]) -> ColumnFacts:
    counts = column.value_counts()
    values = pd.Series(counts.index.to_numpy(), dtype=object).astype(str)
    numbers = _numbers(values)
    numeric = len(values) > 0 and bool(numbers.notna().all())
    sought = len(values) <= MAX_CROPS and not (numeric and bool((numbers % 1 != 0).any()))
    weights = counts.to_numpy()
    return ColumnFacts(
        name=name,
        filled=int(weights.sum()),
        distinct=len(values),
        numeric=numeric,
        decimals=numeric and bool((numbers % 1 != 0).any()),
        letters=float(values.str.contains(r"[^\W\d_]").mean()) if len(values) else 0.0,
        length=float(values.str.len().mean()) if len(values) else 0.0,
        dates=len(values) > 0 and bool(values.str.match(DATE).all()),
        samples=tuple(values[:SAMPLES]),
        matched={legend: _share(values, weights, matcher) for legend, matcher in matchers.items()} if sought else {},
    )


def _numbers(text: pd.Series[Any], near: Areas | None = None) -> pd.Series[float]:
    """As a load reads them; all NaN where it would refuse them, three decimals where the notation is ambiguous."""
    try:
        return read_numbers(text, np.ones(len(text)) if near is None else near)[0]
    except DeclarationFileError:
        return pd.Series(np.nan, index=text.index)


def _share(values: pd.Series[Any], weights: np.ndarray[Any, Any], matcher: Matcher) -> float:
    known = np.array([matcher.find(value).code is not None for value in values], dtype=bool)
    return float(weights[known].sum() / max(weights.sum(), 1))


def candidates(
    attributes: pd.DataFrame, columns: Sequence[ColumnFacts], drawn_ha: Areas, *, links: Collection[str] = ()
) -> dict[Role, list[Candidate]]:
    """At most SHOWN per role, best first. `links`: columns whose values are the last parts of links, which are codes
    however long they are."""
    names = _crops(attributes, columns, links)
    by_role: dict[Role, list[Candidate]] = {
        "parcel_id": _parcel_ids(attributes, columns),
        **names,
        "area": _areas(attributes, columns, drawn_ha),
        "holding_id": _holdings(columns, len(attributes)),
    }
    return {role: sorted(each, key=lambda c: -c.score)[:SHOWN] for role, each in by_role.items()}


# --- crops -------------------------------------------------------------------------------------------------------


def _crops(
    attributes: pd.DataFrame, columns: Sequence[ColumnFacts], links: Collection[str]
) -> dict[Role, list[Candidate]]:
    rows = len(attributes)
    few = [
        c
        for c in columns
        if c.filled and c.distinct <= min(max(50, rows / 2), MAX_CROPS) and not c.decimals and not c.dates
    ]
    texts = [c for c in few if c.letters > 0.9 and c.length >= 4 and c.name not in links]
    codes = [c for c in few if c.name in links or (c.length <= 12 and not (c in texts and c.length > 7))]
    pairs = {(c.name, t.name) for c in codes for t in texts if c is not t and _one_name(attributes, c, t)}
    known = {c.name for c in [*codes, *texts] if _is_crop(c)}
    by_role: dict[Role, list[Candidate]] = {}
    roles: list[tuple[Role, list[ColumnFacts]]] = [("crop_code", codes), ("crop_name", texts)]
    for role, possible in roles:
        partners = {
            c.name: tuple(sorted({n for pair in pairs if c.name in pair for n in pair} - {c.name})) for c in possible
        }
        each = [_crop(c, role, partners[c.name]) for c in possible if {c.name, *partners[c.name]} & known]
        by_role[role] = [candidate for candidate in each if candidate.score >= MIN_SCORE]
    return by_role


def _is_crop(column: ColumnFacts) -> bool:
    return bool(CROP.search(column.name)) or max(column.matched.values(), default=0.0) >= MIN_MATCHED


def _crop(column: ColumnFacts, role: Role, partners: tuple[str, ...]) -> Candidate:
    paired = bool(partners)
    best, share = max(column.matched.items(), key=lambda item: item[1], default=("", 0.0))
    named, fits = bool(CROP.search(column.name)), (CODE if role == "crop_code" else NAME).search(column.name)
    many = min(1.0, column.distinct / 8)
    score = 2.0 * named + 0.5 * bool(fits) + 1.5 * paired * many - 2.0 * bool(OTHER.search(column.name))
    score += 1.5 * many - 1.0 * (column.distinct < 2)
    score += 3.0 * share * min(1.0, column.distinct / 4)
    why = [f"{column.distinct} values"]
    why += [f"{share:.0%} in {best}"] if share else []
    why += ["its name"] if named else []
    why += ["one name per code"] if paired else []
    return Candidate(role, column.name, score, ", ".join(why), column.samples, goes_with=partners)


def _one_name(attributes: pd.DataFrame, code: ColumnFacts, text: ColumnFacts) -> bool:
    """Every code goes with one text and the other way round, nearly."""
    if code.distinct < 2 or abs(code.distinct - text.distinct) > 0.1 * code.distinct or text.length <= code.length:
        return False
    pairs = len(attributes[[code.name, text.name]].dropna().drop_duplicates())
    return pairs <= 1.1 * code.distinct


# --- identifiers -------------------------------------------------------------------------------------------------


def _parcel_ids(attributes: pd.DataFrame, columns: Sequence[ColumnFacts]) -> list[Candidate]:
    rows = len(attributes)
    possible = [
        c
        for c in columns
        if c.filled == rows
        and not c.decimals
        and not c.dates
        and c.length <= 80
        and not OTHER.search(c.name)
        and c.distinct > 1
    ]
    single = [_identifier([c], c.distinct / rows) for c in possible if c.distinct >= NEARLY * rows]
    parts = sorted(possible, key=lambda c: (-bool(PARCEL.search(c.name)), -c.distinct))[:TRIED_TOGETHER]
    together = [
        _identifier(group, 1 - float(attributes[[c.name for c in group]].duplicated().mean()))
        for size in (2, 3)
        for group in itertools.combinations(parts, size)
        if max(c.distinct for c in group) < rows
    ]
    return [*single, *(each for each in together if each.score >= MIN_ID_SCORE)]


def _identifier(parts: Sequence[ColumnFacts], unique: float = 1.0) -> Candidate:
    hints = np.mean([bool(PARCEL.search(c.name)) for c in parts])
    counted = any(ROW_NUMBER.match(c.name) for c in parts)
    foreign = any((CROP.search(c.name) and not IDENTIFIER.search(c.name)) or AREA_NAMES.search(c.name) for c in parts)
    score = 2.0 + float(hints) - 1.0 * counted - 1.0 * foreign - 0.5 * (len(parts) - 1) - 20.0 * (1 - unique)
    score -= 0.02 * sum(c.length for c in parts)
    why = ("unique" if unique == 1 else f"{unique:.1%} unique") + (" together" if len(parts) > 1 else "")
    why += ", but a row number that may change with the next delivery" if counted else ""
    samples = tuple("-".join(values) for values in zip(*(c.samples for c in parts), strict=False))
    return Candidate("parcel_id", "+".join(c.name for c in parts), score, why, samples if len(parts) == 1 else ())


def _holdings(columns: Sequence[ColumnFacts], rows: int) -> list[Candidate]:
    return [
        Candidate("holding_id", c.name, c.distinct / rows, f"its name, {c.distinct} values", c.samples)
        for c in columns
        if HOLDING.search(c.name) and 1 < c.distinct < rows and not c.decimals
    ]


# --- areas -------------------------------------------------------------------------------------------------------


def _areas(attributes: pd.DataFrame, columns: Sequence[ColumnFacts], drawn_ha: Areas) -> list[Candidate]:
    areas = []
    for column in (c for c in columns if c.numeric and c.distinct > 1):
        for unit, factor in UNITS:
            numbers = _numbers(attributes[column.name], drawn_ha / factor).to_numpy(float)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = numbers * factor / drawn_ha
            known = np.isfinite(ratio)
            agree = float((np.abs(ratio[known] - 1) <= WITHIN).mean()) if known.any() else 0.0
            if agree > 0.5:
                score = agree + 0.2 * bool(AREA_NAMES.search(column.name)) - 0.5 * bool(COMPUTED.match(column.name))
                why = f"{agree:.0%} of the rows within {WITHIN:.0%} of the drawn area in {unit}"
                areas.append(Candidate("area", column.name, score, why, column.samples, unit))
    return areas
