"""The formats that declarations come in: whatever GDAL reads, GeoParquet, CSV with a WKT column. One way to list
a file's layers and one to read a layer's columns as text; nothing here knows what a declaration is."""

from __future__ import annotations

import contextlib
import csv
import difflib
import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError

from cropmap.errors import DeclarationFileError
from cropmap.sources.containers import CSV_SUFFIXES, PARQUET_SUFFIXES
from cropmap.sources.drivers import pyogrio, quiet, refuse_references

FEATURE_ID: Final = "fid"
"""Column name that stands for the feature id of formats which keep it outside the columns (GeoPackage), else for the
row's number."""
CSV_BLOCK_BYTES: Final = 1 << 26
"""larger than any row: an outline of a million vertices is 40 MB"""
WKT_NAMES: Final = ("wkt", "geometry", "geom", "the_geom")
GML_SUFFIXES: Final = (".gml", ".xml")

Shapes = np.ndarray[Any, np.dtype[np.object_]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Layer:
    """One table of a file."""

    name: str
    format: str
    """CSV, Parquet, or the name of GDAL's driver"""
    geometry: str | None
    """kind of geometry as the format states it, None for a table without"""
    rows: int
    crs: str | None
    """as the file states it, None where it does not"""
    encoding: str | None
    columns: tuple[str, ...]
    """attributes, in the order of the file"""


@dataclass(frozen=True)
class Table:
    """Rows of one layer, in the order of the file."""

    attributes: pd.DataFrame
    """text or None, one column per column asked for"""
    geometry: Shapes
    """None where the row has none, or none that can be read"""
    present: Flags
    """where the file has something in the place of the geometry, readable or not"""
    crs: object
    """None where the file states none"""


def list_layers(source: str, *, wkt_column: str | None = None, encoding: str | None = None) -> list[Layer]:
    """Every table of the file, those without geometry too. Raises DeclarationFileError where it is no vector file."""
    if is_csv(source):
        return [_csv_layer(source, wkt_column, encoding)]
    if is_parquet(source):
        return [_parquet_layer(source)]
    refuse_references(source)
    with _gdal_errors(source):
        return [_gdal_layer(source, str(name), kind) for name, kind in pyogrio.list_layers(source)]


def read_layer(
    source: str,
    layer: Layer,
    columns: Sequence[str],
    *,
    wkt_column: str | None = None,
    encoding: str | None = None,
    limit: int | None = None,
    lenient: bool = False,
) -> Table:
    """The named columns and the geometry of every row, or of the first `limit`. Raises DeclarationFileError.

    `lenient` leaves out columns that are neither text nor numbers instead.
    """
    if layer.format == "CSV" and layer.geometry is None:
        raise DeclarationFileError("no column holds the geometry", where=source, mend="Set declarations.wkt_column")
    fid = FEATURE_ID in columns and FEATURE_ID not in layer.columns
    found = {name: find_column(source, name, layer.columns) for name in columns if not (fid and name == FEATURE_ID)}
    if layer.format == "CSV":
        table, geometry, present, crs = _read_csv(source, list(found.values()), wkt_column, encoding, limit)
    elif layer.format == "Parquet":
        table, geometry, present, crs = _read_parquet(source, list(found.values()), limit)
    else:
        table, geometry, present, crs = _read_gdal(source, layer, list(found.values()), encoding, limit, fid=fid)
    if lenient:
        found = {name: own for name, own in found.items() if _is_plain(table.schema.field(own).type)}
    attributes = _attributes(source, table, found)
    if fid and FEATURE_ID not in attributes:
        numbers = (
            table.column(FEATURE_ID).to_numpy() if FEATURE_ID in table.column_names else np.arange(table.num_rows) + 1
        )
        attributes[FEATURE_ID] = numbers.astype(str).astype(object)
    return Table(attributes[[n for n in dict.fromkeys(columns) if n in attributes]], geometry, present, crs)


def is_csv(source: str) -> bool:
    return Path(source).suffix.lower() in CSV_SUFFIXES


def is_parquet(source: str) -> bool:
    """By its ending, or by the first bytes of a file without one."""
    path = Path(source)
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def find_column(source: str, name: str, existing: Sequence[str]) -> str:
    """The file's own spelling: exactly, else whatever its case and Unicode form. Raises DeclarationFileError."""
    if name in existing:
        return name
    alike = [column for column in existing if _folded(column) == _folded(name)]
    if len(alike) == 1:
        return alike[0]
    near = difflib.get_close_matches(name, existing, n=2, cutoff=0.5)
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    raise DeclarationFileError(f"no column {name!r}", where=source, mend=f"{hint}It has: {', '.join(existing)}")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


# --- CSV ---------------------------------------------------------------------------------------------------------


def _csv_layer(source: str, wkt_column: str | None, encoding: str | None) -> Layer:
    with _csv_errors(source, encoding):
        names, _ = _csv_header(source, encoding)
        wkt = _wkt_name(names, wkt_column)
        with Path(source).open("rb") as file:
            rows = max(sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1, 0)
    columns = tuple(name for name in names if name != wkt)
    return Layer(Path(source).stem, "CSV", f"WKT in {wkt}" if wkt else None, rows, None, encoding or "UTF-8", columns)


def _csv_header(source: str, encoding: str | None) -> tuple[list[str], str]:
    with Path(source).open(encoding=encoding or "utf-8-sig", newline="") as file:
        header = file.readline(CSV_BLOCK_BYTES)
    delimiter = max(";,\t|", key=header.count)
    return next(csv.reader([header], delimiter=delimiter), []), delimiter


def _wkt_name(names: Sequence[str], given: str | None) -> str | None:
    return given or next((name for name in names if name.strip().lower() in WKT_NAMES), None)


def _read_csv(
    source: str, columns: Sequence[str], wkt_column: str | None, encoding: str | None, limit: int | None
) -> tuple[pa.Table, Shapes, Flags, object]:
    with _csv_errors(source, encoding):
        names, delimiter = _csv_header(source, encoding)
        wkt = find_column(source, _wkt_name(names, wkt_column) or "", names)
        table = pyarrow.csv.read_csv(
            source,
            read_options=pyarrow.csv.ReadOptions(block_size=CSV_BLOCK_BYTES, encoding=encoding or "utf8"),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=list(dict.fromkeys([*columns, wkt])), column_types=dict.fromkeys(names, pa.string())
            ),
        ).slice(0, limit)
    text = _text(table.column(wkt))
    shapes = shapely.from_wkt(text, on_invalid="ignore")
    return table, shapes, np.array([value is not None for value in text], dtype=bool), None


