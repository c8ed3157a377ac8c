"""The register: parcels and their declarations, versioned, and what was rejected, counted.

A declaration is valid from the moment it was loaded until another load changed it or no longer held it. Loading the
same rows again changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from cropmap.contracts.columns import PostgresType, Table, copy_types, pandas_types
from cropmap.contracts.tables import DECLARATION, NOTICE_COLUMNS, STORED_NOTICE, STORED_REJECTION
from cropmap.database.connection import Connection, database_errors
from cropmap.database.copying import copy_frame
from cropmap.database.runs import ensure_season
from cropmap.errors import InputError
from cropmap.progress import Counter
from cropmap.provenance import content_hash
from cropmap.schemas import CARRIED_FORWARD
from cropmap.sources.mapped_outlines import OutlineFile, Outlines

INCOMING: Final[dict[str, PostgresType]] = {
    **copy_types(DECLARATION),
    "nuts_id": "text",
    "home_tile": "text",
    "wkb": "bytea",
    "west": "float8",
    "south": "float8",
    "east": "float8",
    "north": "float8",
    "content_hash": "text",
}
CLAIM: Final = ("crop_code", "holding_id", "declared_area_ha", "area_ha", "repaired")
"""what makes a new version when it changes, beside the geometry; a row that only moved in the file is the same"""
CHUNK: Final = 25_000
"""declarations that are written at a time: their bytes are held once more while they are"""
READ: Final[dict[str, Any]] = {
    **pandas_types(DECLARATION),
    "parcel_id": "str",  # of Arrow: a text of its own a parcel takes 50 bytes more
    "version": "int64",
    "nuts_id": "object",
    "home_tile": "object",
}

REPEATED: Final = ("crop_code", "holding_id", "nuts_id", "home_tile")
"""columns with few different words"""

CREATE_INCOMING: Final = SQL("CREATE TEMPORARY TABLE incoming ({}, PRIMARY KEY (parcel_id)) ON COMMIT DROP").format(
    SQL(", ").join(SQL("{} {}").format(Identifier(name), SQL(kind)) for name, kind in INCOMING.items())
)
AMEND: Final = """
CREATE TEMPORARY TABLE amendment ON COMMIT DROP AS
SELECT parcel_id, i.content_hash IS NOT NULL AS declared, d.version, coalesce(d.current, false) AS current,
       i.crop_code IS DISTINCT FROM d.crop_code AS other_crop, i.wkb IS DISTINCT FROM p.wkb AS other_outline
FROM incoming i
FULL JOIN (SELECT parcel_id, max(version) AS version, bool_or(valid_to IS NULL) AS current,
                  max(crop_code) FILTER (WHERE valid_to IS NULL) AS crop_code,
                  max(content_hash) FILTER (WHERE valid_to IS NULL) AS content_hash
           FROM declaration WHERE agency = %(agency)s AND season = %(season)s GROUP BY parcel_id) d USING (parcel_id)
LEFT JOIN (SELECT parcel_id, wkb FROM parcel WHERE agency = %(agency)s AND season = %(season)s) p USING (parcel_id)
WHERE i.content_hash IS DISTINCT FROM d.content_hash
"""
"""the declarations concerned: only they are written. `current` is false and `version` set for one withdrawn before"""
COUNT: Final = """
SELECT count(*) FILTER (WHERE declared AND version IS NULL) AS new,
       count(*) FILTER (WHERE declared AND version IS NOT NULL AND NOT current) AS came_back,
       count(*) FILTER (WHERE declared AND current) AS changed,
       count(*) FILTER (WHERE declared AND current AND other_crop) AS changed_crop,
       count(*) FILTER (WHERE declared AND current AND other_outline) AS changed_outline,
       count(*) FILTER (WHERE current AND NOT declared) AS withdrawn,
       count(*) FILTER (WHERE current AND NOT declared AND parcel_id = ANY(%(rejected)s)) AS withdrawn_as_rejected
