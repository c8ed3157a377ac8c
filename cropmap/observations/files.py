"""Observation files in the store: one per tile and acquisition, rows sorted by parcel, read back in one table.

    observations/<agency>/<season>/<tile>/<item_id>.parquet
    observations/<agency>/<season>/<tile>/<parcel set>/<item_id>.parquet    of the register of an earlier day

A file is either wholly there or absent, and the same acquisition written twice leaves one copy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.errors import DamagedObjectError
from cropmap.observations.checked import forget
from cropmap.observations.corrections import correction_of, with_correction
from cropmap.observations.coverage import TileCoverage
from cropmap.observations.extract import OBSERVATION_VERSION, TileParcels, observation_metadata
from cropmap.observations.identity import pixel_metadata, same_pixels
from cropmap.provenance import content_hash
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.sources.catalogs.plain_text import object_part
from cropmap.store import RowGroup, Store, parquet_schema

ROW_GROUP: Final = 16_384
"""rows; sorted by parcel, so that reading a few thousand parcels skips most of a large tile"""

READ_AHEAD: Final = 4
"""files that are read while one is being used"""
JOINED: Final = 16
"""files whose dictionaries are joined at a time: kept apart, a season's files would hold its names hundreds of times"""

_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
_TIME: Final = pa.timestamp("us", tz="UTC")

OBSERVATION_TABLE_SCHEMA: Final = pa.schema(
    [
        pa.field("parcel_id", _TEXT),
        pa.field("sensed_at", _TIME),
        pa.field("tile", _TEXT),
        pa.field("item_id", _TEXT),
        *(field for field in OBSERVATION_SCHEMA if field.name != "parcel_id"),
    ]
)
"""What `read_observations` returns: OBSERVATION_SCHEMA, and which acquisition each row is of."""


def observation_name(agency: str, season_year: int, tile: str, item_id: str) -> str:
    return f"observations/{agency}/{season_year}/{tile}/{object_part(item_id)}.parquet"


