"""What a day without anything new costs: `cropmap observe`, again, on a season that is observed.

The season is made by the same steps, at once. Then the command runs as a person or a timer would start it. Beside its
seconds stand the searches and pages that the catalogue answered.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from cropmap.progress import Counter
from cropmap.settings import Settings
from cropmap.stages import ingest
from cropmap.stages.context import SeasonContext, stop_embedded
from cropmap.stages.offsets import judge_offsets
from cropmap.stages.open_season import OpenSeason
from tests.studies.country import YEAR, make_country, served

TARGET_S: Final = 20.0
DAYS: Final = 3


def measure(*, tiles: int = 100, dates: int = 100, folder: Path | None = None) -> list[dict[str, Any]]:
    """Rows of a table. `folder` keeps the season for another measurement; by default it is made anew."""
    with _folder(folder) as work:
        make_country(work, tiles=tiles, dates=dates)
        settings = Settings.load(home=work / "home")
        with served(work) as (address, api):
            agency = _at(work, address)
            first = _observe_all(settings, agency)
            rows = [_row("observed for the first time", first, "", f"{tiles} tiles x {dates} dates, by the same steps")]
            for _ in range(DAYS):
                api.searches = api.pages = 0
                started, busy = time.perf_counter(), _children_s()
                answer = _command("observe", str(agency), "--season", str(YEAR), "--home", str(work / "home"))
                seconds = time.perf_counter() - started
                observed = answer["acquisitions"]["observed"]
                load = os.getloadavg()[0] / (os.cpu_count() or 1)
                how = (
                    f"{observed} observed, {api.searches} search of {api.pages} pages, whole command; "
                    f"{_children_s() - busy:.1f} s of a processor, load {load:.1f} per processor"
                )
                rows.append(_row("nothing new", seconds, f"<= {TARGET_S:.0f}", how))
        stop_embedded(settings)
    return rows


def _row(what: str, seconds: float, target: str, how: str) -> dict[str, Any]:
    return {"what": what, "seconds": round(seconds, 1), "target": target, "how": how}


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="cropmap-every-day-") as folder:
        Path(folder).chmod(0o711)  # the embedded server may be another user
        yield Path(folder)


def _at(work: Path, address: str) -> Path:
    """The agency file with the address at which its catalogue is served now."""
    document = yaml.safe_load((work / "agency.yaml").read_text())
    document["acquisitions"]["catalog"] = address
    path = work / "served.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def _observe_all(settings: Settings, agency: Path) -> float:
    """Seconds in which everything is loaded, searched and observed, without a scheduler."""
    started = time.perf_counter()
    context = SeasonContext.open(settings, agency, season=YEAR, create=True)
    ingest.load_declarations(context, loaded_at=datetime.now(UTC))
    season = OpenSeason(context)
    ingest.search_catalog(season)
    sets = {tile: ingest.cover_tile(season, tile) for tile in ingest.season_tiles(season)}
    pending = ingest.pending_acquisitions(season, sets)
    observe = partial(ingest.observe_acquisition, season)
    with ThreadPoolExecutor(2) as pool, Counter("observe", total=len(pending), unit="acquisitions") as counter:
        for _ in pool.map(observe, pending, (sets[tile] for tile in pending.values())):
            counter.add()
    ingest.note_observed(season, sets, pending)
    judge_offsets(season)
    return time.perf_counter() - started


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _command(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "cropmap", *arguments, "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
