"""Two agencies whose seasons are released: bretagne twice in 2018, with every kind of cell, and bayern."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import pandas as pd

from cropmap.contracts.tables import ASSESSMENT_COLUMNS, PREDICTION_COLUMNS, STATISTIC_COLUMNS
from cropmap.database import publishing
from cropmap.database.connection import Connection
from cropmap.database.releases import Release, rows_hash, store_release
from cropmap.database.runs import begin_run, ensure_season
from tests.dissemination.published import published, row

FIRST: Final = datetime(2018, 11, 7, 9, 30, tzinfo=UTC)
SECOND: Final = datetime(2018, 12, 20, 9, 30, tzinfo=UTC)
BEFORE: Final = datetime(2017, 11, 7, tzinfo=UTC)
OTHER: Final = "bayern"
OTHERS_REGION: Final = "DE211"
REVISED: Final = 302_000.0


@dataclass(frozen=True)
class Service:
    """An API over these seasons."""

    url: str
    database_url: str
    keys: Mapping[str, str]
    """of bretagne by role; `everything`: of every agency"""

    def get(self, path: str, accept: str = "*/*", *, key: str = "public") -> httpx.Response:
        headers = {"X-API-Key": self.keys[key], "Accept": accept}
        return httpx.get(f"{self.url}{path}", headers=headers, trust_env=False)


def fill(connection: Connection) -> None:
    wheat_2017 = pd.DataFrame([row("FRH0", "C1110", 290_000.0), row("FRH01", "C1110", 1_500.0)])
    release(connection, "bretagne", 2017, 1, wheat_2017, released_at=BEFORE, stage="final")
    table = published_rows()
    release(connection, "bretagne", 2018, 1, table, released_at=FIRST, stage="first")
    table.loc[(table["nuts_id"] == "FRH0") & (table["crop"] == "C1110"), "estimate_ha"] = REVISED
    release(connection, "bretagne", 2018, 2, table, released_at=SECOND, stage="provisional")
    others = pd.DataFrame([row(OTHERS_REGION, "C1110", 99_999.0)])
    release(connection, OTHER, 2018, 1, others, released_at=FIRST, stage="final")


def published_rows() -> pd.DataFrame:
    """As a run stores them: a hidden cell has no figures, whatever `published` hides in it."""
    rows = published()[list(STATISTIC_COLUMNS)].astype(object)
    figures = [name for name in STATISTIC_COLUMNS if name.endswith("_ha") or name in ("cv", "n_parcels", "n_holdings")]
    rows.loc[rows["conf_status"] == "C", [*figures, "obs_flag"]] = None
    return rows


def release(
    connection: Connection,
    agency: str,
    season: int,
    number: int,
    table: pd.DataFrame,
    *,
    released_at: datetime,
    stage: str,
) -> None:
    """Makes and publishes a run of these areas, and releases them."""
    rows = table[list(STATISTIC_COLUMNS)].astype(object).where(table[list(STATISTIC_COLUMNS)].notna(), None)
    run_id = f"{agency}-{season}-{number}"
    key: dict[str, Any] = {"agency": agency, "season": season}
    ensure_season(connection, **key)
    begin_run(connection, run_id=run_id, **key, as_of=None, code_version="0.1.0", started_at=released_at)
    parcel = {"parcel_id": ["1"], "holding_id": ["H"], "nuts_id": [None], "area_ha": [1.0], "n_observations": [0]}
    publishing.publish(
        connection,
        run_id=run_id,
        **key,
        parcels=pd.DataFrame(parcel),
        predictions=pd.DataFrame(parcel, dtype=object)
        .reindex(columns=list(PREDICTION_COLUMNS))
        .replace({math.nan: None}),
        assessments=pd.DataFrame(columns=list(ASSESSMENT_COLUMNS)),
        statistics=rows,
        model_version="transformer 7",
        published_at=released_at,
        nuts_version=2024,
    )
    about = Release(
        **key,
        number=number,
        stage=stage,
        run_id=run_id,
        as_of=None,
        nuts_version=2024,
        note=None,
        content_hash=rows_hash(rows),
        released_at=released_at,
    )
    store_release(connection, about, rows)