FROM amendment
"""
LOSSES: Final = """
SELECT (SELECT count(*) FROM declaration
        WHERE agency = %(agency)s AND season = %(season)s AND valid_to IS NULL
          AND crop_code <> %(carried)s) AS stood,
       count(*) FILTER (WHERE a.current AND NOT a.declared) AS withdrawn,
       count(*) FILTER (WHERE a.current AND NOT a.declared AND parcel_id = ANY(%(rejected)s)) AS withdrawn_as_rejected,
       count(*) FILTER (WHERE a.current AND NOT a.declared AND EXISTS (
           SELECT FROM incoming other WHERE other.wkb = p.wkb)) AS renumbered,
       count(*) FILTER (WHERE a.current AND a.declared AND a.other_outline AND NOT p.box && box(
           point(i.west, i.south), point(i.east, i.north))) AS moved,
       count(*) FILTER (WHERE a.current AND a.declared AND a.other_crop) AS changed_crop
FROM amendment a
LEFT JOIN incoming i USING (parcel_id)
LEFT JOIN (SELECT parcel_id, wkb, box FROM parcel WHERE agency = %(agency)s AND season = %(season)s) p USING (parcel_id)
"""
LATEST: Final = """
SELECT max(greatest(valid_from, valid_to)) FROM declaration WHERE agency = %(agency)s AND season = %(season)s
"""
KEEP_OLD_PLACE: Final = """
UPDATE declaration d SET wkb = p.wkb, nuts_id = p.nuts_id, home_tile = p.home_tile
FROM amendment a JOIN parcel p USING (parcel_id)
WHERE a.declared AND a.other_outline AND p.agency = %(agency)s AND p.season = %(season)s
  AND (d.agency, d.season, d.parcel_id) = (p.agency, p.season, p.parcel_id) AND d.wkb IS NULL
"""
WRITE_PARCELS: Final = """
INSERT INTO parcel (agency, season, parcel_id, wkb, box, nuts_id, home_tile)
SELECT %(agency)s, %(season)s, parcel_id, i.wkb, box(point(west, south), point(east, north)), i.nuts_id, i.home_tile
FROM incoming i
LEFT JOIN (SELECT * FROM parcel WHERE agency = %(agency)s AND season = %(season)s) p USING (parcel_id)
WHERE p.wkb IS DISTINCT FROM i.wkb OR p.nuts_id IS DISTINCT FROM i.nuts_id
   OR p.home_tile IS DISTINCT FROM coalesce(i.home_tile, p.home_tile)
ON CONFLICT (agency, season, parcel_id) DO UPDATE
SET wkb = excluded.wkb, box = excluded.box, nuts_id = excluded.nuts_id,
    home_tile = coalesce(excluded.home_tile, parcel.home_tile)
"""
CLOSE: Final = """
UPDATE declaration d SET valid_to = %(loaded_at)s FROM amendment a
WHERE (d.agency, d.season, d.parcel_id) = (%(agency)s, %(season)s, a.parcel_id) AND d.valid_to IS NULL
"""
OPEN: Final = """
INSERT INTO declaration (agency, season, parcel_id, version, valid_from, crop_code, holding_id, declared_area_ha,
                         area_ha, row_number, repaired, content_hash, source_file, source_hash)
SELECT %(agency)s, %(season)s, parcel_id, coalesce(a.version, 0) + 1, %(loaded_at)s, i.crop_code, i.holding_id,
       i.declared_area_ha, i.area_ha, i.row_number, i.repaired, i.content_hash, %(source_file)s, %(source_hash)s
FROM incoming i JOIN amendment a USING (parcel_id)
"""
AMENDED_SINCE: Final = """
SELECT coalesce(bool_or(valid_from <= %(at)s AND (valid_to IS NULL OR valid_to > %(at)s))
            AND bool_or(valid_from > %(at)s OR valid_to > %(at)s), false)
FROM declaration WHERE agency = %(agency)s AND season = %(season)s
"""
SELECT_VALID: Final = """
SELECT d.parcel_id, d.crop_code, d.holding_id, d.declared_area_ha, d.area_ha, d.row_number, d.repaired, d.version,
       CASE WHEN d.wkb IS NULL THEN p.nuts_id ELSE d.nuts_id END,
       CASE WHEN d.wkb IS NULL THEN p.home_tile ELSE coalesce(d.home_tile, p.home_tile) END,
       coalesce(d.wkb, p.wkb)
FROM declaration d JOIN parcel p USING (agency, season, parcel_id)
WHERE agency = %(agency)s AND season = %(season)s
  AND CASE WHEN %(as_of)s::timestamptz IS NULL THEN d.valid_to IS NULL
           ELSE d.valid_from <= %(as_of)s AND (d.valid_to IS NULL OR d.valid_to > %(as_of)s) END
  AND (%(home_tile)s::text IS NULL
       OR %(home_tile)s = CASE WHEN d.wkb IS NULL THEN p.home_tile ELSE coalesce(d.home_tile, p.home_tile) END)