def earlier_name(name: str, parcel_set: str) -> str:
    """Of the same acquisition's observations of parcels as they were once, beside those as they are."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/{parcel_set}/{file}"


def is_observed(store: Store, name: str, acquisition: Acquisition, parcels: TileParcels) -> bool:
    """Whether the file is there, whole, and says of itself what observing this item's parcels would say today.

    One that differs is not lost: see `amendable`.
    """
    kept = _recalled(store, name)
    return kept is not None and observation_metadata(acquisition, parcels).items() <= kept.items()


def kept_parcel_set(store: Store, name: str, acquisition: Acquisition) -> str | None:
    """Whose outlines a file is of that was made of this item as it is now; None where there is no such file."""
    kept = _recalled(store, name)
    wanted = {"item_id": acquisition.item_id, "observation_version": OBSERVATION_VERSION, **pixel_metadata(acquisition)}
    return kept.get("parcel_set") if kept is not None and wanted.items() <= kept.items() else None


def amendable(store: Store, name: str, acquisition: Acquisition, coverage: TileCoverage) -> str | None:
    """The parcel set of a file whose rows would be the same today: same item, same pixels, same rules.

    None where there is no such file, or a damaged one. Its parcels may be others than those of `coverage`, and what it
    says of itself may be older: another time of sensing for the same files, or no checksum yet.
    """
    kept, wanted = _recalled(store, name), observation_metadata(acquisition, coverage)
    if kept is None or any(kept.get(key) != wanted[key] for key in ("item_id", "tile", "observation_version")):
        return None
    return kept.get("parcel_set") if same_pixels(kept, wanted) else None


def write_observation(store: Store, name: str, table: pa.Table) -> None:
    """Writes the table of one acquisition (OBSERVATION_SCHEMA with the metadata of `observe`), atomically."""
    assert table.schema.equals(OBSERVATION_SCHEMA), table.schema
    store.write_table(name, table, row_group_size=ROW_GROUP)


def correct_observation(store: Store, name: str, correction: float) -> None:
    """Gives a file this correction of its offset in place of the one that it has, atomically."""
    schema = store.recall(name, parquet_schema)
    if schema is not None and correction_of(schema) != correction:
        write_observation(store, name, with_correction(store.read_table(name), correction))


def iter_observations(
    store: Store, names: Sequence[str], *, parcel_ids: Sequence[str] | None = None, clear_only: bool = False
) -> Iterator[pa.Table]:
    """Tables of OBSERVATION_TABLE_SCHEMA, in the order of `names`: of each file one per row group, or with `parcel_ids`
    one of the rows of these parcels alone. With `clear_only` no row where the whole parcel was clouded.

    The next READ_AHEAD files are being opened. Each table has its own dictionaries.
    """
    wanted = pa.array(sorted(set(parcel_ids)), pa.string()) if parcel_ids is not None else None
    for name, table in _read_ahead(store, names, wanted):
        observed = _observed(store, name, table)
        yield observed.filter(pc.greater(observed["clear_pixels"], 0)) if clear_only else observed


def iter_row_groups(store: Store, names: Sequence[str], parcel_id: str) -> Iterator[RowGroup]:
    """Of each file the row group that has the parcel where any has it, its rows as a table of
    OBSERVATION_TABLE_SCHEMA."""

    def read(name: str) -> RowGroup:
        try:
            return store.read_row_group(name, "parcel_id", parcel_id)
        except DamagedObjectError:
            forget(store, name)
            raise

    with ThreadPoolExecutor(READ_AHEAD) as pool:
        for name, group in zip(names, pool.map(read, names), strict=True):
            yield replace(group, rows=_observed(store, name, group.rows))


def read_observations(
    store: Store, names: Sequence[str], *, parcel_ids: Sequence[str] | None = None, clear_only: bool = False
) -> pa.Table:
    """The observations of many files as one table of OBSERVATION_TABLE_SCHEMA, file by file, then by parcel.

    A row takes 48 bytes. Bound the memory by asking for some thousand parcels at a time: the files are sorted by
    parcel and the rest of each file is skipped, not decoded.
    """
    tables = iter_observations(store, names, parcel_ids=parcel_ids, clear_only=clear_only)
    parts = [OBSERVATION_TABLE_SCHEMA.empty_table()]
    while some := list(islice(tables, JOINED)):
        parts.append(pa.concat_tables(some).unify_dictionaries())
    return pa.concat_tables(parts).unify_dictionaries()


def content_digests(store: Store, names: Sequence[str]) -> list[str]:
    """Of the bytes of each file; a damaged one raises DamagedObjectError."""
    with ThreadPoolExecutor(READ_AHEAD) as pool:
        return list(pool.map(lambda name: store.read(name, content_hash), names))


def _read_ahead(store: Store, names: Sequence[str], parcel_ids: pa.Array | None) -> Iterator[tuple[str, pa.Table]]:
    """Name of the file and some of its rows. A season has hundreds of small ones, of which one core decodes few at a
    time; of a large one a row group is read while another is used."""
    todo = iter(names)
    with ThreadPoolExecutor(READ_AHEAD) as pool:
        started = deque(_started(pool, store, name, parcel_ids) for name in islice(todo, READ_AHEAD))
        while started:
            name, tables, reading = started.popleft()
            if (following := next(todo, None)) is not None:
                started.append(_started(pool, store, following, parcel_ids))
            while (table := reading.result()) is not None:
                reading = pool.submit(next, tables, None)
                yield name, table


def _started(
    pool: ThreadPoolExecutor, store: Store, name: str, parcel_ids: pa.Array | None
) -> tuple[str, Iterator[pa.Table], Future[pa.Table | None]]:
    tables = _read(store, name, parcel_ids)
    return name, tables, pool.submit(next, tables, None)


def _read(store: Store, name: str, parcel_ids: pa.Array | None) -> Iterator[pa.Table]:
    try:
        if parcel_ids is None:
            yield from store.read_rows(name)
        else:
            yield _rows(store, name, parcel_ids)
    except DamagedObjectError:
        forget(store, name)
        raise


def _rows(store: Store, name: str, parcel_ids: pa.Array) -> pa.Table:
    if not len(parcel_ids):
        return OBSERVATION_SCHEMA.empty_table()
    first, last = parcel_ids[0], parcel_ids[-1]
    between = (pc.field("parcel_id") >= first) & (pc.field("parcel_id") <= last)
    table = store.read_table(name, rows=between)
    return table.filter(pc.is_in(table["parcel_id"], parcel_ids))


def _observed(store: Store, name: str, table: pa.Table) -> pa.Table:
    """Puts the acquisition of the file beside each of its rows."""
    metadata = _decoded(table.schema.metadata) or _metadata(store, name)
    same = pa.array(np.zeros(len(table), np.int32))
    sensed_at = pa.scalar(datetime.fromisoformat(metadata["datetime"]), _TIME)
    columns = {
        "parcel_id": pc.dictionary_encode(table["parcel_id"]),
        "sensed_at": pa.repeat(sensed_at, len(table)),
        "tile": pa.DictionaryArray.from_arrays(same, [metadata["tile"]]),
        "item_id": pa.DictionaryArray.from_arrays(same, [metadata["item_id"]]),
    }
    rest = {name: table[name] for name in OBSERVATION_TABLE_SCHEMA.names if name not in columns}
    return pa.table({**columns, **rest}, schema=OBSERVATION_TABLE_SCHEMA)


def _metadata(store: Store, name: str) -> dict[str, str]:
    return _decoded(store.read_schema(name).metadata)


def _recalled(store: Store, name: str) -> dict[str, str] | None:
    schema = store.recall(name, parquet_schema)
    return None if schema is None else _decoded(schema.metadata)


def _decoded(stored: dict[bytes, bytes] | None) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in (stored or {}).items() if key != b"ARROW:schema"}
