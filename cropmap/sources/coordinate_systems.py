"""Whether the coordinate system that a file states places its outlines where they lie.

PROJ answers: which operation it takes to WGS 84 for the file's own coordinates, and how exact that is. Where it has
none, it moves coordinates as if both datums were one ("ballpark"), which is 50 to 500 m off for Europe's older grids
and is refused here. In: a CRS and outlines. Out: a Placement: a refusal, or notes on what an operator should know.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyproj
import shapely
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_crs_info
from pyproj.enums import PJType
from pyproj.exceptions import CRSError, ProjError

from cropmap.errors import DeclarationFileError
from cropmap.schemas import EPSG_WGS84

NOTED_ABOVE_M: Final = 5.0
"""half a pixel of the 10 m bands: a datum transformation that is no better than this is noted"""
SAMPLED: Final = 100
"""outlines whose place is looked at"""
MOSTLY: Final = 0.5
SAME_RADIUS_M: Final = 0.5
WGS84_RADIUS_M: Final = 6_378_137.0
"""of WGS 84 and GRS 80 alike. A datum on one of them is, in Europe, ETRS89 or WGS 84, which differ by less than a
metre; Pseudo-Mercator's sphere has it too"""
SAME_PLACE_DEG: Final = 1e-7
"""one centimetre"""
SAME_GRID_DEG: Final = 2e-3
"""what another ellipsoid makes of the same grid: 85 m between Krassovsky's and WGS 84 in Romania"""
OTHER_DATUM_M: Final = 20.0
"""two ways from one datum to WGS 84 differ by less, two of Europe's datums by more"""
SURE: Final = 90
"""confidence, 0-100, from which PROJ takes a CRS for one of EPSG's. Without a datum it has less: 9391, of the Balkans,
has the grid of Finland's 3067"""
NEAR_DEG: Final = 1.0
"""how far beyond its area of use a CRS is not worth a word"""
EUROPE: Final = (-16.1, 32.8, 40.2, 84.8)
"""area of use of ETRS89, degrees: only to recognise latitudes and longitudes that stand the wrong way round"""
BALLPARK: Final = "ballpark"
UNIT_OF_DEGREES: Final = 1e-9
"""how far from one degree a unit that is called so lies by rounding"""
WEB_MERCATOR: Final = 3857
"""whose sphere a `.prj` of old programs cannot say: they wrote the ellipsoid's Mercator, 21 km away in France"""
WORLD_MERCATOR: Final = 3395
"""of the ellipsoid, for nautical charts"""
EXAMPLES: Final = 3

Points = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Placement:
    """What PROJ says of a CRS for the outlines in it."""

    refused: str = ""
    """why nothing may be read with this CRS, in words; empty where it may"""
    mend: str = ""
    notes: tuple[str, ...] = ()
    fits: tuple[str, ...] = field(default=(), repr=False)
    """EPSG codes of the same grid with a datum, where the CRS lost its own"""


def parse_crs(value: object, where: str) -> pyproj.CRS:
    """Raises DeclarationFileError for what PROJ does not understand. Heights are left out of a compound CRS."""
    try:
        crs = pyproj.CRS.from_user_input(value)
        return crs.to_2d() if crs.is_compound or len(crs.axis_info) > 2 else crs
    except CRSError as error:
        shown = " ".join(str(value).split())[:80]
        raise DeclarationFileError(f"{shown!r} is no CRS", where=where, mend="Write it like EPSG:25832") from error


@lru_cache(maxsize=16)
def transformer_to(crs: pyproj.CRS, epsg: int) -> pyproj.Transformer:
    """From `crs` to `epsg`, x before y. Kept, because PROJ searches a quarter of a second for the operations of a CRS
    without a code, as MapInfo and `.prj` files state it, and a file asks for them several times. Raises ProjError."""
    return pyproj.Transformer.from_crs(crs, epsg, always_xy=True)


