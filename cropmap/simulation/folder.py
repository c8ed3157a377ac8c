"""A simulation's folder: taken for one set of arguments, finished or gone on with, never shared by two.

`simulation.json` is written first, with the arguments, and last, with the figures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cropmap.errors import ConfigurationError
from cropmap.simulation.scenes import write_json

MARKER: Final = "simulation.json"
VERSION: Final = 1
"""Raised whenever the same arguments would give other files."""
LEAST_PARCELS: Final = 16


def check_arguments(*, parcels: int, seed: int, season: int, wrong_share: float) -> None:
    """Raises ConfigurationError with the option at fault."""
    checks = (
        (parcels >= LEAST_PARCELS, "--parcels", parcels, f"Ask for {LEAST_PARCELS} or more"),
        (seed >= 0, "--seed", seed, "Give a whole number from 0"),
        (2015 <= season <= 2100, "--season", season, "Sentinel-2 flies since 2015"),
        (0 <= wrong_share <= 0.5, "--wrong-share", wrong_share, "Give a share between 0 and 0.5"),
    )
    for holds, option, value, mend in checks:
        if not holds:
            raise ConfigurationError(f"{value} is out of range", where=option, mend=mend)


def claim(out: Path, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Takes the folder; the figures of the simulation that is finished there, None to begin or go on.

    Raises ConfigurationError where the folder holds another simulation or anything else.
    """
    marker, wanted = out / MARKER, {**arguments, "version": VERSION}
    if marker.is_file():
        kept = _read(marker)
        if kept.get("arguments") != wanted:
            raise ConfigurationError(
                f"holds another simulation ({kept.get('arguments')})",
                where=str(out),
                mend="Give an empty folder, or the same arguments",
            )
        return kept.get("figures")
    if out.exists() and (not out.is_dir() or any(p.name != f".writing-{MARKER}" for p in out.iterdir())):
        raise ConfigurationError("is not an empty folder", where=str(out), mend="Give a folder of its own")
    write_json(marker, {"simulation": True, "arguments": wanted, "figures": None})
    return None


def finish(out: Path, arguments: Mapping[str, Any], figures: Mapping[str, int]) -> None:
    """Removes what a killed run left half-written, and says that the folder is complete."""
    for leftover in out.rglob(".writing-*"):
        leftover.unlink()
    write_json(
        out / MARKER, {"simulation": True, "arguments": {**arguments, "version": VERSION}, "figures": dict(figures)}
    )


def _read(marker: Path) -> dict[str, Any]:
    try:
        kept = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"cannot be read ({error})", where=str(marker), mend="Give an empty folder") from error
    return kept if isinstance(kept, dict) else {}
