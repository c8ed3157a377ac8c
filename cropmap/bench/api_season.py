"""A published season that the API can be measured on: made up in seconds, in the shape and size of a real one.

Values are random; the database, the store and every row in them are what a season of the pipeline leaves behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from cropmap.contracts.tables import (
    ASSESSMENT_COLUMNS,
    OBSERVATION_SCHEMA,
    PREDICTION_COLUMNS,
    REJECTION_COLUMNS,
    STATISTIC_COLUMNS,
)
from cropmap.database import keys, publishing
from cropmap.database.acquisitions import mark_observed, record_found
from cropmap.database.connection import Connection, connect
from cropmap.database.declarations import set_home_tiles, store_declarations
from cropmap.database.runs import begin_run, ensure_season
from cropmap.observations.files import observation_name, write_observation
from cropmap.schemas import BANDS, EPSG_WGS84, AccessRole
from cropmap.settings import Settings
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.stages.context import ready_database
from cropmap.store import Store

AGENCY: Final = "bench"
SEASON: Final = 2018
TILE: Final = "30UVU"
RUN: Final = "bench-run"
REGIONS: Final = ("FRH01", "FRH02", "FRH03", "FRH04")
CROPS: Final = tuple(f"C{number}" for number in range(1000, 2400, 100))
STARTED: Final = datetime(2018, 11, 3, 12, tzinfo=UTC)


@dataclass(frozen=True)
class PublishedSeason:
    key: str
    """an API key"""
    parcel_ids: tuple[str, ...]


def publish_season(settings: Settings, *, parcels: int, acquisitions: int, seed: int = 0) -> PublishedSeason:
    """Writes and publishes the season in the home of `settings`, and makes a key for it."""
    rng = np.random.default_rng(seed)
    about = _parcels(parcels, rng)
    with connect(ready_database(settings, create=True)) as connection:
        ensure_season(connection, agency=AGENCY, season=SEASON, simulated=True, document={"agency": AGENCY})
        _declare(connection, about)
        _observe(connection, settings.open_store(), about["parcel_id"].tolist(), acquisitions, rng)
        _publish(connection, about, rng)
        key = keys.create_key(connection, "bench", role=AccessRole.CONTROLLER, agency=AGENCY)
    return PublishedSeason(key, tuple(about["parcel_id"]))


def _parcels(n: int, rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "parcel_id": [f"{number:07d}" for number in range(1, n + 1)],
            "crop_code": rng.choice(["MIS", "BTH", "PPH"], n),
            "holding_id": [f"H{number // 8}" for number in range(n)],
            "nuts_id": rng.choice(REGIONS, n),
            "area_ha": rng.gamma(2.0, 1.5, n) + 0.1,
        }
    )


def _declare(connection: Connection, about: pd.DataFrame) -> None:
    n = len(about)
    west, south = np.arange(n) % 300 * 0.004 - 3.0, np.arange(n) // 300 * 0.004 + 47.8
    accepted = gpd.GeoDataFrame(
        about.assign(declared_area_ha=about["area_ha"], row_number=range(1, n + 1), repaired=False),
        geometry=shapely.box(west, south, west + 0.003, south + 0.003),
        crs=EPSG_WGS84,
    )
    store_declarations(
        connection,
        agency=AGENCY,
        season=SEASON,
        accepted=accepted,
        rejected=pd.DataFrame(columns=list(REJECTION_COLUMNS)),
        source_file="bench.gpkg",
        source_hash="bench",
        loaded_at=STARTED - timedelta(days=90),
    )
    set_home_tiles(connection, agency=AGENCY, season=SEASON, home_tiles=dict.fromkeys(about["parcel_id"], TILE))


def _observe(connection: Connection, store: Store, parcel_ids: list[str], n: int, rng: np.random.Generator) -> None:
    """One observation file an acquisition, each of all parcels."""
    for number in range(n):
        sensed_at = datetime(2018, 1, 2, 11, 6, tzinfo=UTC) + timedelta(days=2.5 * number)
        item_id = f"S2A_{TILE}_{sensed_at:%Y%m%d}_0_L2A"
        name = observation_name(AGENCY, SEASON, TILE, item_id)
        bands = {band: rng.integers(100, 5_000, len(parcel_ids), dtype=np.int16) for band in BANDS}
        pixels = rng.uniform(10, 200, len(parcel_ids)).astype(np.float32)
        columns: dict[str, Any] = {"parcel_id": parcel_ids, "clear_pixels": pixels, "total_pixels": pixels, **bands}
        metadata = {"item_id": item_id, "datetime": sensed_at.isoformat(), "tile": TILE, "processing_baseline": "02.06"}
        write_observation(store, name, pa.table(columns, schema=OBSERVATION_SCHEMA.with_metadata(metadata)))
        record_found(connection, agency=AGENCY, season=SEASON, acquisitions=[_acquisition(item_id, sensed_at)])
        mark_observed(
            connection, agency=AGENCY, season=SEASON, item_id=item_id, object_name=name, n_parcels=len(parcel_ids)
        )


def _acquisition(item_id: str, sensed_at: datetime) -> Acquisition:
    return Acquisition(
        item_id=item_id,
        collection="sentinel-2-l2a",
        tile=TILE,
        sensed_at=sensed_at,
        platform="sentinel-2a",
        relative_orbit=None,
        processing_baseline="02.06",
        datatake=item_id,
        cloud_cover=None,
        epsg=32630,
        bbox=(-3, 47, -2, 49),
        footprint_wkt="",
        assets={},
    )


def _publish(connection: Connection, about: pd.DataFrame, rng: np.random.Generator) -> None:
    n = len(about)
    begin_run(
        connection, run_id=RUN, agency=AGENCY, season=SEASON, as_of=None, code_version="bench", started_at=STARTED
    )
    predictions = pd.DataFrame(
        {
            "parcel_id": about["parcel_id"],
            "crop": rng.choice(CROPS, n),
            "probability": rng.uniform(0.5, 1, n),
            "second_crop": rng.choice(CROPS, n),
            "second_probability": rng.uniform(0, 0.5, n),
            "n_observations": 40,
            "last_observation": date(2018, 10, 30),
            "scored_by": "fold 1",
            "out_of_distribution": rng.uniform(0, 1, n),
        }
    ).reindex(columns=list(PREDICTION_COLUMNS))
    assessments = pd.DataFrame(
        {
            "parcel_id": about["parcel_id"],
            "declared_code": about["crop_code"],
            "declared_crop": "C1000",
            "predicted_crop": "C1100",
            "declared_probability": rng.uniform(0, 1, n),
            "right_probability": rng.uniform(0, 1, n),
            "verdict": rng.choice(["mismatch", "conform"], n, p=[0.1, 0.9]),
            "reason": "WEAK_EVIDENCE",
            "priority": rng.uniform(-1, 1, n),
        }
    ).reindex(columns=list(ASSESSMENT_COLUMNS))
    publishing.publish(
        connection,
        run_id=RUN,
        agency=AGENCY,
        season=SEASON,
        parcels=about,
        predictions=predictions,
        assessments=assessments,
        statistics=_statistics(rng),
        model_version="bench 1",
        published_at=STARTED,
        nuts_version=2024,
    )


def _statistics(rng: np.random.Generator) -> pd.DataFrame:
    """Every crop in the country, its region and four NUTS-3 regions, each in three area concepts."""
    rows = []
    for nuts_id in ("FR", "FRH", "FRH0", *REGIONS):
        for crop in CROPS:
            for concept in ("MA", "UA", "HA"):
                area = float(rng.gamma(2.0, 500.0))
                rows.append(
                    {
                        "nuts_id": nuts_id,
                        "level": len(nuts_id) - 2,
                        "crop": crop,
                        "strucpro": "AR",
                        "concept": concept,
                        "basis": "model_assisted",
                        "declared_ha": area,
                        "mapped_ha": area,
                        "estimate_ha": area,
                        "se_ha": area / 20,
                        "ci95_low_ha": area * 0.9,
                        "ci95_high_ha": area * 1.1,
                        "cv": 0.05,
                        "n_parcels": 40,
                        "n_holdings": 20,
                        "obs_flag": None,
                        "conf_status": None,
                    }
                )
    return pd.DataFrame(rows).reindex(columns=list(STATISTIC_COLUMNS))