ORDER BY d.parcel_id COLLATE "C"
"""
STATE: Final = """
SELECT count(*), coalesce(sum(hashtextextended(concat_ws('|', d.parcel_id, d.version, d.content_hash,
                                               CASE WHEN d.wkb IS NULL THEN p.nuts_id ELSE d.nuts_id END), 0)), 0)
FROM declaration d JOIN parcel p USING (agency, season, parcel_id)
WHERE agency = %(agency)s AND season = %(season)s
  AND CASE WHEN %(as_of)s::timestamptz IS NULL THEN d.valid_to IS NULL
           ELSE d.valid_from <= %(as_of)s AND (d.valid_to IS NULL OR d.valid_to > %(as_of)s) END
"""

LOADED: Final = """
SELECT (SELECT count(*) FROM rejection WHERE agency = %(agency)s AND season = %(season)s),
       (SELECT count(*) FROM notice WHERE agency = %(agency)s AND season = %(season)s),
       (SELECT md5(concat_ws('|', simulated, document)) FROM season
        WHERE agency = %(agency)s AND season = %(season)s)
"""
CHANGES: Final = (
    "new",
    "came_back",
    "changed",
    "changed_crop",
    "changed_outline",
    "withdrawn",
    "withdrawn_as_rejected",
)
"""what a load counts of the declarations that it writes"""


@dataclass(frozen=True)
class Losses:
    """What a load would take from the declarations that stand. Outlines carried forward are none."""

    stood: int
    withdrawn: int
    """of them: the file has no acceptable row of the identifier"""
    withdrawn_as_rejected: int
    """of the withdrawn: it has one that was rejected"""
    renumbered: int
    """of the withdrawn: it has the same outline under another identifier"""
    moved: int
    """beside the withdrawn: the identifier stands on ground that shares nothing with its former outline"""
    changed_crop: int


@database_errors()
def store_declarations(
    connection: Connection,
    *,
    agency: str,
    season: int,
    accepted: pd.DataFrame,
    rejected: pd.DataFrame,
    source_file: str,
    source_hash: str,
    loaded_at: datetime,
    notices: pd.DataFrame | None = None,
    outlines: Outlines | None = None,
    check: Callable[[Losses], None] = lambda _: None,
) -> dict[str, int]:
    """Stores a whole register in one transaction: `accepted` is everything that is declared in the season.

    `accepted`: DECLARATION_COLUMNS, nuts_id, and home_tile where it is known. The geometry is one of its columns
    (EPSG:4326), or lies in `outlines`, where its index says which are theirs. `rejected`:
    REJECTION_COLUMNS; they replace the rejections of the same source file, as `notices` (NOTICE_COLUMNS) do. Only
    declarations that differ are written. `check` is called before that with what would be lost, and may raise.
    Returns the counts: accepted, and of these new, came_back (withdrawn before), changed (of them changed_crop and
    changed_outline, which may be both) and unchanged; withdrawn, because the file no longer has them or, as
    withdrawn_as_rejected, has them no longer acceptable; and the rejected rows. Raises InputError when a later load
    is stored already.
    """
    key = {"agency": agency, "season": season, "loaded_at": loaded_at}
    with connection.transaction():
        ensure_season(connection, agency=agency, season=season)
        connection.execute("SELECT FROM season WHERE agency = %(agency)s AND season = %(season)s FOR UPDATE", key)
        _copy_incoming(connection, accepted, outlines)
        connection.execute("DROP TABLE IF EXISTS pg_temp.amendment")
        concerned = connection.execute(AMEND, key).rowcount
        counts = _counts(connection, rejected)
        if concerned:
            _refuse_earlier(connection, key, source_file)
            # without statistics the planner joins 50,000 fresh rows by nested loops: minutes instead of a second
            connection.execute("ANALYZE amendment")
        check(_losses(connection, key, rejected))
        if concerned:
            connection.execute(KEEP_OLD_PLACE, key)
        written = connection.execute(WRITE_PARCELS, key).rowcount
        if concerned:
            connection.execute(CLOSE, key)
            connection.execute(OPEN, key | {"source_file": source_file, "source_hash": source_hash})
        about = {"agency": agency, "season": season, "source_file": source_file}
        _replace(connection, STORED_REJECTION, rejected, about)
        noted = pd.DataFrame(columns=list(NOTICE_COLUMNS)) if notices is None else notices
        _replace(connection, STORED_NOTICE, noted, about)
        if concerned or written:
            connection.execute("ANALYZE parcel, declaration")  # for the next reader
    unchanged = len(accepted) - counts["new"] - counts["came_back"] - counts["changed"]
    return {"accepted": len(accepted), **counts, "unchanged": unchanged, "rejected": len(rejected)}


def _counts(connection: Connection, rejected: pd.DataFrame) -> dict[str, int]:
    """Of the declarations concerned, by what happened to them."""
    with connection.cursor(row_factory=dict_row) as cursor:
        ids = rejected["parcel_id"].dropna().astype(str).tolist()
        counts = cursor.execute(COUNT, {"rejected": ids}).fetchone()
    assert counts is not None, "an aggregate has one row"
    return counts


def _losses(connection: Connection, key: Mapping[str, Any], rejected: pd.DataFrame) -> Losses:
    ids = rejected["parcel_id"].dropna().astype(str).tolist()
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(LOSSES, {**key, "rejected": ids, "carried": CARRIED_FORWARD}).fetchone()
    assert row is not None, "an aggregate has one row"
    return Losses(**row)


@database_errors()
def set_home_tiles(connection: Connection, *, agency: str, season: int, home_tiles: Mapping[str, str | None]) -> int:
    """Notes the home tile of each parcel (missing: outside every tile); returns how many rows changed."""
    tiles = [None if pd.isna(tile) else str(tile) for tile in home_tiles.values()]
    return connection.execute(
        "UPDATE parcel SET home_tile = t.tile FROM unnest(%s::text[], %s::text[]) AS t (parcel_id, tile)"
        " WHERE agency = %s AND season = %s AND parcel.parcel_id = t.parcel_id"
        " AND parcel.home_tile IS DISTINCT FROM t.tile",
        (list(home_tiles), tiles, agency, season),
    ).rowcount


@database_errors()
def read_declarations(
    connection: Connection, *, agency: str, season: int, as_of: datetime | None = None, home_tile: str | None = None
) -> gpd.GeoDataFrame:
    """The register as it stands, or as it stood at `as_of`, sorted by parcel_id; geometry in EPSG:4326. With
    `home_tile` the parcels of that tile alone.

    Text columns hold None where there is nothing. nuts_id and home_tile are those of the version's outline.
    """
    parcels, outlines = read_register(connection, agency=agency, season=season, as_of=as_of, home_tile=home_tile)
    return outlines.beside(parcels)


@database_errors()
def read_register(
    connection: Connection,
    *,
    agency: str,
    season: int,
    as_of: datetime | None = None,
    home_tile: str | None = None,
    folder: Path | None = None,
) -> tuple[pd.DataFrame, Outlines]:
    """The same with the outlines apart, in a file below `folder`: the rows are streamed, and no outline is decoded."""
    parts = [_claims([])]
    key = {"agency": agency, "season": season, "as_of": as_of, "home_tile": home_tile}
    with OutlineFile(folder) as file:
        with connection.transaction(), connection.cursor("register") as cursor:
            cursor.execute(SELECT_VALID, key, binary=True)
            while rows := cursor.fetchmany(CHUNK):
                parts.append(_claims(rows))
                file.add([row[-1] for row in rows])
        return pd.concat(parts[1:] or parts, ignore_index=True), file.finish()


def _claims(rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """The columns of READ; equal words are one object."""
    columns = list(zip(*rows, strict=True)) or [()] * (len(READ) + 1)
    data = {}
    for name, values in zip(READ, columns, strict=False):
        words = (sys.intern(value) if isinstance(value, str) else value for value in values)
        data[name] = pd.Series(list(words) if name in REPEATED else values, dtype=READ[name])
    return pd.DataFrame(data)


@database_errors()
def register_state(
    connection: Connection, *, agency: str, season: int, as_of: datetime | None = None, hold: bool = False
) -> str:
    """Another text where another claim, outline or region stands in the register; made by the server, which sends no
    row. Home tiles are not part of it. With `hold` a load waits until the connection's transaction ends."""
    key = {"agency": agency, "season": season, "as_of": as_of}
    if hold:
        connection.execute("SELECT FROM season WHERE agency = %(agency)s AND season = %(season)s FOR SHARE", key)
    row = connection.execute(STATE, key).fetchone()
    assert row is not None, "an aggregate has one row"
    return f"{row[0]} {row[1]}"


