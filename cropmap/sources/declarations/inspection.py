"""A look at an unknown declarations file: what it holds, which columns may be what, and a profile to start from.

In: any file that `vector_files` opens, and legends to hold its codes against. Out: an Inspection. Nothing is stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyproj
import shapely
import yaml

from cropmap.errors import DeclarationFileError
from cropmap.legends import Legend
from cropmap.legends.matching import Matcher
from cropmap.schemas import EPSG_WGS84
from cropmap.sources import outlines
from cropmap.sources.coordinate_systems import Placement, overridden, parse_crs, place
from cropmap.sources.declarations.candidates import Candidate, ColumnFacts, Role, candidates, facts
from cropmap.sources.declarations.profiles import recognise
from cropmap.sources.files import inspire
from cropmap.sources.files.completeness import stated_size
from cropmap.sources.files.containers import opened
from cropmap.sources.files.gml import DIMENSIONS, AxisOrder
from cropmap.sources.files.sidecars import apart
from cropmap.sources.files.vector_files import choose_layers
from cropmap.sources.files.vector_formats import FEATURE_ID, Layer, Shapes, Table, list_layers, read_parts, together

LOOKED_AT: Final = 20_000
"""rows of a layer that columns are judged by: the first ones"""
LAYERS_TRIED: Final = 12
OTHER_ENCODINGS: Final = ("CP1252", "ISO-8859-1")
YEAR: Final = re.compile(r"(?<!\d)(?:19|20)\d\d(?:\d{4})?(?!\d)")
MOJIBAKE: Final = re.compile(r"[ÃÂÄÅ][\x80-\xbf\u0152-\u2122]")
"""what UTF-8 looks like when it is read as Latin-1"""
LOST: Final = re.compile(r"[^\W\d_]\?[^\W\d_]|\ufffd")


@dataclass(frozen=True)
class Inspection:
    layers: tuple[Layer, ...]
    layer: Layer
    """the one that was looked into"""
    rows: int
    """looked at"""
    crs: str | None
    """as stated or given; None where neither"""
    without_geometry: int
    not_polygons: int
    invalid: int
    columns: tuple[ColumnFacts, ...]
    candidates: dict[Role, list[Candidate]]
    known_as: str | None
    """the built-in profile that recognises the layer"""
    proposal: str
    """a profile, as YAML"""
    notes: tuple[str, ...]


def inspect_file(
    path: Path,
    *,
    legends: Sequence[Legend],
    layer: str | None = None,
    member: str | None = None,
    crs: str | None = None,
    encoding: str | None = None,
    axis_order: AxisOrder | None = None,
) -> Inspection:
    """Raises DeclarationFileError where nothing in the file can be read, or it is cut off."""
    matchers = {legend.name: _matcher(legend) for legend in legends}
    with opened(path, member) as delivered, apart(delivered) as source:
        size = stated_size(source)
        layers, encoding, notes = _layers(source, encoding)
        wanted = choose_layers(layers, layer, where=source) if layer else [x for x in layers if x.rows and _drawn(x)]
        if not wanted:
            held = ", ".join(f"{each.name} ({each.rows} rows, {each.geometry or 'no geometry'})" for each in layers)
            raise DeclarationFileError(
                "no layer has rows and geometry", where=source, mend=f"It holds: {held or 'none'}"
            )
        tables = [(each, *_table(source, each, encoding, axis_order)) for each in wanted[:LAYERS_TRIED]]
        judged = [(*_judge(each, table, crs, matchers, str(path)), each, table, own) for each, table, own in tables]
    if missing := size.missing(sum(each.rows for each in layers)):
        notes.append(f"{missing}: it is read only with declarations.allow_partial")
    columns, by_role, stated, links, placement, best, table, own_encoding = max(
        judged, key=lambda item: _likelihood(item[1], item[5], path)
    )
    known = recognise(path.name, best.name, best.columns)
    shapes = table.geometry[table.present]
    notes += overridden(best.crs, crs, shapes)
    notes += [f"{placement.refused}. {placement.mend}"] if placement.refused else placement.notes
    if best.format == "GML" and len(table.attributes) < min(best.rows, LOOKED_AT):
        notes.append(f"row {len(table.attributes) + 1} has an outline that cannot be read. {DIMENSIONS}")
    notes += [*table.notes, *inspire.notes(table.attributes, links)]
    notes += _notes(inspire.coded(table.attributes, links), stated, shapes, own_encoding, encoding, by_role)
    return Inspection(
        layers=tuple(layers),
        layer=best,
        rows=len(table.attributes),
        crs=stated,
        without_geometry=int((~table.present).sum()),
        not_polygons=int((~_polygons(shapes)).sum()),
        invalid=int((~shapely.is_valid(shapes)).sum()),
        columns=tuple(columns),
        candidates=by_role,
        known_as=known.name if known else None,
        proposal=_proposal(
            path,
            layers,
            best,
            by_role,
            crs=crs,
            axis_order=axis_order,
            links=links,
            placement=placement,
            encoding=_better_encoding(table.attributes) or own_encoding,
        ),
        notes=tuple(notes),
    )


def _matcher(legend: Legend) -> Matcher:
    texts = {(text, entry.crop_code) for entry in legend.entries for text in (entry.crop_code, entry.crop_name)}
    return Matcher(sorted(texts))


def _drawn(layer: Layer) -> bool:
    return layer.geometry is not None


def _layers(source: str, encoding: str | None) -> tuple[list[Layer], str | None, list[str]]:
    """The layers, and the encoding of a CSV file that is not in the one it should be in."""
    try:
        return list_layers(source, encoding=encoding), encoding, []
    except DeclarationFileError as error:
        if encoding or not isinstance(error.__cause__, UnicodeDecodeError):
            raise
    layers = list_layers(source, encoding=OTHER_ENCODINGS[0])
    return layers, OTHER_ENCODINGS[0], [f"the header is not UTF-8; read as {OTHER_ENCODINGS[0]}"]


def _table(source: str, layer: Layer, encoding: str | None, axis_order: AxisOrder | None) -> tuple[Table, str | None]:
    """The first rows, and the encoding in which they could be read where it is not the file's own."""
    for attempt in dict.fromkeys([encoding, *OTHER_ENCODINGS]):
        try:
            parts = read_parts(
                source, layer, layer.columns, encoding=attempt, limit=LOOKED_AT, lenient=True, axis_order=axis_order
            )
            table = together(parts)
        except DeclarationFileError as error:
            unreadable = "encoding" in error.what or "UTF8" in error.what or "utf-8" in error.what
            if encoding or not unreadable or attempt == OTHER_ENCODINGS[-1]:
                raise
        else:
            return table, attempt
    raise AssertionError("the last attempt returns or raises")


