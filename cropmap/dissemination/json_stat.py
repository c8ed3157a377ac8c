"""JSON-stat 2.0: one dataset, values and flags by their place in the cube, as Eurostat's statistics service writes it.

A hidden or missing figure has no key in `value`. `status` holds OBS_FLAG in lower and CONF_STATUS in upper case.
(json-stat.org, full format specification, version 2.0.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypedDict

import numpy as np
import pandas as pd

from cropmap.dissemination import vocabulary
from cropmap.dissemination.long_form import DIMENSIONS, LongForm, positions, read_rows
from cropmap.dissemination.names import CONCEPT, ENGLISH, ENGLISH_ONLY, LABEL, TABLE, Names, named_lists
from cropmap.dissemination.registry import Wanted, Writer
from cropmap.errors import InputError

TIME: Final = "time"
NAMES: Final = dict(zip(DIMENSIONS, (*DIMENSIONS[:-1], TIME), strict=True))
"""JSON-stat's names: Eurostat calls TIME_PERIOD `time` here"""
LABELS: Final = {
    "freq": "Time frequency",
    "crops": "Crops",
    "strucpro": "Structure of production",
    "geo": "Geopolitical entity (reporting)",
    TIME: "Time",
}
CUBE_LIMIT: Final = 20_000_000
"""cells of a cube that is still unfolded: readers hold all of them in memory"""


def write(
    table: pd.DataFrame,
    *,
    label: str,
    source: str,
    updated: datetime | None,
    decimals: int,
    notes: Sequence[str] = (),
    names: Names = ENGLISH_ONLY,
    language: str = ENGLISH,
) -> bytes:
    """Labels are in the language. Raises InputError for a table whose cube would have more than CUBE_LIMIT cells."""
    codes = {name: sorted(set(table[name])) for name in DIMENSIONS}
    size = [len(codes[name]) for name in DIMENSIONS]
    if math.prod(size) > CUBE_LIMIT:
        raise InputError(
            f"the cube would have {math.prod(size):,} cells", where="json-stat", mend="Write fewer regions or seasons"
        )
    place = positions(table, DIMENSIONS)
    status = (table["OBS_FLAG"] + table["CONF_STATUS"]).tolist()
    used = sorted(set("".join(status)))
    document = {
        "version": "2.0",
        "class": "dataset",
        "label": label,
        "source": source,
        **({"updated": updated.strftime("%Y-%m-%dT%H:%M:%S%z")} if updated else {}),
        **({"note": list(notes)} if notes else {}),
        "value": {
            str(key): round(float(value), decimals)
            for key, value in zip(place, table["OBS_VALUE"], strict=True)
            if not math.isnan(value)
        },
        "status": {str(key): text for key, text in zip(place, status, strict=True) if text},
        "id": list(NAMES.values()),
        "size": size,
        "dimension": {NAMES[name]: _dimension(name, codes[name], names, language) for name in DIMENSIONS},
        "role": {TIME: [TIME], "geo": ["geo"]},
        "extension": {"unit": "1000 ha", "status": {"label": {code: _status(code, names, language) for code in used}}},
    }
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False).encode()


def _written(table: pd.DataFrame, wanted: Wanted) -> bytes:
    about = wanted.about
    names = about.names or ENGLISH_ONLY
    label = names.best(CONCEPT, TABLE, LABEL, language=about.language)
    return write(
        table,
        label=f"{label} (simulation)" if (table["COMMENT_OBS"] != "").any() else label,
        source=about.source,
        updated=about.updated,
        decimals=wanted.decimals,
        notes=[f"{word}: {text}" for word, text in about.notes],
        names=names,
        language=about.language,
    )


WRITERS: Final[Mapping[str, Writer]] = {"json-stat": _written}


