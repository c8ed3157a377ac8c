"""Crop declarations: a file of an agency in, accepted declarations and counted rejections out.

A row is accepted, part of an accepted parcel of several rows, or rejected with one reason code; the three always add up
to the rows of the file.
"""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from cropmap.contracts.tables import DECLARATION, NOTICE_COLUMNS, REJECTION_COLUMNS
from cropmap.errors import DeclarationFileError
from cropmap.legends import Legend, LegendEntry
from cropmap.legends.matching import blanks
from cropmap.processes import return_unused_memory
from cropmap.schemas import EPSG_WGS84, Notice, RejectReason
from cropmap.sources import outlines
from cropmap.sources.declarations.crop_codes import MISSING, CodeReport, FoundCodes, find_codes, report
from cropmap.sources.declarations.encoding_hints import encoding_hint
from cropmap.sources.declarations.identifiers import is_rounded, placeholders, stands_for_nothing
from cropmap.sources.declarations.parts import find_parts
from cropmap.sources.declarations.profiles import Profile, Values
from cropmap.sources.files.numbers import read_areas
from cropmap.sources.files.vector_files import RawRows, read_rows, read_table, source_hash
from cropmap.sources.files.vector_formats import FEATURE_ID
from cropmap.sources.mapped_outlines import OutlineFile, Outlines

log = logging.getLogger(__name__)

JOIN: Final = "+"
"""`blockid+skiftesbet`: two columns that identify a parcel together, joined by a hyphen."""
HECTARES_PER_UNIT: Final = {"ha": 1.0, "m2": 1e-4}
Erased: TypeAlias = Callable[[Collection[str]], Collection[str]]
"""which of these holdings were erased: their rows are left out"""
PART: Final = "part"
"""in the place of a reason, of a row that is part of an earlier row's parcel"""
REPEATED_COLUMNS: Final = ("row_number", "parcel_id", "crop_code", "kept_row", "kept_crop_code", "area_ha")


@dataclass(frozen=True)
class Declarations:
    claims: pd.DataFrame
    """accepted: DECLARATION_COLUMNS without the geometry, sorted by parcel_id, which is unique; crop_code as the legend
    has it. The index says which of the `outlines` are theirs"""
    outlines: Outlines
    """EPSG:4326, 2-D"""
    rejected: pd.DataFrame
    """REJECTION_COLUMNS, sorted by row_number"""
    merged_parts: pd.DataFrame
    """row_number, first_row, parcel_id of the rows that are parts of an accepted parcel, beside its first row"""
    notices: pd.DataFrame
    """NOTICE_COLUMNS: what was done to accepted rows"""
    repeated: pd.DataFrame
    """REPEATED_COLUMNS: rejected rows whose identifier or outline an accepted row has already"""
    source_file: str
    source_hash: str
    row_count: int
    """accepted + merged + rejected"""
    codes: CodeReport
    """how codes were found, and those that were not, with rows and area"""
    notes: tuple[str, ...] = ()
    """what an operator should know of the file as a whole: its CRS, that it is a part"""

    @property
    def accepted(self) -> gpd.GeoDataFrame:
        """The claims with all their outlines, decoded anew at each call."""
        return self.outlines.beside(self.claims).reset_index(drop=True)

    @property
    def merged(self) -> int:
        return len(self.merged_parts)

    def with_parts(self, parcels: pd.DataFrame) -> pd.DataFrame:
        """`parcels` (row_number, parcel_id) and the rows that are parts of them."""
        parts = self.merged_parts[self.merged_parts["first_row"].isin(parcels["row_number"])]
        return pd.concat([parcels, parts[["row_number", "parcel_id"]]]).sort_values("row_number", ignore_index=True)


