"""A season over the wire beside the same season from disk: STAC API, S3 pixels, and the store in a bucket.

Both are `cropmap season run` from declarations to published rows, each in a new home whose database is made before the
clock starts. They take turns, so that whatever else the machine does is shared.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from cropmap.database import embedded
from cropmap.errors import CropmapError
from cropmap.simulation.season import simulate_season
from tests.flows.conftest import LIGHT, change_agency
from tests.flows.terminal import rows
from tests.s3_server import READER, S3Server, running
from tests.stac_server import pixel_environment, put_scenes, read_over_the_wire, serving

YEAR: Final = 2018
OBSERVED: Final = re.compile(r"observe S2\w+ of \S+ \d+: observed \((\d+\.\d) s\)")
SETTINGS: Final = ("CROPMAP_", "AWS_", "MLFLOW_", "PREFECT_")


def measure(*, parcels: int, dates: int, seed: int, rounds: int) -> list[dict[str, object]]:
    """One row for each of disk and wire: seconds of the fastest run and the median, and the ratio of each to disk.

    Raises CropmapError where a run fails, or the rows differ.
    """
    folder = Path(tempfile.mkdtemp(prefix="cropmap-", dir="/tmp"))
    folder.chmod(0o711)  # where root runs it, the database's user enters
    try:
        inputs = folder / "disk"
        simulate_season(inputs, parcels=parcels, seed=seed, season=YEAR, dates=dates)
        # training reads nothing from either place: the less of it there is, the more the wire counts
        model = {**LIGHT, "folds": {"by": "block", "n": 2, "neighbour_distance_m": 0}}
        change_agency(inputs, model=model, statistics={"confidentiality": "primary"})
        with running() as server:
            pixels = server.make_bucket()
            with serving(*put_scenes(inputs, server, pixels)) as api:
                read_over_the_wire(inputs, folder / "wire", api=api, server=server, bucket=pixels)
                return _compare(folder, server, rounds)
    finally:
        for home in folder.glob("home-*"):
            embedded.remove(home)
        shutil.rmtree(folder)


def _compare(folder: Path, server: S3Server, rounds: int) -> list[dict[str, object]]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    seconds: dict[str, list[float]] = {"disk": [], "wire": []}
    observing: dict[str, list[float]] = {"disk": [], "wire": []}
    published: list[dict[str, list[str]]] = []
    for number in range(rounds):
        for kind in seconds:
            home = folder / f"home-{number}-{kind}"
            over = {**server.store_environment(), **pixel_environment(READER)}
            over["CROPMAP_STORE"] = f"s3://{server.make_bucket()}/season"
            environment = plain | (over if kind == "wire" else {})
            _run(["db", "upgrade"], home, environment)
            began = time.monotonic()
            _run(["season", "run", str(folder / kind / "agency.yaml"), "--season", str(YEAR)], home, environment)
            seconds[kind].append(time.monotonic() - began)
            log = (home / "logs" / "cropmap.log").read_text(encoding="utf-8")
            observing[kind].append(sum(map(float, OBSERVED.findall(log))))
            print(f"{kind}: {seconds[kind][-1]:.1f} s, of it observing {observing[kind][-1]:.1f} s", file=sys.stderr)
            published.append(comparable(rows(embedded.ensure_running(home))))
            embedded.stop(home)
    if any(found != published[0] for found in published):
        raise CropmapError("the rows over the wire differ from those from disk")
    return [
        {
            "season": kind,
            "fastest_s": round(min(times), 1),
            "median_s": round(statistics.median(times), 1),
            "ratio": round(min(times) / min(seconds["disk"]), 2),
            "observing_s": round(min(observing[kind]), 1),
            "observing_ratio": round(min(observing[kind]) / max(min(observing["disk"]), 0.1), 2),
        }
        for kind, times in seconds.items()
    ]


def comparable(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Rows of a season, but for where the files of its acquisitions lie, which is part of the run's id too."""

    def row(text: str) -> str:
        document = json.loads(text)
        return json.dumps({k: v for k, v in document.items() if k not in ("document", "run_id")}, sort_keys=True)

    return {name: sorted(map(row, texts)) for name, texts in found.items()}


def _run(words: list[str], home: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cropmap", *words, "--home", str(home)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CropmapError(f"ended with {done.returncode}: {done.stderr[-800:]}", where=" ".join(words))
