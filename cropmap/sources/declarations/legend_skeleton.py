"""A legend to fill in, from the codes that a declarations file uses. In: codes and names with rows and area, and what
is known of them. Out: a table with the columns of a legend, the largest area first; what is unknown stays empty.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from cropmap.legends import COLUMNS, OPTIONAL, Legend, LegendEntry
from cropmap.legends.hcat3 import crops, eurostat_code
from cropmap.legends.matching import Matcher
from cropmap.sources.declarations.crop_codes import find_codes

SKELETON: Final = (*COLUMNS, *OPTIONAL, "rows", "area_ha")
"""a legend's columns, and two that it ignores: they say what to fill in first"""


def legend_skeleton(codes: pd.DataFrame, known: Legend | None) -> pd.DataFrame:
    """`codes`: crop_code, crop_name (None where the file has none), rows, area_ha, one row per code.

    `known` knows codes or names: made from a country's code list, or built in. Other names are looked up among the
    harmonised crops (HCAT3) that are known here by their English names.
    """
    hits = find_codes(codes["crop_code"], codes["crop_name"], known).code if known else [None] * len(codes)
    english = Matcher((crop.crop, code) for code, crop in crops().items() if crop.crop)
    rows = []
    for code, name, hit in zip(codes["crop_code"], codes["crop_name"], hits, strict=True):
        entry = known.by_code[hit] if known and isinstance(hit, str) else _by_name(name or code, english)
        filled = (
            {
                "crop": entry.crop,
                "eurostat_code": entry.eurostat_code,
                "hcat3_code": entry.hcat3_code,
                "hcat3_name": entry.hcat3_name,
                "inseparable_group": entry.inseparable_group if entry.inseparable_group != entry.crop else None,
            }
            if entry
            else {}
        )
        rows.append({"crop_code": code, "crop_name": name or (entry.crop_name if entry else None), **filled})
    table = pd.DataFrame(rows, columns=list(SKELETON), dtype=object)
    table["rows"], table["area_ha"] = codes["rows"].to_numpy(), codes["area_ha"].round(2).to_numpy()
    return table.sort_values(["area_ha", "crop_code"], ascending=[False, True], ignore_index=True)


def _by_name(name: Any, english: Matcher) -> LegendEntry | None:
    code = english.find(str(name)).code
    if code is None:
        return None
    crop = crops()[code].crop
    return LegendEntry(str(name), str(name), crop, eurostat_code(code), crop, code, None)