@database_errors()
def loaded_state(connection: Connection, *, agency: str, season: int) -> str:
    """Another text where a load would find another register, agency file, rejection or notice than the last one
    left."""
    row = connection.execute(LOADED, {"agency": agency, "season": season}).fetchone()
    assert row is not None, "aggregates have one row"
    return " ".join([register_state(connection, agency=agency, season=season), *map(str, row)])


@database_errors()
def count_carried(connection: Connection, *, agency: str, season: int) -> int:
    """How many outlines of an earlier season stand in for declarations; none where anything is declared."""
    row = connection.execute(
        "SELECT count(*) FROM declaration WHERE agency = %(agency)s AND season = %(season)s AND valid_to IS NULL"
        " HAVING bool_and(crop_code = %(carried)s)",
        {"agency": agency, "season": season, "carried": CARRIED_FORWARD},
    ).fetchone()
    return int(row[0]) if row else 0


@database_errors()
def amended_since(connection: Connection, *, agency: str, season: int, at: datetime) -> bool:
    """Whether there was a register at that moment, and one that has been amended since."""
    row = connection.execute(AMENDED_SINCE, {"agency": agency, "season": season, "at": at}).fetchone()
    assert row is not None, "an aggregate has one row"
    return bool(row[0])


def _copy_incoming(connection: Connection, accepted: pd.DataFrame, outlines: Outlines | None) -> None:
    connection.execute("DROP TABLE IF EXISTS pg_temp.incoming")
    connection.execute(CREATE_INCOMING)
    with Counter("to the database", total=len(accepted), unit="declarations") as counter:
        for start in range(0, len(accepted), CHUNK):
            part = accepted.iloc[start : start + CHUNK]
            drawn = part.geometry.to_numpy() if outlines is None else outlines.shapes(part.index.to_numpy())
            counter.add(copy_frame(connection, "incoming", INCOMING, _incoming(part, drawn)))
    connection.execute("ANALYZE incoming")


