"""Features of published seasons for maps: outlines with their properties, page by page in the order of their keys.

The key of a feature is agency, season, and the identifier of the parcel or the region. Each season is asked by itself,
with its run as a constant, so that a page costs the same wherever it begins: the primary keys give the rows in their
order.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, LiteralString

import shapely
from psycopg import sql
from psycopg.rows import dict_row
from shapely.geometry.base import BaseGeometry

from cropmap.database.connection import Connection, database_errors
from cropmap.database.queries import Row, published_seasons, text_of
from cropmap.errors import InputError

Bounds = tuple[float, float, float, float]
"""west, south, east, north in degrees"""

LARGEST_BATCH: Final = 20_000
"""features of a box that are looked at together"""


class FeatureKind(StrEnum):
    PARCELS = "parcels"
    ASSESSMENTS = "assessments"
    REGIONS = "regions"


PARCELS_IN_BOX: Final = """
SELECT parcels_in_box(%(agency)s, %(season)s, %(west)s, %(south)s, %(east)s, %(north)s, %(after)s, %(most)s)
"""
REGIONS_IN_BOX: Final = """
SELECT nuts_id FROM region
WHERE agency = %(agency)s AND season = %(season)s AND nuts_id > %(after)s
      AND west <= %(east)s AND east >= %(west)s AND south <= %(north)s AND north >= %(south)s
ORDER BY nuts_id LIMIT %(most)s
"""
PARCEL_BOUNDS: Final = """
SELECT min((box[1])[0]), min((box[1])[1]), max((box[0])[0]), max((box[0])[1])
FROM parcel WHERE agency = %(agency)s AND season = %(season)s
"""
REGION_BOUNDS: Final = """
SELECT min(west), min(south), max(east), max(north) FROM region WHERE agency = %(agency)s AND season = %(season)s
"""
SEASONS_WITH_REGIONS: Final = """
SELECT agency, season, simulated FROM season s
WHERE (%(agency)s::text IS NULL OR agency = %(agency)s)
      AND EXISTS (SELECT FROM region r WHERE (r.agency, r.season) = (s.agency, s.season))
ORDER BY agency, season
"""
OF_RUN: Final = ("agency", "season", "run_id", "model_version", "simulated")


def _seasons_with_regions(connection: Connection, *, agency: str | None = None) -> list[Row]:
    """agency, season, simulated of the seasons whose regions may be seen."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SEASONS_WITH_REGIONS, {"agency": agency}).fetchall()


@dataclass(frozen=True)
class _Source:
    identifier: LiteralString
    """the property that is the last part of the key"""
    statement: LiteralString
    filters: Mapping[str, LiteralString]
    """property -> expression, of those that a request may ask for beside agency and season"""
    in_box: LiteralString = PARCELS_IN_BOX
    """the first identifiers of outlines whose bounds touch a box"""
    bounds: LiteralString = PARCEL_BOUNDS
    seasons: Callable[..., list[Row]] = published_seasons
    """those that may be seen, of one agency or of all"""
    of_season: tuple[str, ...] = OF_RUN
    """what a feature has of its season"""


