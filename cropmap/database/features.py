"""Features of published seasons for maps: outlines with their properties, page by page in the order of their keys.

The key of a feature is agency, season and parcel. Each season is asked by itself, with its run as a constant, so that a
page costs the same wherever it begins: the primary keys give the rows in their order.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
"""parcels of a box that are looked at together"""


class FeatureKind(StrEnum):
    PARCELS = "parcels"
    ASSESSMENTS = "assessments"


@dataclass(frozen=True)
class _Source:
    statement: LiteralString
    filters: Mapping[str, LiteralString]
    """property -> expression, of those that a request may ask for beside agency and season"""


# The bounds on parcel_id stand in every join: a merge would otherwise read the season from its first row.
SOURCES: Final[Mapping[FeatureKind, _Source]] = {
    FeatureKind.PARCELS: _Source(
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
}
AMONG: Final[Mapping[str, LiteralString]] = {
    "d": "d.parcel_id IN (SELECT unnest(%(parcel_ids)s::text[]))",
    "y": "y.parcel_id IN (SELECT unnest(%(parcel_ids)s::text[]))",
    "p": "p.parcel_id IN (SELECT unnest(%(parcel_ids)s::text[]))",
}
BOUNDS: Final = """
SELECT min((box[1])[0]), min((box[1])[1]), max((box[0])[0]), max((box[0])[1])
FROM parcel WHERE agency = %(agency)s AND season = %(season)s
"""
IN_BOX: Final = """
SELECT parcels_in_box(%(agency)s, %(season)s, %(west)s, %(south)s, %(east)s, %(north)s, %(after)s, %(most)s)
"""


@dataclass(frozen=True)
class FeatureKey:
    agency: str
    season: int
    parcel_id: str


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
    equal: Mapping[str, str] | None = None
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
    """Features in the order of agency, season and parcel. `after` is the `next` of the page before.

    Raises InputError for an `after` that no page gave out, or a property that cannot be asked for.
    """
    mark = _key(after) if after else None
    found: list[Feature] = []
    for season in _seasons(connection, wanted, mark):
        here = (season["agency"], season["season"])
        begin = mark.parcel_id if mark and here == (mark.agency, mark.season) else ""
        found += _of_season(connection, kind, wanted, season, after=begin, most=limit + 1 - len(found))
        if len(found) > limit:
            return FeaturePage(found[:limit], _token(found[limit - 1].key))
    return FeaturePage(found, None)


@database_errors()
def feature(connection: Connection, kind: FeatureKind, key: FeatureKey) -> Feature | None:
    """One feature; None where nothing of this name is published."""
    wanted = Wanted(key.agency, key.season, key.season, equal={"parcel_id": key.parcel_id})
    found = features(connection, kind, wanted, limit=1).items
    return found[0] if found else None


@database_errors()
def bounds(connection: Connection, *, agency: str, season: int) -> Bounds | None:
    """Where the parcels of a season lie; None where it has none. It reads the whole season."""
    row = connection.execute(BOUNDS, {"agency": agency, "season": season}).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1], row[2], row[3])


def _seasons(connection: Connection, wanted: Wanted, mark: FeatureKey | None) -> Iterator[Row]:
    """Published seasons that may have a feature of the page, in an order that no collation changes."""
    published = published_seasons(connection, agency=wanted.agency)
    for season in sorted(published, key=lambda row: (row["agency"], row["season"])):
        too_early = wanted.first_season is not None and season["season"] < wanted.first_season
        too_late = wanted.last_season is not None and season["season"] > wanted.last_season
        before = mark is not None and (season["agency"], season["season"]) < (mark.agency, mark.season)
        if not (too_early or too_late or before):
            yield season


def _of_season(
    connection: Connection, kind: FeatureKind, wanted: Wanted, season: Row, *, after: str, most: int
) -> list[Feature]:
    """The first features of a season behind a parcel, `most` at most."""
    if wanted.within is None:
        return _read(connection, kind, wanted, season, after=after, limit=most)
    found: list[Feature] = []
    batch = most
    shapely.prepare(wanted.within)
    while len(found) < most:
        near = _in_box(connection, season, wanted.within, after=after, most=batch)
        read = _read(connection, kind, wanted, season, after=after, limit=batch, parcel_ids=near) if near else []
        touched = shapely.intersects(wanted.within, [feature.outline for feature in read])
        found += [feature for feature, touches in zip(read, touched, strict=True) if touches]
        if len(near) < batch:
            break
        after, batch = near[-1], min(2 * batch, LARGEST_BATCH)
    return found[:most]


def _in_box(connection: Connection, season: Row, within: BaseGeometry, *, after: str, most: int) -> list[str]:
    west, south, east, north = within.bounds
    values = {"west": west, "south": south, "east": east, "north": north, "after": after, "most": most}
    return [parcel_id for (parcel_id,) in connection.execute(IN_BOX, season | values).fetchall()]


def _read(
    connection: Connection,
    kind: FeatureKind,
    wanted: Wanted,
    season: Row,
    *,
    after: str,
    limit: int,
    parcel_ids: Sequence[str] | None = None,
) -> list[Feature]:
    source = SOURCES[kind]
    asked = wanted.equal or {}
    if unknown := sorted(asked.keys() - source.filters.keys()):
        raise InputError("this property cannot be asked for", where=unknown[0])
    filters = [
        sql.SQL("{} = {}").format(sql.SQL(source.filters[name]), sql.Placeholder(f"is_{name}")) for name in asked
    ]
    if parcel_ids is not None:
        filters.append(sql.SQL(source.filters["parcel_id"]) + sql.SQL(" IN (SELECT unnest(%(parcel_ids)s::text[]))"))
    among: dict[str, sql.SQL] = {
        f"among_{alias}": sql.SQL("true" if parcel_ids is None else among_ids) for alias, among_ids in AMONG.items()
    }
    statement = sql.SQL(source.statement).format(filters=sql.SQL(" AND ").join([*filters, sql.SQL("true")]), **among)
    values: dict[str, Any] = {f"is_{name}": value for name, value in asked.items()}
    values |= {"after": after, "limit": limit, "parcel_ids": parcel_ids and list(parcel_ids)}
    with connection.cursor(row_factory=dict_row) as cursor:
        return list(_made(season, cursor.execute(statement, season | values).fetchall()))


def _made(season: Row, rows: Sequence[Row]) -> Iterator[Feature]:
    about = {name: season[name] for name in ("agency", "season", "run_id", "model_version", "simulated")}
    outlines: Iterable[BaseGeometry | None] = shapely.from_wkb([row.pop("wkb") for row in rows])
    for row, outline in zip(rows, outlines, strict=True):
        yield Feature(FeatureKey(season["agency"], season["season"], row["parcel_id"]), outline, about | row)


def _token(key: FeatureKey) -> str:
    return base64.urlsafe_b64encode(json.dumps([key.agency, key.season, key.parcel_id]).encode()).decode()


def _key(token: str) -> FeatureKey:
    try:
        agency, season, parcel_id = json.loads(base64.urlsafe_b64decode(token.encode()))
        return FeatureKey(text_of(agency), int(season), text_of(parcel_id))
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise InputError("not the mark of a page", where="after", mend="Follow the link `next` of a page") from error