@contextlib.contextmanager
def _csv_errors(source: str, encoding: str | None) -> Iterator[None]:
    try:
        yield
    except (UnicodeDecodeError, pa.ArrowException, csv.Error, LookupError) as error:
        raise DeclarationFileError(
            f"cannot be read as CSV ({_one_line(error)})",
            where=source,
            mend="Save it as UTF-8, one header line, fields that hold the delimiter in quotes"
            + ("" if encoding else "; or say its encoding in declarations.encoding"),
        ) from error


# --- GeoParquet --------------------------------------------------------------------------------------------------


def _parquet_layer(source: str) -> Layer:
    with _parquet_errors(source):
        schema, primary = pq.read_schema(source), _primary_column(source)
        about = json.loads(schema.metadata[b"geo"])["columns"][primary]
        rows = pq.read_metadata(source).num_rows
    kinds = ", ".join(about.get("geometry_types", [])) or "Unknown"
    stated = "OGC:CRS84" if "crs" not in about else _crs_name(about["crs"])
    return Layer(Path(source).stem, "Parquet", kinds, rows, stated, "UTF-8",
                 tuple(name for name in schema.names if name != primary))  # fmt: skip


def _crs_name(crs: Any) -> str | None:
    if not isinstance(crs, dict):
        return None if crs is None else str(crs)
    code = crs.get("id", {})
    return f"{code['authority']}:{code['code']}" if "code" in code else str(crs.get("name"))


def _read_parquet(source: str, columns: Sequence[str], limit: int | None) -> tuple[pa.Table, Shapes, Flags, object]:
    with _parquet_errors(source):
        table = pq.read_table(source, columns=list(columns)).slice(0, limit)
        geometry = geopandas.read_parquet(source, columns=[_primary_column(source)]).geometry.iloc[:limit]
    if not columns:  # a table without columns would forget how many rows it has
        table = pa.table({FEATURE_ID: pa.array(range(1, len(geometry) + 1))})
    shapes = np.asarray(geometry.array, dtype=object)
    return table, shapes, ~shapely.is_missing(shapes), geometry.crs


