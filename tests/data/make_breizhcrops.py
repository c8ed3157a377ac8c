"""A BreizhCrops folder in every documented variant, with values that a reader computes by hand.

Row r (0, 1, 2, …) of a parcel of class k: band Bn holds 1000 + 100 n + r (B8A counts as 8.5), B8 holds 3000 k more,
and the cirrus band B10 holds r. The row's date is 3 January plus 7 r days. Every fifth row (r = 4, 9, …) is cloudy,
the row before it is half cloudy.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

REGIONS = ("frh01", "frh02", "frh03", "frh04")
CLASSES_9 = {
    "ORH": "barley",
    "BTH": "wheat",
    "CZH": "rapeseed",
    "MIE": "corn",
    "TRN": "sunflower",
    "VRG": "orchards",
    "NOX": "nuts",
    "PPH": "permanent meadows",
    "PTR": "temporary meadows",
}
CLASSES_13 = {
    "ORH": "barley",
    "BTH": "common wheat",
    "MIE": "corn",
    "FFO": "fodder",
    "J6S": "fallow (gel)",
    "DVN": "miscellaneous",
    "VRG": "orchards",
    "TTH": "other cereals",
    "PPH": "permanent meadows",
    "FEV": "protein crops",
    "CZH": "rapeseed",
    "PTR": "temporary meadows",
    "FLP": "vegetables/flowers",
}
ALPHABETICAL = ("B1", "B10", "B11", "B12", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9")
NATURAL = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
L2A = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
LENGTHS = (30, 40, 50)
"""rows of the first, second, third parcel, and so on in turn"""
NS_PER_DAY = 86_400 * 10**9


def make_breizhcrops(
    root: Path,
    *,
    year: int = 2017,
    level: Literal["L1C", "L2A"] = "L1C",
    regions: Sequence[str] = REGIONS,
    parcels: int = 6,
    classes: dict[str, str] = CLASSES_9,
    order: Sequence[str] = ALPHABETICAL,
    header: Literal["full", "short"] = "full",
    cloud: Literal["meanQA60", "meanCLD"] = "meanCLD",
    date_column: Literal["first", "last", "none"] | None = None,
    ns_per_unit: int = 1,
    troubles: bool = False,
) -> Path:
    """Writes index, h5, class mapping and codes. Parcel i has class i (in turn). With `troubles` every region has
    four more: a code without class, a path without array, an empty array, an id that is listed before."""
    write_class_mapping(root, classes)
    names = columns_of(level, order, date_column or ("last" if level == "L1C" else "first"))
    for region in regions:
        folder = root / str(year) / level
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        with h5py.File(folder / f"{region}.h5", "w") as file:
            for i in range(parcels):
                code = list(classes)[i % len(classes)]
                array = make_array(i % len(classes), LENGTHS[i % 3], names, year=year, ns_per_unit=ns_per_unit)
                rows.append(entry(region, f"{100 + i}", code, len(array)))
                file.create_dataset(rows[-1]["path"], data=array)
            if troubles:
                rows += make_troubles(file, region, names, year=year)
        write_index(folder / f"{region}.csv", rows, classes, region, header=header, cloud=cloud)
    return root


def columns_of(level: str, order: Sequence[str], date_column: str) -> list[str]:
    values = [*order, "QA10", "QA20", "QA60"] if level == "L1C" else [*L2A, "CLD", "EDG", "SAT"]
    return {"first": ["doa", *values], "last": [*values, "doa"], "none": values}[date_column]


def make_array(k: int, rows: int, names: Sequence[str], *, year: int, ns_per_unit: int = 1) -> NDArray[np.float64]:
    """(rows, columns) of a parcel of class k."""
    r = np.arange(rows)
    start = (date(year, 1, 3) - date(1970, 1, 1)).days
    quality = {"QA60": 1024.0, "CLD": 100.0}
    columns = {
        "doa": (start + 7 * r) * (NS_PER_DAY // ns_per_unit),
        **{name: np.zeros(rows) for name in ("QA10", "QA20", "EDG", "SAT")},
        **{name: full * np.select([r % 5 == 4, r % 5 == 3], [1.0, 0.5]) for name, full in quality.items()},
        **{band: band_values(band, k, r) for band in NATURAL},
    }
    return np.column_stack([columns[name] for name in names]).astype(np.float64)


def band_values(band: str, k: int, r: NDArray[np.int64]) -> NDArray[np.float64]:
    number = 8.5 if band == "B8A" else float(band[1:])
    values = r if band == "B10" else 1000 + 100 * number + r + (3000 * k if band == "B8" else 0)
    return np.asarray(values, dtype=np.float64)


def entry(region: str, parcel: str, code: str, length: int) -> dict[str, object]:
    return {"id": parcel, "CODE_CULTU": code, "path": f"csv/{region}/{parcel}.csv", "sequencelength": length}


def make_troubles(file: h5py.File, region: str, names: Sequence[str], *, year: int) -> list[dict[str, object]]:
    array = make_array(0, 30, names, year=year)
    rows = [
        entry(region, "900", "XXX", 30),
        entry(region, "901", "ORH", 30),
        entry(region, "902", "ORH", 1),
        entry(region, "100", "ORH", 30),
    ]
    file.create_dataset(str(rows[0]["path"]), data=array)
    file.create_dataset(str(rows[2]["path"]), data=array[:0])
    return rows


def write_index(
    path: Path, rows: list[dict[str, object]], classes: dict[str, str], region: str, *, header: str, cloud: str
) -> None:
    table = pd.DataFrame(rows).assign(idx=range(1, len(rows) + 1), **{cloud: 204.8})
    if header == "short":
        table[[cloud, "id", "CODE_CULTU", "path", "idx", "sequencelength"]].to_csv(path)
        return
    names = {code: k for k, code in enumerate(classes)}
    table["classid"] = table["CODE_CULTU"].map(names).fillna(0).astype(int)
    table["classname"] = table["CODE_CULTU"].map(classes).fillna("barley")
    table["region"] = region
    columns = ["idx", "id", "CODE_CULTU", "path", cloud, "sequencelength", "classid", "classname", "region"]
    table[columns].to_csv(path, index=False)


def write_class_mapping(root: Path, classes: dict[str, str], name: str = "classmapping.csv") -> Path:
    """The mapping, and the list of crop codes that lies beside it."""
    root.mkdir(parents=True, exist_ok=True)
    rows = [{"code": code, "id": k, "classname": crop} for k, (code, crop) in enumerate(classes.items())]
    pd.DataFrame(rows[::-1]).to_csv(root / name)  # the order of the lines says nothing, the ids do
    pd.DataFrame({"CODE": list(classes), "Libellé": list(classes.values())}, index=range(len(classes))).to_csv(
        root / "codes.csv", sep=";"
    )
    return root / name


def write_raw(
    root: Path,
    region: str,
    *,
    year: int = 2017,
    level: Literal["L1C", "L2A"] = "L1C",
    classes: dict[str, str] = CLASSES_9,
) -> Path:
    """One parcel per class as a raw export, one CSV each; the bands of L1C stand in alphabetical order."""
    folder = root / str(year) / level / region / "csv"
    folder.mkdir(parents=True)
    names = [name for name in columns_of(level, ALPHABETICAL, "last") if name != "doa"]
    days = [date(year, 1, 3) + timedelta(days=7 * r) for r in range(30)]
    for k, code in enumerate(classes):
        table = pd.DataFrame(make_array(k, 30, names, year=year), columns=names)
        table = table.assign(doa=days, **{"label" if level == "L1C" else "code_cultu": code}, id=f"{100 + k}")
        table.index = pd.Index([f"{day:%Y%m%d}T110621_T30UVU" for day in days])
        table.to_csv(folder / f"{100 + k}.csv")
    return folder
