"""How many mutated inputs the tests of readers try: CROPMAP_FUZZ in all, 500 without it."""

from __future__ import annotations

import os
from typing import Final

TOTAL: Final = int(os.environ.get("CROPMAP_FUZZ", "500"))
SHARES: Final = {
    "declarations": 0.40, "items": 0.15, "item dictionaries": 0.10, "catalogues": 0.06, "tables": 0.14,
    "workbooks": 0.03, "boundaries": 0.04, "objects": 0.08,
}  # fmt: skip
"""of the total, by what is read; declarations have the most formats"""


def inputs(reader: str, kinds: int = 1) -> int:
    """For each of so many kinds of input of this reader; at least one."""
    return max(1, round(TOTAL * SHARES[reader] / kinds))
