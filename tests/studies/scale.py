"""Time and peak memory of every step of a season, by the number of its parcels.

A season is simulated as observation files (`simulation.direct`), and its steps are run as processes of their own. While
one works, the memory of it, of its children and of the database server is added up: anonymous and shared pages, each
shared page once (PSS). Pages of mapped files are no part of it: the system takes them back when it needs them; they are
told apart. MLflow takes no part. The networks are trained for `steps` steps a fold, which changes no memory.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from cropmap.settings import Settings
from cropmap.stages.context import SeasonContext, database_url
from cropmap.stages.open_season import OpenSeason

YEAR: Final = 2018
SEED: Final = 1
NOW: Final = datetime(2019, 1, 15, 12, tzinfo=UTC)
SAMPLE_S: Final = 0.2
GIB: Final = 2**30
Row = dict[str, Any]


def measure(
    folder: Path, *, parcels: int, dates: int, steps: int, stages: list[str], limit_gib: float = 0
) -> list[Row]:
    """A row per stage. What a stage before left in the folder is taken as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["CROPMAP_HOME"] = str(folder / "home")
    database_url(Settings.load(), create=True)
    rows = []
    for stage in stages:
        arguments = {"parcels": parcels, "dates": dates, "steps": steps, "limit_gib": limit_gib}
        rows.append({"parcels": parcels, "stage": stage, **_run(folder, stage, arguments)})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def _run(folder: Path, stage: str, arguments: dict[str, Any]) -> Row:
    command = [sys.executable, "-m", __name__, stage, str(folder), json.dumps(arguments)]
    server, began = server_process(), time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, watched(process.pid, server) as peak:
        assert process.stdout is not None
        answer = process.stdout.read()
        process.wait()
    if process.returncode:
        return {"failed": process.returncode, "s": round(time.monotonic() - began, 1)}
    return {
        "s": round(time.monotonic() - began, 1),
        **{name: f"{value / GIB:.2f} GiB" for name, value in peak.items()},
        "said": answer.strip().splitlines()[-1],
    }


def server_process() -> int:
    """The database server's own process."""
    settings = Settings.load()
    from cropmap.database.connection import connect

    with connect(database_url(settings)) as connection:
        (backend,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        return _parent(int(backend))


@contextmanager
def watched(*roots: int) -> Iterator[dict[str, int]]:
    """The highest sums while the block runs: of everything below the roots, of what is below the last root (the
    server), and of the rest (this program). The highest of all may be less than that of both: they peak apart."""
    peak, ended = {"all": 0, "own": 0, "server": 0, "mapped files beside": 0}, threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_S):
            below = _below(set(roots))
            each = {pid: _memory(pid) for pid in below}
            server = sum(each[pid][0] for pid in below & _below({roots[-1]}))
            whole = sum(held for held, _ in each.values())
            found = (whole, whole - server, server, sum(mapped for _, mapped in each.values()))
            for name, value in zip(peak, found, strict=True):
                peak[name] = max(peak[name], value)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _below(roots: set[int]) -> set[int]:
    """The processes and all that they started."""
    children: dict[int, list[int]] = {}
    for pid in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()):
        children.setdefault(_parent(pid), []).append(pid)
    found, left = set(), list(roots)
    while left:
        pid = left.pop()
        found.add(pid)
        left += children.get(pid, [])
    return found


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return -1


