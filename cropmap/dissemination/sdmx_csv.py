"""SDMX-CSV: 1.0 as Eurostat's SDMX 2.1 service writes it, and 2.0.

1.0 begins a row with DATAFLOW and Eurostat's LAST UPDATE, 2.0 with STRUCTURE, STRUCTURE_ID and ACTION. Both go on with
the dimensions, OBS_VALUE, OBS_FLAG and CONF_STATUS, then whatever attributes the table has. An empty OBS_VALUE is a
missing or hidden figure. (SDMX TWG, SDMX-CSV field guide 1.0 and 2.0.0.)
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.dissemination.long_form import ATTRIBUTES, COLUMNS, DIMENSIONS, FIGURES, LongForm, count, read_rows
from cropmap.dissemination.numbers import decimal_text, parse_numbers
from cropmap.dissemination.registry import Wanted, Writer
from cropmap.dissemination.sdmx_structure import dataflow_parts
from cropmap.dissemination.vocabulary import AREA, HECTARES, measures
from cropmap.errors import InputError
from cropmap.schemas import LeftOut

Version = Literal["1.0", "2.0"]
INFORMATION: Final = "I"
CV_DECIMALS: Final = 4
LABEL: Final = ": "
"""between a code and its label, in the header and in cells (SDMX-CSV field guide, `labels=both`)"""
OPTIONAL: Final = ("OBS_FLAG", "CONF_STATUS")
"""attributes that a table without flags or hidden figures does not have"""
FREE: Final = "F"
"""CONF_STATUS of a figure that is free for publication (SDMX CL_CONF_STATUS), which Eurostat leaves empty"""
UNITS: Final = ("UNIT_MEASURE", "UNIT", "unit")
HECTARE: Final = "HA"
MULTIPLIER: Final = "UNIT_MULT"
"""power of ten by which a figure is to be multiplied (SDMX CL_UNIT_MULT)"""
POWERS: Final = ("", *map(str, range(10)))
FIRST: Final = {"DATAFLOW": "1.0", "STRUCTURE": "2.0"}


def write(
    table: pd.DataFrame, *, version: Version, dataflow: str, updated: datetime | None = None, decimals: int
) -> bytes:
    """`dataflow`: agency:id(version), InputError for another form; `updated` is only written by 1.0."""
    dataflow_parts(dataflow)
    names = [*COLUMNS, *(name for name in ATTRIBUTES if name in table)]
    columns = [_column(table[name], name, decimals=decimals) for name in names]
    if version == "1.0":
        first = {"DATAFLOW": dataflow, "LAST UPDATE": updated.strftime("%d/%m/%y %H:%M:%S") if updated else ""}
    else:
        first = {"STRUCTURE": "dataflow", "STRUCTURE_ID": dataflow, "ACTION": INFORMATION}
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow([*first, *names])
    writer.writerows([*first.values(), *row] for row in zip(*columns, strict=True))
    return sink.getvalue().encode()


def _written(table: pd.DataFrame, wanted: Wanted, *, version: Version) -> bytes:
    about = wanted.about
    return write(table, version=version, dataflow=about.dataflow, updated=about.updated, decimals=wanted.decimals)


WRITERS: Final[Mapping[str, Writer]] = {
    "sdmx-csv": partial(_written, version="1.0"),
    "sdmx-csv-2": partial(_written, version="2.0"),
}


def read(data: bytes, *, where: str) -> LongForm:
    """Either version, by its first column. Broken lines are left out and counted; raises InputError for a file that is
    no SDMX-CSV of this table, or without one readable line."""
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot be read ({error})", where=where, mend="SDMX-CSV is UTF-8 text with commas") from error
    header, places = _header(lines, where=where)
    whole = [len(line) == len(header) for line in lines[1:]]
    left_out: dict[LeftOut, dict[str, int]] = {}
    numbers = range(2, len(lines) + 1)
    count(left_out, LeftOut.BROKEN_LINE, (f"line {n}" for n, fits in zip(numbers, whole, strict=True) if not fits))
    kept = [(n, line) for n, line, fits in zip(numbers, lines[1:], whole, strict=True) if fits]
    texts = {name: [_code(line[place], name) for _, line in kept] for name, place in places.items()}
    texts |= {name: [""] * len(kept) for name in OPTIONAL if name not in places}
    values, readable = parse_numbers(texts["OBS_VALUE"])
    count(left_out, LeftOut.NO_NUMBER, (f"line {kept[i][0]}" for i in np.flatnonzero(~readable)))
    rows = pd.DataFrame({**{name: texts[name] for name in DIMENSIONS}, "OBS_VALUE": values}, dtype=object)[readable]
    rows["OBS_VALUE"] = rows["OBS_VALUE"].astype(float) * _in_1000_ha(header, kept, texts["strucpro"], where)[readable]
    statuses = ["" if status == FREE else status for status in texts["CONF_STATUS"]]
    flags = [f"{flag}{status}" for flag, status in zip(texts["OBS_FLAG"], statuses, strict=True)]
    table, not_understood = read_rows(
        rows.reset_index(drop=True),
        flags=[flags[i] for i in np.flatnonzero(readable)],
        lines=[kept[i][0] for i in np.flatnonzero(readable)],
        where=where,
    )
    for reason, names in not_understood.items():
        count(left_out, reason, (name for name, times in names.items() for _ in range(times)))
    if lines[1:] and table.empty:
        counts = ", ".join(f"{reason}: {sum(names.values())}" for reason, names in left_out.items())
        raise InputError("no line can be read", where=where, mend=f"Left out: {counts}")
    return LongForm(table, left_out)


def _column(values: pd.Series, name: str, *, decimals: int) -> Sequence[str]:
    if name not in FIGURES:
        return [str(value) for value in values]
    return decimal_text(values.to_numpy(float), decimals=CV_DECIMALS if name == "CV" else decimals)


def _code(text: str, name: str) -> str:
    """Of a cell that was requested with `labels=both` (`C1110: Common wheat`), the code; a figure as it is."""
    return text if name == "OBS_VALUE" else text.partition(LABEL)[0]


def _in_1000_ha(
    header: Sequence[str], kept: Sequence[tuple[int, Sequence[str]]], strucpro: Sequence[str], where: str
) -> NDArray[np.float64]:
    """[kept] what turns an area into 1000 ha; 1 where nothing but its strucpro says the unit, and for other measures.

    Raises InputError for an area in another unit.
    """
    unit = next((header.index(name) for name in UNITS if name in header), None)
    multiplier = header.index(MULTIPLIER) if MULTIPLIER in header else None
    factors = np.ones(len(kept))
    if unit is None:
        return factors
    areas = measures()[AREA].unit
    for place, ((number, line), code) in enumerate(zip(kept, strucpro, strict=True)):
        measure, stated = measures().get(code), _code(line[unit], UNITS[0])
        if measure is None or measure.unit != areas or stated in ("", areas):
            continue
        power = _code(line[multiplier], MULTIPLIER) if multiplier is not None else ""
        if stated != HECTARE or power not in POWERS:
            raise InputError(
                f"the area is in {stated!r}{f' with {MULTIPLIER} {power!r}' if power else ''}",
                where=f"{where}, line {number}",
                mend=f"Ask for {areas} or {HECTARE}",
            )
        factors[place] = 10.0 ** int(power or 0) / HECTARES
    return factors


def _header(lines: Sequence[Sequence[str]], *, where: str) -> tuple[Sequence[str], dict[str, int]]:
    """The header without labels, and where it has each of COLUMNS."""
    header = [name.partition(LABEL)[0] for name in lines[0]] if lines else []
    missing = [name for name in COLUMNS if name not in header and name not in OPTIONAL]
    if not header or header[0] not in FIRST or missing:
        what = f"lacks the columns {', '.join(missing)}" if missing else "begins with neither DATAFLOW nor STRUCTURE"
        raise InputError(what, where=where, mend=f"Needed: DATAFLOW or STRUCTURE, {', '.join(COLUMNS)}")
    if "ACTION" in header:
        place = header.index("ACTION")
        other = {_code(line[place], "ACTION") for line in lines[1:] if len(line) == len(header)} - {
            INFORMATION,
            "A",
            "R",
        }
        if other:
            raise InputError(
                f"ACTION {sorted(other)[0]!r} is no figure", where=where, mend="Ask for the data, not for changes"
            )
    return header, {name: header.index(name) for name in COLUMNS if name in header}