def read_declarations(
    path: Path, *, legend: Legend, profile: Profile, folder: Path | None = None, erased: Erased = lambda _: ()
) -> Declarations:
    """Reads any vector file of GDAL, GeoParquet, or CSV with a WKT column, zipped or not, as the profile says.

    Codes are looked up in the legend as `cropmap.legends.matching` does. Row numbers count from 1 in the order of the
    file. Outlines lie in files of the process in `folder`, on a disk (None: where temporary files lie), and are never
    held together. Of a row whose holding is `erased` nothing is looked at. Raises DeclarationFileError when the file as
    a whole cannot be used.
    """
    parts = _column_parts(profile.columns, where=str(path))
    names = [name for group in parts.values() for name in group]
    raw = profiled_rows(path, [*names, *profile.exclude], profile, folder)
    return_unused_memory()
    text = _text(raw, parts, profile, path)
    gone = text["holding_id"].isin(erased(text["holding_id"].dropna().unique().tolist()))
    text = {role: values.where(~gone, None) for role, values in text.items()}
    no_crop = _excluded(raw.attributes, profile.exclude)
    raw = replace(raw, attributes=raw.attributes.iloc[:, :0])
    looked_up = find_codes(text["crop_code"], text["crop_name"], legend)
    placeholder = placeholders(text["holding_id"], also=profile.no_holding, max_share=profile.max_holding_share)
    text["holding_id"] = text["holding_id"].where(placeholder.isna(), None)
    with OutlineFile(folder) as file:
        drawn = _draw(raw, file)
        codes = _reported(
            text.pop("crop_code"), text.pop("crop_name"), drawn.area_ha, looked_up, no_crop.isna(), legend
        )
        return_unused_memory()
        area = _declared_ha(text.pop("area"), drawn.area_ha, HECTARES_PER_UNIT[profile.area_unit], path)
        rows = _rows(text, looked_up, drawn, area)
        _reject(rows, gone, RejectReason.HOLDING_ERASED, "")
        wholes = _check(rows, raw, drawn, looked_up, no_crop)
        file.add_shapes(outlines.transform(wholes.shape, raw.crs, EPSG_WGS84))
        lying = file.finish()
    accepted, merged = rows["reason"].isna(), rows["reason"] == PART
    return Declarations(
        claims=_claims(rows, wholes.first),
        outlines=lying,
        rejected=_rejected(rows[~accepted & ~merged], path.name),
        merged_parts=pd.DataFrame(rows.loc[merged, ["row_number", "first_row", "parcel_id"]]),
        notices=_notices(rows, placeholder, path.name),
        repeated=_repeated(rows),
        source_file=path.name,
        source_hash=source_hash(path),
        row_count=len(rows),
        codes=codes,
        notes=(*raw.notes, *encoding_hint(codes.unmapped, legend, encoding_set=profile.encoding)),
    )


def _reported(
    codes: pd.Series[Any],
    names: pd.Series[Any],
    area_ha: outlines.Areas,
    found: FoundCodes,
    crops: pd.Series[bool],
    legend: Legend,
) -> CodeReport:
    """Before rows are checked: what is reported of codes that were not found, no check changes."""
    of_crops = FoundCodes(found.code[crops], found.way[crops], found.detail[crops])
    return report(codes[crops], names[crops], pd.Series(area_ha)[crops], of_crops, legend)


def profiled_rows(path: Path, columns: Sequence[str], profile: Profile, folder: Path | None = None) -> RawRows:
    """The rows of the file as the profile says that they are to be read. Raises DeclarationFileError."""
    return read_rows(
        path,
        columns,
        layer=profile.layer,
        crs=profile.crs,
        wkt_column=profile.wkt_column,
        encoding=profile.encoding,
        member=profile.member,
        axis_order=profile.axis_order,
        allow_partial=profile.allow_partial,
        folder=folder,
    )


def rows_of_holding(path: Path, profile: Profile, holding_id: str) -> list[int]:
    """Numbers of the rows that name the holding, as `read_declarations` counts them."""
    parts = _column_parts(profile.columns, where=str(path))
    if "holding_id" not in parts:
        return []
    raw = profiled_rows(path, parts["holding_id"], profile)
    named = _joined(raw.attributes, parts["holding_id"]) == holding_id
    return [int(row) + 1 for row in np.flatnonzero(named)]


def own_codes(path: Path, profile: Profile) -> Legend:
    """A legend with every code of the file and without crops: to check all but the codes."""
    parts = _column_parts(profile.columns, where=str(path))
    role = "crop_code" if "crop_code" in parts else "crop_name"
    raw = profiled_rows(path, parts[role], profile.model_copy(update={"allow_partial": True}))
    codes = _text(raw, {role: parts[role]}, profile.model_copy(update={"translation": None}), path)[role]
    return Legend(
        "the file's own codes", tuple(LegendEntry(code, "", None, None, "") for code in codes.dropna().unique()), ""
    )


