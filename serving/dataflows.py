"""Released crop areas as dataflows: one for each agency in the scope of a key, over the releases of all its seasons.

A release is a version of the figures of its season. The latest release of each season is answered, or the latest that
was there at a moment. Figures and codes are those of the exported files (`cropmap.dissemination`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pandas as pd

from cropmap.database import code_lists
from cropmap.database import releases as released
from cropmap.database.connection import Connection
from cropmap.database.releases import Release
from cropmap.dissemination.long_form import DECIMALS, long_form, ordered
from cropmap.dissemination.names import ENGLISH, ENGLISH_ONLY, Names
from cropmap.dissemination.registry import DATAFLOW, Described, Wanted
from cropmap.dissemination.sdmx_structure import dataflow_parts
from cropmap.errors import InputError
from cropmap.schemas import CsvDialect
from serving.errors import NotFoundError

FLOW: Final = dataflow_parts(DATAFLOW)["id"]
VERSION: Final = dataflow_parts(DATAFLOW)["version"]
ANY: Final = ("*", "all")
"""SDMX REST 2 and 1 name every agency, artefact or version so"""
VERSIONS: Final = (*ANY, "latest", "+", "~", VERSION)
SEE: Final = "See /sdmx/2.1/dataflow/all/all/latest"


@dataclass(frozen=True)
class Dataflow:
    agency: str
    """as SDMX names it"""
    releases: Sequence[Release]
    """of all its seasons, by season and number"""

    @property
    def name(self) -> str:
        """agency:id(version)"""
        return f"{self.agency}:{FLOW}({VERSION})"


@dataclass(frozen=True)
class Figures:
    table: pd.DataFrame
    """the long form, sorted"""
    about: Described
    released_at: datetime
    """when the latest of its releases was made"""

    @property
    def wanted(self) -> Wanted:
        """How a file of them would be written."""
        return Wanted(self.about, DECIMALS, CsvDialect.PLAIN)


def sdmx_agency(name: str) -> str:
    """An agency's short name as an identifier of SDMX, which begins with a letter."""
    return name if name[0].isalpha() else f"A{name}"


def find_dataflows(connection: Connection, *, agency: str = "*", flow: str = "*", version: str = "*") -> list[Dataflow]:
    """The dataflows that the key may read, by agency. Raises NotFoundError where none has these names.

    Another agency's dataflow is answered as one that does not exist: the connection does not see it.
    """
    by_agency: dict[str, list[Release]] = {}
    if (flow in ANY or flow == FLOW) and version in VERSIONS:
        for release in released.read_releases(connection):
            if agency in ANY or agency == sdmx_agency(release.agency):
                by_agency.setdefault(release.agency, []).append(release)
    if not by_agency:
        raise NotFoundError("there is no such dataflow", where=f"{agency}:{flow}({version})", mend=SEE)
    return [Dataflow(sdmx_agency(name), known) for name, known in sorted(by_agency.items())]


def find_dataflow(connection: Connection, *, agency: str = "*", flow: str = "*", version: str = "*") -> Dataflow:
    """The one with these names. Raises NotFoundError, and InputError where several agencies have it."""
    found = find_dataflows(connection, agency=agency, flow=flow, version=version)
    if len(found) > 1:
        raise InputError(
            f"{', '.join(one.agency for one in found)} have it",
            where=f"{agency}:{flow}",
            mend=f"Name one agency: {found[0].agency},{FLOW} in SDMX 2.1 and JSON-stat",
        )
    return found[0]


def named_dataflow(connection: Connection, reference: str, *, provider: str = "*") -> Dataflow:
    """The dataflow of `ID`, `AGENCY,ID` or `AGENCY,ID,VERSION`, of a provider. Raises as `find_dataflow`."""
    agency, flow, *version = reference.split(",") if "," in reference else ("*", reference)
    if agency in ANY:
        agency = provider
    elif provider not in (*ANY, agency):
        agency = f"{agency} of {provider}"  # each agency provides its own, so that there is none
    return find_dataflow(connection, agency=agency, flow=flow, version=",".join(version) or "*")


def read_released(
    connection: Connection, dataflow: Dataflow, *, as_of: datetime | None
) -> Mapping[Release, pd.DataFrame]:
    """The rows of the latest release of each season, or of the latest at that moment. Raises NotFoundError where
    nothing was released then."""
    latest = {release.season: release for release in dataflow.releases if as_of is None or release.released_at <= as_of}
    if not latest:
        raise NotFoundError("nothing was released then", where=f"{dataflow.name} asOf {as_of}", mend="See /releases")
    return {release: released.read_rows(connection, release) for release in latest.values()}


def names_of(connection: Connection, dataflow: Dataflow, *, regions: bool = False) -> Names:
    """What the codes of a dataflow are called in the languages of its agency, and with `regions` of which its figures
    are, for which all of them are looked through."""
    agency = dataflow.releases[0].agency
    released = code_lists.released_regions(connection, agency=agency) if regions else ()
    return Names.of(code_lists.read_names(connection, agency=agency), regions=released)


def figures(
    dataflow: Dataflow, rows: Mapping[Release, pd.DataFrame], *, names: Names = ENGLISH_ONLY, language: str = ENGLISH
) -> Figures:
    """The released rows in Eurostat's codes, as `stats export --release` writes them."""
    tables = [long_form(table, nuts_version=release.nuts_version).table for release, table in rows.items()]
    released_at = max(release.released_at for release in rows)
    about = Described(
        dataflow=dataflow.name,
        source=next(iter(rows)).agency,
        updated=released_at,
        notes=tuple((f"season {release.season}", release.name) for release in rows),
        names=names,
        language=language,
    )
    return Figures(ordered(pd.concat(tables, ignore_index=True)), about, released_at)
