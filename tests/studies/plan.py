"""The plan of a season beside what it took: two simulated seasons of different size in one installation.

The first is planned with the stated rates, and with those of a measurement of some seconds; the second with those that
the first one left. Then each is planned with the rates of the other alone. Bytes and requests are those of a third
season, counted before the S3 server that its pixels lie on.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from cropmap.bench.speed import measure_speed
from cropmap.costs import rates
from cropmap.costs.fitting import estimate
from cropmap.costs.plan import PAGE, SeasonPlan, Speed, plan_season
from cropmap.database import embedded
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from cropmap.simulation.season import simulate_season
from cropmap.stages.context import stop_embedded
from tests.hostile_s3 import answering
from tests.s3_server import running
from tests.stac_server import pixel_environment, put_scenes, read_over_the_wire, serving

FIRST_YEAR: Final = 2018
LIGHT: Final = {"model": {"epochs": 4, "min_steps": 150}, "assessment": {"clean_up_rounds": 1}}
"""of the training: enough to be measured"""
WITHIN: Final = 0.30


def measure(*, sizes: Sequence[int] = (600, 1800), dates: int = 16) -> list[dict[str, Any]]:
    """Rows of a table: stage, what was planned, what it took, and the error."""
    with tempfile.TemporaryDirectory(prefix="cropmap-plan-") as folder:
        Path(folder).chmod(0o711)
        settings = Settings.load(home=Path(folder) / "home")
        rows = []
        for number, parcels in enumerate(sizes):
            year, inputs = FIRST_YEAR + number, Path(folder) / str(parcels)
            simulate_season(inputs, parcels=parcels, seed=5, season=year, dates=dates)
            _lighten(inputs / "agency.yaml")
            plans = _plans(settings, inputs / "agency.yaml", year, first=not number)
            before = _size(settings.home_path)
            found = _found(_run(inputs / "agency.yaml", year, settings.home_path))
            for how, plan in plans.items():
                rows += _beside(settings, plan, found, f"{parcels} parcels, {dates} dates, {how}")
            if not before:
                disk = plans["rates stated"]["disk_bytes"]
                rows.append(_row("disk, MB", disk / 1e6, _size(settings.home_path) / 1e6, f"{parcels} parcels"))
        rows += _crossed(settings, sizes)
        stop_embedded(settings)
    return rows


def over_the_wire(*, parcels: int, dates: int) -> list[dict[str, Any]]:
    """Bytes and requests of a season whose pixels lie on an S3 server, planned and as they were counted before it."""
    with tempfile.TemporaryDirectory(prefix="cropmap-plan-") as name, running() as server:
        folder, pixels, sent = Path(name), server.make_bucket(), list[int]()
        folder.chmod(0o711)
        simulate_season(folder / "disk", parcels=parcels, seed=5, season=FIRST_YEAR, dates=dates)
        with serving(*put_scenes(folder / "disk", server, pixels)) as api, answering(server.endpoint, sent=sent) as at:
            counted = dataclasses.replace(server, endpoint=at)
            agency = read_over_the_wire(folder / "disk", folder / "wire", api=api, server=counted, bucket=pixels)
            command = [str(agency), "--season", str(FIRST_YEAR), "--home", str(folder / "home"), "--json"]
            plan = json.loads(_answer(["season", "plan", *command], pixel_environment()))
            sent.clear()
            _answer(["observe", *command], pixel_environment())
        embedded.remove(folder / "home")
    searches = -(-plan["acquisitions"]["found"] // PAGE)
    how = f"{parcels} parcels, {dates} dates, pixels on an S3 server"
    return [
        _row("bytes to read, MB", plan["bytes_to_read"] / 1e6, sum(sent) / 1e6, how),
        _row("requests for pixels", plan["requests"] - searches, len(sent), how),
    ]


def _plans(settings: Settings, agency: Path, year: int, *, first: bool) -> dict[str, SeasonPlan]:
    """By where the rates are from."""

    def planned(speed: Speed) -> SeasonPlan:
        return plan_season(settings, agency, season=year, as_of=None, data=None, at=datetime.now(UTC), speed=speed)

    if not first:
        return {"rates of the season before": planned({})}
    measured = measure_speed(tuple(Architecture), processors=settings.threads)
    return {"rates stated": planned({}), "rates of `--measure`": planned(measured)}


def _beside(settings: Settings, plan: SeasonPlan, found: int, how: str) -> list[dict[str, Any]]:
    """The plan beside the season that the installation has just run, stage by stage and in all."""
    rows = [_row("acquisitions", plan["acquisitions"]["to observe"], found, how, exact=True)]
    took = {stage["stage"]: rates.remembered(settings.open_store(), stage["stage"])[-1] for stage in plan["stages"]}
    for stage in plan["stages"]:
        done = took[stage["stage"]]
        rows.append(_row(f"{stage['stage']}, processor s", stage["cpu_s"], done.cpu_s, how))
        rows.append(_row(f"{stage['stage']}, wall s", stage["wall_s"], done.wall_s, how))
        rows.append(_row(f"{stage['stage']}, peak MB", stage["peak_bytes"] / 1e6, done.peak_bytes / 1e6, how))
    rows.append(_row("all stages, processor s", plan["cpu_hours"] * 3600, sum(d.cpu_s for d in took.values()), how))
    rows.append(_row("all stages, wall s", plan["wall_hours"] * 3600, sum(d.wall_s for d in took.values()), how))
    return rows


def _crossed(settings: Settings, sizes: Sequence[int]) -> list[dict[str, Any]]:
    rows = []
    for stage in rates.STAGES:
        known = rates.remembered(settings.open_store(), stage)
        for number, (parcels, done) in enumerate(zip(sizes, known, strict=True)):
            others = [each for at, each in enumerate(known) if at != number]
            planned = estimate(stage, done.units, others, processors=settings.threads)
            how = f"{parcels} parcels, units as they were, rates of the other size alone"
            rows.append(_row(f"{stage}, processor s", planned.cpu_s, done.cpu_s, how))
    return rows


def _row(what: str, planned: float, took: float, how: str, *, exact: bool = False) -> dict[str, Any]:
    error = planned / took - 1 if took else 0.0
    target = "exact" if exact else f"within {WITHIN:.0%}"
    return {
        "what": what,
        "planned": round(planned, 1),
        "took": round(took, 1),
        "error": f"{error:+.0%}",
        "target": target,
        "how": how,
    }


def _lighten(agency: Path) -> None:
    document = yaml.safe_load(agency.read_text())
    for section, keys in LIGHT.items():
        document[section] = {**document.get(section, {}), **keys}
    agency.write_text(yaml.safe_dump(document, sort_keys=False))


def _run(agency: Path, year: int, home: Path) -> str:
    return _answer(["season", "run", str(agency), "--season", str(year), "--home", str(home), "--json"], {})


def _answer(words: list[str], environment: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "cropmap", *words]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def _found(answer: str) -> int:
    document = yaml.safe_load(answer)
    return int(document["ingest"]["acquisitions"]["observed"])


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
