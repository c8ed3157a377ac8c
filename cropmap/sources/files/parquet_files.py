"""Parquet as declarations come in it: GeoParquet, the native GEOMETRY type, or a column of WKB or WKT; one file, or a
folder of parts with or without partitions (`year=2024/part-0.parquet`). In: a path; out: columns and outlines.
"""

from __future__ import annotations

import contextlib
import json
import urllib.parse
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyproj

from cropmap.errors import DeclarationFileError
from cropmap.sources.files.containers import PARQUET_SUFFIXES
from cropmap.sources.files.outline_text import (
    WKT_NAMES,
    by_rows,
    from_wkb,
    holds_outlines,
    parse_outlines,
    refuse_several_systems,
)
from cropmap.sources.outlines import Shapes

MAGIC: Final = b"PAR1"
NO_PARTITION: Final = "__HIVE_DEFAULT_PARTITION__"
READ_BYTES: Final = 1 << 20
"""of a column that are read at a time: without a bound Arrow holds the whole column of a row group"""
ANY_ROWS_BELOW: Final = 1_000_000
"""rows that a part may have however small it is: equal values that follow each other take next to no room"""
EXTENSION: Final = b"ARROW:extension:name"
NATIVE: Final = b"geoarrow.wkb"
"""how Arrow marks a column of Parquet's own GEOMETRY type"""
UUIDS: Final = "arrow.uuid"
"""how Arrow marks a column of Parquet's own UUID type, whose 16 bytes are no text"""
_NO_ROWS: Final = (np.empty(0, dtype=object), np.empty(0, dtype=bool))


@dataclass(frozen=True)
class ParquetFacts:
    columns: tuple[str, ...]
    geometry: str
    """kinds of geometry as the file states them"""
    rows: int
    crs: str | None


def is_parquet(source: str) -> bool:
    """A file by its ending or first bytes; a folder by what is in it."""
    path = Path(source)
    if path.is_dir():
        return path.suffix.lower() != ".gdb" and bool(_parts(path))
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def parquet_facts(source: str, geometry_column: str | None = None) -> ParquetFacts:
    with _parquet_errors(source):
        table = _Parquet(Path(source), geometry_column)
        about = table.geo
        kinds = ", ".join(about.get("geometry_types", [])) if about else table.about_outline
        rows = sum(part.metadata.num_rows for part in table.files)
        return ParquetFacts(tuple(table.attributes), kinds or "Unknown", rows, _crs_name(table.crs))


def read_parquet(
    source: str, columns: Sequence[str], *, limit: int | None, part_rows: int, geometry_column: str | None = None
) -> Iterator[tuple[pa.Table, Shapes, np.ndarray[Any, np.dtype[np.bool_]], object]]:
    """The columns as they are stored, the shapes, where the file has something in their place, and the CRS, which only
    the outlines of some rows may state; at most `part_rows` after the other, at least one part."""
    with _parquet_errors(source):
        yield from _Parquet(Path(source), geometry_column).read(columns, limit, part_rows)


def _parts(path: Path) -> list[Path]:
    """In the order of their paths; names that begin with a dot or underscore are other programs' notes."""
    if not path.is_dir():
        return [path]
    files = [each for each in path.rglob("*") if each.suffix.lower() in PARQUET_SUFFIXES and each.is_file()]
    return sorted(each for each in files if not any(p[0] in "._" for p in each.relative_to(path).parts))


