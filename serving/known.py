"""Checks that the names in a request exist, so that a misspelt agency gives 404 and not an empty answer."""

from __future__ import annotations

from cropmap.database import queries
from cropmap.database.connection import Connection
from serving.errors import NotFoundError


def require_published(connection: Connection, *, agency: str | None, season: int | None = None) -> None:
    """Raises NotFoundError where the agency is named and has published nothing, or not this season."""
    if agency is None:
        return
    published = [row["season"] for row in queries.published_seasons(connection, agency=agency)]
    if not published:
        raise NotFoundError("nothing is published of this agency", where=agency, mend="See /agencies")
    if season is not None and season not in published:
        raise NotFoundError("this season is not published", where=f"{agency} {season}", mend="See /seasons")


def require_agency(connection: Connection, *, agency: str | None) -> None:
    """Raises NotFoundError where the agency is named and has no season, published or not."""
    if agency is not None and not queries.has_season(connection, agency=agency):
        raise NotFoundError("there is no such agency", where=agency, mend="See /agencies")