def declared_codes(path: Path, profile: Profile) -> pd.DataFrame:
    """crop_code, crop_name, rows, area_ha: one row per code (or name, where the file has no codes) of the rows that the
    profile does not exclude; of several names the most frequent."""
    parts = {role: names for role, names in _column_parts(profile.columns, where=str(path)).items() if "crop" in role}
    columns = [*(name for names in parts.values() for name in names), *profile.exclude]
    raw = profiled_rows(path, columns, profile.model_copy(update={"allow_partial": True}))
    text = _text(raw, parts, profile.model_copy(update={"translation": None}), path)
    table = pd.DataFrame(
        {
            "crop_code": text["crop_code"] if "crop_code" in parts else text["crop_name"],
            "crop_name": text["crop_name"],
            "area_ha": drawn_ha(raw),
        }
    )[_excluded(raw.attributes, profile.exclude).isna()].dropna(subset="crop_code")
    names = table.groupby("crop_code")["crop_name"].agg(_most_frequent)
    counted = table.groupby("crop_code").agg(rows=("area_ha", "size"), area_ha=("area_ha", "sum")).reset_index()
    name = names.reindex(counted["crop_code"]).to_numpy(object)
    return counted.assign(crop_name=pd.Series(name, dtype=object).where(pd.notna(name), None))


def drawn_ha(raw: RawRows) -> outlines.Areas:
    """(n,) hectares of each row's outline, repaired; NaN where it has none that can be used."""
    parts = (outlines.repair(raw.outlines.shapes(rows))[0] for rows in raw.outlines.positions())
    return np.concatenate([np.empty(0), *(outlines.area_ha(part, raw.crs) for part in parts)])


def _most_frequent(names: pd.Series[Any]) -> Any:
    return next(iter(names.value_counts().index), None)


def _column_parts(columns: Mapping[str, str], *, where: str) -> dict[str, list[str]]:
    """The file's columns of every role. Where nothing identifies a parcel, the row's number does."""
    if not columns.get("crop_code") and not columns.get("crop_name"):
        raise DeclarationFileError(
            "declarations.columns lacks crop_code", where=where, mend="Name the column of the codes, or crop_name"
        )
    named = {"parcel_id": FEATURE_ID} | {role: name for role, name in columns.items() if name}
    return {role: [part.strip() for part in name.split(JOIN)] for role, name in named.items()}


def _text(raw: RawRows, parts: Mapping[str, list[str]], profile: Profile, path: Path) -> dict[str, pd.Series[Any]]:
    """The text of every role; of None where the file has no such column."""
    nothing = pd.Series([None] * len(raw.attributes), dtype=object)
    text = dict.fromkeys(("crop_code", "crop_name", "holding_id", "area"), nothing)
    text |= {role: _joined(raw.attributes, names) for role, names in parts.items()}
    if profile.code_pattern:
        code = text["crop_code"].astype("string").str.extract(profile.code_pattern, expand=False)
        text["crop_code"] = code.astype(object).where(code.notna(), None)
    if profile.translation:
        text["crop_name"] = _translated(text["crop_name"], profile, path)
    return text


def _translated(names: pd.Series[Any], profile: Profile, path: Path) -> pd.Series[Any]:
    """Names in the language of the code list; a name that the file does not translate stays."""
    assert profile.translation
    source, target = profile.translation.source, profile.translation.target
    table = read_table(path, [source, target], layer=profile.translation.layer, member=profile.member).dropna()
    known = {blanks(own).casefold(): other for own, other in zip(table[source], table[target], strict=True)}
    distinct = {name: known.get(blanks(name).casefold(), name) for name in names.dropna().unique()}
    return names.map(distinct).astype(object).where(names.notna(), None)


def _excluded(attributes: pd.DataFrame, exclude: Mapping[str, Values]) -> pd.Series[Any]:
    """`column value` of the rows that the profile says are no crop, None elsewhere."""
    why = pd.Series([None] * len(attributes), dtype=object)
    for column, values in exclude.items():
        patterns = [str(value).lower() for value in values]
        hit = [
            text
            for text in attributes[column].dropna().unique()
            if any(fnmatch.fnmatchcase(text.lower(), pattern) for pattern in patterns)
        ]
        fresh = attributes[column].isin(hit) & why.isna()
        why[fresh] = f"{column} " + attributes.loc[fresh, column]
    return why


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What is held of the repaired outlines of n rows."""

    area_ha: outlines.Areas
    """NaN without an outline, and where coordinates do not fit their CRS"""
    repaired: outlines.Flags
    hopeless: outlines.Flags
    empty: outlines.Flags
    """the row has no outline, or one without a point"""
    keys: np.ndarray[Any, np.dtype[np.uint64]]
    """equal for equal outlines; of two that differ nearly never"""


@dataclass(frozen=True, eq=False)
class _Wholes:
    """Parcels of several parts."""

    first: np.ndarray[Any, np.dtype[np.intp]]
    """position of the row that stands for each"""
    shape: outlines.Shapes
    """in the file's CRS"""