class _Parquet:
    """All parts of one table."""

    def __init__(self, path: Path, geometry_column: str | None) -> None:
        self.path, self.parts, self.geometry_column = path, _parts(path), geometry_column
        self.files = [pq.ParquetFile(part, buffer_size=READ_BYTES) for part in self.parts]
        self.schemas = [file.schema_arrow for file in self.files]
        for part, file in zip(self.parts, self.files, strict=True):
            if (rows := file.metadata.num_rows) > max(ANY_ROWS_BELOW, size := part.stat().st_size):
                raise DeclarationFileError(
                    f"{part.name} has {size:,} bytes and announces {rows:,} rows",
                    where=str(path),
                    mend="Is it the right file? No outline fits into less than a byte",
                )

    @cached_property
    def geo(self) -> dict[str, Any]:
        """What GeoParquet says of the outline; empty without its metadata."""
        document = self._document(0)
        primary = document.get("primary_column") if isinstance(document, dict) else None
        if not document or self.geometry_column not in (None, primary):
            return {}
        described = document.get("columns")
        outline = described.get(primary) if isinstance(described, dict) else None
        if not isinstance(outline, dict) or primary not in self.schemas[0].names:
            raise DeclarationFileError(
                f"its GeoParquet metadata names {primary!r} as the column of the outlines (primary_column), and "
                f"{'does not describe it' if primary in self.schemas[0].names else 'there is none of that name'}",
                where=str(self.path),
                mend="Write it again as GeoParquet, or set declarations.wkt_column and crs. It has: "
                f"{', '.join(self.schemas[0].names)[:300]}",
            )
        return outline

    def _document(self, part: int) -> dict[str, Any]:
        text = (self.schemas[part].metadata or {}).get(b"geo")
        document: dict[str, Any] = json.loads(text) if text else {}
        return document

    @cached_property
    def outline(self) -> str:
        """The column of the outlines. Raises DeclarationFileError where there is none."""
        schema = self.schemas[0]
        if self.geo:
            return str(self._document(0)["primary_column"])
        named = {name.lower(): name for name in reversed(schema.names)}
        likely = [named[name] for name in WKT_NAMES if name in named]
        native = [field.name for field in schema if _is_native(field)]
        holding = [name for name in dict.fromkeys([*native, *likely, *schema.names]) if _may_hold(schema.field(name))]
        wanted = (
            [self.geometry_column]
            if self.geometry_column is not None and self.geometry_column in schema.names
            else holding
        )
        column = next((name for name in wanted if name in native or holds_outlines(self._first_values(name))), None)
        if column is None:
            raise DeclarationFileError(
                "no column holds the geometry",
                where=str(self.path),
                mend=f"Write it as GeoParquet, or name the column in declarations.wkt_column. It has: "
                f"{', '.join(schema.names)[:300]}",
            )
        return column

    def _first_values(self, name: str) -> Shapes:
        for batch in self.files[0].iter_batches(batch_size=1_000, columns=[name]):
            values: Shapes = batch.column(batch.schema.get_field_index(name)).to_numpy(zero_copy_only=False)
            if any(value is not None for value in values):
                return values
        return np.empty(0, dtype=object)

    @property
    def about_outline(self) -> str:
        field = self.schemas[0].field(self.outline)
        return "Unknown" if _is_native(field) else f"{'WKT' if _is_text(field.type) else 'WKB'} in {self.outline}"

    @cached_property
    def crs(self) -> object:
        """As the file states it: of GeoParquet, else of the native type, which is CRS84 where it says none."""
        if self.geo:
            return self.geo.get("crs", "OGC:CRS84")
        field = self.schemas[0].field(self.outline)
        if not _is_native(field):
            return None
        stated = json.loads((field.metadata or {}).get(b"ARROW:extension:metadata") or b"{}")
        crs, kind = stated.get("crs"), stated.get("crs_type")
        return f"EPSG:{crs}" if kind == "srid" and str(crs).isdecimal() else crs or "OGC:CRS84"

    @cached_property
    def partitions(self) -> list[dict[str, str | None]]:
        """Of every part: the values in the names of its folders (`year=2024`), as text."""
        partitions = []
        for part in self.parts:
            names = part.relative_to(self.path).parts[:-1] if self.path.is_dir() else ()
            pairs = (name.split("=", 1) for name in names if "=" in name)
            partitions.append(
                {key: None if value == NO_PARTITION else urllib.parse.unquote(value) for key, value in pairs}
            )
        return partitions

    @property
    def attributes(self) -> list[str]:
        """Columns beside the outline, those of the partitions last."""
        names = [name for schema in self.schemas for name in schema.names]
        names += [name for partition in self.partitions for name in partition]
        return [name for name in dict.fromkeys(names) if name != self.outline]

    def read(
        self, columns: Sequence[str], limit: int | None, part_rows: int
    ) -> Iterator[tuple[pa.Table, Shapes, np.ndarray[Any, np.dtype[np.bool_]], object]]:
        wanted = list(dict.fromkeys(columns))
        written = {
            json.dumps(self._document(number)["columns"][self.outline].get("crs", "OGC:CRS84"), sort_keys=True)
            for number in range(len(self.files) if self.geo else 0)
        }
        if len(written) > 1:
            raise self._parts_differ()
        nothing, rows = self._nothing(wanted), 0
        srids: set[str] = set()
        for number in range(len(self.files)):
            of_part: set[str] = set()
            left = None if limit is None else limit - rows
            for table, shapes, stated in self._drawn_rows(number, wanted, left, part_rows):
                of_part |= stated
                here = pa.concat_tables(
                    [nothing, self._with_partition(number, table, wanted)], promote_options="permissive"
                )
                present = here.column("").to_numpy().astype(bool)
                crs = self.crs if self.crs is not None else min(stated, default=None)
                yield here.drop_columns([""]) if wanted else here, shapes, present, _parsed(crs)
                rows += len(shapes)
            refuse_several_systems(of_part, where=str(self.path))
            srids |= of_part
            if len(srids) > 1:
                raise self._parts_differ()
        if not rows:
            yield nothing.drop_columns([""]) if wanted else nothing, *_NO_ROWS, _parsed(self.crs)

    def _parts_differ(self) -> DeclarationFileError:
        return DeclarationFileError("its parts differ in CRS", where=str(self.path), mend="Read them one by one")

    def _nothing(self, wanted: Sequence[str]) -> pa.Table:
        """No rows, with the types that all parts can be read as."""
        empty = [
            self._with_partition(number, schema.empty_table(), wanted) for number, schema in enumerate(self.schemas)
        ]
        return pa.concat_tables(empty, promote_options="permissive")

    def _drawn_rows(
        self, number: int, wanted: Sequence[str], limit: int | None, part_rows: int
    ) -> Iterator[tuple[pa.Table, Shapes, set[str]]]:
        """Columns that the part has, their outlines, and the CRSs that these state."""
        encoding = str(self.geo.get("encoding", "WKB")).lower()
        for table in self._rows(number, [*wanted, self.outline], limit, part_rows):
            column = table.column(self.outline)
            if encoding != "wkb":
                yield table, _from_coordinates(column.combine_chunks(), encoding), set()
            else:
                values = _plain(column).to_numpy(zero_copy_only=False)
                yield table, *((from_wkb(values), set()) if self.geo else parse_outlines(values))

    def _rows(self, number: int, names: Sequence[str], limit: int | None, part_rows: int) -> Iterator[pa.Table]:
        """Columns that the part has; a name with a dot is a column, not a path into one."""
        file, schema = self.files[number], self.schemas[number]
        here = [name for name in dict.fromkeys(names) if name in schema.names]
        rows = 0
        for batch in file.iter_batches(batch_size=part_rows, columns=here):
            if limit is not None and rows >= limit:
                break
            table = pa.Table.from_batches([batch.select(here)])
            yield table if limit is None else table.slice(0, limit - rows)
            rows += batch.num_rows

    def _with_partition(self, number: int, table: pa.Table, wanted: Sequence[str]) -> pa.Table:
        """The columns wanted, and one without a name: whether the row has an outline. (A table without columns would
        forget how many rows it has.)"""
        present = table.column(self.outline).is_valid()
        columns = {}
        for name in wanted:
            if name in table.column_names:
                columns[name] = _plain(table.column(name))
            elif name in (partition := self.partitions[number]):
                columns[name] = pa.array([partition[name]] * table.num_rows, pa.string())
            else:
                columns[name] = pa.nulls(table.num_rows)
        return pa.table({**columns, "": present})