def read(data: bytes, *, where: str) -> LongForm:
    """Raises InputError for a text that is no JSON-stat 2.0 dataset of this table."""
    document = _document(data, where=where)
    try:
        names, size = list(document["id"]), [int(length) for length in document["size"]]
        if set(names) != set(NAMES.values()):
            raise InputError(
                f"has the dimensions {', '.join(names)}", where=where, mend=f"Needed: {', '.join(NAMES.values())}"
            )
        if math.prod(size) > CUBE_LIMIT:
            raise InputError(f"the cube has {math.prod(size):,} cells", where=where, mend="Ask for fewer at a time")
        codes = [_codes(document["dimension"][name], length) for name, length in zip(names, size, strict=True)]
        values = _by_place(document["value"], math.prod(size))
        status = _by_place(document.get("status") or {}, math.prod(size))
        if not all(isinstance(value, int | float) for value in values.values()):
            raise InputError("a value is no number", where=where, mend="Missing values have no key, or are null")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"is no JSON-stat 2.0 dataset ({type(error).__name__}: {error})", where=where, mend="Ask for it again"
        ) from error
    places = sorted(set(values) | set(status))
    steps = np.unravel_index(np.array(places, dtype=np.int64), size)
    rows = pd.DataFrame(
        {name: np.array(code, dtype=object)[step] for name, code, step in zip(names, codes, steps, strict=True)}
    )
    rows = rows.rename(columns={TIME: "TIME_PERIOD"})
    rows["OBS_VALUE"] = np.array([values.get(place, np.nan) for place in places], dtype=float)
    table, left_out = read_rows(rows, flags=[str(status.get(place, "")) for place in places], lines=places, where=where)
    return LongForm(table, left_out)


class Category(TypedDict):
    index: dict[str, int]
    """code: its place"""
    label: dict[str, str]


class Dimension(TypedDict):
    label: str
    category: Category


def _dimension(name: str, codes: Sequence[str], names: Names, language: str) -> Dimension:
    """`name`: that of the long form."""
    words = named_lists().get(name, {})
    return {
        "label": names.best(CONCEPT, name, LABELS[NAMES[name]], language=language),
        "category": {
            "index": {code: place for place, code in enumerate(codes)},
            "label": {code: names.best(name, code, words.get(code, code), language=language) for code in codes},
        },
    }


def _status(code: str, names: Names, language: str) -> str:
    code_list = "CONF_STATUS" if code in vocabulary.CONF_STATUSES else "OBS_FLAG"
    return names.best(code_list, code, vocabulary.flag_meanings()[code], language=language)


def _document(data: bytes, *, where: str) -> Mapping[str, Any]:
    try:
        document = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:  # also what is no UTF-8
        raise InputError(f"is no JSON ({error})", where=where, mend="Ask for it again") from error
    if not isinstance(document, dict) or document.get("class") != "dataset" or document.get("version") != "2.0":
        raise InputError(
            "is no JSON-stat 2.0 dataset", where=where, mend='Needed: "version": "2.0", "class": "dataset"'
        )
    return document


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _codes(dimension: Mapping[str, Any], length: int) -> list[str]:
    """Codes in the order of the cube; `index` is a list, a mapping, or absent for a single code."""
    category = dimension["category"]
    index = category.get("index", list(category.get("label", {})))
    codes = list(index) if isinstance(index, list) else sorted(index, key=lambda code: int(index[code]))
    if len(codes) != length:
        raise ValueError(f"{len(codes)} codes where the size says {length}")
    return [str(code) for code in codes]


def _by_place(values: Any, cells: int) -> dict[int, Any]:
    """Values or statuses: a list over the whole cube, a mapping by place, or (status) one text for all."""
    if isinstance(values, str):
        return dict.fromkeys(range(cells), values)
    pairs = enumerate(values) if isinstance(values, list) else ((int(key), value) for key, value in values.items())
    known = {place: value for place, value in pairs if value is not None}
    if any(not 0 <= place < cells for place in known):
        raise ValueError("a place outside the cube")
    return known
