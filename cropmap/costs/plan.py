"""What a season will take, before it runs: acquisitions, bytes, requests, seconds, disk and memory.

It reads and changes nothing. Acquisitions are those that a run would find over the parcels; the rest follows from the
windows of the parcels and from what earlier seasons took on this machine (`rates`, `fitting`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias, TypedDict

import geopandas as gpd
import numpy as np

from cropmap.agency import Agency
from cropmap.costs import rates
from cropmap.costs.fitting import Estimate, estimate, peak_bytes, seconds
from cropmap.costs.reading import Reading, TileWindows, reading
from cropmap.database import acquisitions as ledger
from cropmap.database import declarations as register
from cropmap.database.bytes_read import bytes_read
from cropmap.database.connection import connect
from cropmap.errors import CatalogError, ConfigurationError, DatabaseError, DatabaseUnavailableError, SceneError
from cropmap.observations import tiles
from cropmap.observations.grids import Grid
from cropmap.observations.identity import pixel_metadata, same_pixels
from cropmap.observations.scratch import FETCHED_TOGETHER
from cropmap.progress import Counter
from cropmap.schemas import AcquisitionStatus, QuarantineReason
from cropmap.seasons import Season, SeasonKey
from cropmap.settings import Settings
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.sources.catalogs.catalog import CatalogSearch, find_acquisitions, nothing_usable
from cropmap.sources.catalogs.providers import Provider
from cropmap.sources.catalogs.providers.in_use import use
from cropmap.sources.catalogs.search_boxes import search_boxes
from cropmap.sources.catalogs.sign_in.secrets import read_headers
from cropmap.stages.context import database_url, has_database
from cropmap.stages.declared import read_declared
from cropmap.stages.first_check import check_inputs
from cropmap.stages.ingest import catalog_access, kept_grids, unread_items
from cropmap.store import Store

log = logging.getLogger(__name__)

PAGE: Final = 100
"""items of one answer of a STAC API"""
SEEN_SHARE: Final = 0.9
"""observations of a parcel under a clear sky, over passes: a pass may show a part of a tile"""
REMOTE_BYTES_PER_S: Final = 20e6
"""of one connection, where neither a provider nor an earlier season says otherwise"""
DISK: Final[Mapping[str, float]] = {
    "installation": 90e6,
    "acquisitions": 9_000.0,
    "kiloparcels x dates": 24_000.0,
    "covered pixels": 9.0,
    "kiloparcels": 6_000_000.0,
    "trainings": 1_500_000.0,
}
"""bytes of one unit: an empty database and its journal; an observation file, a row of it; the pixels of a parcel;
rows of a parcel in the database, and its series; a fold's network with checkpoints"""


Speed: TypeAlias = Mapping[str, Sequence[rates.Measured]]


class Stage(TypedDict):
    stage: str
    units: dict[str, float]
    cpu_s: float
    wall_s: float
    peak_bytes: float
    measured: bool
    """whether the rates were measured on this machine"""


class Quota(TypedDict):
    """What the provider allows in a period, and the season beside it. All are bytes but `days`."""

    provider: str
    bytes: float
    days: int
    used: float
    """in the period that ends today, by all seasons of the installation"""
    left: float
    needed: float


class SeasonPlan(SeasonKey):
    parcels: int
    tiles: int
    acquisitions: dict[str, int]
    """by what becomes of them"""
    bytes_to_read: int
    requests: int
    quota: Quota | None
    """None where the provider states none"""
    cpu_hours: float
    wall_hours: float
    disk_bytes: int
    scratch_bytes: int
    peak_bytes: int
    headers_looked_at: int
    stages: list[Stage]


