"""The tables around BreizhCrops arrays: `<region>.csv`, which says where each series lies, and the class mapping.

In: their paths. Out: one entry per parcel in the order of its id, and code → class name, everything as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from cropmap.errors import ConfigurationError, ObservationFileError
from cropmap.legends import Legend

MAPPING_FILE: Final = "classmapping.csv"
NEEDED: Final = ("id", "CODE_CULTU", "path")
CODE_COLUMNS: Final = ("code", "nutzcode")
"""of a class mapping; the second in the mapping of the same author's Bavarian series"""


@dataclass(frozen=True)
class IndexEntry:
    parcel_id: str
    crop_code: str
    path: str
    """name of the array in the region's h5 file"""


@dataclass(frozen=True)
class ClassMapping:
    crops: tuple[str, ...]
    """class names in the order of their published numbers"""
    crop_of: Mapping[str, str]
    """crop code → class name"""
    name: str
    """file or legend that it was read from"""


def read_index(path: Path) -> list[IndexEntry]:
    """Entries of a region, by ascending parcel id. Column order, extra columns (classid, classname, region) and the
    name of the cloud column (meanQA60, meanCLD) differ between releases and do not matter here."""
    table = _read_csv(path)
    if missing := [name for name in NEEDED if name not in table.columns]:
        raise ObservationFileError(
            f"no column {' and '.join(missing)}", where=str(path), mend=f"An index has {', '.join(NEEDED)}"
        )
    columns = zip(*(table[name].str.strip() for name in NEEDED), strict=True)
    return sorted((IndexEntry(*row) for row in columns), key=lambda entry: entry.parcel_id)


def read_class_mapping(root: Path, legend: str | None = None) -> ClassMapping:
    """`classmapping.csv` of the root (9 or 13 classes); `legend` names another such file, in the root or anywhere,
    or one of our own legends. Raises ConfigurationError where there is none."""
    for path in (root / (legend or MAPPING_FILE), Path(legend or "")):
        if path.is_file() and any(column in _read_csv(path).columns for column in CODE_COLUMNS):
            return _from_file(path)
    if legend is None:
        raise ConfigurationError(
            f"no {MAPPING_FILE}",
            where=str(root),
            mend="Put the published file there, or give --legend fr_breizhcrops9 (its codes are inferred by group)",
        )
    own = Legend.read(legend)
    return ClassMapping(own.crops, {e.crop_code: e.crop for e in own.entries if e.crop}, own.name)


def _from_file(path: Path) -> ClassMapping:
    table = _read_csv(path)
    code = next(name for name in CODE_COLUMNS if name in table.columns)
    if missing := {"id", "classname"} - set(table.columns):
        raise ConfigurationError(f"no column {' and '.join(sorted(missing))}", where=str(path))
    try:
        ordered = table.assign(number=table["id"].astype(int)).sort_values("number", kind="stable")
    except ValueError as error:
        raise ConfigurationError(f"a class id is no number ({error})", where=str(path)) from error
    names = ordered.groupby("number")["classname"].first()
    if names.duplicated().any():
        raise ConfigurationError(f"one name for two ids: {names[names.duplicated()].tolist()}", where=str(path))
    return ClassMapping(
        tuple(names.tolist()),
        {row_code.strip(): names[number] for row_code, number in zip(ordered[code], ordered["number"], strict=True)},
        path.name,
    )


def _read_csv(path: Path) -> pd.DataFrame:
    """Every column as text: codes and ids keep their leading zeros, and `NA` is a code."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ObservationFileError(f"cannot be read ({error})", where=str(path)) from error
