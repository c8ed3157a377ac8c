"""Rows as they are published, small enough to add up by hand, with every kind of cell that has to survive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
from shapely import box

from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.simulation.register import agency_file

SECRET = 777.77
"""stands in every figure of a hidden cell, although the published table has it empty: nothing may show it"""


def row(nuts_id: str, crop: str, estimate_ha: float | None, **changes: Any) -> dict[str, Any]:
    figures = {
        "declared_ha": estimate_ha,
        "mapped_ha": estimate_ha,
        "estimate_ha": estimate_ha,
        "se_ha": 20.0,
        "ci95_low_ha": 10.0,
        "ci95_high_ha": 90_000.0,
        "cv": 0.125,
        "n_parcels": 12,
        "n_holdings": 7,
    }
    words = {
        "nuts_id": nuts_id,
        "level": len(nuts_id) - 2,
        "crop": crop,
        "strucpro": "AR_THS_HA",
        "concept": "SA",
        "basis": "model_assisted",
        "obs_flag": "e",
        "conf_status": None,
    }
    about = {"agency": "bretagne", "season": 2018, "as_of": None, "nuts_version": 2024, "run_id": "run-1"}
    return about | words | figures | changes


def hidden(nuts_id: str, crop: str) -> dict[str, Any]:
    figures = (
        "declared_ha",
        "mapped_ha",
        "estimate_ha",
        "se_ha",
        "ci95_low_ha",
        "ci95_high_ha",
        "cv",
        "n_parcels",
        "n_holdings",
    )
    secret = dict.fromkeys(figures, SECRET) | {"obs_flag": "u", "basis": "register", "conf_status": "C"}
    return row(nuts_id, crop, None) | secret


def write_regions(path: Path) -> None:
    """Boundaries of the two regions that have outlines, and of their parent."""
    shapes = {"FRH0": box(0, 0, 2, 1), "FRH01": box(0, 0, 1, 1), "FRH02": box(1, 0, 2, 1)}
    table = {"NUTS_ID": list(shapes), "LEVL_CODE": [2, 3, 3], "NAME_LATN": ["Bretagne", "Côtes-d'Armor", "Finistère"]}
    gpd.GeoDataFrame(table, geometry=list(shapes.values()), crs=4326).to_file(path)


def write_agency(path: Path) -> None:
    text = agency_file(declarations="declarations.gpkg")
    path.write_text(text.replace("simulated-bretagne", "bretagne"), encoding="utf-8")


def published() -> pd.DataFrame:
    rows = [
        row("FRH0", "C1110", 301_590.0),
        row(
            "FRH0",
            "G0000",
            40_000.0,
            strucpro="MA",
            concept="MA",
            obs_flag=None,
            ci95_low_ha=38_000.0,
            ci95_high_ha=42_000.0,
        ),  # the name before 2025
        row("FRH0", "C1500+G3000", 440_710.0, concept="MA"),
        row("FRH0", "local:other", 12.5, strucpro="MAR_THS_HA", concept="MA"),
        row("FRH01", "C1110", 1_234.56, obs_flag="u", cv=0.31),
        row("FRH01", "C1500", 0.0, obs_flag=None, basis="register"),
        row("FRH01", "R1000", 0.002),
        hidden("FRH02", "C1110"),
        row("FRH02", "C1500", 20.25, obs_flag="f"),
    ]
    return pd.DataFrame(rows)[["agency", "season", "as_of", "nuts_version", *STATISTIC_COLUMNS, "run_id"]]


EXPECTED = {
    ("C1110", "AR_THS_HA", "FRH0"): (301.59, "e", ""),
    ("C1110", "AR_THS_HA", "FRH01"): (1.23456, "u", ""),
    ("C1110", "AR_THS_HA", "FRH02"): (None, "", "C"),
    ("C1500", "AR_THS_HA", "FRH01"): (0.0, "", ""),
    ("C1500", "AR_THS_HA", "FRH02"): (0.02025, "f", ""),
    ("G0000", "MAR_THS_HA", "FRH0"): (40.0, "", ""),
    ("R1000", "AR_THS_HA", "FRH01"): (0.0, "en", ""),
}
"""(crops, strucpro, geo) -> (1000 ha with five decimals, OBS_FLAG, CONF_STATUS)"""