def _draw(raw: RawRows, file: OutlineFile) -> _Drawn:
    """Repairs the outlines of all rows, some after the other, and adds them to the file in EPSG:4326."""
    parts = []
    for rows in raw.outlines.positions():
        as_read = raw.outlines.shapes(rows)
        shapes, repaired, hopeless = outlines.repair(as_read)
        area_ha = outlines.area_ha(shapes, raw.crs)
        empty = shapely.is_missing(as_read) | shapely.is_empty(as_read)
        parts.append((area_ha, repaired, hopeless, empty, _outline_numbers(shapes)))
        shapes[np.isnan(area_ha)] = None
        file.add_shapes(outlines.transform(shapes, raw.crs, EPSG_WGS84))
    return _Drawn(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _outline_numbers(shapes: outlines.Shapes) -> np.ndarray[Any, np.dtype[np.uint64]]:
    digests = [blake2b(key or b"", digest_size=8).digest() for key in outlines.outline_keys(shapes)]
    return np.frombuffer(b"".join(digests), np.uint64)


def _rows(
    text: Mapping[str, pd.Series[Any]], looked_up: FoundCodes, drawn: _Drawn, declared_ha: pd.Series[float]
) -> pd.DataFrame:
    """One row per row of the file: DECLARATION_COLUMNS without the geometry, and `reason`, `detail` still empty."""
    nothing = pd.Series([None] * len(drawn.area_ha), dtype=object)
    return pd.DataFrame(
        {
            "parcel_id": text["parcel_id"],
            "crop_code": looked_up.code,
            "holding_id": text["holding_id"],
            "declared_area_ha": declared_ha,
            "area_ha": drawn.area_ha,
            "row_number": np.arange(1, len(nothing) + 1),
            "repaired": drawn.repaired,
            "reason": nothing,
            "detail": nothing,
            "first_row": np.arange(1, len(nothing) + 1),
            "kept_row": 0,
        },
        copy=False,  # else each column is held twice
    )


def _joined(attributes: pd.DataFrame, names: list[str]) -> pd.Series[Any]:
    """Text of one column, or of several with a hyphen between; None as soon as one part is missing."""
    first, *others = (attributes[name] for name in names)
    joined = first
    for other in others:
        both = joined.notna() & other.notna()
        joined = (joined.where(both, "") + "-" + other.where(both, "")).where(both, None)
    return joined.astype(object)


def _declared_ha(
    text: pd.Series[Any], area_ha: outlines.Areas, hectares_per_unit: float, path: Path
) -> pd.Series[float]:
    """NaN where there is no number."""
    numbers, unreadable = read_areas(text, area_ha / hectares_per_unit, where=f"{path}: declarations.columns.area")
    if unreadable:
        log.warning("%d declared areas are no numbers: they count as not declared", unreadable)
    return numbers * hectares_per_unit


def _check(rows: pd.DataFrame, raw: RawRows, drawn: _Drawn, looked_up: FoundCodes, no_crop: pd.Series[Any]) -> _Wholes:
    """Fills `reason` and `detail`; the first reason that applies stays. Returns the parcels of several parts.

    Parts of one parcel are put together before areas are compared. Duplicates are looked for last, among rows that are
    otherwise good: the first of them is kept, so that a broken row never pushes out a good one.
    """
    hopeless = pd.Series(drawn.hopeless | raw.unreadable_geometry)
    unusable, ids = pd.Series(raw.unusable, dtype=object), rows["parcel_id"]
    _reject(rows, unusable.notna(), RejectReason.UNUSABLE_ROW, unusable)
    _reject(rows, no_crop.notna(), RejectReason.NOT_A_CROP, no_crop)
    _reject(rows, ids.isna(), RejectReason.MISSING_PARCEL_ID, "")
    rounded = _flags(np.fromiter((isinstance(text, str) and is_rounded(text) for text in ids), np.bool_, len(ids)))
    details = ids[rounded].map("{!r} is a rounded number: export identifiers as text".format)
    _reject(rows, rounded, RejectReason.MISSING_PARCEL_ID, details)
    nameless = _nameless(ids)
    _reject(rows, nameless, RejectReason.MISSING_PARCEL_ID, ids[nameless].map("{!r} names no parcel".format))
    _reject(rows, looked_up.way == MISSING, RejectReason.MISSING_CODE, "")
    _reject(rows, looked_up.code.isna(), RejectReason.UNKNOWN_CODE, looked_up.detail)
    _reject(rows, pd.Series(drawn.empty) & ~hopeless, RejectReason.EMPTY_GEOMETRY, "")
    _reject(rows, hopeless, RejectReason.INVALID_GEOMETRY, _why_hopeless(hopeless, raw))
    _reject(rows, rows["area_ha"].isna(), RejectReason.INVALID_GEOMETRY, f"coordinates do not fit CRS {raw.crs.name}")
    wholes = _merge_parts(rows, raw)
    areas = rows["declared_area_ha"], rows["area_ha"]
    contradicts = pd.Series(outlines.area_contradicts(*(each.to_numpy() for each in areas)))
    claimed, found = (each[contradicts] for each in areas)
    details = claimed.map("declared {:.2f} ha, ".format) + found.map("drawn {:.2f} ha".format)
    _reject(rows, contradicts, RejectReason.AREA_CONTRADICTS_GEOMETRY, details)
    _reject_repeated(rows, rows["parcel_id"], RejectReason.DUPLICATE_PARCEL_ID, "row {} has this id")
    keys = _outline_keys(rows, raw, drawn, wholes)
    _reject_repeated(rows, keys, RejectReason.DUPLICATE_GEOMETRY, "row {} has the same outline")
    _reject_with_their_parcel(rows)
    return wholes


def _repaired(raw: RawRows, rows: np.ndarray[Any, Any]) -> outlines.Shapes:
    return outlines.repair(raw.outlines.shapes(rows))[0]


def _outline_keys(rows: pd.DataFrame, raw: RawRows, drawn: _Drawn, wholes: _Wholes) -> pd.Series[Any]:
    """Of the good rows whose outline another good row may have; by their index."""
    numbers = pd.Series(drawn.keys)
    numbers.iloc[wholes.first] = _outline_numbers(wholes.shape)
    good = numbers[rows["reason"].isna()]
    alike = good.index[good.duplicated(keep=False)].to_numpy()
    keys = pd.Series(outlines.outline_keys(_repaired(raw, alike)), index=alike, dtype=object)
    whole = pd.Series(outlines.outline_keys(wholes.shape), index=wholes.first, dtype=object)
    keys.update(whole[whole.index.isin(alike)])
    return keys


def _nameless(identifiers: pd.Series[Any]) -> pd.Series[bool]:
    """Rows whose identifier is a placeholder that others have too; one that stands once may be right (`0`)."""
    several = identifiers[identifiers.duplicated()].dropna().unique()
    nameless: pd.Series[bool] = identifiers.isin([text for text in several if stands_for_nothing(str(text))])
    return nameless


def _merge_parts(rows: pd.DataFrame, raw: RawRows) -> _Wholes:
    """Gives the first row of every parcel the area and claim of the whole, and the others PART and its number."""
    usable = rows["reason"].isna().to_numpy()
    keys = rows[["parcel_id", "crop_code", "holding_id"]]
    parts = find_parts(keys, usable, partial(_repaired, raw), rows["declared_area_ha"].to_numpy(), raw.crs)
    firsts = list(parts.shape)
    whole = np.empty(len(firsts), dtype=object)
    whole[:] = list(parts.shape.values())
    if firsts:
        others = parts.first != np.arange(len(rows))
        rows["first_row"] = rows["row_number"].to_numpy()[parts.first]
        rows["repaired"] = rows["repaired"].groupby(rows["first_row"]).transform("any")
        rows.loc[firsts, "area_ha"] = outlines.area_ha(whole, raw.crs)
        rows.loc[firsts, "declared_area_ha"] = list(parts.declared_ha.values())
        rows.loc[others, "reason"] = PART
    return _Wholes(np.array(firsts, dtype=np.intp), whole)


def _reject_with_their_parcel(rows: pd.DataFrame) -> None:
    """Parts of a parcel that was not accepted have its reason."""
    parts = rows["reason"] == PART
    firsts = rows.loc[parts, "first_row"].to_numpy()
    whole = rows[["reason", "detail"]].iloc[firsts - 1].set_axis(firsts)  # rows are numbered from 1
    gone = whole["reason"].notna().to_numpy()
    lost = rows.index[parts][gone]
    text = [f"{detail}, as a parcel with row {row}" for row, detail in whole["detail"][gone].items()]
    rows.loc[lost, "reason"], rows.loc[lost, "detail"] = whole["reason"][gone].to_numpy(), text


def _why_hopeless(hopeless: pd.Series[bool], raw: RawRows) -> pd.Series[Any]:
    """Of the hopeless, by their index."""
    why = pd.Series("not readable as a geometry", index=hopeless.index[hopeless], dtype=object)
    for number in why.index[~raw.unreadable_geometry[why.index]]:
        why[number] = outlines.why_hopeless(raw.outlines.shapes(np.array([number]))[0])
    return why


def _flags(values: outlines.Flags) -> pd.Series[bool]:
    """Of rows that are numbered from 0."""
    return cast("pd.Series[bool]", pd.Series(values))


def _reject(rows: pd.DataFrame, where: pd.Series[bool], reason: RejectReason, detail: pd.Series[Any] | str) -> None:
    fresh = where & rows["reason"].isna()
    rows.loc[fresh, "reason"] = reason.value
    rows.loc[fresh, "detail"] = detail if isinstance(detail, str) else detail.loc[fresh.index[fresh]]


def _reject_repeated(rows: pd.DataFrame, keys: pd.Series[Any], reason: RejectReason, detail: str) -> None:
    """Keeps the first good row of every key; `keys` may be of some rows."""
    good = keys[rows["reason"].isna().reindex(keys.index)]
    repeated = good[good.duplicated()]
    named = good[good.isin(repeated) & ~good.duplicated()]
    first = rows.loc[named.index, "row_number"].set_axis(named.to_numpy())
    rows.loc[repeated.index, "kept_row"] = repeated.map(first).to_numpy()
    where = np.zeros(len(rows), np.bool_)
    where[repeated.index] = True
    _reject(rows, _flags(where), reason, repeated.map(first).map(detail.format))


def _claims(rows: pd.DataFrame, wholes: np.ndarray[Any, np.dtype[np.intp]]) -> pd.DataFrame:
    """The accepted; the outlines of `wholes` lie behind those of all rows."""
    claims = rows.loc[rows["reason"].isna(), list(DECLARATION.names)].sort_values("parcel_id", kind="stable")
    place = np.arange(len(rows))
    place[wholes] = len(rows) + np.arange(len(wholes))
    return claims.set_axis(place[claims.index])


def _rejected(rows: pd.DataFrame, source_file: str) -> pd.DataFrame:
    return rows.assign(source_file=source_file).reset_index(drop=True)[list(REJECTION_COLUMNS)]


def _repeated(rows: pd.DataFrame) -> pd.DataFrame:
    kept = rows["crop_code"].set_axis(rows["row_number"])
    repeated = rows[rows["kept_row"] > 0]
    return pd.DataFrame(repeated.assign(kept_crop_code=kept.reindex(repeated["kept_row"]).to_numpy()))[
        list(REPEATED_COLUMNS)
    ]


def _notices(rows: pd.DataFrame, placeholder: pd.Series[Any], source_file: str) -> pd.DataFrame:
    """Merged parts, and placeholders of holdings; of accepted rows only."""
    accepted = rows["reason"].isna()
    members = rows[rows["reason"] == PART].groupby("first_row")["row_number"].agg(lambda row: ", ".join(map(str, row)))
    parts = rows[accepted & rows["row_number"].isin(members.index)]
    merged = parts.assign(
        notice=str(Notice.PARTS_MERGED), detail="with row " + parts["row_number"].map(members).astype(str)
    )
    named = accepted & placeholder.notna()
    unnamed = rows[named].assign(notice=str(Notice.PLACEHOLDER_HOLDING), detail=placeholder[named])
    notices = pd.concat([merged, unnamed]).assign(source_file=source_file)
    return notices.reset_index(drop=True)[list(NOTICE_COLUMNS)]
