"""Writing a table in one of the formats that `registry` lists, and reading a file of any of them."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.dissemination import eurostat_tsv, json_stat, sdmx_csv, vocabulary, workbook
from cropmap.dissemination.long_form import AREAS, DECIMALS, LongForm, long_form, masked
from cropmap.dissemination.registry import Described, Wanted, find_format, find_writer
from cropmap.dissemination.spreadsheets import unguarded
from cropmap.dissemination.vocabulary import AREA, HECTARES, current_strucpro, measures
from cropmap.errors import InputError
from cropmap.schemas import HIDDEN_STATUSES, CsvDialect
from cropmap.statistics.confidentiality import HIDDEN

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
class Written:
    data: bytes
    table: LongForm | None
    """what a coded format holds; None for the others, which leave nothing out"""


def write(
    rows: pd.DataFrame,
    format_: str,
    *,
    nuts_version: int | None,
    described: Described | None = None,
    decimals: int = DECIMALS,
    dialect: CsvDialect = CsvDialect.PLAIN,
) -> Written:
    """Published rows (agency, season and STATISTIC_COLUMNS) as a file; `dialect` is that of csv. Raises InputError, see
    `long_form` and `find_format`."""
    writer, wanted = find_writer(format_), Wanted(described or Described(), decimals, dialect)
    if not find_format(format_).coded:
        table = table_of(rows, decimals=decimals, region_names=wanted.about.region_names)
        return Written(writer(table, wanted), None)
    long = long_form(rows, nuts_version=nuts_version, decimals=decimals)
    return Written(writer(long.table, wanted), long)


def read(
    data: bytes, *, name: str, geo: Collection[str] | None = None, crops: Collection[str] | None = None
) -> LongForm:
    """Reads a file in any format but XLSX and JSON, recognised by its first bytes. `geo` and `crops` limit what is read
    of a bulk TSV."""
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
            unpacked = packed.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read ({error})", where=name, mend="Download it again") from error
    return unpacked


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
    """Any of our dialects, recognised by the first line."""
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
