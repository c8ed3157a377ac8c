"""The page of a declarations file's quality report: one HTML document that needs no other file and no network."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import jinja2
import numpy as np
import shapely

from cropmap.schemas import RejectReason
from cropmap.sources.declarations.crop_codes import CodesAnswer
from cropmap.sources.declarations.file_quality import FileQuality, FileWarning, Warnings

OUTLINED: Final = 20_000
"""parcels; a map of more shows where they are as a grid of dots"""
CELLS: Final = 400
MAP_INCHES: Final = 8.0
COLOURS: Final = {"parcels": "#c9c9c9", "warning": "#e08214", "rejected": "#b2182b"}


def quality_page(
    quality: FileQuality,
    *,
    agency: str,
    season: int,
    codes: CodesAnswer,
    accepted: gpd.GeoDataFrame,
    rejected: gpd.GeoDataFrame,
    warnings: Warnings,
    notes: Sequence[str] = (),
) -> str:
    """HTML text; names and codes of the file are escaped."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["hectares"] = lambda area: f"{area:,.2f}" if math.isfinite(area) else "–"
    template = environment.from_string(Path(__file__).with_name("quality_page.html").read_text(encoding="utf-8"))
    picture = _map(accepted, rejected, warnings)
    return template.render(
        quality=quality,
        agency=agency,
        season=season,
        unmapped=codes["unmapped_codes"],
        meaning={str(code): code.meaning for code in (*RejectReason, *FileWarning)},
        notes=notes,
        map=base64.b64encode(picture).decode(),
    )


def _map(accepted: gpd.GeoDataFrame, rejected: gpd.GeoDataFrame, warnings: Warnings) -> bytes:
    """PNG in degrees, north up: all parcels in grey, those with a finding as dots."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(MAP_INCHES, MAP_INCHES), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    shapes = np.asarray(accepted.geometry.array, dtype=object)
    _draw_parcels(axes, shapes)
    noted = accepted["row_number"].isin(warnings.table["row_number"]).to_numpy()
    drawn = np.asarray(rejected.geometry.array, dtype=object)
    for name, marked in (("warning", shapes[noted]), ("rejected", drawn[~shapely.is_missing(drawn)])):
        middle = shapely.centroid(marked)
        label = f"{name}: {len(marked):,}"
        axes.scatter(shapely.get_x(middle), shapely.get_y(middle), s=9, color=COLOURS[name], label=label, zorder=3)
    latitude = np.nanmean(shapely.get_y(shapely.centroid(shapes))) if len(shapes) else 0.0
    axes.set_aspect(1 / max(math.cos(math.radians(float(latitude))), 0.1))
    axes.set(xlabel="longitude", ylabel="latitude")
    figure.legend(loc="outside upper center", ncols=2)
    sink = io.BytesIO()
    figure.savefig(sink, format="png", bbox_inches="tight", metadata={"Software": None})
    return sink.getvalue()


def _draw_parcels(axes: Any, shapes: np.ndarray[Any, np.dtype[np.object_]]) -> None:
    from matplotlib.collections import PolyCollection

    if len(shapes) <= OUTLINED:
        rings = [shapely.get_coordinates(shapely.get_exterior_ring(part)) for part in shapely.get_parts(shapes)]
        axes.add_collection(PolyCollection(rings, facecolor=COLOURS["parcels"], edgecolor="none"))
        axes.autoscale_view()
        return
    middle = shapely.get_coordinates(shapely.centroid(shapes))
    cells, x, y = np.histogram2d(middle[:, 0], middle[:, 1], bins=CELLS)
    filled = np.argwhere(cells > 0)
    axes.scatter(x[filled[:, 0]], y[filled[:, 1]], s=1, color=COLOURS["parcels"])
