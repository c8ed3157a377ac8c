"""What is public of a season already: the release that the next one must not contradict."""

from __future__ import annotations

import pandas as pd

from cropmap.database import queries, releases, runs
from cropmap.database.connection import Connection
from cropmap.schemas import Confidentiality
from cropmap.stages.context import SeasonContext
from cropmap.statistics.hiding import EarlierRelease
from cropmap.statistics.report import Disclosure


def earlier_release(context: SeasonContext, run_id: str) -> EarlierRelease | None:
    """The season's published table where it is fit for publication, else what is public besides: what an internal run
    was held against itself, and the latest numbered release. None where nothing is public. For the run that is
    published itself it is what that run was held against, so that it can be made again."""
    with context.connect() as connection:
        published = queries.published_run(connection, **context.key)
        disclosure = _disclosure(connection, published)
        if published == run_id:
            published = disclosure.earlier_release
        elif disclosure.mode != Confidentiality.FULL or disclosure.internal:
            # an internal run must not make what is out forgotten
            released = releases.read_releases(connection, **context.key)
            out = released[-1].run_id if released else None
            # a release of this very run is out by a person's word; else nothing came out since the run was held
            # against what was
            published = out if out == published else disclosure.earlier_release or out
        disclosure = _disclosure(connection, published)
        if published is None or disclosure.mode != Confidentiality.FULL:
            return None
        table = pd.DataFrame(queries.statistics(connection, run_id=published))
    return EarlierRelease(published, table, disclosure.already_published) if len(table) else None


def _disclosure(connection: Connection, run_id: str | None) -> Disclosure:
    run = runs.read_run(connection, run_id) if run_id else None
    report = ((run.report if run else None) or {}).get("statistics") or {}
    return Disclosure.read(
        report.get("disclosure") or {},
        where=f"the report of run {run_id}",
        mend="A later version published it: run the season with that one",
    )