def sampled(drawn: np.ndarray[Any, np.dtype[np.bool_]]) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Positions of at most SAMPLED outlines, spread over those with finite bounds (`drawn`). What is said here of a
    file's outlines is said of these: whoever cannot hold all of them gives these alone, and hears the same."""
    rows = np.flatnonzero(drawn)
    spread = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLED)).astype(int))
    return np.asarray(rows[spread], dtype=np.intp)


def choose_crs(
    stated: object, configured: str | None, shapes: Any, *, where: str
) -> tuple[pyproj.CRS, tuple[str, ...]]:
    """The CRS to read `shapes` with, and notes: `configured` (`declarations.crs`) wins over what the file states.

    Raises DeclarationFileError where there is neither, and where the one chosen does not say where the outlines lie.
    """
    if stated is None and configured is None:
        raise DeclarationFileError("the file carries no CRS", where=where, mend="Set declarations.crs, e.g. EPSG:3035")
    crs = parse_crs(stated if configured is None else configured, where)
    placement = place(crs, shapes)
    if placement.refused:
        raise DeclarationFileError(placement.refused, where=where, mend=placement.mend)
    return crs, (*overridden(stated, configured, shapes), *placement.notes)


def overridden(stated: object, configured: str | None, shapes: Any) -> tuple[str, ...]:
    """A note where `configured` replaces another CRS that the file states."""
    if stated is None or configured is None:
        return ()
    crs = parse_crs(configured, "declarations.crs")
    try:
        own = parse_crs(stated, "")
    except DeclarationFileError:
        return (f"the file states a CRS that cannot be read: {crs.name} (declarations.crs) is used",)
    if own.equals(crs, ignore_axis_order=True):
        return ()
    apart = _apart_m(own, crs, _centres(shapes))
    metres = f", {apart:,.0f} m apart" if apart is not None else ""
    return (f"the file says {_name(own)}, declarations.crs says {_name(crs)} and is used{metres}",)


def contradicted(stated: object, others: Sequence[str], shapes: Any) -> str:
    """What to say where a file states its CRS several times, and one lies elsewhere; empty where they agree.

    One that is no CRS, or leads nowhere, contradicts nothing.
    """
    own, points = parse_crs(stated, ""), _centres(shapes)
    for text in others:
        try:
            crs = parse_crs(text, "")
        except DeclarationFileError:
            continue
        apart = _apart_m(own, crs, points)
        if apart is not None and apart > OTHER_DATUM_M and not place(crs, shapes).refused:
            return f"it states two CRSs for its outlines, {_name(own)} and {_name(crs)}, {apart:,.0f} m apart"
    return ""


def place(crs: pyproj.CRS, shapes: Any) -> Placement:
    """How well `crs` places the shapes on WGS 84; shapes that are missing or not finite say nothing."""
    points = _centres(shapes)
    if wrong := _unusable(crs, points):
        return wrong
    try:
        transformer = transformer_to(crs, EPSG_WGS84)
        used = [_operation(transformer, x, y) for x, y in points]
    except ProjError as error:
        why = " ".join(str(error).split())[:160]
        return Placement(f"PROJ cannot lead its CRS {_name(crs)} to WGS 84 ({why})", _another_crs())
    if not used:
        return Placement()
    lost = [BALLPARK in description.casefold() for description, _ in used]
    if np.mean(lost) > MOSTLY or _null_shift(crs):
        return _without_datum(crs, points[int(np.argmax(lost))])
    notes = [*_inexact(crs, used), *misplaced(crs, points)]
    if _is_mercator_of_the_ellipsoid(crs):
        metres = _apart_m(crs, pyproj.CRS.from_epsg(WEB_MERCATOR), points)
        away = f", {metres:,.0f} m away" if metres is not None else ""
        what = f"its CRS {_name(crs)} is a Mercator projection of the ellipsoid; that of web maps is of a sphere{away}"
        mend = f"et declarations.crs: EPSG:{WEB_MERCATOR} where it comes from a web map"
        if crs.to_authority(min_confidence=100) is None:
            fits = (f"EPSG:{WEB_MERCATOR}", f"EPSG:{WORLD_MERCATOR}")
            return Placement(what, f"S{mend}, else {fits[1]}", fits=fits)
        notes.append(f"{what}: s{mend}")
    if other := _grid_of_another_datum(crs, points[0]):
        what = f"its grid is that of {other[0]}, its datum is not: it places outlines {other[1]:.0f} m away from there"
        if crs.is_bound and not any(getattr(crs.coordinate_operation, "towgs84", [])):  # zeros are a placeholder
            return Placement(what, f"Set declarations.crs, such as {other[0]}", fits=(other[0].split()[0],))
        notes.append(what)
    return Placement(notes=tuple(notes))


