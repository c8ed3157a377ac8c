"""Which regions a register covers only in part: a sum over them is no figure of the region.

A season covers what its agency file names (`regions.codes`) and every NUTS-3 region below. A region above is whole
where all its NUTS-3 regions are covered; how many it has is counted in GISCO's lists of 2016, 2021 and 2024
(`nuts_parents.csv`). The boundaries file is not used: it is often cut to the agency's own land.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

PARENTS: Final = Path(__file__).with_name("nuts_parents.csv")
NUTS3_LENGTH: Final = 5


def partial_regions(
    regions: Iterable[str], *, codes: Sequence[str], complete: Sequence[str] = (), nuts_version: int
) -> tuple[str, ...]:
    """Those of `regions` that `codes` do not cover whole, sorted. `complete`: regions that the agency says are whole,
    whatever the lists have. A region that the lists do not have is partial unless it is named."""
    named, counts = [*codes, *complete], _counts(nuts_version)
    return tuple(
        sorted(
            region
            for region in set(regions)
            if not any(region.startswith(code) for code in named)
            and (region not in counts or _covered(region, codes, counts) < counts[region])
        )
    )


def _covered(region: str, codes: Sequence[str], counts: Mapping[str, int]) -> int:
    """How many NUTS-3 regions of `region` lie in `codes`, each counted once."""
    below = {code for code in codes if code.startswith(region)}
    outermost = [code for code in below if not any(code != other and code.startswith(other) for other in below)]
    return sum(1 if len(code) == NUTS3_LENGTH else counts.get(code, 0) for code in outermost)


@cache
def _counts(nuts_version: int) -> dict[str, int]:
    """NUTS-3 regions of every region above them."""
    column = f"nuts3_{nuts_version}"
    with PARENTS.open(encoding="utf-8") as file:
        return {row["nuts_id"]: int(row[column]) for row in csv.DictReader(file) if row[column]}
