"""The one place that opens declaration files: anything GDAL reads, GeoParquet, CSV with a WKT column.

Every format ends in the same raw rows: attributes as text, exactly as declared, and geometries as they are.
"""

from __future__ import annotations

import csv
import difflib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pyogrio
import pyproj
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from cropmap.errors import DeclarationFileError
from cropmap.provenance import file_hash, files_hash

FEATURE_ID: Final = "fid"
"""Column name that stands for the feature id of formats which keep it outside the columns (GeoPackage)."""
CSV_SUFFIXES: Final = (".csv", ".tsv", ".txt")
PARQUET_SUFFIXES: Final = (".parquet", ".geoparquet")
VECTOR_SUFFIXES: Final = (".gpkg", ".shp", ".geojson", ".json", ".gml", ".fgb", ".gdb", ".kml", ".sqlite")
CSV_BLOCK_BYTES: Final = 1 << 26
"""larger than any row: an outline of a million vertices is 40 MB"""
WKT_NAMES: Final = ("wkt", "geometry", "geom", "the_geom")

Shapes = np.ndarray[Any, np.dtype[np.object_]]
_Read = tuple[pd.DataFrame, Shapes, np.ndarray[Any, np.dtype[np.bool_]], object]
"""attributes, geometries, where the file has one (readable or not), CRS as the file states it"""


@dataclass(frozen=True)
class RawRows:
    attributes: pd.DataFrame
    """text or None, one column per column asked for, in the order of the file"""
    geometry: Shapes
    """shapely geometries; None where the row has none"""
    unreadable_geometry: np.ndarray[Any, np.dtype[np.bool_]]
    """True where the file has something that is no geometry; its `geometry` is None"""
    crs: pyproj.CRS


def read_rows(
    path: Path,
    columns: Sequence[str],
    *,
    layer: str | None = None,
    crs: str | None = None,
    wkt_column: str | None = None,
) -> RawRows:
    """Reads the named columns and the geometry of every row.

    `crs` stands in where the file carries none. Raises DeclarationFileError when the file as a whole is unusable.
    """
    if not path.exists():
        raise DeclarationFileError("no such file", where=str(path), mend="Check declarations.path")
    columns = tuple(dict.fromkeys(columns))
    suffix = path.suffix.lower()
    if suffix in CSV_SUFFIXES:
        attributes, geometry, present, file_crs = _read_csv(path, columns, wkt_column)
    elif suffix in PARQUET_SUFFIXES:
        attributes, geometry, present, file_crs = _read_parquet(path, columns)
    else:
        attributes, geometry, present, file_crs = _read_gdal(path, columns, layer)
    if attributes.empty:
        raise DeclarationFileError("the file has no rows", where=str(path), mend="Check declarations.path and layer")
    return RawRows(attributes, geometry, present & shapely.is_missing(geometry), _crs(file_crs, crs, where=str(path)))


def source_hash(path: Path) -> str:
    """Content of the declarations file; a shapefile is all files of its name."""
    if path.suffix.lower() == ".shp":
        return files_hash(p for p in path.parent.iterdir() if p.stem == path.stem and p.is_file())
    if path.is_dir():
        return files_hash(p for p in path.rglob("*") if p.is_file())
    return file_hash(path)


def _read_csv(path: Path, columns: Sequence[str], wkt_column: str | None) -> _Read:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
        delimiter = max(";,\t|", key=header.count)
        names = next(csv.reader([header], delimiter=delimiter), [])
        wkt = wkt_column or next((name for name in names if name.strip().lower() in WKT_NAMES), None)
        if wkt is None:
            raise DeclarationFileError(
                "no column holds the geometry", where=str(path), mend="Set declarations.wkt_column"
            )
        _check_columns(path, [*columns, wkt], names)
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(block_size=CSV_BLOCK_BYTES),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=list(dict.fromkeys([*columns, wkt])), column_types=dict.fromkeys(names, pa.string())
            ),
        )
    except (UnicodeDecodeError, pa.ArrowException, csv.Error) as error:
        raise DeclarationFileError(
            f"cannot be read as CSV ({_one_line(error)})",
            where=str(path),
            mend="Save it as UTF-8, one header line, fields that hold the delimiter in quotes",
        ) from error
    text = _text(table.column(wkt))
    geometry = shapely.from_wkt(text, on_invalid="ignore")
    return (
        _attributes(path, table, columns),
        geometry,
        np.array([value is not None for value in text], dtype=bool),
        None,
    )


def _read_parquet(path: Path, columns: Sequence[str]) -> _Read:
    try:
        names = pq.read_schema(path).names
        _check_columns(path, columns, names)
        table = pq.read_table(path, columns=list(columns))
        geometry = geopandas.read_parquet(path, columns=[*_geometry_column(path)]).geometry
    except (pa.ArrowException, ValueError, TypeError, KeyError) as error:
        raise DeclarationFileError(
            f"cannot be read as GeoParquet ({_one_line(error)})",
            where=str(path),
            mend="Write it with geometry metadata",
        ) from error
    shapes = np.asarray(geometry.array, dtype=object)
    return _attributes(path, table, columns), shapes, ~shapely.is_missing(shapes), geometry.crs


