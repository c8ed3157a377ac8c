"""The ledger of acquisitions for a person: what stands where and why, and what is to be tried again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TypedDict

from cropmap.database import acquisitions as ledger
from cropmap.errors import ConfigurationError
from cropmap.schemas import AcquisitionStatus, QuarantineReason
from cropmap.stages.context import SeasonContext
from cropmap.stages.ingest import own_name


class AcquisitionRow(TypedDict):
    item_id: str
    tile: str | None
    sensed_at: datetime | None
    baseline: str | None
    """processing baseline"""
    status: str
    """an AcquisitionStatus"""
    reason: str | None
    """a QuarantineReason or an AcquisitionWarning"""
    detail: str | None
    offset_correction: float | None
    """reflectance that was added to what the item's offset gives; None for most"""


class Retried(TypedDict):
    due_again: list[str]
    """names of acquisitions"""
    left_to_the_catalogue: list[str]


def list_acquisitions(
    context: SeasonContext,
    *,
    status: AcquisitionStatus | None = None,
    reason: str | None = None,
    tile: str | None = None,
) -> list[AcquisitionRow]:
    """One row per acquisition by time of sensing; `reason` is a QuarantineReason or an AcquisitionWarning."""
    with context.connect() as connection:
        known = ledger.read_acquisitions(connection, **context.key, status=status)
    return [
        {
            "item_id": entry.item_id,
            "tile": entry.tile,
            "sensed_at": entry.sensed_at,
            "baseline": entry.processing_baseline,
            "status": entry.status,
            "reason": entry.reason or entry.warning,
            "detail": entry.detail or entry.warning_detail,
            "offset_correction": entry.offset_correction,
        }
        for entry in known
        if reason in (None, entry.reason, entry.warning) and tile in (None, entry.tile)
    ]


def retry_acquisitions(
    context: SeasonContext, *, items: Collection[str] = (), reason: QuarantineReason | None = None
) -> Retried:
    """Makes quarantined acquisitions due again, of these names, or of this reason, or all: the next run reads them.

    One that the catalogue set aside is judged anew by every search of the catalogue and cannot be forced. Raises
    ConfigurationError for a name that is not quarantined.
    """
    with context.connect() as connection:
        known = ledger.read_acquisitions(connection, **context.key, status=AcquisitionStatus.QUARANTINED)
        if unknown := sorted(set(items) - {entry.item_id for entry in known}):
            raise ConfigurationError(
                f"{', '.join(unknown)} not quarantined in season {context.season.year}",
                where=context.agency.agency,
                mend="`cropmap acquisitions list --status quarantined` names what is",
            )
        chosen = [e for e in known if (not items or e.item_id in items) and reason in (None, e.reason)]
        again = [entry for entry in chosen if entry.tried is not None]
        for entry in again:
            context.store.remove(own_name(context, entry))  # its observations were quarantined
            ledger.find_again(connection, **context.key, item_id=entry.item_id)
    return {
        "due_again": [entry.item_id for entry in again],
        "left_to_the_catalogue": [entry.item_id for entry in chosen if entry.tried is None],
    }