def plan_season(
    settings: Settings,
    agency_file: Path,
    *,
    season: int,
    as_of: date | None,
    data: Path | None,
    at: datetime,
    speed: Speed = MappingProxyType({}),
) -> SeasonPlan:
    """The plan as plain values. `at`: when the season would begin. `speed`: by stage, what counts where no season has
    run on this machine. Raises InputError for inputs that are not there, or a catalogue without anything."""
    agency = Agency.read(agency_file, data=data or settings.data)
    check_inputs(agency, season=season, observing=True)
    agency = agency.of_season(season)
    for provider in agency.providers():
        use(provider)
    window = agency.season(season).until(as_of)
    store, key = settings.open_store(), SeasonKey(agency=agency.agency, season=season)
    parcels, known = _parcels(settings, agency, key)
    search = _search(settings, agency, window, parcels, known)
    homes = _homes(store, key, parcels, search.acquisitions)
    over = [a for a in search.acquisitions if a.tile in homes.windows]
    observed = _observed(known, over)
    to_read = [a for a in over if a.item_id not in observed]
    read = reading(to_read, homes.windows)
    quotas = _quotas(settings, read, at.astimezone(UTC).date())
    stages = _stages(settings, store, agency, parcels, homes, over, to_read, read, quotas, speed)
    return {
        **key,
        "parcels": len(parcels),
        "tiles": len(homes.windows),
        "acquisitions": {
            "found": len(search.acquisitions),
            "over parcels": len(over),
            "observed already": len(over) - len(to_read),
            "to observe": len(to_read),
            "set aside": len(search.unusable),
        },
        "bytes_to_read": round(read.bytes),
        "requests": round(read.requests) + -(-len(search.acquisitions) // PAGE),
        "quota": max(quotas.values(), key=lambda quota: quota["needed"] / max(quota["left"], 1.0), default=None),
        "cpu_hours": sum(stage["cpu_s"] for stage in stages) / 3600,
        "wall_hours": sum(stage["wall_s"] for stage in stages) / 3600,
        "disk_bytes": round(_disk_bytes(stages, homes)),
        "scratch_bytes": round(min(settings.scratch_gb * 1e9, read.largest_copy * 2 * FETCHED_TOGETHER)),
        "peak_bytes": round(max(stage["peak_bytes"] for stage in stages)),
        "headers_looked_at": read.looked_at,
        "stages": stages,
    }


def _parcels(settings: Settings, agency: Agency, key: SeasonKey) -> tuple[gpd.GeoDataFrame, list[ledger.LedgerEntry]]:
    """The register where it is loaded, else what the declarations file would give; and the ledger of acquisitions."""
    if has_database(settings):
        try:
            with connect(database_url(settings)) as connection:
                parcels = register.read_declarations(connection, **key)
                known = ledger.read_acquisitions(connection, **key)
        except DatabaseUnavailableError:
            raise
        except DatabaseError:  # one that holds no season yet
            parcels, known = None, []
        if parcels is not None and not parcels.empty:
            return parcels, known
    return read_declared(agency, season=key["season"]).accepted, []


def _observed(known: Sequence[ledger.LedgerEntry], found: Sequence[Acquisition]) -> set[str]:
    """What a run would not read again: observed, or condemned by its pixels, and not replaced in place since."""
    before = {
        entry.item_id: pixel_metadata(entry.acquisition)
        for entry in known
        if entry.document
        and (entry.status == AcquisitionStatus.OBSERVED or entry.reason == QuarantineReason.OFFSET_CONTRADICTED)
    }
    return {a.item_id for a in found if a.item_id in before and same_pixels(before[a.item_id], pixel_metadata(a))}


def _search(
    settings: Settings, agency: Agency, season: Season, parcels: gpd.GeoDataFrame, known: Sequence[ledger.LedgerEntry]
) -> CatalogSearch:
    section = agency.acquisitions
    if section.catalog is None:
        raise ConfigurationError(
            "this agency has no catalogue, so there is nothing to plan", where="acquisitions.catalog"
        )
    where = agency.resolve(section.catalog, season=season.year)
    search = find_acquisitions(
        where,
        collection=section.collection,
        bbox=search_boxes(parcels.bounds.to_numpy()),
        season=season,
        access=catalog_access(agency, read_headers(settings.catalog_headers.get_secret_value())),
        offset_by_baseline=section.offset == "baseline",
        unread=unread_items({entry.item_id: entry.reason for entry in known if entry.reason}),
    )
    if not search.acquisitions:
        raise nothing_usable(search, season=season, where=where)
    return search


@dataclass(frozen=True)
class _Homes:
    windows: Mapping[str, TileWindows]
    """of tiles that are home to a parcel"""
    parcels: Mapping[str, int]
    pixels: Mapping[str, float]
    """10 m pixels that parcels of the tile cover"""


def _homes(store: Store, key: SeasonKey, parcels: gpd.GeoDataFrame, found: Sequence[Acquisition]) -> _Homes:
    near = tiles.candidate_tiles(parcels.bounds.to_numpy(), found)
    grids: dict[str, dict[int, Grid]] = {}
    unreadable: list[str] = []
    with Counter("look at tiles", total=len(near), unit="tiles") as counter:
        for tile in near:
            try:
                kept = kept_grids(store, key["agency"], key["season"], tile)
                grids[tile] = kept or tiles.tile_grids([a for a in found if a.tile == tile])
            except SceneError as error:
                unreadable.append(f"no acquisition of tile {tile} can be read ({error})")
                near = {name: mask for name, mask in near.items() if name != tile}
            counter.add()
    if not grids:
        why = unreadable[0] if unreadable else "no acquisition of the catalogue lies over the parcels"
        raise CatalogError(why, where="acquisitions")
    for reason in unreadable:  # a run goes on with the other tiles, and ends with the same words
        log.warning("acquisitions: %s; the plan is without this tile", reason)
    home = tiles.home_tiles(parcels, {tile: both[10] for tile, both in grids.items()}, near=near)
    if home.isna().all():
        raise CatalogError("no parcel lies within a tile of the catalogue", where="acquisitions")
    windows, counts, pixels = {}, {}, {}
    for tile, of_tile in parcels.groupby(home.to_numpy()):
        fine, coarse = grids[str(tile)][10], grids[str(tile)][20]
        shapes = of_tile.geometry.to_crs(epsg=fine.epsg)
        bounds = tuple(shapes.total_bounds)
        window = fine.window(bounds)
        windows[str(tile)] = TileWindows(window, coarse.window(bounds), window.coarsened(2))
        counts[str(tile)] = len(of_tile)
        pixels[str(tile)] = float(shapes.area.sum()) / 100
    return _Homes(windows, counts, pixels)


def _stages(
    settings: Settings,
    store: Store,
    agency: Agency,
    parcels: gpd.GeoDataFrame,
    homes: _Homes,
    over: Sequence[Acquisition],
    to_read: Sequence[Acquisition],
    read: Reading,
    quotas: Mapping[str, Quota],
    speed: Speed,
) -> list[Stage]:
    units: dict[str, float] = {}
    for tile, window in homes.windows.items():
        n = sum(a.tile == tile for a in to_read)
        each = rates.scene_units_of(
            n, fine_px=window.fine.size, coarse_px=window.coarse.size, parcels=homes.parcels[tile]
        )
        rates.add(units, each)
    observations = _observations(homes, over)
    whole = rates.parcel_units(sum(homes.parcels.values()), observations=observations)
    processors = settings.threads
    planned = [_stage(store, "observe", units, processors, speed, pixels=max(homes.pixels.values()))]
    fetched = sum(_fetch_s(provider, n_bytes, quotas) for provider, n_bytes in read.remote.items())
    planned[0]["wall_s"] = max(planned[0]["wall_s"], fetched)
    labelled, length = len(parcels), observations / max(len(parcels), 1)
    networks = dict.fromkeys([*agency.model.networks, agency.model.architecture])
    for network in networks:
        work = rates.training_units_of(
            agency,
            network,
            labelled=labelled,
            length=length,
            folds=_folds(agency, parcels),
            published=network == agency.model.architecture,
        )
        planned.append(_stage(store, f"train {network}", {**whole, **work}, processors, speed))
    planned += [_stage(store, each, whole, processors, speed) for each in ("predict", "assess", "aggregate", "publish")]
    return planned


def _stage(
    store: Store, stage: str, units: Mapping[str, float], processors: int, speed: Speed, *, pixels: float = 0.0
) -> Stage:
    known = rates.remembered(store, stage) or speed.get(stage, ())
    taken: Estimate = estimate(stage, units, known, processors=processors)
    peak = peak_bytes(stage, {**units, "pixels": pixels * processors}, known)
    return Stage(
        stage=stage, units=dict(units), cpu_s=taken.cpu_s, wall_s=taken.wall_s, peak_bytes=peak, measured=taken.measured
    )


def _observations(homes: _Homes, over: Sequence[Acquisition]) -> float:
    """Clear observations of all parcels, by the cloud cover that items state."""
    return sum(
        homes.parcels[a.tile] * SEEN_SHARE * (1 - (a.cloud_cover if a.cloud_cover is not None else 50.0) / 100)
        for a in over
    )


def _folds(agency: Agency, parcels: gpd.GeoDataFrame) -> int:
    section = agency.model.folds
    if section.by == "region":
        return max(int(parcels["nuts_id"].nunique()), 2)
    return section.n


def _fetch_s(provider: Provider | None, n_bytes: float, quotas: Mapping[str, Quota]) -> float:
    """Seconds in which a provider lets so many bytes be read, beyond its quota as slowly as it allows then."""
    limits = provider.limits if provider else None
    usual = (limits and limits.bytes_per_second) or REMOTE_BYTES_PER_S * FETCHED_TOGETHER
    slower = limits.quota.then_bytes_per_second if limits and limits.quota else None
    quota = quotas.get(provider.name) if provider else None
    beyond = max(n_bytes - quota["left"], 0.0) if quota and slower else 0.0
    return (n_bytes - beyond) / usual + beyond / (slower or usual)


def _quotas(settings: Settings, read: Reading, day: date) -> dict[str, Quota]:
    """By provider, of those that the season reads from and that state one."""
    quotas: dict[str, Quota] = {}
    for provider, n_bytes in read.remote.items():
        if provider is not None and (quota := provider.limits.quota) is not None:
            used = _used(settings, provider.name, day, quota.days)
            quotas[provider.name] = {
                "provider": provider.name,
                "bytes": quota.bytes,
                "days": quota.days,
                "used": used,
                "left": max(quota.bytes - used, 0.0),
                "needed": n_bytes,
            }
    return quotas


def _used(settings: Settings, provider: str, day: date, days: int) -> float:
    if not has_database(settings):
        return 0.0
    try:
        with connect(database_url(settings)) as connection:
            return bytes_read(connection, provider, until=day, days=days)
    except DatabaseUnavailableError:
        raise
    except DatabaseError:  # one that holds no season yet, or that was not upgraded yet
        return 0.0


def _disk_bytes(stages: Sequence[Stage], homes: _Homes) -> float:
    units: dict[str, float] = {"installation": 1.0, "covered pixels": float(np.sum(list(homes.pixels.values())))}
    rates.add(units, stages[0]["units"])
    rates.add(units, {"trainings": sum(stage["units"].get("trainings", 0.0) for stage in stages)})
    rates.add(units, {"kiloparcels": sum(homes.parcels.values()) / 1e3})
    return seconds(DISK, units)
