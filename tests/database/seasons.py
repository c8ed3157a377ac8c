"""A small season, written out by hand: three parcels with awkward identifiers, two products.

A column that nothing is said of here is empty.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Final

import geopandas as gpd
import pandas as pd
from shapely import MultiPolygon, box

from cropmap.contracts.tables import ASSESSMENT_COLUMNS, PREDICTION_COLUMNS, STATISTIC_COLUMNS
from cropmap.database.connection import Connection
from cropmap.database.declarations import store_declarations
from cropmap.database.publishing import publish
from cropmap.database.runs import begin_run
from cropmap.schemas import Basis, Reason, RejectReason, Verdict
from cropmap.sources.regions import Regions

KEY: Final[dict[str, Any]] = {"agency": "bretagne", "season": 2018}
LOADED: Final = datetime(2018, 6, 1, 8, tzinfo=UTC)
PUBLISHED: Final = datetime(2018, 11, 5, 12, tzinfo=UTC)
AWKWARD: Final = "x'); DROP TABLE parcel; --"
PARCELS: Final = ["007", "7", AWKWARD]


def accepted() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {
            "parcel_id": PARCELS,
            "crop_code": ["056", "56", "BTH"],
            "holding_id": ["0001", None, 'O"Neil\\n'],
            "declared_area_ha": [1.5, float("nan"), 0.25],
            "area_ha": [1.4, 2.0, 0.25],
            "row_number": [2, 3, 5],
            "repaired": [False, True, False],
            "nuts_id": ["FRH01", "FRH02", "FRH02"],
        },
        geometry=[box(-2.0, 48.0, -1.9, 48.3), box(-1.0, 47.0, -0.9, 47.1), box(3.0, 49.0, 3.1, 49.2)],
        crs=4326,
    )


def rejected() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "source_file": ["a.gpkg", "a.gpkg"],
            "row_number": [4, 6],
            "parcel_id": ["0042", None],
            "reason": [RejectReason.UNKNOWN_CODE, RejectReason.MISSING_PARCEL_ID],
            "detail": ["code 'ZZZ' is not in the legend", ""],
        }
    )


def regions() -> Regions:
    """Two of level 3 and their parent, which has a part beyond them and a hole."""
    west, south = box(-3.5, 47.5, -2.88, 48.05), box(-2.88, 47.25, -1.0, 47.5)
    parent = MultiPolygon([box(-3.5, 47.25, -1.0, 49.0) - box(-1.5, 48.0, -1.25, 48.5), box(6.0, 43.0, 6.5, 43.125)])
    table = gpd.GeoDataFrame(
        {
            "nuts_id": ["FRH0", "FRH01", "FRH02"],
            "level": [2, 3, 3],
            "name": ["Bretagne", "Cotes-d'Armor", ""],
            "national_name": ["Bretagne", "Côtes-d’Armor", ""],
        },
        geometry=[parent, west, south],
        crs=4326,
    )
    return Regions(table, 2024)


def load(connection: Connection, frame: gpd.GeoDataFrame | None = None, at: datetime = LOADED) -> dict[str, int]:
    return store_declarations(
        connection,
        **KEY,
        accepted=accepted() if frame is None else frame,
        rejected=rejected(),
        source_file="a.gpkg",
        source_hash="abc",
        loaded_at=at,
    )


def predictions(crop: str = "wheat") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "parcel_id": PARCELS,
            "crop": [crop, "maize", None],
            "probability": [0.75, 0.5, float("nan")],
            "second_crop": ["maize", crop, None],
            "second_probability": [0.125, 0.25, float("nan")],
            "n_observations": [12, 3, 0],
            "last_observation": [date(2018, 9, 30), date(2018, 8, 1), None],
            "scored_by": ["fold 2", "mean of 4 folds", None],
            "out_of_distribution": [0.5, 0.999, float("nan")],
        }
    ).reindex(columns=list(PREDICTION_COLUMNS))


def assessments() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "parcel_id": PARCELS,
            "declared_code": ["056", "56", "BTH"],
            "declared_crop": ["maize", "maize", None],
            "predicted_crop": ["wheat", "maize", None],
            "declared_probability": [0.125, 0.5, float("nan")],
            "right_probability": [0.25, 0.875, float("nan")],
            "verdict": [Verdict.MISMATCH, Verdict.CONFORM, Verdict.NOT_ASSESSABLE],
            "reason": [Reason.OTHER_CROP_SUPPORTED, Reason.DECLARED_CROP_SUPPORTED, Reason.TOO_SMALL],
            "priority": [1.05, 0.25, float("nan")],
        }
    ).reindex(columns=list(ASSESSMENT_COLUMNS))


def statistics() -> pd.DataFrame:
    figures = {
        "declared_ha": [1.5, None],
        "mapped_ha": [1.25, None],
        "estimate_ha": [1.375, None],
        "se_ha": [0.5, None],
        "ci95_low_ha": [0.375, None],
        "ci95_high_ha": [2.5, None],
        "cv": [0.36, None],
        "n_parcels": [5.0, None],
        "n_holdings": [4.0, None],
    }
    words = {
        "nuts_id": ["FRH01", "FRH02"],
        "level": [3, 3],
        "crop": ["maize", "maize"],
        "strucpro": ["AR", "AR"],
        "concept": ["main", "main"],
        "basis": [Basis.MODEL_ASSISTED, Basis.SYNTHETIC],
    }
    table = pd.DataFrame({**words, **figures, "obs_flag": ["e", None], "conf_status": [None, "C"]})
    return table.reindex(columns=list(STATISTIC_COLUMNS))


def begin(connection: Connection, run_id: str, *, hour: int = 10) -> None:
    begin_run(
        connection,
        run_id=run_id,
        **KEY,
        as_of=date(2018, 10, 31),
        code_version="0.1.0+abc",
        started_at=datetime(2018, 11, 5, hour, tzinfo=UTC),
    )


def publish_run(connection: Connection, run_id: str = "run-1", **changes: Any) -> bool:
    parts = {
        "parcels": accepted(),
        "predictions": predictions(),
        "assessments": assessments(),
        "statistics": statistics(),
        "report": {"estimated_rate": 0.1},
    } | changes
    return publish(
        connection,
        run_id=run_id,
        **KEY,
        **parts,
        model_version="lstm-1",
        published_at=PUBLISHED,
        nuts_version=2024,
        n_acquisitions=70,
    )


def everything(connection: Connection, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the tables with its physical place: a row that was rewritten shows."""
    return {
        table: connection.execute(f"SELECT ctid::text, xmin::text, * FROM {table} ORDER BY ctid").fetchall()  # noqa: S608
        for table in tables
    }
