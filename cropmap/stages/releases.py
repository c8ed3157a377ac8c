"""What the public knows of a season already: the release that the next one must not contradict."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cropmap.database import queries, runs
from cropmap.schemas import Confidentiality
from cropmap.stages.context import SeasonContext
from cropmap.statistics import EarlierRelease


def earlier_release(context: SeasonContext, run_id: str) -> EarlierRelease | None:
    """The season's published table where it was protected for publication; None where there is none. For the run that
    is published itself it is what that run was held against, so that it can be made again."""
    with context.connect() as connection:
        known = queries.published_seasons(connection, agency=context.agency.agency)
        published = next((str(row["run_id"]) for row in known if row["season"] == context.season.year), None)
        if published == run_id:
            published = _disclosure(runs.read_run(connection, run_id)).get("earlier_release")
        if published is None:
            return None
        disclosure = _disclosure(runs.read_run(connection, published))
        if disclosure.get("mode") != Confidentiality.FULL:
            return None
        table = pd.DataFrame(queries.statistics(connection, run_id=published))
    return EarlierRelease(published, table, tuple(disclosure["already_published"])) if len(table) else None


def _disclosure(run: runs.Run | None) -> dict[str, Any]:
    report = (run.report if run else None) or {}
    found: dict[str, Any] = report.get("statistics", {}).get("disclosure", {})
    return found
