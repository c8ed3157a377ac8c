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
from cropmap.sources.declarations.file_quality import (
    BUFFER_M,
    SLIVER_WIDTH_M,
    TINY_HA,
    FileQuality,
    FileWarning,
    Warnings,
)
from cropmap.sources.declarations.overlaps import MIN_OVERLAP_HA, MIN_OVERLAP_SHARE
from cropmap.sources.outlines import MAX_AREA_DIFFERENCE, MAX_REPAIR_CHANGE

MEANING: Final[dict[RejectReason | FileWarning, str]] = {
    RejectReason.NOT_A_CROP: "the file's profile says that such rows are no crop",
    RejectReason.MISSING_PARCEL_ID: "the row has no identifier",
    RejectReason.DUPLICATE_PARCEL_ID: "an earlier row has the same identifier",
    RejectReason.MISSING_CODE: "no crop is declared",
    RejectReason.UNKNOWN_CODE: "the legend does not list the crop's code",
    RejectReason.EMPTY_GEOMETRY: "the row has no outline, or an empty one",
    RejectReason.INVALID_GEOMETRY: f"not a polygon, or repairing it would change its area by {MAX_REPAIR_CHANGE:.0%}",
    RejectReason.DUPLICATE_GEOMETRY: "an earlier row has the same outline",
    RejectReason.AREA_CONTRADICTS_GEOMETRY: f"claimed and drawn area differ by more than {MAX_AREA_DIFFERENCE:.0%}",
    RejectReason.UNUSABLE_ROW: "another number of fields than the header, or a value that no column can hold",
    RejectReason.OUTSIDE_REGIONS: "the parcel touches none of the agency's regions, and none is near",
    FileWarning.OVERLAP: f"another parcel claims {MIN_OVERLAP_HA} ha of it or more, and {MIN_OVERLAP_SHARE:.0%} of the "
    "smaller one; the area counts each pair once",
    FileWarning.CLAIMED_ABOVE_DRAWN: f"claimed above the drawn area by more than {BUFFER_M} m along its edge",
    FileWarning.CLAIMED_AREA_MISSING: "no area above 0 is claimed",
    FileWarning.REPAIRED_GEOMETRY: "the outline was invalid and was repaired; its area is as before",
    FileWarning.TINY_PARCEL: f"smaller than {TINY_HA} ha: no satellite series can be made of it",
    FileWarning.SLIVER: f"narrower than {SLIVER_WIDTH_M:g} m on average",
    FileWarning.MALFORMED_PARCEL_ID: "the identifier looks damaged",
    FileWarning.MISSING_HOLDING_ID: "nobody is named as its holding",
    FileWarning.PARTS_MERGED: "several rows of the same identifier, crop and holding are one parcel",
    FileWarning.PLACEHOLDER_HOLDING: "its holding is a word that names nobody, and counts as missing",
    FileWarning.NEAREST_REGION: "outside the boundaries; it counts in the nearest region",
    FileWarning.SEVERAL_CROPS: "another row declares another crop on the same land; that row is rejected",
}
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
        meaning=MEANING,
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
    for name, found in (("warning", shapes[noted]), ("rejected", drawn[~shapely.is_missing(drawn)])):
        middle = shapely.centroid(found)
        label = f"{name}: {len(found):,}"
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
