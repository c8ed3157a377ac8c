"""The whole way of one parcel, from a row of a file to a published row, and the same once more to the same bits.

Reads what is stored; writes nothing. Where the parcel was lost on the way, it says where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict

import numpy as np
import pandas as pd

from cropmap.database import acquisitions as ledger
from cropmap.database import audit, history, queries
from cropmap.dataset.series import Series
from cropmap.errors import InputError
from cropmap.evidence.observations import USED, observation_table, use_in_words
from cropmap.observations.files import read_observations
from cropmap.observations.tidy import IMPORTED
from cropmap.provenance import code_version
from cropmap.results.judgement import finite, is_same, judgement_of
from cropmap.results.published import PublishedRun, open_published
from cropmap.schemas import AcquisitionStatus, AuditAction
from cropmap.stages.context import SeasonContext

IDENTICAL: Final = "identical"


@dataclass(frozen=True)
class Explanation:
    """A section per step, each JSON-like; what the parcel never reached is not there."""

    sections: Mapping[str, object]
    differences: tuple[str, ...]
    """between what was published and what the store gives now; empty where there is nothing to compare too"""
    is_kept: bool = False
    """what follows from all parcels was kept before a holding was erased, and is not computed again"""


class Seen(TypedDict):
    """An acquisition that could have shown the parcel."""

    sensed_at: datetime | None
    item_id: str
    clear_fraction: float | None
    """of the parcel; None where it was not seen"""
    ndvi: float | None
    fate: str
    """used, or in words why it was not"""


def explain(context: SeasonContext, parcel_id: str) -> Explanation:
    """Raises InputError for an id that no file of the season has named."""
    with context.connect() as connection:
        versions = history.declaration_versions(connection, **context.key, parcel_id=parcel_id)
        rejected = history.rejections_of(connection, **context.key, parcel_id=parcel_id)
        published = queries.published_seasons(connection, agency=context.agency.agency)
    if not versions and not rejected:
        raise InputError(
            f"no file of season {context.season.year} names parcel {parcel_id}",
            where="--parcel",
            mend="Leading zeros count; `cropmap season status` shows what is loaded",
        )
    with context.connect() as connection:
        audit.note(connection, **context.key, action=AuditAction.READ, subject="explain", parcel_ids=[parcel_id])
    sections: dict[str, object] = {
        "parcel": {**context.key, "parcel_id": parcel_id, "state": _state(versions, rejected)},
        "declarations": versions,
        "rejected rows": rejected,
    }
    if not versions or not any(row["season"] == context.season.year for row in published):
        return Explanation(sections, ())
    run = open_published(context)
    ids = run.data.series.parcel_ids
    place = int(np.searchsorted(ids, parcel_id))
    if place == len(ids) or ids[place] != parcel_id:
        return Explanation(sections | {"run": _run(run)}, ())
    return _judged(run, place, parcel_id, sections)


def _state(versions: Sequence[Mapping[str, Any]], rejected: Sequence[Mapping[str, Any]]) -> str:
    if not versions:
        return "rejected: " + ", ".join(sorted({row["reason"] for row in rejected}))
    return "declared" if versions[-1]["valid_to"] is None else f"withdrawn {versions[-1]['valid_to']:%Y-%m-%d}"


def _judged(run: PublishedRun, place: int, parcel_id: str, sections: dict[str, object]) -> Explanation:
    seen, series = _acquisitions(run, place, parcel_id), run.data.series.take(np.array([place]))
    judgement = judgement_of(run, place, parcel_id)
    differences = [*_series_differences(seen, series), *judgement.differences]
    rows, more = _published_rows(run, parcel_id)
    differences += more
    if differences and run.run.code_version != code_version():
        differences.append(f"the run was made by code {run.run.code_version}, this is {code_version()}")
    sections |= {
        "acquisitions": seen,
        "series": _series(series, seen),
        **judgement.sections,
        **rows,
        "list": _list(run),
        "run": _run(run),
    }
    return Explanation(sections | {"recomputed": differences or IDENTICAL}, tuple(differences), judgement.is_kept)


def _acquisitions(run: PublishedRun, place: int, parcel_id: str) -> list[Seen]:
    """Every acquisition that could have shown the parcel, and what became of it."""
    context, tile = run.context, run.data.parcels["home_tile"].iloc[place]
    with context.connect() as connection:
        entries = ledger.read_acquisitions(connection, **context.key)
    observed = [e for e in entries if e.status == AcquisitionStatus.OBSERVED and e.sensed_at]
    names = [item.name for item in run.season.objects(observed)]
    table = observation_table(
        read_observations(context.store, names, parcel_ids=[parcel_id]),
        season=context.season,
        min_clear_fraction=context.agency.observations.min_clear_fraction,
    )
    by_item = {row["item_id"]: row for row in table.to_dict("records")}
    rows: list[Seen] = []
    for entry in entries:
        seen = by_item.get(entry.item_id)
        if seen is None and entry.tile not in {tile, None, IMPORTED}:
            continue
        fate = use_in_words(seen["reject"], seen["clear_fraction"]) if seen else _unseen(entry, run)
        rows.append(
            {
                "sensed_at": entry.sensed_at,
                "item_id": entry.item_id,
                "clear_fraction": float(seen["clear_fraction"]) if seen else None,
                "ndvi": finite(seen["ndvi"]) if seen else None,
                "fate": fate,
            }
        )
    return rows


def _unseen(entry: ledger.LedgerEntry, run: PublishedRun) -> str:
    if entry.status == AcquisitionStatus.QUARANTINED:
        return f"quarantined, {entry.reason}: {entry.detail}"
    if entry.sensed_at and entry.sensed_at.date() > run.context.season.end:
        return f"after {run.context.season.end}, the run's last day"
    if entry.status == AcquisitionStatus.FOUND:
        return "not observed yet"
    return (
        "no row of the parcel in the imported table"
        if entry.tile == IMPORTED
        else "the parcel is outside its footprint"
    )


def _series(series: Series, seen: Sequence[Seen]) -> dict[str, object]:
    days = [str(np.datetime64(series.day_zero, "D") + int(day)) for day in series.day_of_year]
    fates = pd.Series([row["fate"].split(",")[0] for row in seen], dtype=object).value_counts()
    return {"length": len(days), "dates": days, "acquisitions by fate": {str(k): int(n) for k, n in fates.items()}}


def _series_differences(seen: Sequence[Seen], series: Series) -> list[str]:
    """What the files of the acquisitions say now must give the series that was built of them."""
    used = sorted(row["sensed_at"].date().isoformat() for row in seen if row["sensed_at"] and row["fate"] == USED)
    dates = [str(np.datetime64(series.day_zero, "D") + int(day)) for day in series.day_of_year]
    return [] if used == dates else [f"acquisitions used ({len(used)}) and series ({len(dates)} dates) disagree"]


def _published_rows(run: PublishedRun, parcel_id: str) -> tuple[dict[str, object], list[str]]:
    """The database's rows; and whether they say what the run's objects say."""
    with run.context.connect() as connection:
        row = queries.parcel(connection, **run.context.key, parcel_id=parcel_id, run_id=run.run.run_id)
    prediction, assessment = (row[what] if row else None for what in ("prediction", "assessment"))
    stored = run.predictions.table().set_index("parcel_id").loc[parcel_id]
    pairs = [("prediction", prediction, stored)]
    if parcel_id in run.assessments.index:
        pairs.append(("assessment", assessment, run.assessments.loc[parcel_id]))
    differences = []
    for what, there, here in pairs:
        if there is None:
            differences.append(f"no published {what}")
            continue
        names = [str(name) for name in here.index if name in there and name != "last_observation"]
        differences += [f"published {what}: {name}" for name in names if not is_same(there[name], here[name])]
    return {"published prediction": prediction, "published assessment": assessment}, differences


def _list(run: PublishedRun) -> dict[str, object]:
    wanted = ("flags", "target", "estimated_rate", "reliability", "assumption")
    return {name: getattr(run.report, name) for name in wanted if name in run.report.model_fields_set}


def _run(run: PublishedRun) -> dict[str, object]:
    r = run.run
    return {
        "run_id": r.run_id,
        "as_of": r.as_of,
        "published_at": run.published_at,
        "model": r.model_version,
        "code": r.code_version,
        "code now": code_version(),
    }
