"""GET /parcels/{agency}/{season}/{parcel_id}: one parcel, with everything that was seen on it."""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Query, Request

from cropmap.database import queries
from cropmap.database.acquisitions import read_acquisitions
from cropmap.observations.files import read_observations
from cropmap.observations.tidy import IMPORTED
from cropmap.schemas import BANDS, REFLECTANCE_NODATA, REFLECTANCE_SCALE, AcquisitionStatus
from cropmap.store import Store
from serving.access import Reader
from serving.answers import Observation, Parcel
from serving.errors import NotFoundError, ObservationsUnavailableError, Problem
from serving.names import AgencyPath, ParcelPath, SeasonPath

router = APIRouter(tags=["parcels"])


@router.get(
    "/parcels/{agency}/{season}/{parcel_id:path}",
    responses={404: {"model": Problem, "description": "no such parcel is published"}},
)
def parcel(
    request: Request,
    connection: Reader,
    agency: AgencyPath,
    season: SeasonPath,
    parcel_id: ParcelPath,
    geometry: Annotated[bool, Query(description="with the parcel's outline")] = False,
) -> Parcel:
    """What was declared for a parcel, what the satellites show, how the two fit, and the series behind it."""
    row = queries.parcel(connection, agency=agency, season=season, parcel_id=parcel_id)
    if row is None or row["run_id"] is None:
        raise NotFoundError(f"no parcel {parcel_id} is published", where=f"{agency} {season}", mend="See /seasons")
    store: Store | None = request.app.state.store
    names = _observation_files(connection, agency=agency, season=season, tile=row["home_tile"]) if store else []
    outline = row.pop("geometry")
    return Parcel.model_validate(
        row
        | {
            "observations": None if store is None else read_series(store, names, parcel_id),
            "geometry": outline if geometry else None,
        }
    )


def read_series(store: Store, names: list[str], parcel_id: str) -> list[Observation]:
    """The observations of one parcel in these files, by time. Raises ObservationsUnavailableError."""
    try:
        table = read_observations(store, names, parcel_ids=[parcel_id])
    except (OSError, pa.ArrowInvalid) as error:
        raise ObservationsUnavailableError(f"observations cannot be read ({error})", where=store.root) from error
    rows = sorted(table.to_pylist(), key=lambda row: (row["sensed_at"], row["item_id"]))
    return [_observation(row) for row in rows]


def _observation_files(connection: Reader, *, agency: str, season: int, tile: str | None) -> list[str]:
    """A parcel is observed in its home tile alone; what was imported belongs to no tile."""
    ledger = read_acquisitions(connection, agency=agency, season=season, status=AcquisitionStatus.OBSERVED)
    return [entry.object_name for entry in ledger if entry.object_name and entry.tile in {tile, None, IMPORTED}]


def _observation(row: dict[str, Any]) -> Observation:
    stored = {band: row[band] for band in BANDS}
    return Observation(
        sensed_at=row["sensed_at"],
        clear_fraction=row["clear_pixels"] / row["total_pixels"] if row["total_pixels"] else 0.0,
        reflectance={b: None if dn == REFLECTANCE_NODATA else dn / REFLECTANCE_SCALE for b, dn in stored.items()},
    )
