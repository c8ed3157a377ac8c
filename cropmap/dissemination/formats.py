"""One door to all formats: which there are, a table into the one that is asked for, and a file back into a table."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.dissemination import eurostat_tsv, json_stat, sdmx_csv, vocabulary, workbook
from cropmap.dissemination.long_form import AREAS, DECIMALS, LongForm, long_form, masked
from cropmap.dissemination.spreadsheets import to_csv, unguarded
from cropmap.dissemination.vocabulary import AREA, HECTARES, current_strucpro, measures
from cropmap.errors import InputError
from cropmap.schemas import HIDDEN_STATUSES, CsvDialect
from cropmap.statistics.confidentiality import HIDDEN

TableFormat = Literal["csv", "parquet", "xlsx", "json"]
"""every published row and column, areas in ha"""
CodedFormat = Literal["sdmx-csv", "sdmx-csv-2", "json-stat", "tsv"]
"""the long form: Eurostat's codes, areas in 1000 ha"""
Format = Literal[TableFormat, CodedFormat]
TABLE_FORMATS: Final = ("csv", "parquet", "xlsx", "json")
BINARY: Final = ("parquet", "xlsx")
DATAFLOW: Final = "CROPMAP:CROP_AREA(1.0)"
LABEL: Final = "Crop areas by NUTS region"
UNIT: Final = "unit"
VALUE: Final = "obs_value"
MOST_BYTES: Final = 128 << 20
"""of a file, unpacked; Eurostat's whole table of crops has 15 million"""
MOST_ROWS_BYTES: Final = 64 << 20
"""of whole rows as we export them: half a million of them"""
ANY_ROWS_BELOW: Final = 100_000
"""of a Parquet file, however small it is"""
MOST_JSON: Final = 64 << 20
"""of JSON, which takes ten times as much memory"""
TEXTS: Final = ("nuts_id", "crop", "strucpro", "concept", "basis", "obs_flag", "conf_status")
YEARS: Final = ("season", "nuts_version")
WHOLE_NUMBERS: Final = ("season", "nuts_version", "level", "n_parcels", "n_holdings")


@dataclass(frozen=True)
class Described:
    """What a file says of itself."""

    dataflow: str = DATAFLOW
    source: str = "cropmap"
    updated: datetime | None = None
    notes: tuple[tuple[str, str], ...] = ()
    """a word and what it says"""
    region_names: Mapping[str, str] = field(default_factory=dict)
    """nuts_id -> name, where the boundaries are at hand"""


@dataclass(frozen=True)
class Written:
    data: bytes
    table: LongForm | None
    """what a coded format holds; None for the others, which leave nothing out"""


def write(
    rows: pd.DataFrame,
    format_: Format,
    *,
    nuts_version: int | None,
    described: Described | None = None,
    decimals: int = DECIMALS,
    dialect: CsvDialect = CsvDialect.PLAIN,
) -> Written:
    """Published rows (agency, season and STATISTIC_COLUMNS) as a file; `dialect` is that of csv. Raises InputError, see
    `long_form`."""
    about = described or Described()
    if format_ in TABLE_FORMATS:
        return Written(_table(rows, format_, about, decimals=decimals, dialect=dialect), None)
    long = long_form(rows, nuts_version=nuts_version, decimals=decimals)
    table = long.table
    if format_ == "tsv":
        return Written(eurostat_tsv.write(table, decimals=decimals), long)
    if format_ == "json-stat":
        notes = [f"{word}: {said}" for word, said in about.notes]
        label = f"{LABEL} (simulation)" if (table["COMMENT_OBS"] != "").any() else LABEL
        data = json_stat.write(
            table, label=label, source=about.source, updated=about.updated, decimals=decimals, notes=notes
        )
        return Written(data, long)
    version: sdmx_csv.Version = "1.0" if format_ == "sdmx-csv" else "2.0"
    data = sdmx_csv.write(table, version=version, dataflow=about.dataflow, updated=about.updated, decimals=decimals)
    return Written(data, long)


def read(
    data: bytes, *, name: str, geo: Collection[str] | None = None, crops: Collection[str] | None = None
) -> LongForm:
    """A file in any format but XLSX and JSON, told by what it begins with; `geo`, `crops` spare work in a bulk TSV."""
    if data.startswith(eurostat_tsv.GZIP):
        data = _unpacked(data, name=name)
    start = data[:4096].lstrip(b"\xef\xbb\xbf \r\n\t")
    if len(data) > (most := MOST_JSON if start.startswith(b"{") else MOST_BYTES):
        raise InputError(f"has more than {most >> 20} MB", where=name, mend="Ask for fewer regions or years")
    if start.startswith(b"{"):
        return json_stat.read(data, where=name)
    if start.lstrip(b'"').startswith((b"DATAFLOW", b"STRUCTURE")):
        return sdmx_csv.read(data, where=name)
    if start.startswith(b"freq,"):
        return eurostat_tsv.read(data, where=name, geo=geo, crops=crops)
    return _published(data, name=name)


def _unpacked(data: bytes, *, name: str) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as packed:
            found = packed.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read ({error})", where=name, mend="Download it again") from error
    return found


