"""Eurostat's TSV: one line per series, one column per year, a blank between a value and its flags.

`freq,crops,strucpro,geo\\TIME_PERIOD` heads the first column; `:` is not available, `: c` confidential. Files until
January 2025 hold confidentiality among the flags (`c`, `cd`), later ones apart (`C`); both are read, as are the
strucpro names before and after 2025. Written is `c`, which every reader of the format knows. (Eurostat, API FAQ, TSV
data format; Bulk download guidelines, 2019.)
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cropmap.dissemination.long_form import DIMENSIONS, LongForm, count, positions, read_rows
from cropmap.dissemination.numbers import decimal_text
from cropmap.dissemination.registry import Wanted, Writer
from cropmap.dissemination.vocabulary import ANNUAL, GEO
from cropmap.errors import InputError
from cropmap.schemas import LeftOut

KEY: Final = DIMENSIONS[:-1]
HEAD: Final = "freq,crops,strucpro,geo\\TIME_PERIOD"
GZIP: Final = b"\x1f\x8b"
CELL: Final = r"^ *(?P<value>:|-?[0-9]+(?:\.[0-9]+)?) *(?P<flags>[A-Za-z@]*) *$"
LEGACY_CONFIDENTIAL: Final = {"C": "c"}


def write(table: pd.DataFrame, *, decimals: int) -> bytes:
    """Series sorted by their key, years ascending; what the table does not have is `:`."""
    texts = decimal_text(table["OBS_VALUE"].to_numpy(float), decimals=decimals)
    status = [LEGACY_CONFIDENTIAL.get(code, code) for code in table["CONF_STATUS"]]
    _, first, line = np.unique(positions(table, KEY), return_index=True, return_inverse=True)
    column, years = pd.factorize(table["TIME_PERIOD"], sort=True)
    cells = np.full((len(first), len(years)), ": ", dtype=object)
    cells[line, column] = [f"{text or ':'} {c}{f}" for text, c, f in zip(texts, status, table["OBS_FLAG"], strict=True)]
    keys = table[list(KEY)].iloc[first].itertuples(index=False)
    lines = ["\t".join([HEAD, *(f"{year} " for year in years)])]
    lines += ["\t".join([",".join(key), *row]) for key, row in zip(keys, cells, strict=True)]
    return ("\n".join(lines) + "\n").encode()


def _written(table: pd.DataFrame, wanted: Wanted) -> bytes:
    return write(table, decimals=wanted.decimals)


WRITERS: Final[Mapping[str, Writer]] = {"tsv": _written}


def read(
    data: bytes, *, where: str, geo: Collection[str] | None = None, crops: Collection[str] | None = None
) -> LongForm:
    """A file as it is or gzipped, annual series; only regions `geo` and items `crops` where they are given.

    Cells without value and flag are not in the table. Lines and cells that cannot be read are left out, counted by
    line; raises InputError for a file that is no such TSV or has no readable line.
    """
    lines = _text(data, where=where).split("\n")
    years = _years(lines[0], where=where)
    left_out: dict[LeftOut, dict[str, int]] = {}
    kept: dict[tuple[str, ...], tuple[int, list[str]]] = {}
    broken, twice, readable = [], [], 0
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        key, *cells = line.rstrip("\r").split("\t")
        codes = tuple(key.split(","))
        if len(codes) != len(KEY) or len(cells) != len(years) or not GEO.fullmatch(codes[3]):
            broken.append(f"line {number}")
        elif codes in kept:
            twice.append(f"line {number}")
        else:
            readable += 1
            if codes[0] == ANNUAL and (geo is None or codes[3] in geo) and (crops is None or codes[1] in crops):
                kept[codes] = number, cells
    count(left_out, LeftOut.BROKEN_LINE, broken)
    count(left_out, LeftOut.SERIES_TWICE, twice)
    if not readable:
        raise InputError("no line can be read", where=where, mend=f"A line begins like {HEAD.split(chr(92))[0]}")
    table, not_understood = _long(kept, years, left_out, where=where)
    for reason, names in not_understood.items():
        count(left_out, reason, (name for name, times in names.items() for _ in range(times)))
    return LongForm(table, left_out)


def _text(data: bytes, *, where: str) -> str:
    try:
        return (gzip.decompress(data) if data.startswith(GZIP) else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", where=where, mend="Download it again") from error


def _years(header: str, *, where: str) -> list[str]:
    head, *years = header.rstrip("\r").split("\t")
    years = [year.strip() for year in years]
    if head.strip() != HEAD or not years or not all(len(year) == 4 and year.isdecimal() for year in years):
        raise InputError(
            f"the first line begins {header[:60]!r}",
            where=where,
            mend=f"Needed is the annual TSV of apro_cpshr or apro_cpsh1, which begins {HEAD} and goes on with years",
        )
    if len(set(years)) < len(years):
        raise InputError("a year is there twice", where=f"{where}, line 1", mend="Download it again")
    return years


def _long(
    kept: dict[tuple[str, ...], tuple[int, list[str]]],
    years: list[str],
    left_out: dict[LeftOut, dict[str, int]],
    *,
    where: str,
) -> tuple[pd.DataFrame, dict[LeftOut, dict[str, int]]]:
    cells = pa.array([cell for _, row in kept.values() for cell in row], pa.string())
    parts = pc.extract_regex(cells, CELL)
    understood = np.asarray(parts.is_valid())
    lines = np.repeat(np.array([number for number, _ in kept.values()], dtype=np.int64), len(years))
    count(left_out, LeftOut.NO_NUMBER, (f"line {lines[place]}" for place in np.flatnonzero(~understood)))
    value, flags = _texts(parts, "value"), _texts(parts, "flags")
    place = np.flatnonzero(understood & ~((value == ":") & (flags == "")))
    keys = np.array(list(kept), dtype=object).reshape(len(kept), len(KEY))[place // len(years)]
    rows = pd.DataFrame(
        {
            **{name: keys[:, i] for i, name in enumerate(KEY)},
            "TIME_PERIOD": np.array(years, dtype=object)[place % len(years)],
            "OBS_VALUE": np.where(value[place] == ":", "nan", value[place]).astype(float),
        }
    )
    return read_rows(rows, flags=flags[place].tolist(), lines=lines[place].tolist(), where=where)


def _texts(parts: pa.StructArray, name: str) -> NDArray[Any]:
    return np.asarray(pc.fill_null(pc.struct_field(parts, name), "").to_pandas(), dtype=object)
