"""Releases compared: the flags that a stage adds, and the revisions.

A figure that is hidden in either release has no difference here, because the difference would reveal it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.dissemination.long_form import masked
from cropmap.schemas import HIDDEN_STATUSES, ReleaseStage, Revision

KEY: Final = ["nuts_id", "crop", "strucpro", "concept"]
ESTIMATED: Final = "e"
FORECAST: Final = "f"
PROVISIONAL: Final = "p"
REVISED: Final = "r"
SAME_HA: Final = 1e-9
"""areas that differ by less (10⁻⁵ m²) are the same figure"""


@dataclass(frozen=True)
class Revisions:
    table: pd.DataFrame
    """nuts_id, level, crop, strucpro, concept, previous_ha, estimate_ha, change_ha, change_share (of previous_ha),
    outside_interval (the new figure lies outside the previous 95 % interval; None where there is no interval), state
    (a Revision); by level, region and crop"""

    def summary(self) -> list[dict[str, float | None]]:
        """Per NUTS level: how many cells are in which state, and the size of revisions of those that both releases
        show: mean revision MR and mean absolute revision MAR (ha), relative mean absolute revision RMAR (share of the
        new figures), and the share of cells that left their previous interval. Indicator A6 of the ESS Guidelines for
        the Implementation of the ESS Quality and Performance Indicators (2014)."""
        return [
            {
                "level": int(part["level"].iloc[0]),
                **{str(state): int((part["state"] == state).sum()) for state in Revision},
            }
            | _sizes(part)
            for _, part in self.table.groupby("level")
        ]


def revisions(now: pd.DataFrame, before: pd.DataFrame) -> Revisions:
    """Two tables of one season (STATISTIC_COLUMNS), cell by cell."""
    wanted = [*KEY, "level", "estimate_ha", "ci95_low_ha", "ci95_high_ha", "conf_status"]
    joined = masked(before[wanted]).merge(
        masked(now[wanted]), on=KEY, how="outer", suffixes=("_before", ""), indicator=True
    )
    side = joined["_merge"]
    previous, current = _numbers(joined["estimate_ha_before"]), _numbers(joined["estimate_ha"])
    hidden = _hidden(joined["conf_status"]) | _hidden(joined["conf_status_before"])
    change = current - previous
    low, high = _numbers(joined["ci95_low_ha_before"]), _numbers(joined["ci95_high_ha_before"])
    state = np.select(
        [hidden, side == "left_only", side == "right_only", change.abs() <= SAME_HA],
        [Revision.CONFIDENTIAL, Revision.GONE, Revision.NEW, Revision.UNCHANGED],
        default=Revision.REVISED,
    )
    compared = (side == "both") & ~hidden
    known = compared & low.notna() & high.notna()
    outside = pd.Series(((current < low - SAME_HA) | (current > high + SAME_HA)), dtype=object).where(known, None)
    table = pd.DataFrame(
        {
            **{name: joined[name] for name in KEY},
            "level": joined["level"].fillna(joined["level_before"]).astype(int),
            "previous_ha": previous.mask(hidden),
            "estimate_ha": current.mask(hidden),
            "change_ha": change.where(compared),
            "change_share": (change / previous).where(compared & (previous > 0)),
            "outside_interval": outside,
            "state": [str(value) for value in state],
        }
    )
    columns = ["nuts_id", "level", "crop", "strucpro", "concept", *table.columns[5:]]
    return Revisions(table.sort_values(["level", "nuts_id", "crop"], kind="stable", ignore_index=True)[columns])


def with_stage(
    rows: pd.DataFrame, stage: ReleaseStage, *, before: pd.DataFrame | None = None, before_stage: str | None = None
) -> pd.DataFrame:
    """STATISTIC_COLUMNS with what the stage says in `obs_flag`: first f in place of e, provisional p beside what stands
    there, final r on a figure that differs from an earlier final release. Hidden cells have no flag."""
    out = rows[list(STATISTIC_COLUMNS)].reset_index(drop=True)
    flags = out["obs_flag"].astype(object).where(out["obs_flag"].notna(), "").astype(str)
    if stage == ReleaseStage.FIRST:
        bare = flags.str.replace(f"[{ESTIMATED}{FORECAST}]", "", regex=True)
        flags = FORECAST + bare
    elif stage == ReleaseStage.PROVISIONAL:
        flags = flags + PROVISIONAL
    elif before is not None and before_stage == ReleaseStage.FINAL:
        states = revisions(out, before).table.set_index(KEY)["state"]
        changed = states.reindex(pd.MultiIndex.from_frame(out[KEY])).to_numpy() == Revision.REVISED
        flags = flags + np.where(changed, REVISED, "")
    hidden = _hidden(out["conf_status"])
    return out.assign(obs_flag=flags.astype(object).mask(hidden | (flags == ""), None))


def _sizes(part: pd.DataFrame) -> dict[str, float | None]:
    compared = part[part["change_ha"].notna()]
    if compared.empty:
        return {"mr_ha": None, "mar_ha": None, "rmar": None, "outside_interval": None}
    change, total = compared["change_ha"], float(compared["estimate_ha"].sum())
    known = compared["outside_interval"].dropna()
    return {
        "mr_ha": float(change.mean()),
        "mar_ha": float(change.abs().mean()),
        "rmar": float(change.abs().sum()) / total if total > 0 else None,
        "outside_interval": float(known.astype(bool).mean()) if len(known) else None,
    }


def _numbers(column: pd.Series[Any]) -> pd.Series[float]:
    return pd.to_numeric(column).astype(float)


def _hidden(column: pd.Series[Any]) -> pd.Series[bool]:
    return column.isin(HIDDEN_STATUSES)
