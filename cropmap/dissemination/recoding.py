"""Conversion of a table from one NUTS version to another, with given weights.

Input: published rows and a table of weights. Output: the same rows for the regions of the other version. A region
that was merged or divided has flag b, and its areas are weighted sums. Weights are the share of a region's crop area
that goes to each new region; a share of the whole surface is an approximation for crops that are spread evenly.
"""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from cropmap.dissemination.compare import BREAK
from cropmap.dissemination.vocabulary import check_regions
from cropmap.errors import InputError
from cropmap.schemas import Basis
from cropmap.statistics.confidentiality import CONFIDENTIAL, HIDDEN
from cropmap.statistics.precision import precision

Weights = Mapping[str, Mapping[str, float]]
"""old region -> new region -> share of the old one, adding up to 1"""
SHARES: Final = ("share", "share_of_from_area")
ADDED: Final = ("declared_ha", "mapped_ha", "estimate_ha", "se_ha", "ci95_low_ha", "ci95_high_ha")
"""of standard errors and bounds the sum is what fully correlated errors have: never too narrow"""
ROUNDING: Final = 0.005
KEPT: Final = ("agency", "season", "as_of", "run_id", "level", "crop", "strucpro", "concept")


def read_weights(data: bytes, *, from_version: int, to_version: int, where: str) -> Weights:
    """CSV: from_version, to_version, from_code, to_code, share (or share_of_from_area). Raises InputError where shares
    are no numbers, do not add up to 1, or lead to a region of another version."""
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot be read ({error})", where=where, mend="Save it as CSV in UTF-8") from error
    names = set(rows[0]) if rows else set()
    column = next((name for name in SHARES if name in names), None)
    if column is None or not {"from_version", "to_version", "from_code", "to_code"} <= names:
        raise InputError(
            "is no table of weights", where=where, mend="Needed: from_version, to_version, from_code, to_code, share"
        )
    weights: dict[str, dict[str, float]] = defaultdict(dict)
    for number, row in enumerate(rows, start=2):
        if (row["from_version"], row["to_version"]) != (str(from_version), str(to_version)):
            continue
        try:
            share = float(row[column])
        except (TypeError, ValueError):
            share = math.nan
        if not (row["from_code"] and row["to_code"]):
            raise InputError("has no code", where=f"{where}, line {number}", mend="One from_code and to_code per line")
        if not 0 <= share <= 1 or row["to_code"] in weights[row["from_code"]]:
            raise InputError(
                f"{row['from_code']} to {row['to_code']}: {row[column]!r} is no share, or is there twice",
                where=f"{where}, line {number}",
                mend="One share from 0 to 1 per pair",
            )
        weights[row["from_code"]][row["to_code"]] = share
    if not weights:
        raise InputError(f"has no weights from NUTS {from_version} to {to_version}", where=where, mend="Declare them")
    for code, shares in weights.items():
        if abs(sum(shares.values()) - 1) > ROUNDING:
            raise InputError(
                f"the shares of {code} add up to {sum(shares.values()):.3f}", where=where, mend="Make it 1"
            )
    check_regions({code for shares in weights.values() for code in shares}, nuts_version=to_version, where=where)
    return weights


def recode(rows: pd.DataFrame, weights: Weights, *, to_version: int) -> pd.DataFrame:
    """Published rows with the regions of `to_version`, sorted as before.

    Regions without weights keep their row. A new region that takes from a hidden cell is hidden; numbers of parcels and
    holdings of cut regions are not known. Raises InputError where a region of another version has no weights.
    """
    out: list[Mapping[str, Any]] = []
    parts: dict[tuple[Any, ...], list[tuple[float, Mapping[str, Any]]]] = defaultdict(list)
    for row in rows.to_dict("records"):
        if row["nuts_id"] not in weights:
            out.append({str(name): value for name, value in row.items()} | {"nuts_version": to_version})
            continue
        for code, share in weights[row["nuts_id"]].items():
            if share > 0:
                parts[(code, *(row[name] for name in KEPT))].append((share, {str(k): v for k, v in row.items()}))
    out += [{**_joined(key[0], group), "nuts_version": to_version} for key, group in parts.items()]
    table = pd.DataFrame(out, columns=list(rows.columns))
    check_regions(table["nuts_id"], nuts_version=to_version, where="--recode-to")
    return table.sort_values(["nuts_id", "crop", "strucpro", "concept"], kind="stable", ignore_index=True)


def _joined(code: str, parts: Sequence[tuple[float, Mapping[str, Any]]]) -> Mapping[str, Any]:
    first = parts[0][1]
    row: dict[str, Any] = {**first, "nuts_id": code, **dict.fromkeys(HIDDEN)}
    if any(not pd.isna(part["conf_status"]) for _, part in parts):
        return row | {"conf_status": CONFIDENTIAL, "obs_flag": None, "basis": None}
    for name in ADDED:
        values = [share * part[name] for share, part in parts if not pd.isna(part[name])]
        row[name] = sum(values) if len(values) == len(parts) else None
    if row["estimate_ha"] is not None and row["se_ha"] is not None:
        cv, _ = precision(np.array([row["estimate_ha"]], float), np.array([row["se_ha"]], float))
        row["cv"] = None if np.isnan(cv[0]) else float(cv[0])
    bases = {part["basis"] for _, part in parts}
    cut = any(share < 1 for share, _ in parts)
    letters = "".join(part["obs_flag"] for _, part in parts if isinstance(part["obs_flag"], str))
    if "partial_region" in row:
        row["partial_region"] = any(bool(part["partial_region"]) for _, part in parts)
    return row | {
        "basis": str(Basis.SYNTHETIC) if cut or len(bases) > 1 else bases.pop(),
        "obs_flag": "".join(sorted({*letters, BREAK})),
    }
