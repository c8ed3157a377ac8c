"""Outlines as tables write them: WKT, EWKT (`SRID=25832;POLYGON…`), WKB and EWKB in hexadecimal digits or bytes,
GeoJSON. In: one text or byte string per row; out: shapes, and the coordinate system that the rows state. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import shapely

from cropmap.errors import DeclarationFileError
from cropmap.sources.outlines import Shapes

WKT_NAMES: Final = (
    "wkt", "ewkt", "wkb", "ewkb", "geometry", "geom", "the_geom", "geom_wkt", "wkt_geom", "geometry_wkt",
    "wkb_geometry", "geojson",
)  # fmt: skip
"""what columns of outlines are called, the likeliest first"""
LOOKED_AT: Final = 200
"""rows that a column of outlines is known by"""
_SRID: Final = re.compile(r"^\s*SRID\s*=\s*(\d+)\s*;", re.IGNORECASE)
_HEX: Final = re.compile(r"^(?:\\x|0x)?(?:0[01])[0-9a-f]{8,}$", re.IGNORECASE)
_WKT: Final = re.compile(
    r"^\s*(?:SRID\s*=\s*\d+\s*;)?\s*(?:MULTI)?(?:POLYGON|SURFACE|CURVEPOLYGON|GEOMETRYCOLLECTION)\b", re.IGNORECASE
)


def parse_outlines(values: Shapes, *, where: str) -> tuple[Shapes, str | None]:
    """(n,) shapes, None where there is none or none that can be read, and the CRS where the rows state one.

    Raises DeclarationFileError where they state several.
    """
    shapes = np.full(len(values), None, dtype=object)
    given = np.array([value is not None for value in values], dtype=bool)
    stated: set[int] = set()
    kinds: dict[Callable[[Shapes], Shapes], list[int]] = {}
    texts = np.array(values, dtype=object)
    for row in np.flatnonzero(given):
        value = values[row]
        if isinstance(value, str):
            value = value.strip()
            if (match := _SRID.match(value)) is not None:
                stated.add(int(match.group(1)))
                value = value[match.end() :]
            kind = _from_wkt
            if _HEX.match(value):
                kind, value = _from_wkb, value.removeprefix("\\x").removeprefix("0x").removeprefix("0X")
            elif value.startswith("{"):
                kind = _from_geojson
        else:
            kind = _from_wkb
        texts[row] = value
        kinds.setdefault(kind, []).append(int(row))
    for read, rows in kinds.items():
        shapes[rows] = _by_rows(read, texts[rows])
    present = ~shapely.is_missing(shapes)
    stated |= {int(number) for number in np.unique(shapely.get_srid(shapes[present])) if number > 0}
    if len(stated) > 1:
        raise DeclarationFileError(
            f"its outlines are in several coordinate systems ({', '.join(map(str, sorted(stated)))})", where=where,
            mend="Deliver one file per system, or transform them to one",
        )  # fmt: skip
    return shapes, f"EPSG:{stated.pop()}" if stated else None


def holds_outlines(values: Shapes) -> bool:
    """Whether the first values look like outlines, every one of them."""
    some = [value for value in values[:LOOKED_AT] if value is not None]
    looks = (bool(_HEX.match(v) or _WKT.match(v)) if isinstance(v, str) else v[:1] in (b"\x00", b"\x01") for v in some)
    return bool(some) and all(looks)


def from_wkb(values: Shapes) -> Shapes:
    """Shapes of WKB in bytes, None where a row cannot be read."""
    return _by_rows(_from_wkb, values)


def _by_rows(read: Callable[[Shapes], Shapes], values: Shapes) -> Shapes:
    """All at once, or row by row where one of them holds what shapely does not know at all (arcs)."""
    try:
        return read(values)
    except Exception:  # of shapely: NotImplementedError for arcs, others for damage; the row is counted
        if len(values) == 1:
            return np.array([None], dtype=object)
    half = len(values) // 2
    return np.concatenate([_by_rows(read, values[:half]), _by_rows(read, values[half:])])


def _from_wkt(values: Shapes) -> Shapes:
    with np.errstate(invalid="ignore"):
        shapes: Shapes = np.asarray(shapely.from_wkt(values, on_invalid="ignore"), dtype=object)
    return shapes


def _from_wkb(values: Shapes) -> Shapes:
    with np.errstate(invalid="ignore"):
        shapes: Shapes = np.asarray(shapely.from_wkb(values, on_invalid="ignore"), dtype=object)
    return shapes


def _from_geojson(values: Shapes) -> Shapes:
    shapes: Any = shapely.from_geojson(values, on_invalid="ignore")
    return np.asarray(shapes, dtype=object)