# The bounds on parcel_id stand in every join: a merge would otherwise read the season from its first row.
SOURCES: Final[Mapping[FeatureKind, _Source]] = {
    FeatureKind.PARCELS: _Source(
        "parcel_id",
        """
SELECT p.wkb, p.parcel_id, coalesce(y.nuts_id, p.nuts_id) AS nuts_id, coalesce(y.area_ha, d.area_ha) AS area_ha,
       d.crop_code, d.declared_area_ha, y.crop, y.probability, y.second_crop, y.second_probability, y.n_observations,
       y.last_observation, y.scored_by, y.out_of_distribution
FROM parcel p
LEFT JOIN declaration d ON d.agency = %(agency)s AND d.season = %(season)s AND d.parcel_id = p.parcel_id
                           AND d.valid_to IS NULL AND d.parcel_id > %(after)s AND {among_d}
LEFT JOIN prediction y ON y.run_id = %(run_id)s AND y.parcel_id = p.parcel_id AND y.parcel_id > %(after)s AND {among_y}
WHERE p.agency = %(agency)s AND p.season = %(season)s AND p.parcel_id > %(after)s AND {filters}
ORDER BY p.parcel_id LIMIT %(limit)s
""",
        {
            "parcel_id": "p.parcel_id",
            "nuts_id": "coalesce(y.nuts_id, p.nuts_id)",
            "crop_code": "d.crop_code",
            "crop": "y.crop",
        },
    ),
    FeatureKind.ASSESSMENTS: _Source(
        "parcel_id",
        """
SELECT p.wkb, a.parcel_id, a.nuts_id, a.area_ha, a.declared_code, a.declared_crop, a.predicted_crop,
       a.declared_probability, a.verdict, a.reason, a.priority
FROM assessment a
LEFT JOIN parcel p ON p.agency = %(agency)s AND p.season = %(season)s AND p.parcel_id = a.parcel_id
                      AND p.parcel_id > %(after)s AND {among_p}
WHERE a.run_id = %(run_id)s AND a.parcel_id > %(after)s AND {filters}
ORDER BY a.parcel_id LIMIT %(limit)s
""",
        {
            "parcel_id": "a.parcel_id",
            "nuts_id": "a.nuts_id",
            "declared_code": "a.declared_code",
            "declared_crop": "a.declared_crop",
            "predicted_crop": "a.predicted_crop",
            "verdict": "a.verdict",
            "reason": "a.reason",
        },
    ),
    FeatureKind.REGIONS: _Source(
        "nuts_id",
        """
SELECT r.outline AS wkb, r.nuts_id, r.level, left(r.nuts_id, 2) AS country, r.name, r.national_name, r.language,
       r.nuts_version
FROM region r
WHERE r.agency = %(agency)s AND r.season = %(season)s AND r.nuts_id > %(after)s AND {filters}
ORDER BY r.nuts_id LIMIT %(limit)s
""",
        {
            "nuts_id": "r.nuts_id",
            "level": "r.level",
            "country": "left(r.nuts_id, 2)",
            "name": "r.name",
            "national_name": "r.national_name",
            "nuts_version": "r.nuts_version",
        },
        in_box=REGIONS_IN_BOX,
        bounds=REGION_BOUNDS,
        seasons=_seasons_with_regions,
        of_season=("agency", "season", "simulated"),
    ),
}
AMONG: Final[Mapping[str, LiteralString]] = {
    "d": "d.parcel_id IN (SELECT unnest(%(among)s::text[]))",
    "y": "y.parcel_id IN (SELECT unnest(%(among)s::text[]))",
    "p": "p.parcel_id IN (SELECT unnest(%(among)s::text[]))",
}


@dataclass(frozen=True)
class FeatureKey:
    agency: str
    season: int
    identifier: str
    """of the parcel or the region"""


@dataclass(frozen=True)
class Feature:
    key: FeatureKey
    outline: BaseGeometry | None
    """EPSG:4326, longitude first; None where the register has no outline of the parcel any more"""
    properties: Row


@dataclass(frozen=True)
class Wanted:
    """What a request asks for; with nothing set it is every feature of every published season."""

    agency: str | None = None
    first_season: int | None = None
    last_season: int | None = None
    within: BaseGeometry | None = None
    """outlines that touch it (EPSG:4326, longitude first)"""
    equal: Mapping[str, str | int] | None = None
    """property -> the value that it must have"""


@dataclass(frozen=True)
class FeaturePage:
    items: list[Feature]
    next: str | None
    """where the next page begins (`after`); None after the last"""


@database_errors()
def features(
    connection: Connection, kind: FeatureKind, wanted: Wanted, *, after: str | None = None, limit: int
) -> FeaturePage:
    """Features in the order of agency, season and identifier. `after` is the `next` of the page before.

    Raises InputError for an `after` that no page gave out, or a property that cannot be asked for.
    """
    mark = _key(after) if after else None
    found: list[Feature] = []
    for season in _seasons(connection, kind, wanted, mark):
        here = (season["agency"], season["season"])
        begin = mark.identifier if mark and here == (mark.agency, mark.season) else ""
        found += _of_season(connection, kind, wanted, season, after=begin, most=limit + 1 - len(found))
        if len(found) > limit:
            return FeaturePage(found[:limit], _token(found[limit - 1].key))
    return FeaturePage(found, None)


@database_errors()
def feature(connection: Connection, kind: FeatureKind, key: FeatureKey) -> Feature | None:
    """One feature; None where nothing of this name is published."""
    wanted = Wanted(key.agency, key.season, key.season, equal={SOURCES[kind].identifier: key.identifier})
    found = features(connection, kind, wanted, limit=1).items
    return found[0] if found else None


@database_errors()
def seasons(connection: Connection, kind: FeatureKind, *, agency: str | None = None) -> list[Row]:
    """Seasons whose features may be seen: agency, season, simulated, and where its features are a run's, `run_id`."""
    return SOURCES[kind].seasons(connection, agency=agency)