def _from_coordinates(column: pa.Array, encoding: str) -> Shapes:
    """Shapes of one of GeoParquet's encodings with columns of coordinates, None where a row cannot be read."""
    if encoding == "multipolygon":
        polygons, rows = pc.list_flatten(column), pc.list_parent_indices(column)
        without_rings = pc.equal(pc.fill_null(pc.list_value_length(polygons), 0), 0)
        crashing = np.isin(np.arange(len(column)), rows.filter(without_rings))  # shapely would, in its C code
        column = pc.if_else(pa.array(crashing), pa.scalar(None, column.type), column)
    field = pa.field("outline", column.type, metadata={EXTENSION: f"geoarrow.{encoding}"})

    def decoded(rows: np.ndarray[Any, np.dtype[np.int64]]) -> Shapes:
        table = pa.table([column.take(pa.array(rows, pa.int64()))], schema=pa.schema([field]))
        return np.asarray(geopandas.GeoDataFrame.from_arrow(table).geometry.array, dtype=object)

    return by_rows(decoded, np.arange(len(column)))


def _is_native(field: pa.Field) -> bool:
    return (field.metadata or {}).get(EXTENSION) == NATIVE or (
        getattr(field.type, "extension_name", None) == NATIVE.decode()
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _may_hold(field: pa.Field) -> bool:
    kind = getattr(field.type, "storage_type", field.type)
    return _is_text(kind) or bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Without the mark of an extension, dictionaries decoded; a UUID as it is written."""
    kind = column.type
    if getattr(kind, "extension_name", None) == UUIDS:
        values = column.cast(kind.storage_type).to_pylist()
        texts = [None if value is None else str(uuid.UUID(bytes=value)) for value in values]
        return pa.chunked_array([pa.array(texts, pa.string())])
    if isinstance(kind, pa.BaseExtensionType):
        column = column.cast(kind.storage_type)
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _parsed(crs: object) -> object:
    """GeoParquet's own notation is read by pyproj; `choose_crs` parses the others."""
    return pyproj.CRS.from_json_dict(crs) if isinstance(crs, dict) else crs


def _crs_name(crs: object) -> str | None:
    if not isinstance(crs, dict):
        return None if crs is None else str(crs)
    code = crs.get("id", {})
    return f"{code['authority']}:{code['code']}" if "code" in code else str(crs.get("name"))


@contextlib.contextmanager
def _parquet_errors(source: str) -> Iterator[None]:
    """Damage shows itself in any error of Arrow, JSON or pyproj."""
    try:
        yield
    except DeclarationFileError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise DeclarationFileError(
            f"cannot be read as Parquet ({text})", where=source, mend="Fetch it again, or write it as GeoParquet"
        ) from error