def misplaced(crs: pyproj.CRS, points: Points) -> list[str]:
    """A note where most points lie far from where the CRS is used: another zone or unit, or axes turned round."""
    lon, lat = _lonlat(crs, points[:, 0], points[:, 1])
    if _inside(crs, lon, lat) > MOSTLY:
        return []
    at = f"{np.nanmedian(lat):.2f} N {np.nanmedian(lon):.2f} E"
    turned = -points[:, ::-1]
    if (turned > 0).all() and any(_inside(crs, *_lonlat(crs, *way.T)) > MOSTLY for way in (turned, turned[:, ::-1])):
        return [
            f"the coordinates are negative, and {_name(crs)} counts them to the south and west: set declarations.crs "
            "to the grid that counts them to the east and north, such as EPSG:5514 for EPSG:5513"
        ]
    if _inside(crs, *_lonlat(crs, points[:, 1], points[:, 0])) > MOSTLY:
        return [
            f"the coordinates would lie at {at}; the other way round they lie where {_name(crs)} is used: set "
            "axis_order: northing_first (easting_first for a GML whose srsName begins with urn or http)"
        ]
    if _area(crs) is not None:
        return [f"most coordinates lie at {at}, where {_name(crs)} is not used: another CRS, zone or unit?"]
    return [f"most coordinates lie at {at}, outside Europe: another CRS, zone or unit?"] if crs.is_projected else []


def _unusable(crs: pyproj.CRS, points: Points) -> Placement | None:
    if not (crs.is_geographic or crs.is_projected):
        kind = crs.type_name.removesuffix(" CRS").lower()
        return Placement(f"its CRS {_name(crs)} is {kind}: it places no outlines on the map", _another_crs())
    degrees = (np.abs(points[:, 0]) <= 360) & (np.abs(points[:, 1]) <= 90)
    if len(points) and np.mean(degrees) < MOSTLY and crs.is_geographic:
        x, y = points[int(np.argmin(degrees))]
        return Placement(
            f"its coordinates are no degrees ({x:.0f} {y:.0f}), though its CRS is {_name(crs)}",
            "Set declarations.crs to the grid that they are in, such as EPSG:25832",
        )
    if len(points) and degrees.all() and crs.is_projected and abs(_unit_m(crs)) <= 1:
        x, y = points[0]
        return Placement(
            f"its coordinates look like degrees ({x:.5f} {y:.5f}), though its CRS is {_name(crs)}",
            "Set declarations.crs, such as EPSG:4326",
        )
    return None


def _inexact(crs: pyproj.CRS, used: list[tuple[str, float]]) -> Iterator[str]:
    lost = sum(BALLPARK in description.casefold() for description, _ in used)
    if lost:
        yield (
            f"{lost} of {len(used)} outlines looked at lie where no transformation from {_datum(crs)} is known: "
            "they may be far off"
        )
    worst = max((accuracy for _, accuracy in used), default=0.0)
    if worst > NOTED_ABOVE_M:
        yield f"PROJ leads {_name(crs)} to WGS 84 to within {worst:.0f} m only{_missing_grids(crs)}"
    elif crs.is_bound and worst < 0:
        yield f"{_name(crs)} brings its own way to WGS 84 (TOWGS84), whose accuracy nobody states"


