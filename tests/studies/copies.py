"""From stored predictions to a publication, of a country of up to 9,500,000 parcels: time and peak memory of each step.

The country is made of copies of one simulated landscape, moved apart: each has parcels, holdings, NUTS regions and
tiles of its own. Its register is written straight into the database, its acquisitions into the store, and every parcel
has a stored prediction that mostly says what is declared. The model behind it is trained on a few parcels of the
season before. The steps are those of the product, in one process that opens the season once, as a run does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from psycopg.sql import SQL, Identifier

from cropmap.database import acquisitions as ledger
from cropmap.database.connection import Connection
from cropmap.database.copying import copy_frame
from cropmap.database.declarations import INCOMING
from cropmap.database.runs import ensure_season
from cropmap.observations.files import observation_name, write_observation
from cropmap.predictions.predict import load_artifact
from cropmap.predictions.predictions import Predictions
from cropmap.progress import Counter
from cropmap.settings import Settings
from cropmap.simulation import phenology
from cropmap.simulation.direct import TileObservations, observation_table, tile_observations
from cropmap.simulation.landscape import lay_out
from cropmap.simulation.passes import passes
from cropmap.simulation.population import settle
from cropmap.simulation.randomness import stream
from cropmap.simulation.register import declaration_table, parcel_table
from cropmap.simulation.scenes import Scene
from cropmap.stages import products
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from tests.studies import scale
from tests.studies.scale import GIB, NOW, SEED, Row, server_process, watched

LAND_PARCELS: Final = 400_000
"""of a copy: 24 of them have 96 NUTS-3 regions"""
T = TypeVar("T")
YEAR: Final = scale.YEAR + 1
MODEL_PARCELS: Final = 6_000
DATES: Final = 4
ACROSS: Final = 6
APART_DEG: Final = (1.7, -1.2)
CHUNK: Final = 100_000
WRONG: Final = 0.04
"""share of the predictions that are another crop's"""

SURE: Final = 6.0
"""what the logit of the crop that a prediction shows is above the others"""
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

CREATE_INCOMING: Final = SQL("CREATE TEMPORARY TABLE incoming ({}) ON COMMIT DROP").format(
    SQL(", ").join(SQL("{} {}").format(Identifier(name), SQL(kind)) for name, kind in INCOMING.items())
)
COPY_PARCELS: Final = """
INSERT INTO parcel (agency, season, parcel_id, wkb, box, nuts_id, home_tile)
SELECT %(agency)s, %(season)s, parcel_id, wkb, box(point(west, south), point(east, north)), nuts_id, home_tile
FROM incoming
"""
COPY_DECLARATIONS: Final = """
INSERT INTO declaration (agency, season, parcel_id, version, valid_from, crop_code, holding_id, declared_area_ha,
                         area_ha, row_number, repaired, content_hash, source_file, source_hash)
SELECT %(agency)s, %(season)s, parcel_id, 1, %(loaded_at)s, crop_code, holding_id, declared_area_ha, area_ha,
       row_number, repaired, content_hash, 'copies', 'copies'
FROM incoming
"""


def measure(folder: Path, *, parcels: int) -> list[Row]:
    """A row per step. What an earlier call left in the folder is taken as it is."""
    rows = scale.measure(folder, parcels=MODEL_PARCELS, dates=20, steps=20, stages=["simulate", "load", "train lstm"])

    def step(name: str, do: Callable[[], T]) -> T:
        began, spent = time.monotonic(), time.process_time()
        with watched(os.getpid(), server_process()) as peak:
            answer = do()
        seconds = {"s": time.monotonic() - began, "own processor s": time.process_time() - spent}
        gib = {what: f"{value / GIB:.2f} GiB" for what, value in peak.items()}
        rows.append({"parcels": parcels, "stage": name, **{what: round(s, 1) for what, s in seconds.items()}, **gib})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        return answer

    step("simulate", lambda: _make_country(folder, parcels))
    season = step("open", lambda: _opened(folder))
    plan = step("plan", lambda: products.plan_run(season))
    step("draw predictions", lambda: _draw(season, plan))
    step("predict", lambda: products.predict(season, plan))
    step("assess", lambda: products.assess(season, plan))
    step("aggregate", lambda: products.aggregate(season, plan))
    with products.logged_run(season.context, plan, clock=_now):
        step("publish", lambda: products.publish(season, plan, published_at=_now()))
    return rows


def _now() -> datetime:
    return datetime.now(UTC)


def _opened(folder: Path) -> OpenSeason:
    season = OpenSeason(_context(folder))
    assert season.run_inputs.parts, "reads everything that a run depends on"
    return season


def _context(folder: Path) -> SeasonContext:
    return SeasonContext.open(Settings.load(), folder / "inputs" / "agency.yaml", season=YEAR, create=True)