@database_errors()
def bounds(connection: Connection, kind: FeatureKind, *, agency: str, season: int) -> Bounds | None:
    """Where the features of a season lie; None where it has none. It reads the whole season."""
    row = connection.execute(SOURCES[kind].bounds, {"agency": agency, "season": season}).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1], row[2], row[3])


def _seasons(connection: Connection, kind: FeatureKind, wanted: Wanted, mark: FeatureKey | None) -> Iterator[Row]:
    """Seasons that may have a feature of the page, in an order that no collation changes."""
    for season in sorted(
        seasons(connection, kind, agency=wanted.agency), key=lambda row: (row["agency"], row["season"])
    ):
        too_early = wanted.first_season is not None and season["season"] < wanted.first_season
        too_late = wanted.last_season is not None and season["season"] > wanted.last_season
        before = mark is not None and (season["agency"], season["season"]) < (mark.agency, mark.season)
        if not (too_early or too_late or before):
            yield season


def _of_season(
    connection: Connection, kind: FeatureKind, wanted: Wanted, season: Row, *, after: str, most: int
) -> list[Feature]:
    """The first features of a season behind an identifier, `most` at most."""
    if wanted.within is None:
        return _read(connection, kind, wanted, season, after=after, limit=most)
    found: list[Feature] = []
    batch = most
    shapely.prepare(wanted.within)
    while len(found) < most:
        near = _in_box(connection, kind, season, wanted.within, after=after, most=batch)
        read = _read(connection, kind, wanted, season, after=after, limit=batch, among=near) if near else []
        touched = shapely.intersects(wanted.within, [feature.outline for feature in read])
        found += [feature for feature, touches in zip(read, touched, strict=True) if touches]
        if len(near) < batch:
            break
        after, batch = near[-1], min(2 * batch, LARGEST_BATCH)
    return found[:most]


def _in_box(
    connection: Connection, kind: FeatureKind, season: Row, within: BaseGeometry, *, after: str, most: int
) -> list[str]:
    west, south, east, north = within.bounds
    values = {"west": west, "south": south, "east": east, "north": north, "after": after, "most": most}
    found = connection.execute(SOURCES[kind].in_box, season | values).fetchall()
    return [identifier for (identifier,) in found]


def _read(
    connection: Connection,
    kind: FeatureKind,
    wanted: Wanted,
    season: Row,
    *,
    after: str,
    limit: int,
    among: Sequence[str] | None = None,
) -> list[Feature]:
    source = SOURCES[kind]
    asked = wanted.equal or {}
    if unknown := sorted(asked.keys() - source.filters.keys()):
        raise InputError("this property cannot be asked for", where=unknown[0])
    filters = [
        sql.SQL("{} = {}").format(sql.SQL(source.filters[name]), sql.Placeholder(f"is_{name}")) for name in asked
    ]
    if among is not None:
        filters.append(sql.SQL(source.filters[source.identifier]) + sql.SQL(" IN (SELECT unnest(%(among)s::text[]))"))
    joined: dict[str, sql.SQL] = {
        f"among_{alias}": sql.SQL("true" if among is None else among_ids) for alias, among_ids in AMONG.items()
    }
    statement = sql.SQL(source.statement).format(filters=sql.SQL(" AND ").join([*filters, sql.SQL("true")]), **joined)
    values: dict[str, Any] = {f"is_{name}": value for name, value in asked.items()}
    values |= {"after": after, "limit": limit, "among": among and list(among)}
    with connection.cursor(row_factory=dict_row) as cursor:
        return list(_made(source, season, cursor.execute(statement, season | values).fetchall()))


def _made(source: _Source, season: Row, rows: Sequence[Row]) -> Iterator[Feature]:
    about = {name: season[name] for name in source.of_season}
    outlines: Iterable[BaseGeometry | None] = shapely.from_wkb([row.pop("wkb") for row in rows])
    for row, outline in zip(rows, outlines, strict=True):
        key = FeatureKey(season["agency"], season["season"], row[source.identifier])
        yield Feature(key, outline, about | row)


def _token(key: FeatureKey) -> str:
    return base64.urlsafe_b64encode(json.dumps([key.agency, key.season, key.identifier]).encode()).decode()


def _key(token: str) -> FeatureKey:
    try:
        agency, season, identifier = json.loads(base64.urlsafe_b64decode(token.encode()))
        return FeatureKey(text_of(agency), int(season), text_of(identifier))
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise InputError("not the mark of a page", where="after", mend="Follow the link `next` of a page") from error