def _without_datum(crs: pyproj.CRS, point: Any) -> Placement:
    x, y = (float(value) for value in point)
    ellipsoid = crs.ellipsoid
    if ellipsoid is not None and abs(ellipsoid.semi_major_metre - WGS84_RADIUS_M) < SAME_RADIUS_M:
        if other := _grid_of_another_datum(crs, point):
            what = f"its CRS {_name(crs)} names no datum, and its grid is that of {other[0]}, {other[1]:.0f} m away"
            return Placement(what, f"Set declarations.crs, such as {other[0]}", fits=(other[0].split()[0],))
        note = f"its CRS {_name(crs)} names no datum that leads to WGS 84: taken as WGS 84 (ETRS89 is within a metre)"
        return Placement(notes=(note, *misplaced(crs, np.array([[x, y]]))))
    lon, lat = (float(value) for value in _on_own_datum(crs, x, y))
    if not np.isfinite([lon, lat]).all():
        return Placement(f"its CRS {_name(crs)} names no datum, and its coordinates do not fit it", _another_crs())
    shifts = sorted(_shifts_m(crs, lon, lat).values())
    far = f"about {shifts[0]:.0f} m" if len(shifts) == 1 else f"{shifts[0]:.0f} to {shifts[-1]:.0f} m" if shifts else ""
    fits = sorted(dict.fromkeys(_same_grid(crs, x, y, lon, lat)), key=len)
    off = f": outlines would lie {far} off" if far else ": outlines may lie hundreds of metres off"
    return Placement(
        f"its CRS {_name(crs)} names no datum that leads to WGS 84 at {lat:.2f} N {lon:.2f} E{off}",
        f"Set declarations.crs, such as {', '.join(fits[:EXAMPLES])}" if fits else _another_crs(),
        fits=tuple(fit.split()[0] for fit in fits),
    )


def _another_crs() -> str:
    return "Set declarations.crs to the one that the file is in, such as EPSG:31468"


# --- PROJ ----------------------------------------------------------------------------------------------------------


def _operation(transformer: pyproj.Transformer, x: float, y: float) -> tuple[str, float]:
    """Description and accuracy (m; negative where unknown) of what PROJ does at a place."""
    transformer.transform(x, y)
    try:
        used = transformer.get_last_used_operation()
    except ProjError:  # there is one operation alone
        used = transformer
    return str(used.description), float(used.accuracy)


def _is_mercator_of_the_ellipsoid(crs: pyproj.CRS) -> bool:
    """It is hardly ever used on land."""
    named = crs.source_crs if crs.is_bound and crs.source_crs is not None else crs
    operation, ellipsoid = named.coordinate_operation, named.ellipsoid
    if not named.is_projected or operation is None or ellipsoid is None or not ellipsoid.inverse_flattening:
        return False
    return operation.method_name.startswith("Mercator")


def _null_shift(crs: pyproj.CRS) -> bool:
    """`TOWGS84[0,0,0…]` on an ellipsoid that is not that of WGS 84: a placeholder, not a shift."""
    if not crs.is_bound or crs.coordinate_operation is None or crs.source_crs is None:
        return False
    shift, ellipsoid = crs.coordinate_operation.towgs84, crs.source_crs.ellipsoid
    other = ellipsoid is not None and abs(ellipsoid.semi_major_metre - WGS84_RADIUS_M) > SAME_RADIUS_M
    return bool(shift) and not any(shift) and other


