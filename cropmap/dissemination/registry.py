"""The formats of published statistics: one line each, with the module beside this one that writes it.

To add a format, write its module with a `Writer` under the format's name in WRITERS, add its line to FORMATS, and run
`make docs`. The command line reads this module, so neither pandas nor a writer is loaded here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal, Protocol

from cropmap.errors import InputError
from cropmap.schemas import CsvDialect

if TYPE_CHECKING:
    import pandas as pd

    from cropmap.dissemination.names import Names


@dataclass(frozen=True)
class Format:
    module: str
    content: str
    """what a file holds, a clause of `docs/export-formats.md`"""
    opens_with: str
    coded: bool = False
    """True: the long form, in Eurostat's codes and 1000 ha. False: every published row and column, in ha"""
    binary: bool = False
    """no text: it is not shown in a terminal"""

    @property
    def figures(self) -> str:
        return "Eurostat's codes, 1000 ha" if self.coded else "names of `crop_statistic`, ha"


EVERY_ROW: Final = "every published row and column"
FORMATS: Final[Mapping[str, Format]] = {
    "csv": Format("rows", EVERY_ROW, "any program"),
    "parquet": Format("rows", EVERY_ROW, "pandas, R, DuckDB, QGIS", binary=True),
    "xlsx": Format(
        "workbook",
        f"{EVERY_ROW} on sheet `statistics`; agency, run, units and the meaning of codes on sheet `notes`",
        "Excel, LibreOffice",
        binary=True,
    ),
    "json": Format("rows", EVERY_ROW, "any program"),
    "sdmx-csv": Format(
        "sdmx_csv",
        "SDMX-CSV 1.0 with the columns of Eurostat's service (`DATAFLOW`, `LAST UPDATE`, …)",
        "SDMX tools, any reader of CSV",
        coded=True,
    ),
    "sdmx-csv-2": Format(
        "sdmx_csv", "SDMX-CSV 2.0 (`STRUCTURE`, `STRUCTURE_ID`, `ACTION`, …)", "sdmx1, SDMX 3.0 tools", coded=True
    ),
    "sdmx-ml": Format("sdmx_ml", "SDMX-ML 2.1, generic data message", "sdmx1, pysdmx, rsdmx, SDMX tools", coded=True),
    "sdmx-ml-structured": Format(
        "sdmx_ml",
        "SDMX-ML 2.1, structure-specific data message; readers need the structure (`stats structure`)",
        "sdmx1, pysdmx, SDMX tools",
        coded=True,
    ),
    "sdmx-json": Format(
        "sdmx_json", "SDMX-JSON 1.0, data message with its codes", "a browser, SDMX 2.1 tools", coded=True
    ),
    "sdmx-json-2": Format(
        "sdmx_json", "SDMX-JSON 2.0, data message with its codes", "a browser, SDMX 3.0 tools", coded=True
    ),
    "json-stat": Format(
        "json_stat", "JSON-stat 2.0, one dataset; no standard errors", "pyjstat, rjstat, a browser", coded=True
    ),
    "tsv": Format(
        "eurostat_tsv",
        "Eurostat's TSV: one line per series, one column per year; no standard errors",
        "Eurostat's own tools and packages",
        coded=True,
    ),
}
if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(FORMATS)]  # what the command line offers

DATAFLOW: Final = "CROPMAP:CROP_AREA(1.0)"


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
    names: Names | None = None
    """of codes, in the languages of the agency; None: English alone"""
    language: str = "en"
    """in which a format speaks that has room for one"""


@dataclass(frozen=True)
class Wanted:
    """How a table is to be written; a writer takes from it what its format has."""

    about: Described
    decimals: int
    """of areas in 1000 ha"""
    dialect: CsvDialect


class Writer(Protocol):
    """The table of `formats.table_of`, or the long form where the format is coded, as the bytes of a file."""

    def __call__(self, table: pd.DataFrame, wanted: Wanted, /) -> bytes: ...


def find_format(name: str) -> Format:
    """Raises InputError for a name that is not registered."""
    if name not in FORMATS:
        raise InputError("is no format of statistics", where=name, mend=f"Known: {', '.join(FORMATS)}")
    return FORMATS[name]


def find_writer(name: str) -> Writer:
    """The one that the format's module has. Raises InputError as `find_format`."""
    writers: Mapping[str, Writer] = import_module(f"{__package__}.{find_format(name).module}").WRITERS
    return writers[name]
