"""Review campaigns: what was drawn, what was found, what a list's reviews allow to say. Inserted, never updated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pandas as pd
from psycopg.rows import class_row, dict_row

from cropmap.contracts.columns import copy_types
from cropmap.contracts.tables import FINDING, REVIEW_SAMPLE
from cropmap.database.connection import Connection, database_errors
from cropmap.database.copying import copy_frame
from cropmap.schemas import ReviewPurpose

SAMPLE: Final = copy_types(REVIEW_SAMPLE)
FOUND: Final = FINDING.names
"""what makes another version when it changes"""

INSERT_CAMPAIGN: Final = """
INSERT INTO review_campaign (campaign_id, agency, season, run_id, budget, seed, list_share, target, delta,
                             estimated_rate, list_size, grid, drawn_at, purpose)
VALUES (%(campaign_id)s, %(agency)s, %(season)s, %(run_id)s, %(budget)s, %(seed)s, %(list_share)s, %(target)s,
        %(delta)s, %(estimated_rate)s, %(list_size)s, %(grid)s, %(drawn_at)s, %(purpose)s)
ON CONFLICT DO NOTHING
"""
CAMPAIGNS: Final = """
SELECT campaign_id, agency, season, run_id, budget, seed, list_share, target, delta, estimated_rate, list_size, grid,
       drawn_at, purpose, (SELECT min(imported_at) FROM review r WHERE r.campaign_id = c.campaign_id) AS first_review
FROM review_campaign c WHERE agency = %(agency)s AND season = %(season)s ORDER BY drawn_at, campaign_id
"""
LATEST: Final = """
SELECT DISTINCT ON (parcel_id) campaign_id, parcel_id, version, finding, found_code, reviewed_by, reviewed_at, note
FROM review WHERE campaign_id = %(campaign_id)s ORDER BY parcel_id, version DESC
"""
SAMPLE_WITH_FINDINGS: Final = """
SELECT p.parcel_id, p.part, p.stratum, p.stratum_size, p.list_rank, p.inclusion_probability, a.holding_id, a.nuts_id,
       a.area_ha, a.declared_code, a.declared_crop, a.predicted_crop, a.verdict, a.reason, a.right_probability,
       r.version, r.finding, r.found_code, r.reviewed_by, r.reviewed_at, r.note
FROM review_parcel p JOIN assessment a USING (run_id, parcel_id) LEFT JOIN LATERAL (
    SELECT * FROM review v WHERE (v.campaign_id, v.parcel_id) = (p.campaign_id, p.parcel_id)
    ORDER BY v.version DESC LIMIT 1) r ON true
WHERE p.campaign_id = %(campaign_id)s ORDER BY p.parcel_id COLLATE "C"
"""
LAST_OF_EACH_PARCEL: Final = """
SELECT DISTINCT ON (v.parcel_id) v.parcel_id, a.declared_code, a.declared_crop, v.finding, v.found_code
FROM review v JOIN review_campaign c USING (campaign_id) JOIN assessment a USING (run_id, parcel_id)
WHERE c.agency = %(agency)s AND c.season = %(season)s AND NOT EXISTS (
    SELECT FROM review later WHERE (later.campaign_id, later.parcel_id) = (v.campaign_id, v.parcel_id)
      AND later.version > v.version)
ORDER BY v.parcel_id, v.imported_at DESC, v.campaign_id
"""
INSERT_FINDING: Final = """
INSERT INTO review (campaign_id, parcel_id, version, finding, found_code, reviewed_by, reviewed_at, note, source_file,
                    imported_at)
VALUES (%(campaign_id)s, %(parcel_id)s, %(version)s, %(finding)s, %(found_code)s, %(reviewed_by)s, %(reviewed_at)s,
        %(note)s, %(source_file)s, %(imported_at)s)
"""
LAST_CERTIFICATE: Final = """
SELECT version, certified, reason, certified_size, sampled, reviewed, found_right, statement FROM review_certificate
WHERE campaign_id = %(campaign_id)s ORDER BY version DESC LIMIT 1
"""
INSERT_CERTIFICATE: Final = """
INSERT INTO review_certificate (campaign_id, version, certified, reason, certified_size, sampled, reviewed, found_right,
                                statement, stated_at)
VALUES (%(campaign_id)s, %(version)s, %(certified)s, %(reason)s, %(certified_size)s, %(sampled)s, %(reviewed)s,
        %(found_right)s, %(statement)s, %(stated_at)s)
