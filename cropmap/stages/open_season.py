"""A season that a command or a flow has open: what its steps work on, read once each.

A run is planned on one state of the season. The steps of one flow share an open season, and so work on one state. Steps
that are commands of their own open it each, and work on what they read only where that is the planned state. What
changed since it was read stops the publication: that is asked within its transaction, and of the register without
reading it again. So a load, an import of reviews or an edit of a file between two steps is never published under the
identity of what stood there before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import RLock
from typing import Any, TypeVar, cast

import geopandas as gpd
import pandas as pd

from cropmap.database import acquisitions as ledger
from cropmap.database import declarations as register
from cropmap.database.connection import Connection
from cropmap.observations.coverage import TileCoverage
from cropmap.observations.identity import pixel_key
from cropmap.processes import return_unused_memory
from cropmap.provenance import content_hash
from cropmap.schemas import AcquisitionStatus
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.sources.catalogs.sensings import Candidate
from cropmap.sources.mapped_outlines import Outlines
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import AGENCY_FILE, DECLARATIONS, OBSERVATIONS, SeasonData, build_data
from cropmap.stages.parcels import ObservationObject, counted_parcels, declared_until, observation_objects, parcel_sets
from cropmap.stages.run_inputs import REGIONS, RunInputs, asked_again, read_inputs, refuse_changed, regions_key

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _Register:
    parcels: pd.DataFrame
    outlines: Outlines
    state: str
    """of the register just before it was read: a load in between is taken for a later one, and refused"""


@dataclass(frozen=True, eq=False)
class _Observed:
    entries: list[ledger.LedgerEntry]
    objects: list[ObservationObject]

    @property
    def state(self) -> str:
        """Another one where an acquisition came, went, was observed for other outlines, has another offset, or other
        pixels: a provider may replace a product in place."""
        each = zip(self.entries, self.objects, strict=True)
        return content_hash(
            *(
                f"{entry.item_id} {item.parcel_set or ''} {pixel_key(entry.acquisition) if entry.document else ''}"
                f" {entry.offset_correction or ''}"
                for entry, item in each
            )
        )


@dataclass(frozen=True)
class Rivals:
    """Acquisitions of which it depends on the others' files whether they count."""

    listed: tuple[Candidate, ...] = ()
    """of which the catalogue has another one of the same pass over the same tile"""
    gone: tuple[Acquisition, ...] = ()
    """in use, and no longer in the catalogue"""
    near: tuple[Acquisition, ...] = ()
    """of the catalogue, over the tiles of those that are gone"""


