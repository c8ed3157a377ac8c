"""Parcel series in the raw BreizhCrops layout: a folder with one CSV per parcel, as Earth Engine exported them.

Columns are resolved by name (the files order them alphabetically: B1, B10, B11, B12, B2, …). Values are means of
top-of-atmosphere (L1C) or surface (L2A) reflectance x 10 000.
Layout: Russwurm, Pelletier, Zollner, Lefèvre, Körner (2020), BreizhCrops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import pandas as pd
import pyarrow as pa

from cropmap.errors import ObservationFileError

RAW_BANDS: Final = {
    "B1": "B01",
    "B2": "B02",
    "B3": "B03",
    "B4": "B04",
    "B5": "B05",
    "B6": "B06",
    "B7": "B07",
    "B8": "B08",
    "B8A": "B8A",
    "B9": "B09",
    "B10": "B10",
    "B11": "B11",
    "B12": "B12",
}
RAW_SCALE: Final = 1e-4
QA60_OPAQUE: Final = 1 << 10
QA60_CIRRUS: Final = 1 << 11
RAW_BANDS_L2A: Final = {raw: band for raw, band in RAW_BANDS.items() if band not in ("B01", "B09", "B10")}
TEXT_COLUMNS: Final = ("doa", "label", "code_cultu", "id")

SCHEMA: Final = pa.schema(
    [
        pa.field("parcel_id", pa.string(), nullable=False),
        pa.field("day", pa.date32(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        *(pa.field(band, pa.float32()) for band in RAW_BANDS.values()),
        pa.field("opaque_cloud", pa.bool_(), nullable=False),
        pa.field("cirrus", pa.bool_(), nullable=False),
        pa.field("qa60", pa.float32(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
    ]
)
"""Reflectance 0-1. `qa60` is the parcel's mean of Earth Engine's bit field; the two flags are its bits where the
whole parcel agrees, and both are set where the mean is mixed, so that doubt counts as cloud."""

SCHEMA_L2A: Final = pa.schema(
    [
        pa.field("parcel_id", pa.string(), nullable=False),
        pa.field("day", pa.date32(), nullable=False),
        *(pa.field(band, pa.float32()) for band in RAW_BANDS_L2A.values()),
        pa.field("cloud_percent", pa.float32()),
        pa.field("label", pa.string(), nullable=False),
    ]
)
"""Reflectance 0-1; `cloud_percent` is the parcel's mean of the cloud probability CLD."""


def read_breizhcrops_raw(folder: Path) -> pa.Table:
    """All parcels of a folder, sorted by parcel_id and day; a product that is listed twice stays once.

    Raises ObservationFileError when the folder has no CSV, or one lacks a column or holds something else.
    """
    frame = _read_all(folder, _columns, SCHEMA).drop_duplicates(["parcel_id", "product_id"])
    frame = frame.sort_values(["parcel_id", "day", "product_id"], ignore_index=True)
    return pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)


def read_breizhcrops_raw_l2a(folder: Path) -> pa.Table:
    """The same of an L2A folder, in SCHEMA_L2A."""
    frame = _read_all(folder, _columns_l2a, SCHEMA_L2A).sort_values(
        ["parcel_id", "day"], kind="stable", ignore_index=True
    )
    return pa.Table.from_pandas(frame, schema=SCHEMA_L2A, preserve_index=False)


Columns: TypeAlias = Callable[[pd.DataFrame], "Mapping[str, pd.Series[Any]]"]
"""the columns of a schema, from a CSV as the package wrote it"""


def _read_all(folder: Path, columns: Columns, schema: pa.Schema) -> pd.DataFrame:
    needed = [field.name for field in schema if not field.nullable]
    tables = [_table(path, columns, needed) for path in sorted(folder.glob("*.csv"))]
    if not tables:
        raise ObservationFileError("no CSV file", where=str(folder), mend="Name the folder with one CSV per parcel")
    return pd.concat(tables, ignore_index=True)


def _table(path: Path, columns: Columns, needed_values: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.DataFrame(columns(pd.read_csv(path, dtype=dict.fromkeys(TEXT_COLUMNS, str) | {0: str})))
    except KeyError as error:
        needed = (*RAW_BANDS, "QA60") if columns is _columns else (*RAW_BANDS_L2A, "CLD")
        raise ObservationFileError(
            f"no column {error.args[0]!r}", where=str(path), mend=f"Needed: {', '.join(needed)}"
        ) from error
    except (ValueError, TypeError) as error:
        raise ObservationFileError(f"cannot be read ({error})", where=str(path)) from error
    if empty := [name for name in needed_values if table[name].isna().any()]:
        raise ObservationFileError(f"{' and '.join(empty)} is empty in some rows", where=str(path))
    return table


def _columns(raw: pd.DataFrame) -> Mapping[str, pd.Series[Any]]:
    qa60 = raw["QA60"].astype("float32")
    return {
        "parcel_id": raw["id"],
        "day": pd.to_datetime(raw["doa"], format="%Y-%m-%d").dt.date,
        "product_id": raw.iloc[:, 0].astype(str),
        **{name: (raw[band] * RAW_SCALE).astype("float32") for band, name in RAW_BANDS.items()},
        "opaque_cloud": _flag(qa60, QA60_OPAQUE),
        "cirrus": _flag(qa60, QA60_CIRRUS),
        "qa60": qa60,
        "label": raw["label"],
    }


def _columns_l2a(raw: pd.DataFrame) -> Mapping[str, pd.Series[Any]]:
    return {
        "parcel_id": raw["id"],
        "day": pd.to_datetime(raw["doa"].str.slice(0, 10), format="%Y-%m-%d").dt.date,
        **{name: (raw[band] * RAW_SCALE).astype("float32") for band, name in RAW_BANDS_L2A.items()},
        "cloud_percent": raw["CLD"].astype("float32"),
        "label": raw["code_cultu"],
    }


def _flag(qa60: pd.Series[float], bit: int) -> pd.Series[bool]:
    pure = qa60.isin((0, QA60_OPAQUE, QA60_CIRRUS, QA60_OPAQUE | QA60_CIRRUS))
    return ~pure | (qa60.fillna(0).astype(int) & bit > 0)
