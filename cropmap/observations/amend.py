"""The observations of an acquisition after the declarations were amended: only what changed is looked at again.

In: the rows that are kept, whose outlines they are of, and the coverage of the parcels as they are now. Out: the very
table that observing all of them anew would give. Parcels without kept rows of their outline are read; withdrawn ones
leave; nothing else is touched. A file that is fetched whole is fetched once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.observations.corrections import with_correction
from cropmap.observations.coverage import TileCoverage
from cropmap.observations.extract import observation_metadata, observe
from cropmap.observations.scratch import is_copied
from cropmap.sources.catalogs.acquisition import Acquisition

GROUP_PIXELS: Final = 1_024
"""10 m pixels; changed parcels are read in groups of this size, so that two of them in opposite corners of a tile do
not mean all of the tile. A block of a Sentinel-2 COG has 1,024 pixels."""


def amended(
    acquisition: Acquisition,
    coverage: TileCoverage,
    *,
    kept: pa.Table,
    kept_outlines: Mapping[str, str],
    outlines: Mapping[str, str],
    threads: int = 2,
) -> pa.Table:
    """OBSERVATION_SCHEMA with its metadata, as `observe` of the whole coverage gives it.

    `kept` are rows of this acquisition under the same rules, of parcels whose outlines were `kept_outlines`;
    `outlines` are those of the coverage (both parcel_id -> hash). A corrected offset of the kept rows is taken back.
    Raises SceneError where a file cannot be read.
    """
    ids = [str(parcel) for parcel in coverage.parcel_ids]
    known = np.isin(coverage.parcel_ids, np.array(kept["parcel_id"].to_pylist(), dtype=np.str_))
    same = known & np.array([kept_outlines.get(parcel) == outlines[parcel] for parcel in ids], dtype=bool)
    if any(is_copied(asset.href) for asset in acquisition.assets.values()):  # each group would fetch all of it
        groups = [~same] if not same.all() else []
    else:
        groups = list(_groups(coverage, ~same))
    fresh = [observe(acquisition, coverage.part(group), threads=threads) for group in groups]
    kept = with_correction(kept, 0.0)
    left = kept.filter(pc.is_in(kept["parcel_id"], pa.array(np.array(ids, dtype=object)[same], pa.string())))
    table = pa.concat_tables([part.cast(OBSERVATION_SCHEMA) for part in (left, *fresh)])
    ordered = table.take(pc.index_in(pa.array(ids, pa.string()), table["parcel_id"].combine_chunks()))
    return ordered.combine_chunks().replace_schema_metadata(observation_metadata(acquisition, coverage))


def _groups(coverage: TileCoverage, wanted: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """Masks of neighbouring parcels among those wanted: by the square that holds their first 10 m pixel."""
    fine = coverage.fine
    square = np.full(len(wanted), -1, dtype=np.int64)  # a parcel that vanished under the buffer
    filled = np.flatnonzero(np.diff(fine.starts))
    row, col = np.divmod(fine.cells[fine.starts[filled]], max(fine.window.width, 1))
    down, across = (row + fine.window.row_off) // GROUP_PIXELS, (col + fine.window.col_off) // GROUP_PIXELS
    square[filled] = down * (fine.grid.width // GROUP_PIXELS + 1) + across
    for number in np.unique(square[wanted]):
        yield wanted & (square == number)