def _judge(
    layer: Layer, table: Table, crs: str | None, matchers: dict[str, Matcher], where: str
) -> tuple[list[ColumnFacts], dict[Role, list[Candidate]], str | None, dict[str, str], Placement]:
    links = inspire.code_patterns(table.attributes)
    attributes = inspire.coded(table.attributes, links)
    columns = facts(attributes, matchers)
    stated = crs or layer.crs
    known = parse_crs(stated, where) if stated else None
    placement = place(known, table.geometry) if known else Placement()
    areas = _drawn_ha(table.geometry, None if placement.refused else known)
    return columns, candidates(attributes, columns, areas, links=links), stated, links, placement


def _drawn_ha(shapes: Shapes, crs: pyproj.CRS | None) -> outlines.Areas:
    """Without a CRS, degrees are taken for WGS 84 and everything else for metres: enough to distinguish ha from m2."""
    if crs is not None:
        return outlines.area_ha(shapes, crs)
    if _degrees(shapes):
        return outlines.area_ha(shapes, pyproj.CRS.from_epsg(EPSG_WGS84))
    planar: outlines.Areas = shapely.area(shapes) / 10_000
    return planar


def _degrees(shapes: Shapes) -> bool:
    bounds = _bounds(shapes)
    return bool(np.all(np.abs(bounds[[0, 2]]) <= 180) and np.all(np.abs(bounds[[1, 3]]) <= 90))


def _bounds(shapes: Shapes) -> np.ndarray[Any, np.dtype[np.float64]]:
    """NaN where nothing is drawn."""
    return shapely.total_bounds(shapes) if len(shapes) else np.full(4, np.nan)


def _likelihood(by_role: dict[Role, list[Candidate]], layer: Layer, path: Path) -> tuple[float, ...]:
    """A layer that a profile recognises comes first, then the one with the likeliest crop, then the largest."""
    known = recognise(path.name, layer.name, layer.columns) is not None
    crop = max((c.score for role in ("crop_code", "crop_name") for c in by_role[role]), default=0.0)
    return (float(known), crop, float(layer.rows))


