"""The formats that declarations come in: whatever GDAL reads, GeoParquet, CSV with a WKT column. One way to list
a file's layers and one to read a layer's columns as text; nothing here depends on declarations."""

from __future__ import annotations

import contextlib
import difflib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from cropmap.errors import DeclarationFileError
from cropmap.sources.files.containers import code_page
from cropmap.sources.files.csv_files import count_rows, find_dialect, is_csv, read_csv
from cropmap.sources.files.drivers import bound_databases, pyogrio, quiet
from cropmap.sources.files.gml import AxisOrder, gml_options, inner_system, is_gml, surveys_crs
from cropmap.sources.files.outline_text import from_wkb, shallow
from cropmap.sources.files.parquet_files import is_parquet, parquet_facts, read_parquet
from cropmap.sources.files.references import refuse_references
from cropmap.sources.files.row_text import storable
from cropmap.sources.files.sidecars import projection_beside
from cropmap.sources.outlines import flat_shapes

FEATURE_ID: Final = "fid"
"""Column name that stands for the feature id of formats which keep it outside the columns (GeoPackage), else for the
row's number."""
PART_ROWS: Final = 16_384
"""rows that are held together while a layer is read"""
HEADER_SHOWN: Final = 8
MORE_THAN_PLANE: Final = "its outlines have heights or measures, which are left out"
SEVERAL: Final = ";"
"""between the values of one field that holds several"""

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
    unusable: Shapes
    """why a row cannot be used whatever it holds, None where it can"""
    geometry: Shapes
    """in two dimensions; None where the row has none, or none that can be read"""
    present: Flags
    """where the file has something in the place of the geometry, readable or not"""
    crs: object
    """None where the file states none"""
    notes: tuple[str, ...] = ()
    """what was left out of the outlines"""


def list_layers(source: str, *, wkt_column: str | None = None, encoding: str | None = None) -> list[Layer]:
    """Every table of the file, those without geometry too. Raises DeclarationFileError where it is no vector file."""
    if is_csv(source):
        return [_csv_layer(source, wkt_column, encoding)]
    if is_parquet(source):
        facts = parquet_facts(source, wkt_column)
        return [Layer(Path(source).stem, "Parquet", facts.geometry, facts.rows, facts.crs, "UTF-8", facts.columns)]
    refuse_references(source)
    with _gdal_errors(source):
        bound_databases()
        return [_gdal_layer(source, str(name), kind) for name, kind in pyogrio.list_layers(source)]