def _primary_column(source: str) -> str:
    """KeyError or TypeError where the file has no GeoParquet metadata."""
    return str(json.loads(pq.read_schema(source).metadata[b"geo"])["primary_column"])


@contextlib.contextmanager
def _parquet_errors(source: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, ValueError, TypeError, KeyError) as error:
        raise DeclarationFileError(
            f"cannot be read as GeoParquet ({_one_line(error)})", where=source, mend="Write it with geometry metadata"
        ) from error


# --- GDAL --------------------------------------------------------------------------------------------------------


def _gdal_layer(source: str, name: str, kind: str | None) -> Layer:
    about = pyogrio.read_info(source, layer=name, force_feature_count=True, **_options(source))
    return Layer(name, str(about["driver"]), None if kind is None else str(kind), int(about["features"]),
                 about["crs"], about["encoding"], tuple(str(field) for field in about["fields"]))  # fmt: skip


def _options(source: str) -> dict[str, str]:
    """Reading GML must not leave a file beside it."""
    return {"WRITE_GFS": "NO"} if Path(source).suffix.lower() in GML_SUFFIXES else {}


def _read_gdal(
    source: str, layer: Layer, columns: Sequence[str], encoding: str | None, limit: int | None, *, fid: bool
) -> tuple[pa.Table, Shapes, Flags, object]:
    with _gdal_errors(source):
        meta, table = pyogrio.raw.read_arrow(
            source, layer=layer.name, columns=list(columns), encoding=encoding, return_fids=fid,
            read_geometry=layer.geometry is not None, max_features=limit, **_options(source),
        )  # fmt: skip
        outline = str(meta["geometry_name"] or "wkb_geometry")
        if fid:
            own = next(name for name in table.column_names if name not in {*layer.columns, outline})
            table = table.rename_columns({own: FEATURE_ID})
        if layer.geometry is None:
            nothing = np.full(table.num_rows, None, dtype=object)
            return table, nothing, np.zeros(len(nothing), dtype=bool), meta["crs"]
        wkb = table.column(outline).to_numpy(zero_copy_only=False)
        return table, _shapes(source, layer, wkb, limit), np.array([w is not None for w in wkb], bool), meta["crs"]


def _shapes(source: str, layer: Layer, wkb: Shapes, limit: int | None) -> Shapes:
    """Arcs, which shapely does not know, are drawn as lines by reading the geometry a second time, more slowly."""
    try:
        shapes: Shapes = shapely.from_wkb(wkb, on_invalid="ignore")
    except NotImplementedError:
        linear = pyogrio.raw.read(source, layer=layer.name, max_features=limit, **_options(source))[2]
        shapes = shapely.from_wkb(linear, on_invalid="ignore")
    return shapes


@contextlib.contextmanager
def _gdal_errors(source: str) -> Iterator[None]:
    try:
        with quiet():
            yield
    except (DataSourceError, DataLayerError, FeatureError, FieldError, pa.ArrowException, RuntimeError) as error:
        raise DeclarationFileError(
            f"GDAL cannot read it ({_one_line(error)})",
            where=source,
            mend="Unpack it, or save it as GeoPackage or GeoParquet",
        ) from error
    except (UnicodeDecodeError, LookupError) as error:
        raise DeclarationFileError(
            f"its text is in another encoding than it says ({_one_line(error)})",
            where=source,
            mend="Set declarations.encoding, such as UTF-8, CP1250 or ISO-8859-1",
        ) from error


# --- text --------------------------------------------------------------------------------------------------------


def _attributes(source: str, table: pa.Table, columns: dict[str, str]) -> pd.DataFrame:
    try:
        return pd.DataFrame({name: _text(table.column(own)) for name, own in columns.items()}, dtype=object)
    except pa.ArrowException as error:
        raise DeclarationFileError(
            f"a column holds neither text nor numbers ({_one_line(error)})", where=source, mend="Map other columns"
        ) from error


def _is_plain(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _text(column: pa.ChunkedArray) -> Shapes:
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
    values: Shapes = text.to_numpy(zero_copy_only=False)
    return values


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split("; It might help")[0].split())[:200]
