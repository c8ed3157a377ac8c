"""Land that a file declares more than once: several crops on one outline (a catch crop beside the main crop), or
outlines that lie on one another. In: the declarations as read. Out: how much, of whom, and where one column of the file
distinguishes the doubles, what `exclude` would leave out.

Which of two rows counts is decided by their order alone, and land under two accepted rows is counted twice. Nothing is
changed here: only the agency can say which of the crops is meant.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import yaml

from cropmap.contracts.tables import NOTICE_COLUMNS
from cropmap.errors import DeclarationFileError
from cropmap.schemas import EPSG_EQUAL_AREA, EPSG_WGS84, Notice
from cropmap.sources.declarations.overlaps import Overlaps, Positions, find_overlaps_of
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import Declarations
from cropmap.sources.files.containers import opened
from cropmap.sources.files.sidecars import apart
from cropmap.sources.files.vector_files import choose_layers
from cropmap.sources.files.vector_formats import list_layers, read_parts
from cropmap.sources.outlines import Shapes

MOSTLY: Final = 0.5
"""of the smaller: two rows that share so much are one piece of land declared twice, not neighbours drawn carelessly"""
MIN_PAIRS: Final = 3
"""fewer are named one by one"""
MIN_DISTINGUISHED: Final = 0.95
"""share of the pairs that a column must distinguish"""
MAX_VALUES: Final = 50
"""of a column that says what kind of row it is"""
MAX_EXCLUDED: Final = 10
ALSO: Final = re.compile(
    r"catch|cover|second|inter|under|zwischen|unter|folge|nachfrucht|derob|cipan|vang|naeteelt|nateelt|efter|mellan"
    r"|pod[ps]|mezi|medzi|międzyp|poplon|másod|secund|starp|tarp|naknad|postrn|sideral",
    re.IGNORECASE,
)
"""words for a crop that stands beside the main one"""
ALSO_OR_NUMBER: Final = re.compile(rf"{ALSO.pattern}|\b[2-9]\b|[_-][2-9]$", re.IGNORECASE)
"""where the value is no crop's code: the second of a parcel"""


@dataclass(frozen=True)
class Separator:
    """A column that distinguishes the rows of each pair."""

    column: str
    values: tuple[str, ...]
    """of the rows that `exclude` would leave out"""
    rows: int
    """of the file with these values"""
    certain: bool
    """False where nothing says which of the two sides is the one to leave out"""

    @property
    def key(self) -> str:
        """As a line of YAML."""
        patterns = {self.column: [glob.escape(value) for value in self.values]}
        return f"exclude: {yaml.safe_dump(patterns, default_flow_style=True, allow_unicode=True, width=10_000).strip()}"


@dataclass(frozen=True, eq=False)
class Doubles:
    other_crops: int
    """rejected rows that declare another crop on the identifier or outline of an accepted row"""
    overlapping: int
    """accepted parcels that share ground with others"""
    area_ha: float
    """declared more than once: of these rows, and of each pair of parcels what they share"""
    share: float
    """of the land declared, 0-1"""
    notices: pd.DataFrame
    """NOTICE_COLUMNS: every accepted parcel concerned"""
    pairs: tuple[tuple[int, int], ...]
    """row numbers that are one piece of land"""
    overlaps: Overlaps
    """of the accepted parcels, by their positions"""

    def __bool__(self) -> bool:
        return bool(self.other_crops or self.overlapping)

    @property
    def words(self) -> str:
        parts = [
            f"{self.other_crops} rows declare another crop on land of an earlier row" if self.other_crops else "",
            f"{self.overlapping} accepted parcels lie on one another" if self.overlapping else "",
        ]
        kinds = " and ".join(part for part in parts if part)
        return f"{kinds}: {self.area_ha:,.1f} ha ({self.share:.1%}) are declared twice"


def find_doubles(read: Declarations) -> Doubles:
    places = read.claims.index.to_numpy()

    def flat(rows: Positions) -> Shapes:
        shapes = gpd.GeoSeries(read.outlines.shapes(places[rows]), crs=EPSG_WGS84)
        return np.asarray(shapes.to_crs(epsg=EPSG_EQUAL_AREA).array, dtype=object)

    overlaps = find_overlaps_of(len(places), flat)
    repeated = read.repeated[read.repeated["crop_code"] != read.repeated["kept_crop_code"]]
    numbers = read.claims["row_number"].to_numpy()
    once = float(read.claims["area_ha"].sum() + repeated["area_ha"].sum())
    twice = float(overlaps.area_ha.sum() + repeated["area_ha"].sum())
    one_land = overlaps.share >= MOSTLY
    pairs = [
        *zip(repeated["kept_row"].tolist(), repeated["row_number"].tolist(), strict=True),
        *zip(numbers[overlaps.first[one_land]].tolist(), numbers[overlaps.second[one_land]].tolist(), strict=True),
    ]
    return Doubles(
        other_crops=len(repeated),
        overlapping=len(np.union1d(overlaps.first, overlaps.second)),
        area_ha=twice,
        share=min(twice / once, 1.0) if once > 0 else 0.0,
        notices=_notices(read, overlaps, repeated),
        pairs=tuple(pairs),
        overlaps=overlaps,
    )