class OpenSeason:
    """One season, for the steps of one command or flow; threads may share it.

    Nothing is read before it is asked for, and all of it is held as it was then. What writes the register or the
    ledger of acquisitions comes before what reads them, except `set_home_tiles`.
    """

    # no __dict__: Prefect keeps the parameters of a flow, and takes apart what it can; neither the rows nor the
    # database's address are to be kept
    __slots__ = ("_agency_file", "_held", "_lock", "context", "coverages", "known_documents", "rivals")

    def __init__(self, context: SeasonContext) -> None:
        self.context = context
        self._agency_file = context.agency.read_again().decisions_hash()
        self.coverages: dict[tuple[str, str], TileCoverage] = {}
        """by tile and parcel set: shared by the acquisitions of a tile"""
        self.known_documents: Mapping[str, Mapping[str, Any]] = {}
        """of the ledger, that the search read; whoever reads the ledger next takes them, as they fill memory"""
        self.rivals = Rivals()
        """of the last search"""
        self._lock = RLock()
        self._held: dict[str, Any] = {}

    @property
    def declared_until(self) -> datetime | None:
        """The last moment of the register that counts, where it stood otherwise then; None: as it stands now."""
        return self.once("declared until", lambda: declared_until(self.context))

    @property
    def parcels(self) -> pd.DataFrame:
        """The register that counts, sorted by parcel_id: see `declared_until`."""
        return self._register.parcels

    def parcels_at_home(self, tile: str) -> gpd.GeoDataFrame:
        """The parcels whose home this tile is, sorted by parcel_id; where the register was not read yet they alone are
        read."""
        if "register" in self._held:
            return self.outlines.beside(self.parcels[self.parcels["home_tile"] == tile])
        with self.context.connect() as connection:
            return register.read_declarations(connection, **self.context.key, as_of=self.declared_until, home_tile=tile)

    @property
    def outlines(self) -> Outlines:
        """Of the parcels, by their index."""
        return self._register.outlines

    @property
    def data(self) -> SeasonData:
        """The season's data as they stand in database and store, or stood on the day of `as_of`.

        Raises InputError where ingestion is still to come.
        """
        return self.once("data", self._build)

    @property
    def run_inputs(self) -> RunInputs:
        """Everything that a run's rows depend on. Raises InputError where ingestion is still to come."""
        return self.once("run_inputs", lambda: read_inputs(self.context, self.data))

    def planned(self, planned: Mapping[str, str], *, run_id: str) -> RunInputs:
        """The season, where it is what the run was planned on. Raises InputError that names what changed."""
        refuse_changed(self.run_inputs.parts, planned, run_id=run_id)
        return self.run_inputs

    def counted_parcels(self, *, run_id: str) -> pd.DataFrame:
        """The parcels as statistics count them. Raises InputError where the boundaries changed since they were
        planned on."""
        parts = self.run_inputs.parts
        parcels = counted_parcels(self.context, self.data.parcels, self.outlines)
        refuse_changed({**parts, REGIONS: regions_key(self.context)}, parts, run_id=run_id)
        return parcels

    def changed(self, connection: Connection, *, hold: bool = False) -> list[str]:
        """What of the season is no longer as it was read, by what a person calls it; reads neither parcels nor
        observations. With `hold` nobody loads declarations until the connection's transaction ends."""
        context, run_inputs = self.context, self.run_inputs
        held = {
            **run_inputs.parts,
            AGENCY_FILE: self._agency_file,
            DECLARATIONS: self._register.state,
            OBSERVATIONS: self._observed.state,
        }
        until = declared_until(context)  # an amendment since leaves an earlier register as it was
        now = {
            **asked_again(context, run_inputs.data),
            AGENCY_FILE: context.agency.read_again().decisions_hash(),
            DECLARATIONS: register.register_state(connection, **context.key, as_of=until, hold=hold),
            OBSERVATIONS: self._observations(connection).state,
        }
        return sorted(name for name, state in now.items() if held[name] != state)

    def as_it_stands(self) -> OpenSeason:
        """This one, or where the season changed since it was read the same, opened anew."""
        with self.context.connect() as connection:
            return OpenSeason(self.context.read_again()) if self.changed(connection) else self

    def objects(self, observed: Sequence[ledger.LedgerEntry]) -> list[ObservationObject]:
        """The file of each of these observed acquisitions."""
        return observation_objects(self.context, observed, self._earlier_sets)

    def set_home_tiles(self, connection: Connection, home_tiles: Mapping[str, str | None]) -> None:
        """Notes the home tile of parcels, in the register and here; missing: outside every tile."""
        with self._lock:
            register.set_home_tiles(connection, **self.context.key, home_tiles=home_tiles)
            known = self._register
            tiles = [
                home_tiles.get(parcel, tile)
                for parcel, tile in zip(known.parcels["parcel_id"], known.parcels["home_tile"], strict=True)
            ]
            tiles = [None if pd.isna(tile) else tile for tile in tiles]
            parcels = known.parcels.assign(home_tile=pd.Series(tiles, index=known.parcels.index, dtype=object))
            self._held["register"] = _Register(parcels, known.outlines, known.state)
            self._held.pop("parcel sets", None)

    @property
    def parcel_sets(self) -> dict[str, str]:
        """Home tile -> what `tile_coverage` calls its parcels; what they cover is not looked at."""
        return self.once("parcel sets", lambda: parcel_sets(self.context, self.parcels, self.outlines))

    @property
    def _earlier_sets(self) -> dict[str, str]:
        return {} if self.declared_until is None else self.parcel_sets

    @property
    def _register(self) -> _Register:
        return self.once("register", self._read_register)

    def _read_register(self) -> _Register:
        moment = self.declared_until
        with self.context.connect() as connection:
            state = register.register_state(connection, **self.context.key, as_of=moment)
            folder = self.context.datasets
            rows = register.read_register(connection, **self.context.key, as_of=moment, folder=folder)
        return_unused_memory()
        return _Register(*rows, state)

    @property
    def _observed(self) -> _Observed:
        def read() -> _Observed:
            with self.context.connect() as connection:
                return self._observations(connection)

        return self.once("observed", read)

    def _observations(self, connection: Connection) -> _Observed:
        known = ledger.read_acquisitions(connection, **self.context.key, status=AcquisitionStatus.OBSERVED)
        entries = [a for a in known if a.sensed_at and a.sensed_at.date() <= self.context.season.end]
        return _Observed(entries, self.objects(entries))

    def _build(self) -> SeasonData:
        observed = self._observed
        return build_data(self.context, self.parcels, self.outlines, observed.entries, observed.objects)

    def forget(self, name: str) -> None:
        """What `once` holds by this name."""
        with self._lock:
            self._held.pop(name, None)

    def once(self, name: str, read: Callable[[], T]) -> T:
        """What `read` gives, read at the first call."""
        with self._lock:
            if name not in self._held:
                self._held[name] = read()
            return cast(T, self._held[name])
