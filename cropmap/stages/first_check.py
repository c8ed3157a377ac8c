"""What can be said of a season before any work: everything that its agency file names is there and fits."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from cropmap.agency import Agency
from cropmap.errors import CatalogError, ConfigurationError
from cropmap.schemas import Architecture
from cropmap.settings import Settings
from cropmap.stages.context import SeasonContext
from cropmap.stages.declared import boundaries_path, read_boundaries
from cropmap.stages.forecast import is_carried
from cropmap.stages.open_season import OpenSeason


def open_checked(
    settings: Settings,
    agency_file: Path,
    *,
    season: int,
    as_of: date | None = None,
    model: Architecture | None = None,
    data: Path | None = None,
    observing: bool,
    create: bool,
) -> SeasonContext:
    """The season's context, after what its agency file names was checked. `create`: make home and database."""
    check_inputs(Agency.read(agency_file, data=data or settings.data), season=season, observing=observing)
    if create:
        settings.make_home()
    return SeasonContext.open(
        settings, agency_file, season=season, as_of=as_of, data=data, architecture=model, create=create
    )


def check_inputs(agency: Agency, *, season: int, observing: bool) -> None:
    """Legend, profile, providers, regions and folds, and where acquisitions are looked for the catalogue.

    Raises the InputError of the first that is not there, or does not fit.
    """
    agency.season(season)
    agency.read_legend()
    agency.read_profile()
    agency.providers()
    path, section = boundaries_path(agency, season=season), agency.model.folds
    _needed(path, "regions.boundaries")
    if section.by == "file":
        _needed(Path(agency.resolve(section.file or "", season=season)), "model.folds.file")
    if section.by == "region" and len(regions := read_boundaries(agency, season=season).assignable) < 2:
        _refuse_one_region(regions["nuts_id"].iloc[0])
    if observing:
        _check_catalog(agency, season)


def check_parcels(season: OpenSeason) -> None:
    """The declared parcels can be split into folds by region; said before the scenes are read.

    Raises ConfigurationError where they all lie in one.
    """
    if season.context.agency.model.folds.by != "region":
        return
    regions = season.parcels["nuts_id"].dropna().unique()
    if len(regions) == 1 and not is_carried(season.parcels):
        _refuse_one_region(regions[0])


def _refuse_one_region(name: str) -> None:
    raise ConfigurationError(
        f"region needs parcels in two NUTS-3 regions, and all are in {name}",
        where="model.folds.by",
        mend="Write by: block, which judges spatial blocks",
    )


def _check_catalog(agency: Agency, season: int) -> None:
    place = agency.resolve(agency.acquisitions.catalog or "none://", season=season)
    if "://" not in place and not Path(place).exists():
        raise CatalogError("does not exist", where=place, mend="Check acquisitions.catalog")


def _needed(path: Path, key: str) -> None:
    if not path.exists():
        raise ConfigurationError(
            f"{path} does not exist", where=key, mend="Relative paths start at --data, else at the agency file"
        )
