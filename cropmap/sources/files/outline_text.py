"""Outlines as tables write them: WKT, EWKT (`SRID=25832;POLYGON…`), WKB and EWKB in hexadecimal digits or bytes,
GeoJSON. In: one text or byte string per row; out: shapes, and the coordinate system that the rows state. Pure.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Collection
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from cropmap.errors import DeclarationFileError
from cropmap.sources.outlines import Shapes

WKT_NAMES: Final = (
    "wkt",
    "ewkt",
    "wkb",
    "ewkb",
    "geometry",
    "geom",
    "the_geom",
    "geom_wkt",
    "wkt_geom",
    "geometry_wkt",
    "wkb_geometry",
    "geojson",
)
"""what columns of outlines are called, the likeliest first"""
LOOKED_AT: Final = 200
"""rows that a column of outlines is known by"""
MAX_DEPTH: Final = 32
"""collections in collections"""
_LINES, _RINGED = (2, 8), (3, 17)
_NUMBER: Final = r"\s*(-?\d[\d.eE+-]*)\s*"
_LONG_POSITION: Final = re.compile(rf"\[{_NUMBER},{_NUMBER}(?:,{_NUMBER}){{2,}}\]")
"""of four numbers and more, as GeoJSON should not have them (RFC 7946, 3.1.1) and shapely does not read them"""
_POLYGON: Final = b"\x03"
"""as nearly all outlines begin, after the byte order: nothing is nested in it"""
_SRID: Final = re.compile(r"^\s*SRID\s*=\s*(\d+)\s*;", re.IGNORECASE)
_HEX: Final = re.compile(r"^(?:\\x|0x)?(?:0[01])[0-9a-f]{8,}$", re.IGNORECASE)
_WKT: Final = re.compile(
    r"^\s*(?:SRID\s*=\s*\d+\s*;)?\s*(?:MULTI)?(?:POLYGON|SURFACE|CURVEPOLYGON|GEOMETRYCOLLECTION)Z?M?\b", re.IGNORECASE
)


def parse_outlines(values: Shapes) -> tuple[Shapes, set[str]]:
    """(n,) shapes, None where there is none or none that can be read, and the CRSs that the rows state."""
    shapes = np.full(len(values), None, dtype=object)
    has_value = np.array([value is not None for value in values], dtype=bool)
    stated: set[int] = set()
    kinds: dict[Callable[[Shapes], Shapes], list[int]] = {}
    texts = np.array(values, dtype=object)
    for row in np.flatnonzero(has_value):
        value = values[row]
        if isinstance(value, str):
            value = value.strip()
            if (match := _SRID.match(value)) is not None:
                stated |= {int(match.group(1))} - {0}  # PostGIS writes 0 where there is none
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
        shapes[rows] = by_rows(read, shallow(texts[rows]))
    present = ~shapely.is_missing(shapes)
    stated |= {int(number) for number in np.unique(shapely.get_srid(shapes[present])) if number > 0}
    return shapes, {f"EPSG:{number}" for number in stated}


def refuse_several_systems(stated: Collection[str], *, where: str) -> None:
    """`stated`: of all rows, codes of EPSG. Raises DeclarationFileError where there are several."""
    if len(stated) > 1:
        numbers = sorted(int(code.removeprefix("EPSG:")) for code in stated)
        raise DeclarationFileError(
            f"its outlines are in several coordinate systems ({', '.join(map(str, numbers))})",
            where=where,
            mend="Deliver one file per system, or transform them to one",
        )


def holds_outlines(values: Shapes) -> bool:
    """Whether the first values look like outlines, every one of them."""
    some = [value for value in values[:LOOKED_AT] if value is not None]
    looks = (bool(_HEX.match(v) or _WKT.match(v)) if isinstance(v, str) else v[:1] in (b"\x00", b"\x01") for v in some)
    return bool(some) and all(looks)


def from_wkb(values: Shapes) -> Shapes:
    """Shapes of WKB in bytes, None where a row cannot be read."""
    return by_rows(_from_wkb, shallow(values))


def by_rows(read: Callable[[NDArray[Any]], Shapes], values: NDArray[Any]) -> Shapes:
    """What `read` makes of the values: all at once, or row by row where one of them holds what shapely does not support
    (arcs); None for that one."""
    try:
        return read(values)
    except Exception:  # of shapely: NotImplementedError for arcs, others for damage; the row is counted
        if len(values) == 1:
            return np.array([None], dtype=object)
    half = len(values) // 2
    return np.concatenate([by_rows(read, values[:half]), by_rows(read, values[half:])])


def shallow(values: Shapes) -> Shapes:
    """Outlines without those that are nested so deeply that a reader, which descends into them, would crash."""
    deep = [row for row, value in enumerate(values) if value is not None and _is_deep(value)]
    if not deep:
        return values
    kept: Shapes = np.array(values, dtype=object)
    kept[deep] = None
    return kept


def _is_deep(value: str | bytes) -> bool:
    if isinstance(value, str):
        if _HEX.match(value):
            digits = value.removeprefix("\\x").removeprefix("0x")
            return len(digits) > MAX_DEPTH * 18 and _is_deep(bytes.fromhex(digits[: len(digits) // 2 * 2]))
        return value.upper().count("COLLECTION") > MAX_DEPTH or "[" * MAX_DEPTH in value.replace(" ", "")
    return value[1:2] != _POLYGON and _depth_above(value, MAX_DEPTH)


def _depth_above(wkb: bytes, most: int) -> bool:
    """Walks through the headers of (E)WKB and ISO WKB, down to `most` levels."""
    at, open_ = 0, [1]
    try:
        while open_:
            if open_[-1] == 0:
                open_.pop()
                continue
            open_[-1] -= 1
            order = "<" if wkb[at] == 1 else ">"
            (stated,) = struct.unpack_from(f"{order}I", wkb, at + 1)
            at += 9 if stated & 0x2000_0000 else 5
            iso, kind = divmod(stated & 0x0FFF_FFFF, 1000)
            size = 8 * (2 + bool(stated & 0x8000_0000 or iso in (1, 3)) + bool(stated & 0x4000_0000 or iso in (2, 3)))
            if kind == 1:
                at += size
                continue
            (count,) = struct.unpack_from(f"{order}I", wkb, at)
            at += 4
            if kind in _LINES:
                at += size * count
            elif kind in _RINGED:
                for _ in range(count):
                    at += 4 + size * struct.unpack_from(f"{order}I", wkb, at)[0]
            else:
                open_.append(count)
                if len(open_) > most:
                    return True
    except (struct.error, IndexError):
        return False  # it ends here, for every other reader too
    return False


def _from_wkt(values: Shapes) -> Shapes:
    with np.errstate(invalid="ignore"):
        shapes: Shapes = np.asarray(shapely.from_wkt(values, on_invalid="ignore"), dtype=object)
    return shapes


def _from_wkb(values: Shapes) -> Shapes:
    with np.errstate(invalid="ignore"):
        shapes: Shapes = np.asarray(shapely.from_wkb(values, on_invalid="ignore"), dtype=object)
    return shapes


def _from_geojson(values: Shapes) -> Shapes:
    plain = [_LONG_POSITION.sub(r"[\1,\2]", value) for value in values]
    return np.asarray(shapely.from_geojson(plain, on_invalid="ignore"), dtype=object)
