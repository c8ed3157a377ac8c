"""What an agency would hold: the declarations, the regions, the agency file. And the truth, which it would not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
import yaml

from cropmap.legends import Legend
from cropmap.schemas import EPSG_EQUAL_AREA, EPSG_WGS84
from cropmap.simulation.crops import VARIETIES
from cropmap.simulation.landscape import EPSG, REGION_NAMES, REGIONS, Landscape
from cropmap.simulation.population import Population
from cropmap.simulation.randomness import stream
from cropmap.simulation.scenes import COLLECTION, TITLE, write_whole

LEGEND: Final = "fr_breizhcrops13"
AGENCY: Final = "simulated-bretagne"
TRUTH_COLUMNS: Final = (
    "parcel_id",
    "true_code",
    "true_crop",
    "declared_code",
    "declared_crop",
    "wrong",
    "nuts_id",
    "holding_id",
    "area_ha",
)
README: Final = (
    "This is a simulation. Fields, holdings, declarations and Sentinel-2-like scenes were drawn at random; the regions "
    "carry the names and codes of the four départements of Brittany but their shapes are schematic. Nothing here was "
    "observed by a satellite or declared by anyone. agency.yaml names what a season reads; truth/ says what really "
    "grows and is read by no stage of a season.\n"
)


def parcel_table(land: Landscape, population: Population, *, seed: int) -> gpd.GeoDataFrame:
    """One row per parcel in EPSG:32630: declaration and truth side by side. Identifiers are text."""
    fields = gpd.GeoSeries(land.fields, crs=EPSG)
    area = fields.to_crs(EPSG_EQUAL_AREA).area.to_numpy() / 1e4
    codes = np.array([variety.code for variety in VARIETIES], object)
    noise = stream(seed, "declared area").normal(1.0, 0.006, len(area))
    return gpd.GeoDataFrame(
        {
            "parcel_id": [f"{number:07d}" for number in range(1, len(area) + 1)],
            "holding_id": [f"{number:06d}" for number in population.holding + 1],
            "nuts_id": np.array(REGIONS, object)[land.region],
            "true_code": codes[population.variety],
            "declared_code": codes[population.declared],
            "wrong": population.wrong,
            "area_ha": area,
            "declared_area_ha": np.maximum(np.round(area * noise, 2), 0.01),
        },
        geometry=fields,
        crs=EPSG,
    )


def truth_table(parcels: gpd.GeoDataFrame) -> pd.DataFrame:
    """TRUTH_COLUMNS; crops are the class names of the legend."""
    legend = Legend.read(LEGEND)
    table = pd.DataFrame(parcels.drop(columns="geometry"))
    table["true_crop"] = table["true_code"].map(legend.crop_of)
    table["declared_crop"] = table["declared_code"].map(legend.crop_of)
    return table[list(TRUTH_COLUMNS)]


def declaration_table(parcels: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """What is declared, in EPSG:4326: parcel_id, holding_id, crop_code, crop_name, area_ha."""
    names = {code: entry.crop_name for code, entry in Legend.read(LEGEND).by_code.items()}
    table = parcels[["parcel_id", "holding_id", "declared_code", "declared_area_ha", "geometry"]]
    table = table.rename(columns={"declared_code": "crop_code", "declared_area_ha": "area_ha"})
    table.insert(3, "crop_name", table["crop_code"].map(names))
    return table.to_crs(EPSG_WGS84)


def region_table(land: Landscape) -> gpd.GeoDataFrame:
    """The four NUTS-3 regions and their parents with GISCO's columns, EPSG:4326."""
    shapes = dict(zip(REGIONS, land.regions, strict=True))
    whole = shapely.union_all(land.regions)
    rows = {**shapes, "FRH0": whole, "FRH": whole, "FR": whole}
    codes = sorted(rows, key=lambda code: (len(code), code))
    table = gpd.GeoDataFrame(
        {
            "NUTS_ID": codes,
            "LEVL_CODE": [len(code) - 2 for code in codes],
            "CNTR_CODE": ["FR"] * len(codes),
            "NAME_LATN": [REGION_NAMES[code] for code in codes],
            "NUTS_NAME": [f"{REGION_NAMES[code]} (simulation)" for code in codes],
        },
        geometry=[rows[code] for code in codes],
        crs=EPSG,
    )
    return table.to_crs(EPSG_WGS84)


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Plain or geo table; the same table gives the same bytes."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_whole(path, buffer.getvalue())


def write_vector(path: Path, table: gpd.GeoDataFrame, *, layer: str) -> None:
    """GPKG or GeoJSON by the suffix; the same table gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".writing-{path.name}")
    partial.unlink(missing_ok=True)
    driver = {".gpkg": "GPKG", ".geojson": "GeoJSON"}[path.suffix]
    described = {"dataset_options": {"VERSION": "1.3"}} if driver == "GPKG" else {"DESCRIPTION": TITLE}
    with _fixed_clock():
        pyogrio.write_dataframe(table, partial, layer=layer, driver=driver, **described)
    partial.replace(path)


@contextmanager
def _fixed_clock() -> Iterator[None]:
    """A GeoPackage keeps the time of its last change, which would differ between equal simulations."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2018-01-01T00:00:00.000Z"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def agency_file(*, declarations: str, catalog: str = "scenes/catalog.json") -> str:
    """The YAML text of the simulated agency; paths are relative to its folder, and none leads to the truth."""
    document = {
        "agency": AGENCY,
        "simulated": True,
        "regions": {"nuts_version": 2024, "boundaries": "nuts.geojson", "codes": ["FRH0"]},
        "acquisitions": {"catalog": catalog, "collection": COLLECTION, "window": ["{season}-01-01", "{season}-12-31"]},
        "declarations": {
            "path": declarations,
            "columns": {
                "parcel_id": "parcel_id",
                "crop_code": "crop_code",
                "holding_id": "holding_id",
                "area": "area_ha",
            },
        },
        "legend": LEGEND,
        "model": {"architecture": "transformer", "folds": {"by": "region"}},
        "assessment": {"false_alarm_rate": 0.10},
        "statistics": {"min_holdings": 4, "dominance": [2, 0.85]},
        "schedule": {"observe": "0 6 * * *", "predict": "0 3 1 * *", "retrain": "0 3 1 7 *"},
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    return f"# {TITLE}. Nothing in this folder was observed or declared.\n{text}"