"""
CERTIFIED_LIST: Final = """
SELECT campaign_id, certified_size FROM list_certification WHERE run_id = %(run_id)s AND certified ORDER BY stated_at
LIMIT 1
"""
RUN_STATEMENT: Final = """
SELECT statement FROM list_certification WHERE run_id = %(run_id)s ORDER BY certified DESC, stated_at LIMIT 1
"""


@dataclass(frozen=True)
class Campaign:
    campaign_id: str
    agency: str
    season: int
    run_id: str
    """the run whose list it reviews"""
    budget: int
    seed: int
    list_share: float
    target: float | None
    """share of right declarations that the run's list aims at; None where the run has no list"""
    delta: float
    estimated_rate: float | None
    list_size: int
    grid: list[int]
    drawn_at: datetime
    purpose: str = str(ReviewPurpose.LIST)
    first_review: datetime | None = None
    """when the first finding came in"""


@database_errors()
def store_campaign(connection: Connection, campaign: Campaign, sample: pd.DataFrame) -> bool:
    """Records a sample (columns of SAMPLE); False where the same one is recorded already."""
    with connection.transaction():
        if not connection.execute(INSERT_CAMPAIGN, vars(campaign)).rowcount:
            return False
        keys = {"campaign_id": campaign.campaign_id, "run_id": campaign.run_id}
        copy_frame(connection, REVIEW_SAMPLE.name, SAMPLE, sample, **keys)
    return True


@database_errors()
def read_campaigns(connection: Connection, *, agency: str, season: int) -> list[Campaign]:
    """Every sample of the season, in the order in which they were drawn."""
    with connection.cursor(row_factory=class_row(Campaign)) as cursor:
        return cursor.execute(CAMPAIGNS, {"agency": agency, "season": season}).fetchall()


@database_errors()
def read_sample(connection: Connection, campaign_id: str) -> pd.DataFrame:
    """The drawn parcels, what the run said of them, and the latest findings (None: not visited), by parcel_id."""
    with connection.cursor() as cursor:
        rows = cursor.execute(SAMPLE_WITH_FINDINGS, {"campaign_id": campaign_id}).fetchall()
        names = [column.name for column in cursor.description or ()]
    return pd.DataFrame(rows, columns=names, dtype=object)


@database_errors()
def certified_list(connection: Connection, run_id: str) -> tuple[str, int] | None:
    """(campaign, how many parcels of the run's list it certified), None where the list is not certified."""
    row = connection.execute(CERTIFIED_LIST, {"run_id": run_id}).fetchone()
    return (str(row[0]), int(row[1])) if row else None


@database_errors()
def read_findings(connection: Connection, *, agency: str, season: int) -> pd.DataFrame:
    """The last finding of every reviewed parcel: parcel_id, declared_code and declared_crop (as they were
    declared then), finding, found_code."""
    rows = connection.execute(LAST_OF_EACH_PARCEL, {"agency": agency, "season": season}).fetchall()
    names = ["parcel_id", "declared_code", "declared_crop", "finding", "found_code"]
    return pd.DataFrame(rows, columns=names, dtype=object)


@database_errors()
def store_findings(
    connection: Connection, campaign_id: str, findings: pd.DataFrame, *, source_file: str, imported_at: datetime
) -> dict[str, int]:
    """Stores findings (parcel_id and FOUND, None where empty): how many are new, corrected (a later version) and
    unchanged."""
    counts = {"new": 0, "corrected": 0, "unchanged": 0}
    key = {"campaign_id": campaign_id, "source_file": source_file, "imported_at": imported_at}
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%(campaign_id)s))", key)
        with connection.cursor(row_factory=dict_row) as cursor:
            stored = {row["parcel_id"]: row for row in cursor.execute(LATEST, key)}
        fresh = []
        for row in findings[["parcel_id", *FOUND]].to_dict("records"):
            before = stored.get(row["parcel_id"])
            if before is not None and all(before[name] == row[name] for name in FOUND):
                counts["unchanged"] += 1
                continue
            counts["new" if before is None else "corrected"] += 1
            fresh.append(
                key
                | {str(name): value for name, value in row.items()}
                | {"version": 1 + (before["version"] if before else 0)}
            )
        with connection.cursor() as cursor:
            cursor.executemany(INSERT_FINDING, fresh)
    return counts


@database_errors()
def store_certificate(
    connection: Connection, campaign_id: str, certificate: dict[str, Any], *, stated_at: datetime
) -> bool:
    """Records what may be said of a list; False where the same was said last."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (campaign_id,))
        last = cursor.execute(LAST_CERTIFICATE, {"campaign_id": campaign_id}).fetchone() or {"version": 0}
        version = last.pop("version")
        if last == certificate:
            return False
        values = {"campaign_id": campaign_id, "version": version + 1, "stated_at": stated_at}
        cursor.execute(INSERT_CERTIFICATE, certificate | values)
    return True


@database_errors()
def run_statement(connection: Connection, run_id: str) -> str | None:
    """What reviews allow to say of a run's list; None where it was not reviewed."""
    row = connection.execute(RUN_STATEMENT, {"run_id": run_id}).fetchone()
    return str(row[0]) if row else None