def table_of(rows: pd.DataFrame, *, decimals: int, region_names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The published rows as a table format holds them: hidden cells empty and last, then the area in Eurostat's unit,
    and the names of crop and region for people."""
    hidden = rows["conf_status"].isin(HIDDEN_STATUSES)
    shown = masked(pd.concat([rows[~hidden], rows[hidden]]) if hidden.any() else rows)
    shown[VALUE] = (pd.to_numeric(shown[AREAS["OBS_VALUE"]]) / HECTARES).round(decimals)
    shown[UNIT] = measures()[AREA].unit
    shown["crop_name"] = [vocabulary.crop_name(str(crop)) for crop in shown["crop"]]
    if region_names:
        shown["nuts_name"] = shown["nuts_id"].map(dict(region_names)).astype(object)
    if "strucpro" in shown:
        shown["strucpro"] = [current_strucpro(code) for code in shown["strucpro"]]
    for column in WHOLE_NUMBERS:
        if column in shown:  # a hidden cell among them would make them floats: 54.0 parcels
            shown[column] = pd.to_numeric(shown[column]).astype("Int64")
    return shown


def _table(rows: pd.DataFrame, format_: Format, about: Described, *, decimals: int, dialect: CsvDialect) -> bytes:
    shown = table_of(rows, decimals=decimals, region_names=about.region_names)
    if format_ == "xlsx":
        return workbook.write(shown, notes=about.notes, made_at=about.updated)
    if format_ == "parquet":
        sink = io.BytesIO()
        shown.assign(**{c: pd.to_numeric(shown[c]) for c in workbook.numbers(shown.columns)}).to_parquet(
            sink, index=False
        )
        return sink.getvalue()
    if format_ == "json":
        records = shown.astype(object).where(shown.notna(), None).to_dict("records")
        return json.dumps(records, default=str, ensure_ascii=False, indent=1, allow_nan=False).encode()
    return to_csv(shown, dialect)


def _published(data: bytes, *, name: str) -> LongForm:
    """A file of `--format csv` or `parquet`, whole rows in ha."""
    if len(data) > MOST_ROWS_BYTES:
        raise InputError(f"has more than {MOST_ROWS_BYTES >> 20} MB", where=name, mend=_readable(name))
    try:
        rows = _read_parquet(data, name=name) if data.startswith(b"PAR1") else _read_csv(data)
    except (
        ValueError,
        OSError,
        KeyError,
        TypeError,
        pa.ArrowException,
    ) as error:  # pandas' and Arrow's errors of a broken file
        raise InputError(
            f"is no file of crop statistics ({(str(error).splitlines() or ['damaged'])[0]})",
            where=name,
            mend=_readable(name),
        ) from error
    missing = [column for column in ("season", *STATISTIC_COLUMNS) if column not in rows]
    if missing:
        raise InputError(f"lacks the columns {', '.join(missing[:5])}", where=name, mend=_readable(name))
    for column in TEXTS:
        if not all(isinstance(value, str) for value in rows[column].dropna()):
            raise InputError(f"{column} is no text in some rows", where=name, mend="Export the table again")
    for column in (*HIDDEN, *YEARS):
        if column in rows:
            rows[column] = _numbers(rows[column], name=name)
    if not rows["season"].notna().all():
        raise InputError("season is empty in some rows", where=name, mend="Export the table again")
    rows["season"] = rows["season"].astype(int)
    versions = sorted(rows["nuts_version"].dropna().astype(int).unique().tolist()) if "nuts_version" in rows else []
    if len(versions) > 1:
        raise InputError(f"NUTS versions are mixed: {versions}", where=name, mend="One version per file")
    return long_form(rows, nuts_version=versions[0] if versions else None, where=name)


def _numbers(values: pd.Series[Any], *, name: str) -> pd.Series[Any]:
    """Raises InputError for a value that is there and is no finite number, or no year in a column of YEARS."""
    dated = pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_bool_dtype(values)
    try:
        numbers = pd.to_numeric(values, errors="coerce").astype(float)
    except TypeError:  # lists and the like
        dated = True
    if dated or (~np.isfinite(numbers) & values.notna()).any():
        raise InputError(f"{values.name} is no number in some rows", where=name, mend="Export the table again")
    if values.name in YEARS and not ((numbers % 1 == 0) & numbers.between(1000, 9999) | numbers.isna()).all():
        raise InputError(f"{values.name} is no year in some rows", where=name, mend="Export the table again")
    return numbers


def _read_parquet(data: bytes, *, name: str) -> pd.DataFrame:
    """Equal values that follow each other take next to no room in Parquet: the number of rows is held against it."""
    with pq.ParquetFile(io.BytesIO(data)) as file:
        if (rows := file.metadata.num_rows) > max(ANY_ROWS_BELOW, len(data)):
            raise InputError(
                f"has {len(data):,} bytes and announces {rows:,} rows", where=name, mend="Export the table again"
            )
    return pd.read_parquet(io.BytesIO(data))


def _read_csv(data: bytes) -> pd.DataFrame:
    """Any of our dialects, told by the first line."""
    text = data.decode("utf-8-sig")
    header = text.partition("\n")[0]
    semicolon = ";" in header
    if STATISTIC_COLUMNS[0] not in header:
        text = header  # whatever it is, it is not read to its end
    rows = pd.read_csv(io.StringIO(text), dtype=str, sep=";" if semicolon else ",").map(unguarded)
    if semicolon:
        for column in {*workbook.numbers(rows.columns), VALUE} & set(rows.columns):
            rows[column] = [text.replace(",", ".") if isinstance(text, str) else text for text in rows[column]]
    return rows


def _readable(name: str) -> str:
    kind = PurePath(name).suffix or "the file"
    return f"{kind} is none of Eurostat's TSV (also gzipped), SDMX-CSV, JSON-stat 2.0, CSV or Parquet of `stats export`"
