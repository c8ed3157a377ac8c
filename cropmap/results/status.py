"""How a season stands: what is in, what is trained, what is published."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import datetime

from cropmap.database import declarations as register
from cropmap.database import queries, work
from cropmap.errors import DatabaseError
from cropmap.provenance import code_version
from cropmap.seasons import SeasonKey
from cropmap.stages.champion import current_model
from cropmap.stages.context import SeasonContext
from cropmap.stages.forecast import is_carried
from cropmap.stages.ingest import acquisition_counts


class SeasonStatus(SeasonKey):
    simulated: bool
    declarations: int
    carried_forward: int
    """parcels of an earlier season that stand in for declarations"""
    home_tiles: dict[str, int]
    """parcels by tile"""
    acquisitions: dict[str, int]
    """by status"""
    models: dict[str, str | None]
    """artifact of the champion by network"""
    at_work: str | None
    """who works on the agency"""
    runs: dict[str, int]
    """by status"""
    published: str | None
    """run"""


def season_status(context: SeasonContext, *, at: datetime | None = None) -> SeasonStatus:
    """Counts and identifiers, and who works on the agency. Runs without a worker are closed where `at`
    says what time it is."""
    agency = context.agency.agency
    with context.connect() as connection:
        if at is not None:
            with suppress(DatabaseError):  # a reader may look and not write: the next worker closes them
                work.close_abandoned(connection, agency, at=at, code_version=code_version())
        working = work.at_work(connection, agency)
        parcels, _ = register.read_register(connection, **context.key)
        runs = queries.run_log(connection, **context.key)
        published = queries.published_seasons(connection, agency=context.agency.agency)
    models = {str(a): current_model(context, a) for a in context.networks}
    return {
        **context.key,
        "simulated": context.agency.simulated,
        "declarations": 0 if is_carried(parcels) else len(parcels),
        "carried_forward": len(parcels) if is_carried(parcels) else 0,
        "home_tiles": dict(sorted(Counter(tile or "none" for tile in parcels["home_tile"]).items())),
        "acquisitions": acquisition_counts(context),
        "models": {name: model.artifact_id if model else None for name, model in models.items()},
        "at_work": str(working) if working else None,
        "runs": dict(Counter(str(run["status"]) for run in runs)),
        "published": next((row["run_id"] for row in published if row["season"] == context.season.year), None),
    }