def _geometry_column(path: Path) -> tuple[str, ...]:
    """Name of the primary geometry column; KeyError where the file has no GeoParquet metadata."""
    return (str(json.loads(pq.read_schema(path).metadata[b"geo"])["primary_column"]),)


def _read_gdal(path: Path, columns: Sequence[str], layer: str | None) -> _Read:
    source = _gdal_path(path)
    try:
        name = _layer(path, source, layer)
        fields = list(pyogrio.read_info(source, layer=name)["fields"])
        with_fid = FEATURE_ID in columns and FEATURE_ID not in fields
        wanted = [column for column in columns if not (with_fid and column == FEATURE_ID)]
        _check_columns(path, wanted, fields)
        meta, table = pyogrio.raw.read_arrow(source, layer=name, columns=wanted, return_fids=with_fid)
    except (DataSourceError, DataLayerError, UnicodeDecodeError, pa.ArrowException) as error:
        raise DeclarationFileError(
            f"GDAL cannot read it ({_one_line(error)})",
            where=str(path),
            mend="Unpack it, or save it as GeoPackage or GeoParquet",
        ) from error
    if with_fid:
        identifier = next(column for column in table.column_names if column not in {*fields, _geometry_name(meta)})
        table = table.rename_columns({identifier: FEATURE_ID})
    wkb = table.column(_geometry_name(meta)).to_numpy(zero_copy_only=False)
    present = np.array([value is not None for value in wkb], dtype=bool)
    return _attributes(path, table, columns), shapely.from_wkb(wkb, on_invalid="ignore"), present, meta["crs"]


def _geometry_name(meta: Mapping[str, Any]) -> str:
    return str(meta["geometry_name"] or "wkb_geometry")


def _gdal_path(path: Path) -> str:
    """Path as GDAL opens it: a zip archive may hold its one vector file in any folder and have any name."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return str(path)
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if PurePosixPath(name).suffix.lower() in VECTOR_SUFFIXES]
    if len(members) != 1:
        raise DeclarationFileError(
            f"the archive holds {len(members)} vector files ({', '.join(members[:5])})",
            where=str(path),
            mend="Unpack it",
        )
    return f"/vsizip/{{{path.absolute()}}}/{members[0]}"


def _layer(path: Path, source: str, layer: str | None) -> str:
    layers = [str(name) for name, kind in pyogrio.list_layers(source) if kind is not None]
    if layer is None and len(layers) == 1:
        return layers[0]
    if layer in layers:
        return layer
    what = f"no layer {layer!r}" if layer else f"{len(layers)} layers with geometry"
    raise DeclarationFileError(what, where=str(path), mend=f"Set declarations.layer to one of: {', '.join(layers)}")


def _check_columns(path: Path, columns: Sequence[str], existing: Sequence[str]) -> None:
    missing = [column for column in columns if column not in existing]
    if not missing:
        return
    near = [name for column in missing for name in difflib.get_close_matches(column, existing, n=2, cutoff=0.5)]
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    raise DeclarationFileError(
        f"no column {', '.join(repr(column) for column in missing)}",
        where=str(path),
        mend=f"{hint}It has: {', '.join(existing)}",
    )


def _attributes(path: Path, table: pa.Table, columns: Sequence[str]) -> pd.DataFrame:
    try:
        return pd.DataFrame({name: _text(table.column(name)) for name in columns}, dtype=object)
    except pa.ArrowException as error:
        raise DeclarationFileError(
            f"a column holds neither text nor numbers ({_one_line(error)})", where=str(path), mend="Map other columns"
        ) from error


def _text(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.object_]]:
    """Values as a person would write them: 1200.0 stored in a float column is code 1200; blanks are None."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
        whole = pc.equal(column, pc.floor(column))
        exact = pc.less(pc.abs(column), float(2**53))
        integers = pc.if_else(pc.and_(whole, exact), column, pa.scalar(None, kind)).cast(pa.int64())
        column = pc.coalesce(integers.cast(pa.string()), column.cast(pa.string()))
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    values: np.ndarray[Any, np.dtype[np.object_]] = text.to_numpy(zero_copy_only=False)
    return values


def _crs(file_crs: object, given: str | None, *, where: str) -> pyproj.CRS:
    """The file's CRS, or the one given for a file without; two that differ are a mistake nobody here can settle."""
    stated, own = (_parse_crs(value, where) if value is not None else None for value in (given, file_crs))
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


def _parse_crs(value: object, where: str) -> pyproj.CRS:
    try:
        return pyproj.CRS.from_user_input(value)
    except pyproj.exceptions.CRSError as error:
        raise DeclarationFileError(f"{value!r} is no CRS", where=where, mend="Write it like EPSG:25832") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
