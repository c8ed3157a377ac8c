"""Observation files whose offset was chosen by the pixels: their numbers are moved, and the file says by how much.

The offset is linear in the mean of a parcel, so no pixel is read again: reflectance + correction. Clear pixels come
from the scene classification, and no other number depends on the offset. What a file says of its item stays as it is;
`offset_correction` stands beside it. Taken back, the numbers are those from before, bit by bit, unless one lies beyond
3.1767 in reflectance, where the format ends.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.observations.zonal import STORED_LIMIT
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, REFLECTANCE_SCALE

CORRECTION: Final = b"offset_correction"


def correction_of(schema: pa.Schema) -> float:
    """Reflectance that was added to every band of a file, beside the offset of its item; 0.0 for most."""
    return float((schema.metadata or {}).get(CORRECTION, 0))


def with_correction(table: pa.Table, correction: float) -> pa.Table:
    """The table (OBSERVATION_SCHEMA with its metadata) with this correction in place of the one that it has."""
    shift = round((correction - correction_of(table.schema)) * REFLECTANCE_SCALE)
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key != CORRECTION}
    if correction:
        metadata[CORRECTION] = f"{correction:g}".encode()
    columns = [
        pa.array(_moved(table[name].to_numpy(), shift)) if name in BANDS and shift else table[name]
        for name in OBSERVATION_SCHEMA.names
    ]
    return pa.table(columns, schema=OBSERVATION_SCHEMA.with_metadata(metadata))


def _moved(stored: NDArray[np.int16], shift: int) -> NDArray[np.int16]:
    moved = np.clip(stored.astype(np.int32) + shift, -STORED_LIMIT, STORED_LIMIT)
    return np.where(stored == REFLECTANCE_NODATA, REFLECTANCE_NODATA, moved).astype(np.int16)
