"""The one place that opens declaration files: a delivery in, its rows out, whatever the container and the format.

Every format ends in the same raw rows: attributes as text, exactly as declared, and geometries as they are.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyproj
import shapely

from cropmap.errors import DeclarationFileError
from cropmap.provenance import file_hash, files_hash
from cropmap.sources.coordinate_systems import choose_crs, contradicted, sampled
from cropmap.sources.files.completeness import AGAIN, ALL_PAGES, codes_of, cut_off, ends_within_a_line, stated_size
from cropmap.sources.files.containers import opened
from cropmap.sources.files.geopackage import DRIVER, stated_systems
from cropmap.sources.files.gml import DIMENSIONS, AxisOrder
from cropmap.sources.files.sidecars import apart
from cropmap.sources.files.vector_formats import (
    FEATURE_ID,
    Flags,
    Layer,
    Shapes,
    Table,
    list_layers,
    read_parts,
    together,
)
from cropmap.sources.mapped_outlines import OutlineFile, Outlines

DELETED_ROWS: Final = (".shp", ".tab")
"""formats that mark rows as deleted and still announce them"""
REPEATED: Final = 0.5
"""distinct values per row, at most, of a column whose words are kept once: identifiers are not looked up"""


@dataclass(frozen=True)
class RawRows:
    attributes: pd.DataFrame
    """text or None, one column per column asked for, in the order of the file"""
    outlines: Outlines
    """as they are in the file, in `crs`; None where the row has none"""
    unusable: Shapes
    """why a row cannot be used whatever it holds, None where it can"""
    unreadable_geometry: Flags
    """True where the file has something that is no geometry; its outline is None"""
    crs: pyproj.CRS
    notes: tuple[str, ...] = ()
    """what an operator should know of the file as a whole"""

    @property
    def geometry(self) -> Shapes:
        """All outlines at once, decoded anew at each call; of a country's file, look at the `positions` of `outlines`
        instead."""
        return self.outlines.shapes(np.arange(len(self.outlines)))


@dataclass(frozen=True, eq=False)
class _Read:
    """What is held of the rows of one layer while their outlines lie in a file."""

    attributes: pd.DataFrame
    unusable: Shapes
    present: Flags
    """where the file has something in the place of the geometry"""
    readable: Flags
    """where that is a geometry"""
    drawn: Flags
    """where its bounds are numbers"""
    crs: object
    notes: tuple[str, ...]


def read_rows(
    path: Path,
    columns: Sequence[str],
    *,
    layer: str | None = None,
    crs: str | None = None,
    wkt_column: str | None = None,
    encoding: str | None = None,
    member: str | None = None,
    axis_order: AxisOrder | None = None,
    allow_partial: bool = False,
    folder: Path | None = None,
) -> RawRows:
    """Reads the named columns and the geometry of every row; the outlines lie in a file of the process in `folder`, on
    a disk (None: where temporary files lie), and are never held together.

    `layer` may be a pattern (`Culturas_*`): all layers with geometry that fit it are read, one after the other. `crs`
    and `axis_order` win over what the file states; `member` names the file within an archive of several. Raises
    DeclarationFileError when the file as a whole is unusable: cut off, with a CRS that does not say where the outlines
    lie, or, unless `allow_partial`, a part by its own words.
    """
    with opened(path, member) as delivered, apart(delivered) as source, OutlineFile(folder) as file:
        stated = stated_size(source)
        all_layers = list_layers(source, wkt_column=wkt_column, encoding=encoding)
        layers = choose_layers(all_layers, layer, where=source)
        if FEATURE_ID in columns and len(layers) > 1:
            raise DeclarationFileError(
                "feature ids begin anew in every layer", where=source, mend="Map a column to parcel_id"
            )
        tables = [
            _read(
                read_parts(source, each, columns, wkt_column=wkt_column, encoding=encoding, axis_order=axis_order), file
            )
            for each in layers
        ]
        outlines = file.finish()
        missing = stated.missing(sum(each.rows for each in all_layers))
        mend = ALL_PAGES if stated.records is None else AGAIN
        if not missing and not source.lower().endswith(DELETED_ROWS):
            missing, mend = _not_read(layers, tables), DIMENSIONS if layers[0].format == "GML" else AGAIN
        if missing and not allow_partial:
            raise DeclarationFileError(missing, where=source, mend=mend)
        if (
            layers[0].format == "GML"
            and not any(t.readable.any() for t in tables)
            and any(t.present.any() for t in tables)
        ):
            raise DeclarationFileError("none of its outlines can be read", where=source, mend=DIMENSIONS)
        if layers[0].format == "CSV" and _broken_end(tables[-1]) and ends_within_a_line(source):
            raise cut_off(source, "the last line breaks off within its geometry")
        if any(table.crs is None for table in tables) and (codes := codes_of(stated.systems)):
            raise DeclarationFileError(
                f"its outlines are in several CRSs ({', '.join(codes)})", where=source, mend="Ask for them in one"
            )
        if crs is None and layers[0].format == DRIVER and tables[0].crs is not None:
            others = stated_systems(source, layers[0].name)
            if what := contradicted(tables[0].crs, others, outlines.shapes(sampled(tables[0].drawn))):
                raise DeclarationFileError(what, where=source, mend="Set declarations.crs to the one that they are in")
    notes = (f"{missing}: read all the same (allow_partial)",) if missing else ()
    return _raw_rows([table for table in tables if len(table.attributes)], outlines, crs, notes, where=str(path))


def read_table(path: Path, columns: Sequence[str], *, layer: str, member: str | None = None) -> pd.DataFrame:
    """Columns of a layer, as text; it may be one without geometry (a translation of the crops' names, for one)."""
    with opened(path, member) as delivered, apart(delivered) as source:
        chosen = next((each for each in list_layers(source) if fnmatch.fnmatchcase(each.name, layer)), None)
        if chosen is None:
            raise DeclarationFileError(f"no layer {layer!r}", where=source)
        return together(read_parts(source, chosen, columns)).attributes


def choose_layers(layers: Sequence[Layer], layer: str | None, *, where: str) -> list[Layer]:
    """The layer of this name, the layers that fit the pattern, or the only one with geometry."""
    drawn = [each for each in layers if each.geometry is not None or each.format == "CSV"]
    exact = [each for each in drawn if layer in (None, each.name)]
    fitting = exact or [each for each in drawn if fnmatch.fnmatchcase(each.name.casefold(), (layer or "").casefold())]
    if len(fitting) == 1 or (layer and fitting):
        return fitting
    what = f"no layer {layer!r}" if layer else f"{len(drawn)} layers with geometry"
    names = ", ".join(each.name for each in drawn)
    raise DeclarationFileError(what, where=where, mend=f"Set declarations.layer to one of: {names}" if names else "")


def _not_read(layers: Sequence[Layer], tables: Sequence[_Read]) -> str:
    """Where a layer announces more rows than come out of it; a CSV file announces none."""
    for layer, table in zip(layers, tables, strict=True):
        if layer.format != "CSV" and layer.rows > len(table.attributes):
            return f"layer {layer.name} announces {layer.rows:,} rows and has {len(table.attributes):,}"
    return ""


def _broken_end(table: _Read) -> bool:
    return len(table.present) > 0 and bool(table.present[-1]) and not table.readable[-1]


def _read(parts: Iterable[Table], file: OutlineFile) -> _Read:
    """Adds the outlines to the file, and keeps the rest."""
    words: dict[str, dict[str, str]] = {}
    attributes, unusable, present, readable, drawn, crs = [], [], [], [], [], None
    notes: dict[str, None] = {}
    for part in parts:
        file.add_shapes(part.geometry)
        attributes.append(part.attributes.apply(lambda column: _shared(column, words.setdefault(str(column.name), {}))))
        unusable.append(part.unusable)
        present.append(part.present)
        readable.append(~shapely.is_missing(part.geometry))
        drawn.append(np.isfinite(shapely.bounds(part.geometry).reshape(-1, 4)).all(axis=1))
        crs = part.crs if crs is None else crs
        notes |= dict.fromkeys(part.notes)
    columns = {name: pd.concat([part[name] for part in attributes], ignore_index=True) for name in attributes[0]}
    return _Read(
        pd.DataFrame(columns, index=range(sum(map(len, attributes))), copy=False),  # each column can go by itself
        np.concatenate(unusable),
        np.concatenate(present),
        np.concatenate(readable),
        np.concatenate(drawn),
        crs,
        tuple(notes),
    )


def _shared(column: pd.Series[Any], words: dict[str, str]) -> pd.Series[Any]:
    """A column whose words repeat with one object for each of them, as `words` has it."""
    numbers, distinct = pd.factorize(column.to_numpy())
    if len(distinct) > REPEATED * len(column):
        return column
    known = np.array([*(words.setdefault(word, word) for word in distinct), None], dtype=object)
    return pd.Series(known[numbers], index=column.index, dtype=object)


def _raw_rows(
    tables: Sequence[_Read], outlines: Outlines, configured: str | None, notes: tuple[str, ...], *, where: str
) -> RawRows:
    if not tables:
        raise DeclarationFileError("the file has no rows", where=where, mend="Check declarations.path and layer")
    if configured is None and any(table.crs != tables[0].crs for table in tables):
        raise DeclarationFileError("its layers differ in CRS", where=where, mend="Read them one by one: set the layer")
    unreadable = np.concatenate([table.present & ~table.readable for table in tables])
    looked_at = outlines.shapes(sampled(np.concatenate([table.drawn for table in tables])))
    attributes = (
        tables[0].attributes if len(tables) == 1 else pd.concat([t.attributes for t in tables], ignore_index=True)
    )
    unusable = np.concatenate([table.unusable for table in tables])
    crs, crs_notes = choose_crs(tables[0].crs, configured, looked_at, where=where)
    notes = (*notes, *crs_notes, *dict.fromkeys(note for table in tables for note in table.notes))
    return RawRows(attributes, outlines, unusable, unreadable, crs, notes)


def source_hash(path: Path) -> str:
    """Content of the declarations file; a shapefile is all files of its name, an archive all its volumes."""
    if path.suffix.lower() == ".shp" or path.name.lower().endswith(".7z.001"):
        return files_hash(p for p in path.parent.iterdir() if p.stem == path.stem and p.is_file())
    if path.is_dir():
        return files_hash(p for p in path.rglob("*") if p.is_file())
    return file_hash(path)
