"""The long form: one row per figure, as SDMX has it, from which every coded format is written.

Columns: the dimensions `freq, crops, strucpro, geo, TIME_PERIOD`, then `OBS_VALUE` (1000 ha, NaN where there is none),
`OBS_FLAG` and `CONF_STATUS` (text, empty where there is none), then attributes that only some formats hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.dissemination import vocabulary
from cropmap.dissemination.vocabulary import ANNUAL, CONF_STATUSES, HECTARES
from cropmap.errors import InputError
from cropmap.schemas import HIDDEN_STATUSES, LeftOut
from cropmap.statistics.confidentiality import HIDDEN
from cropmap.statistics.crops import LOCAL

DIMENSIONS: Final = ("freq", "crops", "strucpro", "geo", "TIME_PERIOD")
MEASURED: Final = ("OBS_VALUE", "OBS_FLAG", "CONF_STATUS")
COLUMNS: Final = (*DIMENSIONS, *MEASURED)
AREAS: Final = {"OBS_VALUE": "estimate_ha", "STD_ERR": "se_ha", "CI95_LOW": "ci95_low_ha", "CI95_HIGH": "ci95_high_ha"}
ATTRIBUTES: Final = ("UNIT_MEASURE", "CONCEPT", "BASIS", "STD_ERR", "CI95_LOW", "CI95_HIGH", "CV", "COMMENT_OBS")
"""STD_ERR and the interval in 1000 ha, CV a share of the value; COMMENT_OBS says SIMULATION or nothing"""
FIGURES: Final = ("OBS_VALUE", "STD_ERR", "CI95_LOW", "CI95_HIGH", "CV")
DECIMALS: Final = 5
"""1000 ha with five decimals is 0.01 ha, as parcels are declared"""
NOT_SIGNIFICANT: Final = "n"
SIMULATION: Final = "simulation: nothing here was observed or declared"
YEAR: Final = "[0-9]{4}"
DIFFERS: Final = "d"
"""flag of a simulated figure where a format has no room for words: definition differs"""


@dataclass(frozen=True)
class LongForm:
    table: pd.DataFrame
    """COLUMNS, and ATTRIBUTES where they are known; sorted by DIMENSIONS, each combination once"""
    left_out: Mapping[LeftOut, Mapping[str, int]] = field(default_factory=dict)
    """reason -> what (a crop, a line) -> number of rows that are not in the table"""

    @property
    def rows_left_out(self) -> int:
        return sum(sum(names.values()) for names in self.left_out.values())


def masked(rows: pd.DataFrame) -> pd.DataFrame:
    """Published rows (STATISTIC_COLUMNS and more) with one mask for all figures of a cell that is not to be shown.

    In the published table these figures are empty already; the mask is applied again to everything that is written.
    """
    shown = rows.copy()
    hidden = shown["conf_status"].isin(HIDDEN_STATUSES).to_numpy()
    for column in (*HIDDEN, "obs_flag", "basis"):
        if column in shown and hidden.any():
            shown[column] = shown[column].astype(object).mask(hidden, None)
    return shown


def long_form(rows: pd.DataFrame, *, nuts_version: int | None, decimals: int = DECIMALS, where: str = "") -> LongForm:
    """Published rows of one season or several, in Eurostat's codes.

    `rows`: season and STATISTIC_COLUMNS (areas in ha). Crops without an item of their own (`local:…`, sums such as
    C1500+G3000), items that the code list does not have, and regions that the register covers in part
    (`partial_region`) are left out, counted by name. What is simulated (`simulated`) says so in COMMENT_OBS, and by
    flag d where a figure is shown. Raises InputError for a region of another NUTS version, an unknown strucpro or flag,
    and a figure that is there twice.
    """
    shown = masked(rows)
    kept, left_out = _with_item(shown)
    kept = _whole(kept, left_out)
    simulated = marked(kept, "simulated")
    regions = _words(kept["nuts_id"])
    vocabulary.check_regions(regions, nuts_version=nuts_version, where=where)
    table = pd.DataFrame(
        {
            "freq": ANNUAL,
            "crops": _words(kept["crop"]),
            "strucpro": [vocabulary.current_strucpro(code, where=where) for code in _words(kept["strucpro"])],
            "geo": regions,
            "TIME_PERIOD": _words(kept["season"]),
            **{name: pd.to_numeric(kept[source]) / HECTARES for name, source in AREAS.items()},
            "OBS_FLAG": _texts(
                _flag(text if not (made_up and value == value) or DIFFERS in text else text + DIFFERS, where=where)
                for text, made_up, value in zip(
                    _words(kept["obs_flag"]), simulated, pd.to_numeric(kept["estimate_ha"]).astype(float), strict=True
                )
            ),
            "CONF_STATUS": _texts(_status(text, where=where) for text in _words(kept["conf_status"])),
            "UNIT_MEASURE": vocabulary.measures()[vocabulary.AREA].unit,
            "CONCEPT": _words(kept["concept"]),
            "BASIS": _words(kept["basis"]),
            "CV": pd.to_numeric(kept["cv"]),
            "COMMENT_OBS": np.where(simulated, SIMULATION, ""),
        }
    )[[*COLUMNS, *ATTRIBUTES]]
    return LongForm(ordered(rounded(table, decimals=decimals), where=where), left_out)


def rounded(table: pd.DataFrame, *, decimals: int) -> pd.DataFrame:
    """Areas with so many decimals; what is rounded to 0 has flag n, unlike a true zero."""
    out = table.copy()
    present = [name for name in FIGURES if name in out and name != "CV"]
    out[present] = out[present].astype(float).round(decimals) + 0.0  # no -0.0
    vanished = (table["OBS_VALUE"] != 0) & (out["OBS_VALUE"] == 0)
    flags = out["OBS_FLAG"]
    out["OBS_FLAG"] = flags.where(~vanished | flags.str.contains(NOT_SIGNIFICANT), flags + NOT_SIGNIFICANT)
    return out


def ordered(table: pd.DataFrame, *, where: str = "") -> pd.DataFrame:
    """Sorted by DIMENSIONS as bytes sort. Raises InputError where two rows are the same figure."""
    place = positions(table, DIMENSIONS)
    order = np.argsort(place, kind="stable")
    twice = order[1:][np.diff(place[order]) == 0]
    if len(twice):
        example = ", ".join(table.iloc[int(twice[0])][list(DIMENSIONS)])
        raise InputError(
            f"{len(twice)} figures are there twice, the first is {example}",
            where=where,
            mend="Keep one of them: one agency, one run, one file",
        )
    return table.iloc[order].reset_index(drop=True)


def positions(table: pd.DataFrame, names: Sequence[str]) -> NDArray[np.int64]:
    """[rows]: the position of each row in the cube of the sorted codes of `names`, the last name varying fastest."""
    place = np.zeros(len(table), dtype=np.int64)
    for name in names:
        codes, distinct = pd.factorize(table[name], sort=True)
        place = place * max(len(distinct), 1) + codes
    return place


def read_rows(
    rows: pd.DataFrame, *, flags: Sequence[str], lines: Iterable[int], where: str
) -> tuple[pd.DataFrame, dict[LeftOut, dict[str, int]]]:
    """COLUMNS of a file in the current codes: strucpro renamed, flags split into OBS_FLAG and CONF_STATUS.

    `rows`: DIMENSIONS and OBS_VALUE; `flags`: whatever the file said of each; `lines`: where each stands. Rows with an
    unknown strucpro or flag, of no year, and with a value beyond all numbers are left out and counted; a hidden cell
    loses the value that it should not have.
    """
    known = {name: row.code for name, row in vocabulary.measures().items()}
    measure = rows["strucpro"].map(known)
    codes, texts = pd.factorize(np.array(flags, dtype=object))
    split = [vocabulary.split_flags(text) for text in texts]
    understood = np.array([pair is not None for pair in split], dtype=bool)[codes]
    left_out: dict[LeftOut, dict[str, int]] = {}
    count(left_out, LeftOut.UNKNOWN_STRUCPRO, rows.loc[measure.isna(), "strucpro"])
    line_numbers = list(lines)
    yearly = ((rows["freq"] == ANNUAL) & rows["TIME_PERIOD"].astype(str).str.fullmatch(YEAR)).to_numpy(bool)
    finite = ~np.isinf(rows["OBS_VALUE"].to_numpy(float))
    for reason, fits in ((LeftOut.BROKEN_LINE, yearly), (LeftOut.NO_NUMBER, finite)):
        count(left_out, reason, (f"line {line_numbers[place]}" for place in np.flatnonzero(~fits).tolist()))
    bad = (f"line {line_numbers[place]}: {flags[place]}" for place in np.flatnonzero(~understood).tolist())
    count(left_out, LeftOut.UNKNOWN_FLAG, bad)
    parts = np.array([pair or ("", "") for pair in split], dtype=object).reshape(-1, 2)[codes]
    out = rows.assign(strucpro=measure, OBS_FLAG=parts[:, 0], CONF_STATUS=parts[:, 1])
    out = out[understood & yearly & finite & measure.notna().to_numpy()]
    out["OBS_VALUE"] = out["OBS_VALUE"].mask(out["CONF_STATUS"].isin(HIDDEN_STATUSES))
    return ordered(out[list(COLUMNS)], where=where), left_out


def count(into: dict[LeftOut, dict[str, int]], reason: LeftOut, names: Iterable[str]) -> None:
    """Adds to the counts of a reason; a reason without a name does not appear."""
    counts = Counter(names)
    if counts:
        into[reason] = {**into.get(reason, {}), **counts}


def _with_item(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[LeftOut, dict[str, int]]]:
    crops = _words(rows["crop"])
    own = crops.str.startswith(LOCAL) | crops.str.contains("+", regex=False)
    unknown = ~own & ~crops.isin(vocabulary.crop_items().keys())
    left_out: dict[LeftOut, dict[str, int]] = {}
    count(left_out, LeftOut.NO_ITEM_OF_ITS_OWN, crops[own])
    count(left_out, LeftOut.UNKNOWN_CROP, crops[unknown])
    return rows[~(own | unknown)], left_out


def marked(rows: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    """[rows] a mark (`simulated`, `partial_region`) as a table or a file of it has it; False where there is none."""
    if name not in rows:
        return np.zeros(len(rows), dtype=bool)
    return np.array([str(value).lower() == "true" for value in rows[name]], dtype=bool)


def _whole(rows: pd.DataFrame, left_out: dict[LeftOut, dict[str, int]]) -> pd.DataFrame:
    partial = marked(rows, "partial_region")
    count(left_out, LeftOut.PARTIAL_REGION, _words(rows["nuts_id"])[partial])
    return rows[~partial]


def _texts(values: Iterable[str]) -> NDArray[np.object_]:
    """Text also where there is none at all, which pandas would take for numbers."""
    return np.array(list(values), dtype=object)


def _words(values: pd.Series[Any]) -> pd.Series[str]:
    return values.astype(object).where(values.notna(), "").astype(str)


def _status(text: str, *, where: str) -> str:
    if text and text not in CONF_STATUSES:
        raise InputError(f"CONF_STATUS {text!r} is not known", where=where, mend="Known are: C, N, P")
    return text


def _flag(text: str, *, where: str) -> str:
    split = vocabulary.split_flags(text)
    if split is None or split[1]:
        raise InputError(
            f"OBS_FLAG {text!r} is not known", where=where, mend=f"Known are: {', '.join(vocabulary.flag_meanings())}"
        )
    return split[0]