def _polygons(shapes: Shapes) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.isin(shapely.get_type_id(shapes), (3, 6))


def _notes(
    attributes: pd.DataFrame,
    crs: str | None,
    shapes: Shapes,
    own_encoding: str | None,
    encoding: str | None,
    by_role: dict[Role, list[Candidate]],
) -> list[str]:
    notes = []
    if crs is None and shapely.is_missing(shapes).all():
        notes.append("no CRS, and no outline that can be read")
    elif crs is None:
        west, south, east, north = (f"{edge:.6g}" for edge in _bounds(shapes))
        guess = "they look like degrees (EPSG:4326)" if _degrees(shapes) else "they look like metres of a national grid"
        notes.append(f"no CRS: set crs, or --crs here; coordinates {west} {south} to {east} {north}, {guess}")
    if own_encoding and not encoding:
        notes.append(f"the text is not in the encoding that the file says; read as {own_encoding}: check the samples")
    if _better_encoding(attributes):
        notes.append("the text is UTF-8, which the file does not say: the profile sets the encoding")
    if lost := _columns_with(attributes, LOST):
        notes.append(f"letters were lost in {', '.join(lost)} (a ? stands for them); they are matched where one fits")
    if not by_role["crop_code"] and not by_role["crop_name"]:
        notes.append("no column looks like a crop: name it in columns.crop_code or columns.crop_name")
    if not by_role["parcel_id"]:
        notes.append("nothing identifies a row: its feature id or number will, which may change with every delivery")
    return notes


def _columns_with(attributes: pd.DataFrame, pattern: re.Pattern[str]) -> list[str]:
    return [str(n) for n in attributes if attributes[n].dropna().astype(str).str.contains(pattern).any()]


def _better_encoding(attributes: pd.DataFrame) -> str | None:
    return "UTF-8" if _columns_with(attributes, MOJIBAKE) else None


def _proposal(
    path: Path,
    layers: Sequence[Layer],
    layer: Layer,
    by_role: dict[Role, list[Candidate]],
    *,
    crs: str | None,
    axis_order: AxisOrder | None,
    links: Mapping[str, str],
    placement: Placement,
    encoding: str | None,
) -> str:
    """A profile of what was found; what only a person can decide stands in comments."""
    area = by_role["area"][0] if by_role["area"] else None
    best = {role: each[0] for role, each in by_role.items() if each and role != "holding_id"}
    code, name = best.get("crop_code"), best.get("crop_name")
    if code and name and name.column not in code.goes_with:
        del best["crop_code" if code.score < name.score else "crop_name"]
    if code and links.get(code.column, inspire.LAST_PART) != inspire.LAST_PART:
        best.pop("crop_name", None)  # it holds the names of several lists in one field
    columns = {"parcel_id": FEATURE_ID} | {role: candidate.column for role, candidate in best.items()}
    document: dict[str, Any] = {"title": path.name, "files": [_pattern(path.name)]}
    document["layer"] = _layer_pattern(layers, layer)
    document |= {"crs": crs} if crs else {}
    document |= {"axis_order": axis_order} if axis_order else {}
    document |= {"encoding": encoding} if encoding else {}
    document |= {"columns": columns}
    pattern = links.get(columns.get("crop_code", ""))
    document |= {"code_pattern": pattern} if pattern else {}
    document |= {"area_unit": area.unit} if area and area.unit == "m2" else {}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    if layer.crs is None and crs is None:
        text += "# crs: EPSG:…  (the file does not say)\n"
    elif placement.refused:
        text += f"# crs: {placement.fits[0] if placement.fits else 'EPSG:…'}  (the file's own places nothing)\n"
    if by_role["holding_id"]:
        text += f"# columns.holding_id: {by_role['holding_id'][0].column}  (only if it names no person)\n"
    return text + "# exclude: {column: [value]}  (rows that are no crop)\n"


def _pattern(name: str) -> str:
    return YEAR.sub("*", name.lower())


def _layer_pattern(layers: Sequence[Layer], layer: Layer) -> str:
    """The layer's name without its year, where that fits no other layer."""
    pattern = YEAR.sub("*", layer.name)
    others = [each for each in layers if each is not layer and _drawn(each)]
    alike = re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.IGNORECASE)
    return layer.name if any(alike.fullmatch(each.name) for each in others) else pattern
