"""How long a large declarations file takes to load, and how much memory. Nothing here asserts a time.

    python -m tests.benchmarks.load_declarations --parcels 500000 --folder /tmp/load

The first call makes a GeoPackage of irregular fields (about 35 vertices each) and its regions. Every call then loads
it three times into a fresh embedded database, as `cropmap declarations load` in a process of its own: the first time,
the same again, and with one declaration in a hundred amended. The server's own memory is not in the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import shapely

from cropmap.settings import Settings
from cropmap.simulation import register
from cropmap.simulation.landscape import lay_out
from cropmap.simulation.population import settle
from cropmap.stages.context import stop_embedded

SEASON: Final = 2018
AMENDED_EVERY: Final = 100
SHIFT_DEGREES: Final = 1e-5
"""about a metre: another outline of the same area"""


def make(folder: Path, *, parcels: int) -> None:
    """declarations.gpkg and nuts.geojson, unless they are there; agency.yaml names them."""
    if not (folder / "agency.yaml").exists():
        land = lay_out(parcels=parcels, seed=1)
        population = settle(land.region, seed=1, wrong_share=0.03)
        table = register.declaration_table(register.parcel_table(land, population, seed=1))
        register.write_vector(folder / "declarations.gpkg", table, layer="declarations")
        register.write_vector(folder / "nuts.geojson", register.region_table(land), layer="nuts")
        amended = _amended(table)
        register.write_vector(folder / "amended" / "declarations.gpkg", amended, layer="declarations")
        shutil.copy(folder / "nuts.geojson", folder / "amended")
        (folder / "agency.yaml").write_text(register.agency_file(declarations="declarations.gpkg"), encoding="utf-8")


def _amended(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Every hundredth outline moved, the one after it under another crop, the one after that withdrawn."""
    later = table.copy()
    moved, changed, gone = (later.index[k::AMENDED_EVERY] for k in range(3))
    later.loc[moved, "geometry"] = shapely.transform(
        later.geometry[moved].to_numpy(), lambda x, y: (x + SHIFT_DEGREES, y), interleaved=False
    )
    later.loc[changed, "crop_code"] = [("BTH" if code != "BTH" else "MIS") for code in later.loc[changed, "crop_code"]]
    return later.drop(index=gone)


def load(folder: Path, home: Path, *, data: Path) -> dict[str, Any]:
    """The command's answer, and what it used."""
    command = [str(Path(sys.executable).with_name("cropmap")), "declarations", "load", str(folder / "agency.yaml")]
    command += ["--season", str(SEASON), "--data", str(data), "--home", str(home), "--json"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, "CROPMAP_THREADS": "2"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "wall_s": round(time.monotonic() - began, 1),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_gib_so_far": round(after.ru_maxrss / 2**20, 2),
        **json.loads(done.stdout),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parcels", type=int, default=500_000)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    make(folder, parcels=arguments.parcels)
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    try:
        Settings.load(home=home)
        for what, data in (("first", folder), ("again", folder), ("amended", folder / "amended")):
            print(json.dumps({"load": what, **load(folder, home, data=data)}), flush=True)
    finally:
        stop_embedded(Settings.load(home=home))


if __name__ == "__main__":
    main()
