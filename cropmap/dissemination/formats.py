"""One door to all formats: which there are, a table into the one that is asked for, and a file back into a table."""

from __future__ import annotations

import io
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Final, Literal

import pandas as pd

from cropmap.dissemination import eurostat_tsv, json_stat, sdmx_csv, workbook
from cropmap.dissemination.long_form import AREAS, DECIMALS, LongForm, long_form, masked
from cropmap.dissemination.vocabulary import AREA, HECTARES, current_strucpro, measures
from cropmap.errors import InputError
from cropmap.schemas import STATISTIC_COLUMNS
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


@dataclass(frozen=True)
class Described:
    """What a file says of itself."""

    dataflow: str = DATAFLOW
    source: str = "cropmap"
    updated: datetime | None = None
    notes: tuple[tuple[str, str], ...] = ()
    """a word and what it says"""


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
) -> Written:
    """Published rows (agency, season and STATISTIC_COLUMNS) as a file. Raises InputError, see `long_form`."""
    about = described or Described()
    if format_ in TABLE_FORMATS:
        return Written(_table(rows, format_, about, decimals=decimals), None)
    long = long_form(rows, nuts_version=nuts_version, decimals=decimals)
    table = long.table
    if format_ == "tsv":
        return Written(eurostat_tsv.write(table, decimals=decimals), long)
    if format_ == "json-stat":
        notes = [f"{word}: {said}" for word, said in about.notes]
        data = json_stat.write(
            table, label=LABEL, source=about.source, updated=about.updated, decimals=decimals, notes=notes
        )
        return Written(data, long)
    version: sdmx_csv.Version = "1.0" if format_ == "sdmx-csv" else "2.0"
    data = sdmx_csv.write(table, version=version, dataflow=about.dataflow, updated=about.updated, decimals=decimals)
    return Written(data, long)


def read(
    data: bytes, *, name: str, geo: Collection[str] | None = None, crops: Collection[str] | None = None
) -> LongForm:
    """A file in any format but XLSX and JSON, told by what it begins with; `geo`, `crops` spare work in a bulk TSV."""
    start = data[:4096].lstrip(b"\xef\xbb\xbf \r\n\t")
    if start.startswith(b"{"):
        return json_stat.read(data, where=name)
    if start.startswith((b"DATAFLOW", b"STRUCTURE")):
        return sdmx_csv.read(data, where=name)
    if start.startswith((eurostat_tsv.GZIP, b"freq,")):
        return eurostat_tsv.read(data, where=name, geo=geo, crops=crops)
    return _published(data, name=name)


def table_of(rows: pd.DataFrame, *, decimals: int) -> pd.DataFrame:
    """The published rows as they leave in a table format: hidden cells empty, then the area in Eurostat's unit."""
    shown = masked(rows)
    shown[VALUE] = (pd.to_numeric(shown[AREAS["OBS_VALUE"]]) / HECTARES).round(decimals)
    shown[UNIT] = measures()[AREA].unit
    if "strucpro" in shown:
        shown["strucpro"] = [current_strucpro(code) for code in shown["strucpro"]]
    return shown


def _table(rows: pd.DataFrame, format_: Format, about: Described, *, decimals: int) -> bytes:
    shown = table_of(rows, decimals=decimals)
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
    return shown.to_csv(index=False, lineterminator="\n").encode()


def _published(data: bytes, *, name: str) -> LongForm:
    """A file of `--format csv` or `parquet`, whole rows in ha."""
    try:
        rows = (
            pd.read_parquet(io.BytesIO(data)) if data.startswith(b"PAR1") else pd.read_csv(io.BytesIO(data), dtype=str)
        )
    except (ValueError, UnicodeDecodeError, OSError) as error:  # pandas' and Arrow's errors of a broken file
        raise InputError(
            f"is no file of crop statistics ({str(error).splitlines()[0]})", where=name, mend=_readable(name)
        ) from error
    missing = [column for column in ("season", *STATISTIC_COLUMNS) if column not in rows]
    if missing:
        raise InputError(f"lacks the columns {', '.join(missing[:5])}", where=name, mend=_readable(name))
    for column in (*HIDDEN, "nuts_version"):
        if column in rows:
            numbers = pd.to_numeric(rows[column], errors="coerce")
            if (numbers.isna() & rows[column].notna()).any():
                raise InputError(f"{column} is no number in some rows", where=name, mend="Export the table again")
            rows[column] = numbers
    versions = sorted(rows["nuts_version"].dropna().astype(int).unique().tolist()) if "nuts_version" in rows else []
    if len(versions) > 1:
        raise InputError(f"NUTS versions are mixed: {versions}", where=name, mend="One version per file")
    return long_form(rows, nuts_version=versions[0] if versions else None, where=name)


def _readable(name: str) -> str:
    kind = PurePath(name).suffix or "the file"
    return f"{kind} is none of Eurostat's TSV (also gzipped), SDMX-CSV, JSON-stat 2.0, CSV or Parquet of `stats export`"
