"""GET /parcels/{agency}/{season}/{parcel_id}: one parcel, with everything that was seen on it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from cropmap.database import queries
from cropmap.database.acquisitions import observed_files
from cropmap.observations.tidy import IMPORTED
from serving.access import RecordedReader, note_read
from serving.answers import Parcel
from serving.errors import NotFoundError, Problem
from serving.names import AgencyPath, ParcelPath, SeasonPath
from serving.series import ObservationFile, SeriesReader
from serving.tables import json_answer

router = APIRouter(tags=["parcels"])


@router.get(
    "/parcels/{agency}/{season}/{parcel_id:path}",
    response_model=Parcel,
    responses={404: {"model": Problem, "description": "no such parcel is published"}},
)
def parcel(
    request: Request,
    reader: RecordedReader,
    agency: AgencyPath,
    season: SeasonPath,
    parcel_id: ParcelPath,
    geometry: Annotated[bool, Query(description="with the parcel's outline")] = False,
) -> Response:
    """What was declared for a parcel, what the satellites show, how the two fit, and the series behind it."""
    series: SeriesReader | None = request.app.state.series
    with reader() as connection:
        row = queries.parcel(connection, agency=agency, season=season, parcel_id=parcel_id)
        if row is None or row["run_id"] is None:
            raise NotFoundError(f"no parcel {parcel_id} is published", where=f"{agency} {season}", mend="See /seasons")
        note_read(request, connection, agency=agency, season=season, parcel_ids=[parcel_id])
        # a parcel is observed in its home tile alone; what was imported belongs to no tile
        tiles = [tile for tile in (row["home_tile"], IMPORTED) if tile]
        known = observed_files(connection, agency=agency, season=season, tiles=tiles) if series else []
    outline = row.pop("geometry")
    files = [ObservationFile(name, version) for name, version in known]
    answer = Parcel.model_validate(row | {"observations": None, "geometry": outline if geometry else None})
    observations = None if series is None else series.read(files, parcel_id)
    return json_answer(answer.model_dump() | {"observations": observations})