def _make_country(folder: Path, parcels: int) -> None:
    """The register and the observations of `parcels` parcels, in copies of one landscape."""
    made = folder / f"{parcels} parcels"
    if made.is_file():
        return
    context = _context(folder)
    land = lay_out(parcels=min(parcels, LAND_PARCELS), seed=SEED, irregular=False)
    population = settle(land.region, seed=SEED, wrong_share=0.03)
    table = parcel_table(land, population, seed=SEED)
    register = declaration_table(table).assign(nuts_id=table["nuts_id"])
    stand = phenology.draw(population.variety, land.region, population.holding, stream(SEED, "stand"))
    looks = list(tile_observations(land, stand, passes(season=YEAR, dates=DATES, seed=SEED), seed=SEED))
    register["home_tile"] = None
    for look in looks:
        register.loc[look.parcels, "home_tile"] = look.tile
    with context.connect() as connection, connection.transaction():
        ensure_season(connection, **context.key, simulated=True, document=context.agency.model_dump(mode="json"))
        connection.execute("DELETE FROM declaration WHERE agency = %(agency)s AND season = %(season)s", context.key)
        connection.execute("DELETE FROM parcel WHERE agency = %(agency)s AND season = %(season)s", context.key)
        connection.execute(CREATE_INCOMING)
        objects = []
        with Counter("simulate", total=parcels, unit="parcels") as counter:
            for number, start in enumerate(range(0, parcels, len(register))):
                part = register.iloc[: min(len(register), parcels - start)]
                for first in range(0, len(part), CHUNK):
                    _write_register(connection, context, part.iloc[first : first + CHUNK], number)
                    counter.add(len(part.iloc[first : first + CHUNK]))
                objects += [_write_look(context, look, register, number, parcels - start) for look in looks]
        ledger.record_imported(connection, **context.key, objects=objects)
        connection.execute("ANALYZE parcel, declaration")
    made.touch()


def _write_register(connection: Connection, context: SeasonContext, part: gpd.GeoDataFrame, number: int) -> None:
    east, north = (step * place for step, place in zip(APART_DEG, (number % ACROSS, number // ACROSS), strict=True))
    shapes = shapely.transform(part.geometry.to_numpy(), lambda xy: np.add(xy, (east, north)))
    bounds = shapely.bounds(shapes)
    rows = pd.DataFrame(part.drop(columns=["geometry", "crop_name"])).assign(
        parcel_id=_own(part["parcel_id"], number),
        holding_id=_own(part["holding_id"], number),
        nuts_id=[_region(code, number) for code in part["nuts_id"]],
        home_tile=[_tile(tile, number) for tile in part["home_tile"]],
        declared_area_ha=part["area_ha"],
        row_number=range(1, len(part) + 1),
        repaired=False,
        content_hash=_own(part["parcel_id"], number),
        wkb=shapely.to_wkb(shapes, output_dimension=2, byte_order=1),
        **dict(zip(("west", "south", "east", "north"), bounds.T, strict=True)),
    )
    copy_frame(connection, "incoming", INCOMING, rows)
    for statement in (COPY_PARCELS, COPY_DECLARATIONS, "TRUNCATE incoming"):
        connection.execute(statement, {**context.key, "loaded_at": NOW})


def _own(names: pd.Series[Any], number: int) -> list[str]:
    return [f"{number:02d}{name}" for name in names]


def _region(code: str, number: int) -> str:
    """FRH01 of the first copy stays; of the others FRA01, FRB01, ..."""
    return f"FR{ALPHABET[(number + ALPHABET.index('H')) % len(ALPHABET)]}{code[3:]}"


def _tile(tile: str, number: int) -> str:
    return f"{tile[:3]}{ALPHABET[number]}{tile[4:]}"


def _write_look(
    context: SeasonContext, look: TileObservations, register: pd.DataFrame, number: int, most: int
) -> ledger.ImportedObject:
    """The observations of one tile of one copy, of its first parcels."""
    tile, seen = _tile(look.tile, number), look.parcels < most
    own = replace(
        look,
        tile=tile,
        parcels=look.parcels[seen],
        clear_pixels=look.clear_pixels[seen],
        total_pixels=look.total_pixels[seen],
        reflectance=look.reflectance[seen],
    )
    scene = Scene(look.overpass, tile, look.overpass.baseline)
    ids = np.array(_own(register["parcel_id"], number), object)
    name = observation_name(context.agency.agency, YEAR, tile, scene.item_id)
    write_observation(context.store, name, observation_table(own, scene, ids, parcel_set="copies"))
    sensed_at = look.overpass.sensed_at
    return ledger.ImportedObject(scene.item_id, tile, sensed_at, name)


def _draw(season: OpenSeason, plan: products.RunPlan) -> None:
    """Stored predictions that mostly say what is declared."""
    context, data, name = season.context, season.data, plan.name("predictions.parquet")
    if context.store.exists(name):
        return
    artifact = load_artifact(context.store, plan.artifact_id)
    crops = artifact.manifest.crops
    rng = np.random.default_rng(SEED)
    shown = pd.Index(crops).get_indexer(pd.Index(data.parcels["crop"]))
    other = rng.random(len(shown)) < WRONG
    shown[other] = rng.integers(0, len(crops), int(other.sum()))
    logits = rng.normal(size=(len(shown), len(crops))).astype(np.float32)
    logits[np.arange(len(shown)), shown] += SURE
    Predictions(
        parcel_ids=data.series.parcel_ids,
        crops=crops,
        logits=logits,
        scored_by=["fold 0"] * len(shown),
        n_observations=data.series.lengths.astype(np.int32),
        last_observation=data.series.last_days(),
        out_of_distribution=rng.random(len(shown)).astype(np.float32),
    ).write(context.store, name)
