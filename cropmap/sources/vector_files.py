"""The one place that opens declaration files: a delivery in, its rows out, whatever the container and the format.

Every format ends in the same raw rows: attributes as text, exactly as declared, and geometries as they are.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyproj
import shapely

from cropmap.errors import DeclarationFileError
from cropmap.provenance import file_hash, files_hash
from cropmap.sources.containers import opened
from cropmap.sources.vector_formats import FEATURE_ID, Flags, Layer, Shapes, Table, list_layers, read_layer


@dataclass(frozen=True)
class RawRows:
    attributes: pd.DataFrame
    """text or None, one column per column asked for, in the order of the file"""
    geometry: Shapes
    """shapely geometries; None where the row has none"""
    unusable: Shapes
    """why a row cannot be used whatever it holds, None where it can"""
    unreadable_geometry: Flags
    """True where the file has something that is no geometry; its `geometry` is None"""
    crs: pyproj.CRS


def read_rows(
    path: Path,
    columns: Sequence[str],
    *,
    layer: str | None = None,
    crs: str | None = None,
    wkt_column: str | None = None,
    encoding: str | None = None,
    member: str | None = None,
) -> RawRows:
    """Reads the named columns and the geometry of every row.

    `layer` may be a pattern (`Culturas_*`): all layers with geometry that fit it are read, one after the other. `crs`
    stands in where the file carries none; `member` names the file within an archive of several. Raises
    DeclarationFileError when the file as a whole is unusable.
    """
    with opened(path, member) as source:
        layers = choose_layers(list_layers(source, wkt_column=wkt_column, encoding=encoding), layer, where=source)
        if FEATURE_ID in columns and len(layers) > 1:
            raise DeclarationFileError(
                "feature ids begin anew in every layer", where=source, mend="Map a column to parcel_id"
            )
        tables = [read_layer(source, each, columns, wkt_column=wkt_column, encoding=encoding) for each in layers]
    return _raw_rows([table for table in tables if len(table.attributes)], crs, where=str(path))


def read_table(path: Path, columns: Sequence[str], *, layer: str, member: str | None = None) -> pd.DataFrame:
    """Columns of a layer, as text; it may be one without geometry (a translation of the crops' names, for one)."""
    with opened(path, member) as source:
        found = next((each for each in list_layers(source) if fnmatch.fnmatchcase(each.name, layer)), None)
        if found is None:
            raise DeclarationFileError(f"no layer {layer!r}", where=source)
        return read_layer(source, found, columns).attributes


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


def _raw_rows(tables: Sequence[Table], given: str | None, *, where: str) -> RawRows:
    if not tables:
        raise DeclarationFileError("the file has no rows", where=where, mend="Check declarations.path and layer")
    systems = [_crs(table.crs, given, where=where) for table in tables]
    if any(system != systems[0] for system in systems):
        raise DeclarationFileError("its layers differ in CRS", where=where, mend="Read them one by one: set the layer")
    geometry = np.concatenate([table.geometry for table in tables])
    present = np.concatenate([table.present for table in tables])
    attributes = pd.concat([table.attributes for table in tables], ignore_index=True)
    unusable = np.concatenate([table.unusable for table in tables])
    return RawRows(attributes, geometry, unusable, present & shapely.is_missing(geometry), systems[0])


def source_hash(path: Path) -> str:
    """Content of the declarations file; a shapefile is all files of its name, an archive all its volumes."""
    if path.suffix.lower() == ".shp" or path.name.lower().endswith(".7z.001"):
        return files_hash(p for p in path.parent.iterdir() if p.stem == path.stem and p.is_file())
    if path.is_dir():
        return files_hash(p for p in path.rglob("*") if p.is_file())
    return file_hash(path)


def _crs(file_crs: object, given: str | None, *, where: str) -> pyproj.CRS:
    """The file's CRS, or the one given for a file without; two that differ are a mistake nobody here can settle."""
    stated, own = (parse_crs(value, where) if value is not None else None for value in (given, file_crs))
    if stated is not None and own is not None and not stated.equals(own, ignore_axis_order=True):
        raise DeclarationFileError(
            f"the file is in {own.name}, declarations.crs says {stated.name}",
            where=where,
            mend="Remove declarations.crs",
        )
    crs = own or stated
    if crs is None:
        raise DeclarationFileError("the file carries no CRS", where=where, mend="Set declarations.crs, e.g. EPSG:3035")
    return crs


def parse_crs(value: object, where: str) -> pyproj.CRS:
    try:
        return pyproj.CRS.from_user_input(value)
    except pyproj.exceptions.CRSError as error:
        raise DeclarationFileError(f"{value!r} is no CRS", where=where, mend="Write it like EPSG:25832") from error