def _incoming(accepted: pd.DataFrame, shapes: NDArray[np.object_]) -> pd.DataFrame:
    """Columns of INCOMING."""
    wkb = shapely.to_wkb(shapes, output_dimension=2, byte_order=1)
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    frame = pd.DataFrame(accepted[[name for name in INCOMING if name in accepted]]).assign(
        wkb=wkb, west=bounds[:, 0], south=bounds[:, 1], east=bounds[:, 2], north=bounds[:, 3]
    )
    if "home_tile" not in frame:
        frame["home_tile"] = None
    claims = zip(*(frame[name].where(frame[name].notna(), "").astype(str) for name in CLAIM), wkb, strict=True)
    return frame.assign(content_hash=[content_hash(*claim) for claim in claims])


def _refuse_earlier(connection: Connection, key: Mapping[str, Any], source_file: str) -> None:
    """A load that changes something must be later than everything stored: versions follow one another."""
    latest = connection.execute(LATEST, key).fetchone()
    if latest and latest[0] is not None and latest[0] >= key["loaded_at"]:
        raise InputError(
            f"declarations loaded at {latest[0].isoformat()} are stored already; this load says {key['loaded_at']}",
            where=source_file,
            mend="Load files in the order of their time",
        )


def _replace(connection: Connection, table: Table, rows: pd.DataFrame, about: Mapping[str, Any]) -> None:
    """Rows about a source file, in the place of those that are stored; nothing is written where they are the same."""
    where = SQL("WHERE agency = %(agency)s AND season = %(season)s AND source_file = %(source_file)s")
    columns = [column.name for column in table.without(*about)]
    names = SQL(", ").join(map(Identifier, columns))
    of_file = SQL("SELECT {} FROM {} {}").format(names, Identifier(table.name), where)
    stored = connection.execute(of_file, about).fetchall()
    fresh = [tuple(None if pd.isna(v) else v for v in row) for row in rows[columns].itertuples(index=False)]
    if sorted(stored, key=repr) == sorted(fresh, key=repr):
        return
    connection.execute(SQL("DELETE FROM {} {}").format(Identifier(table.name), where), about)
    copy_frame(connection, table.name, copy_types(table), rows.assign(**about))
