"""A small published season behind a real application: seven parcels, two of them with names that hurt."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

import geopandas as gpd
import httpx
import pandas as pd
import pyarrow as pa
import pytest
import uvicorn
from fastapi import FastAPI
from shapely.geometry import box

from cropmap.contracts.tables import (
    ASSESSMENT_COLUMNS,
    OBSERVATION_SCHEMA,
    PREDICTION_COLUMNS,
    REJECTION_COLUMNS,
    STATISTIC_COLUMNS,
)
from cropmap.database import keys, publishing
from cropmap.database.acquisitions import mark_observed, record_found
from cropmap.database.code_lists import store_regions
from cropmap.database.connection import Connection, connect
from cropmap.database.declarations import set_home_tiles, store_declarations
from cropmap.database.releases import Release, rows_hash, store_release
from cropmap.database.runs import begin_run, ensure_season, fail_run
from cropmap.observations.files import observation_name, write_observation
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, AccessRole
from cropmap.seasons import SeasonKey
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.store import Store
from serving.app import create_app
from serving.server import config
from serving.settings import ServingSettings
from tests.database.seasons import regions
from tests.database_fixtures import _fresh as fresh_database
from tests.serving import released_seasons
from tests.serving.released_seasons import Service

KEY: SeasonKey = {"agency": "bretagne", "season": 2018}
DAY = datetime(2018, 11, 3, 12, tzinfo=UTC)
HURTS = "D'4; DROP TABLE parcel; --"

PARCELS = pd.DataFrame(
    [
        # parcel_id, crop_code, holding_id, nuts_id, area_ha, verdict, reason, priority
        ("007", "MIS", "H1", "FRH01", 1.25, "mismatch", "OTHER_CROP_SUPPORTED", 0.9),
        ("B/2", "BTH", "H1", "FRH01", 2.5, "mismatch", "OTHER_CROP_SUPPORTED", 0.4),
        ("C 3", "PPH", "H2", "FRH02", 0.75, "mismatch", "OTHER_CROP_SUPPORTED", 0.4),
        (HURTS, "056", "H3", "FRH02", 3.0, "inconclusive", "LOOK_ALIKE_CROPS", 0.4),
        ("E5", "MIS", "H3", "FRH04", 4.0, "conform", "DECLARED_CROP_SUPPORTED", -0.25),
        ("Ü6", "MIS", None, None, 0.01, "not_assessable", "TOO_SMALL", None),
        ("G7", "XYZ", "H4", "FRH04", 5.0, "not_assessable", "CROP_NOT_IN_LEGEND", None),
    ],
    columns=["parcel_id", "crop_code", "holding_id", "nuts_id", "area_ha", "verdict", "reason", "priority"],
)
BY_PRIORITY = ["007", "B/2", "C 3", HURTS, "E5", "G7", "Ü6"]
"""priority descending, ties by identifier (byte order), no priority last"""


def declare(connection: Connection) -> None:
    n = len(PARCELS)
    accepted = gpd.GeoDataFrame(
        {
            "parcel_id": PARCELS["parcel_id"],
            "crop_code": PARCELS["crop_code"],
            "holding_id": PARCELS["holding_id"],
            "declared_area_ha": [1.3, *[float("nan")] * (n - 1)],
            "area_ha": PARCELS["area_ha"],
            "nuts_id": PARCELS["nuts_id"],
            "row_number": range(1, n + 1),
            "repaired": False,
        },
        geometry=[box(-3 + i / 10, 48, -2.95 + i / 10, 48.01 + i / 100) for i in range(n)],
        crs=4326,
    )
    store_declarations(
        connection,
        **KEY,
        accepted=accepted,
        rejected=pd.DataFrame(columns=list(REJECTION_COLUMNS)),
        source_file="declarations.gpkg",
        source_hash="f00",
        loaded_at=datetime(2018, 6, 1, tzinfo=UTC),
    )
    set_home_tiles(connection, **KEY, home_tiles=dict.fromkeys(PARCELS["parcel_id"], "30UVU"))


def publish(connection: Connection, run_id: str = "run-1", *, published_at: datetime = DAY) -> None:
    begin_run(connection, run_id=run_id, **KEY, as_of=None, code_version="0.1.0+abc", started_at=DAY)
    ids = PARCELS["parcel_id"]
    seen = ids != "Ü6"
    predictions = pd.DataFrame(
        {
            "parcel_id": ids,
            "crop": pd.Series("corn", ids.index).where(seen, None),
            "probability": 0.75,
            "second_crop": "wheat",
            "second_probability": 0.125,
            "n_observations": 12,
            "last_observation": date(2018, 10, 30),
            "scored_by": "fold 2",
            "out_of_distribution": 0.5,
        }
    ).reindex(columns=list(PREDICTION_COLUMNS))
    assessments = PARCELS.assign(
        declared_code=PARCELS["crop_code"],
        declared_crop="wheat",
        predicted_crop="corn",
        declared_probability=0.0625,
        right_probability=0.03125,
    ).reindex(columns=list(ASSESSMENT_COLUMNS))
    publishing.publish(
        connection,
        run_id=run_id,
        **KEY,
        parcels=PARCELS,
        predictions=predictions,
        assessments=assessments,
        statistics=statistics(),
        model_version="transformer 7",
        published_at=published_at,
        nuts_version=2024,
    )


def statistics() -> pd.DataFrame:
    def row(nuts_id: str, crop: str, estimate: float | None, *, secret: bool = False) -> dict[str, object]:
        figures = {
            "estimate_ha": estimate,
            "declared_ha": None if secret else 10.5,
            "n_holdings": None if secret else 9,
        }
        words = {"strucpro": "AR", "concept": "MA", "basis": "model_assisted", "conf_status": "C" if secret else None}
        return {"nuts_id": nuts_id, "level": len(nuts_id) - 2, "crop": crop, **words, **figures}

    rows = [row("FRH0", "C1500", 30.5), row("FRH01", "C1500", 20.25), row("FRH02", "C1500", None, secret=True)]
    return pd.DataFrame([*rows, row("FRH01", "C1110", 7.0)], columns=list(STATISTIC_COLUMNS)).astype(object)


def release(connection: Connection) -> None:
    rows = statistics()
    first = Release(
        **KEY,
        number=1,
        stage="provisional",
        run_id="run-1",
        as_of=None,
        nuts_version=2024,
        note="declarations closed",
        content_hash=rows_hash(rows),
        released_at=DAY,
    )
    store_release(connection, first, rows)


def observe(connection: Connection, store: Store) -> None:
    """Two acquisitions of the home tile, the later one clouded, and one of a neighbour that must not be read."""
    for tile, sensed_at, clear, b04 in (
        ("30UVU", datetime(2018, 5, 20, 11, 6, tzinfo=UTC), 0.0, REFLECTANCE_NODATA),
        ("30UVU", datetime(2018, 5, 5, 11, 6, tzinfo=UTC), 75.0, 412),
        ("30UWU", datetime(2018, 5, 6, 11, 6, tzinfo=UTC), 100.0, 999),
    ):
        item_id = f"S2A_{tile}_{sensed_at:%Y%m%d}_0_L2A"
        name = observation_name("bretagne", 2018, tile, item_id)
        columns = {"parcel_id": ["007", "E5"], "clear_pixels": [clear] * 2, "total_pixels": [100.0] * 2}
        bands = {band: [b04 if band == "B04" else REFLECTANCE_NODATA, 7] for band in BANDS}
        metadata = {"item_id": item_id, "datetime": sensed_at.isoformat(), "tile": tile, "processing_baseline": "02.06"}
        schema = OBSERVATION_SCHEMA.with_metadata(metadata)
        write_observation(store, name, pa.table({**columns, **bands}, schema=schema))
        found = Acquisition(
            item_id=item_id,
            collection="sentinel-2-l2a",
            tile=tile,
            sensed_at=sensed_at,
            platform=None,
            relative_orbit=None,
            processing_baseline="02.06",
            datatake=item_id,
            cloud_cover=None,
            epsg=32630,
            bbox=(-3, 48, -2, 49),
            footprint_wkt="",
            assets={},
        )
        record_found(connection, **KEY, acquisitions=[found])
        mark_observed(connection, **KEY, item_id=item_id, object_name=name, n_parcels=2)


@contextmanager
def every_message() -> Iterator[None]:
    """Lets the API log the same message as often as it comes: another test may have logged it just now."""
    logger = logging.getLogger("cropmap.serving")
    kept, logger.filters = logger.filters, []
    try:
        yield
    finally:
        logger.filters = kept


@contextmanager
def running(app: FastAPI, *, key: str | None = None) -> Iterator[httpx.Client]:
    """A real server of the application on a free port of this machine, and a client of it."""
    server = uvicorn.Server(config(app, ServingSettings(port=0)))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        headers = {"X-API-Key": key} if key else {}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def fill(database_url: str, store: Store) -> None:
    """Season bretagne 2018, published, and a failed run of season 2019."""
    with connect(database_url) as connection:
        ensure_season(connection, **KEY, simulated=True, document={"agency": "bretagne"})
        declare(connection)
        store_regions(connection, **KEY, regions=regions())
        observe(connection, store)
        publish(connection)
        release(connection)
        ensure_season(connection, agency="bretagne", season=2019)
        begin_run(
            connection,
            run_id="run-2",
            agency="bretagne",
            season=2019,
            as_of=date(2019, 6, 30),
            code_version="0.1.0",
            started_at=datetime(2019, 7, 1, tzinfo=UTC),
        )
        fail_run(
            connection, run_id="run-2", detail="30UVU: unreadable", finished_at=datetime(2019, 7, 1, 1, tzinfo=UTC)
        )


@dataclass(frozen=True)
class Desk:
    client: httpx.Client
    """sends the key; that of an operator where runs are asked for, of an administrator for keys and accounts"""
    key: str
    """of a controller"""
    database_url: str
    store: Store


def open_desk(database_url: str, store: Store) -> Iterator[Desk]:
    fill(database_url, store)
    with connect(database_url) as connection:
        key = keys.create_key(connection, "desk", role=AccessRole.CONTROLLER, agency="bretagne")
        others = {
            "runs": keys.create_key(connection, "operator", role=AccessRole.OPERATOR, agency="bretagne"),
            "keys": keys.create_key(connection, "administrator", role=AccessRole.ADMINISTRATOR, agency="bretagne"),
        }
    others["accounts"] = others["keys"]
    app = create_app(ServingSettings(database_url=database_url, store=store.root, pool_size=2))

    def as_who_may(request: httpx.Request) -> None:
        route = request.url.path.removeprefix("/v1").lstrip("/").partition("/")[0]
        if request.headers.get("X-API-Key") == key:
            request.headers["X-API-Key"] = others.get(route, key)

    with running(app, key=key) as client:
        client.event_hooks["request"] = [as_who_may]
        yield Desk(client, key, database_url, store)


@pytest.fixture(scope="session")
def desk(cluster_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all tests that only ask."""
    for database_url in fresh_database(cluster_url, template="cropmap"):
        yield from open_desk(database_url, Store(tmp_path_factory.mktemp("serving") / "store"))


@pytest.fixture
def own_desk(database_url: str, store: Store) -> Iterator[Desk]:
    """One that a test may change."""
    yield from open_desk(database_url, store)


@pytest.fixture
def api(desk: Desk) -> httpx.Client:
    return desk.client


@pytest.fixture(scope="session")
def service(cluster_url: str) -> Iterator[Service]:
    """An API over releases of two agencies, for tests that only ask."""
    for database_url in fresh_database(cluster_url, template="cropmap"):
        with connect(database_url) as connection:
            released_seasons.fill(connection)
            made = {role.value: keys.create_key(connection, role, role=role, agency="bretagne") for role in AccessRole}
            made["everything"] = keys.create_key(connection, "all", role=AccessRole.STATISTICIAN, agency=None)
        with running(create_app(ServingSettings(database_url=database_url))) as client:
            yield Service(str(client.base_url).rstrip("/"), database_url, made)