def _shifts_m(crs: pyproj.CRS, lon: float, lat: float) -> dict[str, float]:
    """Metres that every known datum on the same ellipsoid lies off WGS 84 there."""
    shifts, geod = {}, pyproj.Geod(ellps="WGS84")
    for name, known in _known(PJType.GEOGRAPHIC_2D_CRS, crs, lon, lat):
        if _on_own_datum(known, lon, lat) != (lon, lat):  # degrees from Paris or Rome, or gons
            continue
        transformer = pyproj.Transformer.from_crs(known, EPSG_WGS84, always_xy=True)
        x, y = transformer.transform(lon, lat)
        if BALLPARK not in _operation(transformer, lon, lat)[0].casefold():
            shifts[name] = float(geod.inv(lon, lat, x, y)[2])
    return shifts


def _same_grid(crs: pyproj.CRS, x: float, y: float, lon: float, lat: float) -> Iterator[str]:
    """Known CRSs that differ from this one in the datum alone, and lead to WGS 84 there."""
    for name, known in _known(PJType.PROJECTED_CRS if crs.is_projected else PJType.GEOGRAPHIC_2D_CRS, crs, lon, lat):
        if np.allclose(_on_own_datum(known, x, y), (lon, lat), rtol=0, atol=SAME_PLACE_DEG):
            transformer = pyproj.Transformer.from_crs(known, EPSG_WGS84, always_xy=True)
            if BALLPARK not in _operation(transformer, x, y)[0].casefold():
                yield name


def _grid_of_another_datum(crs: pyproj.CRS, point: Any) -> tuple[str, float] | None:
    """Name of the nearest known CRS of the same grid, and how far it lies away, for a CRS without a code; None where
    one lies as the CRS does, or none has its grid. Greece's grid under the datum of WGS 84 is 324 m off, Romania's 124.
    """
    if not crs.is_projected or crs.to_authority(min_confidence=100) is not None:
        return None
    x, y = (float(value) for value in point)
    lon, lat = _on_own_datum(crs, x, y)
    if not np.isfinite([lon, lat]).all():
        return None
    apart: dict[str, float] = {}
    for info in query_crs_info("EPSG", PJType.PROJECTED_CRS, AreaOfInterest(lon, lat, lon, lat), contains=True):
        known = pyproj.CRS.from_epsg(int(info.code))
        try:
            same = np.allclose(_on_own_datum(known, x, y), (lon, lat), rtol=0, atol=SAME_GRID_DEG)
        except ProjError:  # a projection that PROJ does not have
            continue
        if same:
            transformer = pyproj.Transformer.from_crs(known, EPSG_WGS84, always_xy=True)
            metres = _apart_m(known, crs, np.array([[x, y]]))
            if metres is not None and BALLPARK not in _operation(transformer, x, y)[0].casefold():
                apart[f"EPSG:{info.code} ({info.name})"] = metres
    nearest = min(apart, key=lambda name: apart[name], default=None)
    return (nearest, apart[nearest]) if nearest is not None and apart[nearest] > OTHER_DATUM_M else None


def _known(kind: PJType, crs: pyproj.CRS, lon: float, lat: float) -> Iterator[tuple[str, pyproj.CRS]]:
    """EPSG's CRSs for that place on the ellipsoid of `crs`."""
    for info in query_crs_info("EPSG", kind, AreaOfInterest(lon, lat, lon, lat), contains=True):
        known = pyproj.CRS.from_epsg(int(info.code))
        ellipsoid, other = known.ellipsoid, crs.ellipsoid
        if (
            ellipsoid is not None
            and other is not None
            and abs(ellipsoid.semi_major_metre - other.semi_major_metre) < SAME_RADIUS_M
        ):
            yield f"EPSG:{info.code} ({info.name})", known