def _memory(pid: int) -> tuple[int, int]:
    """Bytes: anonymous and shared memory, and pages of files; shared pages count in parts."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0, 0
    kib = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    return (kib["Pss_Anon"] + kib["Pss_Shmem"]) * 1024, kib["Pss_File"] * 1024


# --- The steps, each in a process of its own.


def _context(folder: Path) -> SeasonContext:
    return SeasonContext.open(Settings.load(), folder / "inputs" / "agency.yaml", season=YEAR, create=True)


def _simulate(folder: Path, arguments: dict[str, Any]) -> object:
    from cropmap.simulation.direct import simulate_observations
    from cropmap.simulation.register import agency_file

    document = yaml.safe_load(agency_file(declarations="declarations.parquet"))
    document["model"] = {"architecture": "lstm", "folds": {"by": "region"}}
    document["acquisitions"].pop("catalog")
    document["acquisitions"].pop("collection", None)
    size = {name: arguments[name] for name in ("parcels", "dates")}
    store = Settings.load().open_store()
    inputs = folder / "inputs"
    made = simulate_observations(store, inputs, agency=document["agency"], season=YEAR, seed=SEED, **size)
    (inputs / "agency.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return {"files": made.acquisitions}


def _load(folder: Path, arguments: dict[str, Any]) -> object:
    from cropmap.database import acquisitions as ledger
    from cropmap.stages.ingest import load_declarations

    context = _context(folder)
    counts = load_declarations(context, loaded_at=NOW)
    objects = []
    for name in context.store.names(f"observations/{context.agency.agency}/{YEAR}"):
        about = {key.decode(): value.decode() for key, value in context.store.read_schema(name).metadata.items()}
        sensed_at = datetime.fromisoformat(about["datetime"]).replace(tzinfo=UTC)
        objects.append(ledger.ImportedObject(about["item_id"], about["tile"], sensed_at, name))
    with context.connect() as connection:
        ledger.record_imported(connection, **context.key, objects=objects)
    return {name: counts[name] for name in ("accepted", "rejected")}


def _dataset(folder: Path, arguments: dict[str, Any]) -> object:
    data = OpenSeason(_context(folder)).data
    return {"parcels": len(data.parcels), "observations": len(data.series.day_of_year), "hash": data.hash}


def _train(network: str) -> Callable[[Path, dict[str, Any]], object]:
    def train(folder: Path, arguments: dict[str, Any]) -> object:
        from cropmap.model.fitting import fit_model
        from cropmap.model.training_config import TrainingConfig
        from cropmap.schemas import Architecture
        from cropmap.stages.champion import TrainedModel, legend_key, make_champion, metrics_of
        from cropmap.stages.dataset import folds_rule, needed_dataset

        context = _context(folder)
        data, architecture = OpenSeason(context).data, Architecture(network)
        about = {
            "season": str(YEAR),
            "last_acquisition": data.last_acquisition,
            "legend": legend_key(data.legend),
            "folds": folds_rule(context),
        }
        steps = arguments["steps"]
        config = TrainingConfig(architecture=architecture, epochs=1, min_steps=steps, max_steps=steps)
        fitted = fit_model(
            context.store,
            needed_dataset(data),
            config,
            seed=SEED,
            min_clear_fraction=context.agency.observations.min_clear_fraction,
            workers=2,
            about=about,
        )
        model = TrainedModel(fitted.artifact_id, "trained", YEAR, metrics_of(fitted.manifest))
        make_champion(context, architecture, model)
        return {"steps": steps, "oa": round(fitted.out_of_fold.evaluation.metrics()["oa"], 3)}

    return train


def _product(step: str) -> Callable[[Path, dict[str, Any]], object]:
    def make(folder: Path, arguments: dict[str, Any]) -> object:
        from cropmap.stages import products

        season = OpenSeason(_context(folder))
        plan = products.plan_run(season)
        if step == "publish":
            with products.logged_run(season.context, plan, clock=lambda: datetime.now(UTC)):
                answer = products.publish(season, plan, published_at=datetime.now(UTC))
            return {"run_id": answer["run_id"]}
        made = getattr(products, step)(season, plan)
        return made if isinstance(made, dict) else {"rows": len(made)}

    return make


STAGES: Final[dict[str, Callable[[Path, dict[str, Any]], object]]] = {
    "simulate": _simulate,
    "load": _load,
    "dataset": _dataset,
    "train lstm": _train("lstm"),
    "train transformer": _train("transformer"),
    "predict": _product("predict"),
    "assess": _product("assess"),
    "aggregate": _product("aggregate"),
    "publish": _product("publish"),
}


if __name__ == "__main__":
    asked = json.loads(sys.argv[3])
    if asked["limit_gib"]:  # what the process may write to: its data, without mapped files and threads' shared stacks
        resource.setrlimit(resource.RLIMIT_DATA, (int(asked["limit_gib"] * GIB),) * 2)
    print(json.dumps(STAGES[sys.argv[1]](Path(sys.argv[2]), asked)))
