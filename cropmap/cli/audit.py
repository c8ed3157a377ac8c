"""`cropmap audit list | prune`: who read, exported or changed rows of parcels."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from cropmap.cli.statistics import AgencyName, SomeAgencyFile, agency_name
from cropmap.terminal import AsJson, Data, Home, prepare, say, table

SHOWN_PARCELS: Final = 3
COLUMNS: Final = ("noted_at", "action", "subject", "actor", "login", "season", "n_rows", "parcels")

audit: Final = typer.Typer(no_args_is_help=True, help="Show who read, exported or changed rows of parcels.")


def register(app: typer.Typer) -> None:
    app.add_typer(audit, name="audit")


@audit.command("list")
def list_entries(
    agency_file: SomeAgencyFile = None,
    agency: AgencyName = None,
    holding: Annotated[
        str | None, typer.Option("--holding", help="holding_id: entries that may concern one of its parcels")
    ] = None,
    parcel: Annotated[
        list[str] | None, typer.Option("--parcel", help="parcel_id, as in the declarations; may be repeated")
    ] = None,
    season: Annotated[int | None, typer.Option("--season", help="campaign year [default: all]")] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="first day, UTC [default: all]")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="number of entries, the newest first")] = 100,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the entries of an agency's audit log, the newest first.

    An entry is a page or a parcel that the API answered, a file that a command wrote, or a change. It has the moment,
    the key or the user, the login of the database, and the parcels. With --holding or --parcel, files of more than
    10,000 rows are listed too: their entries do not name the parcels.
    """
    if holding and parcel:
        raise typer.BadParameter("give either a holding or parcels", param_hint="--holding / --parcel")
    settings = prepare(home)
    name = agency_name(agency_file, agency, data=data)
    if name is None:
        raise typer.BadParameter("give AGENCY.yaml, or --agency NAME")
    from cropmap.database import audit as log
    from cropmap.database.connection import connect
    from cropmap.stages.context import ready_database

    with connect(ready_database(settings)) as connection:
        wanted = parcel or (log.parcels_of_holding(connection, name, holding, season=season) if holding else None)
        begin = since.replace(tzinfo=UTC) if since else None
        entries = log.entries(connection, name, season=season, since=begin, parcel_ids=wanted, limit=limit)
    if as_json:
        say({"entries": entries}, as_json=True)
    elif entries:
        rows = [entry | {"parcels": _named(entry["parcel_ids"])} for entry in entries]
        table([row | {"noted_at": f"{row['noted_at']:%Y-%m-%d %H:%M:%S}"} for row in rows], COLUMNS)
    else:
        print(f"no entry of agency {name}", file=sys.stderr)


@audit.command("prune")
def prune(
    before: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="first day that is kept, UTC")],
    agency_file: SomeAgencyFile = None,
    agency: AgencyName = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Remove an agency's old entries.

    The day follows from the agency's rules for retention. Run it as the database's owner; no other login may remove an
    entry.
    """
    settings = prepare(home)
    name = agency_name(agency_file, agency, data=data)
    if name is None:
        raise typer.BadParameter("give AGENCY.yaml, or --agency NAME")
    from cropmap.database import audit as log
    from cropmap.database.connection import connect
    from cropmap.stages.context import ready_database

    with connect(ready_database(settings)) as connection:
        removed = log.prune(connection, name, before=before.replace(tzinfo=UTC))
    say({"agency": name, "before": f"{before:%Y-%m-%d}", "removed": removed}, as_json=as_json)


def _named(parcel_ids: list[str] | None) -> str:
    if parcel_ids is None:
        return "not listed"
    shown = ", ".join(parcel_ids[:SHOWN_PARCELS])
    return shown if len(parcel_ids) <= SHOWN_PARCELS else f"{shown} and {len(parcel_ids) - SHOWN_PARCELS} more"
