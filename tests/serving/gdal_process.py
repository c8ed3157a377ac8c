"""GDAL in a process of its own: while it waits for an answer it holds the interpreter, which the server needs."""

from __future__ import annotations

import os
from typing import Any

import geopandas as gpd
import pyogrio


def begin(header_file: str) -> None:
    """Every request carries the headers of the file."""
    os.environ["no_proxy"] = "127.0.0.1"
    pyogrio.set_gdal_config_options({"GDAL_HTTP_HEADER_FILE": header_file or None, "GDAL_HTTP_TIMEOUT": 20})


def read(source: str, options: dict[str, Any]) -> gpd.GeoDataFrame:
    return pyogrio.read_dataframe(source, **options)


def layers(source: str) -> list[str]:
    return [str(name) for name, _ in pyogrio.list_layers(source)]


def types(source: str, layer: str) -> dict[str, str]:
    """field -> GDAL's type"""
    about = pyogrio.read_info(source, layer=layer)
    return dict(zip(map(str, about["fields"]), about["ogr_types"], strict=True))