def together(parts: Iterable[Table]) -> Table:
    """All parts of a layer as one, where they may be held together."""
    parts = list(parts)
    return Table(
        pd.concat([part.attributes for part in parts], ignore_index=True),
        np.concatenate([part.unusable for part in parts]),
        np.concatenate([part.geometry for part in parts]),
        np.concatenate([part.present for part in parts]),
        next((part.crs for part in parts if part.crs is not None), None),
        tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def read_parts(
    source: str,
    layer: Layer,
    columns: Sequence[str],
    *,
    wkt_column: str | None = None,
    encoding: str | None = None,
    limit: int | None = None,
    lenient: bool = False,
    axis_order: AxisOrder | None = None,
) -> Iterator[Table]:
    """The named columns and the geometry of every row, or of the first `limit`, in parts of at most PART_ROWS, at least
    one, so that a country's outlines are never held together. Any part may state the CRS.

    Raises DeclarationFileError, also after the last part, for what only all rows show. `lenient` leaves out columns
    that are neither text nor numbers instead. `axis_order` is what the file has, where that is not what its format or
    CRS prescribes; the geometry has eastings first.
    """
    if layer.format == "CSV" and layer.geometry is None:
        named = ", ".join(name[:40] for name in layer.columns[:HEADER_SHOWN]) or "nothing"
        raise DeclarationFileError(
            f"no column holds the geometry; the first line names {named}",
            where=source,
            mend="Set declarations.wkt_column; a title above the header has to go",
        )
    fid = FEATURE_ID in columns and FEATURE_ID not in layer.columns
    own_columns = {
        name: find_column(source, name, layer.columns) for name in columns if not (fid and name == FEATURE_ID)
    }
    if twice := [own for own in own_columns.values() if not lenient and layer.columns.count(own) > 1]:
        raise DeclarationFileError(
            f"column {twice[0]!r} is there more than once", where=source, mend="Give each a name of its own"
        )
    names, done = list(own_columns.values()), 0
    if layer.format == "CSV":
        parts = _read_csv(source, names, wkt_column, encoding, limit)
    elif layer.format == "Parquet":
        parts = (
            _Part(*part)
            for part in read_parquet(source, names, limit=limit, part_rows=PART_ROWS, geometry_column=wkt_column)
        )
    else:
        parts = _read_gdal(source, layer, names, encoding, limit, fid=fid, axis_order=axis_order)
    turned = axis_order == "northing_first" and not is_gml(source)
    for part in parts:
        geometry = shapely.transform(part.geometry, lambda xy: xy[:, ::-1]) if turned else part.geometry
        more = bool((shapely.has_z(geometry) | shapely.has_m(geometry)).any())
        if lenient:
            own_columns = {
                name: own for name, own in own_columns.items() if _is_plain(part.table.schema.field(own).type)
            }
        attributes = _attributes(source, layer, part.table, own_columns)
        rows = part.table.num_rows
        if fid and FEATURE_ID not in attributes:
            own = FEATURE_ID in part.table.column_names
            numbers = part.table.column(FEATURE_ID).to_numpy() if own else np.arange(done, done + rows) + 1
            attributes[FEATURE_ID] = numbers.astype(str).astype(object)
        kept = attributes[[n for n in dict.fromkeys(columns) if n in attributes]]
        notes = (MORE_THAN_PLANE,) if more else ()
        yield Table(*storable(kept, part.ragged), flat_shapes(geometry), part.present, part.crs, notes)
        done += rows


@dataclass(frozen=True, eq=False)
class _Part:
    """Rows as a format has them."""

    table: pa.Table
    geometry: Shapes
    present: Flags
    crs: object
    ragged: Mapping[int, str] = field(default_factory=dict)


def find_column(source: str, name: str, existing: Sequence[str]) -> str:
    """The file's own spelling: exactly, else whatever its case, Unicode form and blanks at the ends. Raises
    DeclarationFileError."""
    if name in existing:
        return name
    alike = [column for column in existing if _folded(column) == _folded(name)]
    if len(alike) == 1:
        return alike[0]
    near = difflib.get_close_matches(name, existing, n=2, cutoff=0.5)
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    raise DeclarationFileError(f"no column {name!r}", where=source, mend=f"{hint}It has: {', '.join(existing)}")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().strip("\ufeff").strip().casefold()


# --- CSV ---------------------------------------------------------------------------------------------------------


def _csv_layer(source: str, wkt_column: str | None, encoding: str | None) -> Layer:
    dialect = find_dialect(source, outline=wkt_column, encoding=encoding)
    columns = tuple(name for name in dialect.columns if name != dialect.outline)
    outline = f"WKT in {dialect.outline}" if dialect.outline else None
    name = dialect.encoding.removesuffix("-sig").upper()
    return Layer(Path(source).stem, "CSV", outline, count_rows(source, dialect), None, encoding or name, columns)


def _read_csv(
    source: str, columns: Sequence[str], wkt_column: str | None, encoding: str | None, limit: int | None
) -> Iterator[_Part]:
    dialect = find_dialect(source, outline=wkt_column, encoding=encoding)
    outline = find_column(source, dialect.outline or "", dialect.columns)
    dialect = replace(dialect, outline=outline)
    for part in read_csv(source, dialect, columns, named_encoding=encoding, limit=limit, part_rows=PART_ROWS):
        yield _Part(part.table, part.shapes, part.present, part.crs, part.ragged)


# --- GDAL --------------------------------------------------------------------------------------------------------


def _gdal_layer(source: str, name: str, kind: str | None) -> Layer:
    """A column with the name of the geometry is what GDAL makes of the attributes of an outline that is nil."""
    bound_databases()
    about = pyogrio.read_info(source, layer=name, force_feature_count=True, **gml_options(source))
    return Layer(
        name,
        str(about["driver"]),
        None if kind is None else str(kind),
        int(about["features"]),
        about["crs"] or _unread_crs(source),
        about["encoding"],
        tuple(str(field) for field in about["fields"] if str(field) != about["geometry_name"]),
    )


def _read_gdal(
    source: str,
    layer: Layer,
    columns: Sequence[str],
    encoding: str | None,
    limit: int | None,
    *,
    fid: bool,
    axis_order: AxisOrder | None,
) -> Iterator[_Part]:
    options = gml_options(source, axis_order)
    with _gdal_errors(source):
        bound_databases()
        with pyogrio.raw.open_arrow(
            source,
            layer=layer.name,
            columns=list(columns),
            encoding=encoding or code_page(source),
            return_fids=fid,
            read_geometry=layer.geometry is not None,
            use_pyarrow=True,
            batch_size=PART_ROWS if limit is None else max(min(PART_ROWS, limit), 1),
            **options,
        ) as (meta, reader):
            outline = str(meta["geometry_name"] or "wkb_geometry")
            crs = meta["crs"] or (_unread_crs(source) if layer.geometry is not None else None)
            inner = inner_system(source) if axis_order is None and not meta["crs"] else None
            rows = 0
            for table in _some(reader, limit):
                if fid:
                    own = next(name for name in table.column_names if name not in {*layer.columns, outline})
                    table = table.rename_columns({own: FEATURE_ID})
                if layer.geometry is None:
                    nothing = np.full(table.num_rows, None, dtype=object)
                    yield _Part(table, nothing, np.zeros(len(nothing), dtype=bool), None)
                    continue
                wkb = table.column(outline).to_numpy(zero_copy_only=False)
                shapes = _shapes(source, layer, wkb, rows, options)
                if inner and inner[1]:
                    shapes = shapely.transform(shapes, lambda xy: xy[:, ::-1], include_z=False)
                yield _Part(table, shapes, np.array([w is not None for w in wkb], bool), crs)
                rows += table.num_rows


def _some(reader: pa.RecordBatchReader, limit: int | None) -> Iterator[pa.Table]:
    """The batches of a layer, at least one, up to `limit` rows."""
    rows = 0
    for batch in reader:
        table = pa.Table.from_batches([batch])
        yield table if limit is None else table.slice(0, limit - rows)
        rows += table.num_rows
        if limit is not None and rows >= limit:
            return
    if not rows:
        yield pa.Table.from_batches([], schema=reader.schema)


def _unread_crs(source: str) -> str | None:
    """What a file says of its CRS in a way that GDAL does not read."""
    return projection_beside(source) or surveys_crs(source) or (inner_system(source) or (None,))[0]


def _shapes(source: str, layer: Layer, wkb: Shapes, before: int, options: dict[str, str]) -> Shapes:
    """Arcs, which shapely does not support, are drawn as lines by reading the geometry a second time, more slowly.
    `before`: rows of the layer that stand before these."""
    try:
        shapes: Shapes = shapely.from_wkb(shallow(wkb), on_invalid="ignore")
    except NotImplementedError:
        bound_databases()
        here = {"skip_features": before, "max_features": len(wkb)}
        shapes = from_wkb(pyogrio.raw.read(source, layer=layer.name, **here, **options)[2])
    return shapes


@contextlib.contextmanager
def _gdal_errors(source: str) -> Iterator[None]:
    try:
        with quiet():
            yield
    except DeclarationFileError:
        raise
    except (UnicodeError, LookupError) as error:
        raise DeclarationFileError(
            f"its text is in another encoding than it says ({_one_line(error)})",
            where=source,
            mend="Set declarations.encoding, such as UTF-8, CP1250 or ISO-8859-1",
        ) from error
    except Exception as error:  # a damaged file shows itself in any error of GDAL, Arrow or shapely
        raise DeclarationFileError(
            f"GDAL cannot read it ({_one_line(error) or type(error).__name__})",
            where=source,
            mend="Unpack it, or save it as GeoPackage or GeoParquet",
        ) from error


# --- text --------------------------------------------------------------------------------------------------------


def _attributes(source: str, layer: Layer, table: pa.Table, columns: dict[str, str]) -> pd.DataFrame:
    texts = {}
    for name, own in columns.items():
        try:
            texts[name] = _text(table.column(own))
        except (pa.ArrowException, UnicodeError) as error:
            if isinstance(error, UnicodeError) or "invalid utf8" in str(error).lower():
                raise DeclarationFileError(
                    f"the text of column {own!r} is in another encoding than {layer.encoding or 'UTF-8'}, in which "
                    "the file has to be read by its own words",
                    where=source,
                    mend="Set declarations.encoding, such as CP1250, CP1252 or ISO-8859-2",
                ) from error
            raise DeclarationFileError(
                f"column {own!r} holds neither text nor numbers ({_one_line(error)})",
                where=source,
                mend="Map other columns",
            ) from error
    return pd.DataFrame(texts, dtype=object, index=range(table.num_rows))


def _is_plain(kind: pa.DataType) -> bool:
    return _is_texts(kind) or not (
        pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    )


def _is_texts(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind)) and bool(
        pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
    )


def _text(column: pa.ChunkedArray) -> Shapes:
    """Values as a person would write them: 1200.0 stored in a float column is code 1200; blanks are None; several
    values of one field stand one after the other, each once."""
    kind = column.type
    if _is_texts(kind):
        lists = column.cast(pa.list_(pa.string())).to_pylist()
        column = pa.chunked_array([pa.array([_joined(values) for values in lists], pa.string())])
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


def _joined(values: Sequence[str | None] | None) -> str | None:
    """Every value once: a link may be repeated for each language of its title."""
    return None if values is None else SEVERAL.join(dict.fromkeys(value for value in values if value))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split("; It might help")[0].split())[:200]
