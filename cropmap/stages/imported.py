"""Observations that another system made, in place of scenes: a tidy table of parcel statistics into the store.

In: a Parquet file and the season's parcels. Out: one observation file per day, entered in the ledger as observed. Rows
that cannot be used are counted by reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, NotRequired, TypedDict

from cropmap.database import acquisitions as ledger
from cropmap.database import declarations as register
from cropmap.errors import InputError
from cropmap.observations.tidy import import_tidy
from cropmap.stages.context import SeasonContext

NUMERIC_IDS: Final = "parcel_id is a number in this file: compared as text, leading zeros cannot be recovered"


class ImportedObservations(TypedDict):
    file: str
    rows: int
    accepted: int
    rejected: Mapping[str, int]
    """rows by RowReject"""
    dates: int
    note: NotRequired[str]


def import_observations(context: SeasonContext, source: Path) -> ImportedObservations:
    """Takes in parcel statistics that another system made and enters them in the ledger as observed.

    Rows that cannot be used are counted by reason; the others are kept.
    """
    with context.connect() as connection:
        parcels, _ = register.read_register(connection, **context.key, folder=context.datasets)
    if parcels.empty:
        raise InputError(
            f"season {context.season.year} of {context.agency.agency} has no parcels",
            mend="Run `cropmap declarations load` (or `carry-forward`) first: rows of other parcels are not taken",
        )
    taken = import_tidy(
        context.store,
        source,
        agency=context.agency.agency,
        season=context.season,
        parcel_ids=parcels["parcel_id"].tolist(),
    )
    with context.connect() as connection:
        ledger.record_imported(connection, **context.key, objects=_imported(context, list(taken.names)))
    rejected = sum(taken.rejected.values())
    answer: ImportedObservations = {
        "file": str(source),
        "rows": taken.rows,
        "accepted": taken.rows - rejected,
        "rejected": taken.rejected,
        "dates": len(taken.names),
    }
    if taken.numeric_ids:
        answer["note"] = NUMERIC_IDS
    return answer


def _imported(context: SeasonContext, names: list[str]) -> list[ledger.ImportedObject]:
    objects = []
    for name in names:
        about = {key.decode(): value.decode() for key, value in context.store.read_schema(name).metadata.items()}
        objects.append(
            ledger.ImportedObject(
                item_id=about["item_id"],
                tile=about["tile"],
                object_name=name,
                sensed_at=datetime.fromisoformat(about["datetime"]),
            )
        )
    return objects