def _on_own_datum(crs: pyproj.CRS, x: float, y: float) -> tuple[float, float]:
    """Degrees from Greenwich, also where the CRS counts in gons or from Ferro, Paris or Rome."""
    own = crs.source_crs if crs.is_bound and crs.source_crs is not None else crs
    base = own.geodetic_crs
    if base is None:
        return x, y
    lon, lat = (x, y) if own.is_geographic else pyproj.Transformer.from_crs(own, base, always_xy=True).transform(x, y)
    meridian, unit = base.prime_meridian, np.degrees(base.axis_info[0].unit_conversion_factor)
    if abs(unit - 1) < UNIT_OF_DEGREES:
        unit = 1.0
    east = 0.0 if meridian is None else np.degrees(meridian.longitude * float(meridian.unit_conversion_factor))
    return float(lon * unit + east), float(lat * unit)


def _apart_m(first: pyproj.CRS, other: pyproj.CRS, points: Points) -> float | None:
    """How far the first outline lies apart in two CRSs; None where one does not fit."""
    if not len(points):
        return None
    try:
        (a, b), (c, d) = (_lonlat(crs, points[:1, 0], points[:1, 1]) for crs in (first, other))
    except ProjError:
        return None
    ends = np.array([a[0], b[0], c[0], d[0]])
    if not np.isfinite(ends).all() or (np.abs(ends[[1, 3]]) > 90).any() or (np.abs(ends[[0, 2]]) > 360).any():
        return None
    return float(pyproj.Geod(ellps="WGS84").inv(*ends)[2])


def _missing_grids(crs: pyproj.CRS) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the best operation is not available, which is asked for
        group = pyproj.transformer.TransformerGroup(crs, EPSG_WGS84, always_xy=True)
    better = [each for each in group.unavailable_operations if 0 <= each.accuracy <= NOTED_ABOVE_M]
    grids = sorted({grid.short_name for each in better for grid in each.grids if not grid.available})
    return f"; the grid {' or '.join(grids[:EXAMPLES])} would do better (docs/declarations.md)" if grids else ""


def _lonlat(crs: pyproj.CRS, x: Points, y: Points) -> tuple[Points, Points]:
    lon, lat = transformer_to(crs, EPSG_WGS84).transform(x, y)
    return np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)


# --- where ---------------------------------------------------------------------------------------------------------


def _centres(shapes: Any) -> Points:
    """x, y of the `sampled` outlines."""
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    chosen = sampled(np.isfinite(bounds).all(axis=1))
    return np.asarray((bounds[chosen, :2] + bounds[chosen, 2:]) / 2, dtype=np.float64)


def _inside(crs: pyproj.CRS, lon: Points, lat: Points) -> float:
    """Share of the points where the CRS is used, or in Europe where that is not known."""
    if not len(lon):
        return 1.0
    west, south, east, north = _area(crs) or EUROPE
    held = (lon >= west - NEAR_DEG) & (lon <= east + NEAR_DEG) if west <= east else (lon >= west) | (lon <= east)
    return float(np.mean(held & (lat >= south - NEAR_DEG) & (lat <= north + NEAR_DEG)))


def _area(crs: pyproj.CRS) -> tuple[float, float, float, float] | None:
    """West, south, east, north of the area of use; None for the whole world and where none is stated."""
    named = crs.source_crs if crs.is_bound and crs.source_crs is not None else crs
    area = named.area_of_use
    if area is None:
        code = named.to_epsg(min_confidence=SURE)
        area = pyproj.CRS.from_epsg(code).area_of_use if code else None
    if area is None or (area.east - area.west) % 360 == 0:
        return None
    return (area.west, area.south, area.east, area.north)


def _unit_m(crs: pyproj.CRS) -> float:
    return float(crs.axis_info[0].unit_conversion_factor) if crs.axis_info else 1.0


def _name(crs: pyproj.CRS) -> str:
    authority = crs.to_authority(min_confidence=100)
    return f"{':'.join(authority)} ({crs.name})" if authority else f"{crs.name!r}"


def _datum(crs: pyproj.CRS) -> str:
    return crs.geodetic_crs.name if crs.geodetic_crs is not None else crs.name