def _notices(read: Declarations, overlaps: Overlaps, repeated: pd.DataFrame) -> pd.DataFrame:
    first, other = np.concatenate([[overlaps.first, overlaps.second], [overlaps.second, overlaps.first]], axis=1)
    shared = pd.DataFrame({"first": first, "other": other, "area_ha": np.tile(overlaps.area_ha, 2)})
    worst = shared.sort_values(["first", "area_ha"], ascending=[True, False]).drop_duplicates("first")
    ids = read.claims["parcel_id"].to_numpy()
    lying = read.claims.iloc[worst["first"].to_numpy(dtype=np.intp)][["row_number", "parcel_id"]].assign(
        notice=str(Notice.OVERLAP),
        detail=[f"{ha:.4f} ha with {ids[n]}" for ha, n in zip(worst["area_ha"], worst["other"], strict=True)],
    )
    beside = repeated.groupby("kept_row").agg(row=("row_number", "first"), code=("crop_code", "first"))
    kept = read.claims.loc[read.claims["row_number"].isin(beside.index), ["row_number", "parcel_id"]]
    repeats = beside.reindex(kept["row_number"])
    detail = [f"row {row:.0f} declares {code} on the same land and is not used" for row, code in repeats.to_numpy()]
    several = kept.assign(notice=str(Notice.SEVERAL_CROPS), detail=detail)
    name = read.source_file
    return pd.concat([pd.DataFrame(several), pd.DataFrame(lying)]).assign(source_file=name)[list(NOTICE_COLUMNS)]


def find_separator(doubles: Doubles, path: Path, profile: Profile) -> Separator | None:
    """The column that distinguishes the doubles best, None where none does. Reads the file once more."""
    if len(doubles.pairs) < MIN_PAIRS:
        return None
    try:
        attributes = _attributes(path, profile)
    except DeclarationFileError:
        return None  # a column that no profile names cannot be read: nothing to propose
    first, other = (np.array(side) - 1 for side in zip(*doubles.pairs, strict=True))
    crops, others = _columns(profile, "crop_code", "crop_name"), _columns(profile, "parcel_id", "area", "holding_id")
    separators = [
        _separator(attributes[name], first, other, ALSO if name in crops else ALSO_OR_NUMBER)
        for name in attributes
        if name not in others
    ]
    fitting = [each for each in separators if each is not None]
    return min(fitting, key=lambda each: (each.column in crops, not each.certain, len(each.values)), default=None)


def _columns(profile: Profile, *roles: str) -> set[str]:
    return {part.strip() for role in roles for part in profile.columns.get(role, "").split("+")}


def _attributes(path: Path, profile: Profile) -> pd.DataFrame:
    with opened(path, profile.member) as delivered, apart(delivered) as source:
        layers = list_layers(source, wkt_column=profile.wkt_column, encoding=profile.encoding)
        chosen = choose_layers(layers, profile.layer, where=source)
        parts = [
            part.attributes
            for layer in chosen
            for part in read_parts(
                source, layer, layer.columns, wkt_column=profile.wkt_column, encoding=profile.encoding, lenient=True
            )
        ]
    return pd.concat(parts, ignore_index=True)


def _separator(
    column: pd.Series[Any], first: np.ndarray[Any, Any], other: np.ndarray[Any, Any], also: re.Pattern[str]
) -> Separator | None:
    """One value on one side of nearly every pair, and others on the other side."""
    text = column.fillna("").astype(str).to_numpy(object)
    ours, theirs = text[first], text[other]
    values = set(ours) | set(theirs)
    if (ours != theirs).mean() < MIN_DISTINGUISHED or len(values) > MAX_VALUES:
        return None
    common = str(pd.Series(np.concatenate([ours, theirs])).value_counts().index[0])
    if ((ours == common) != (theirs == common)).mean() < MIN_DISTINGUISHED:
        return None
    paired = np.zeros(len(text), dtype=bool)
    paired[first] = paired[other] = True
    sides: list[tuple[str, ...]] = [(common,), tuple(sorted(values - {common}))]
    speaks = {side: _for_leaving_out(side, text, paired, also) for side in sides}
    best, left = sorted(sides, key=lambda side: speaks[side], reverse=True)
    if "" in best or len(best) > MAX_EXCLUDED:
        best, left = left, best
    if "" in best or len(best) > MAX_EXCLUDED or speaks[best] < speaks[left]:
        return None
    return Separator(str(column.name), best, int(np.isin(text, best).sum()), speaks[best] > speaks[left])


def _for_leaving_out(
    side: tuple[str, ...], text: np.ndarray[Any, Any], paired: np.ndarray[Any, Any], also: re.Pattern[str]
) -> tuple[float, float]:
    """The evidence that these values are the crops beside the main ones: their words, and that they hardly ever stand
    alone."""
    words = float(np.mean([bool(also.search(value)) for value in side]))
    return words, round(float(paired[np.isin(text, side)].mean()), 2)
