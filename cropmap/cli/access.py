"""`cropmap api-key`, `account`, `audit`, `forget`: who may read what over the REST API, who read or changed what, and
how a holding is erased."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cropmap.cli.statistics import AgencyName, SomeAgencyFile, agency_name
from cropmap.schemas import AccessRole
from cropmap.terminal import AgencyFile, AsJson, Data, DryRun, Home, Verbose, Yes, confirm, prepare, say, table

if TYPE_CHECKING:
    from cropmap.database.connection import Connection
    from cropmap.results.erasure.forget import Erased

SHOWN_PARCELS: Final = 3
COLUMNS: Final = ("noted_at", "action", "subject", "actor", "login", "season", "n_rows", "parcels")
Role = Annotated[AccessRole, typer.Option(help="what its holder may do")]
OneAgency = Annotated[str | None, typer.Option(help="short name of the agency that it is for")]
EveryAgency = Annotated[bool, typer.Option("--all-agencies", help="instead: for every agency")]
AccountName = Annotated[str, typer.Argument(help="name of the account")]
Ask = Annotated[bool, typer.Option("--ask", help="type the password twice, instead of having one made")]

keys: Final = typer.Typer(no_args_is_help=True, help="Create, list and revoke keys of the REST API.")
account: Final = typer.Typer(no_args_is_help=True, help="Create, list and disable accounts of people.")
audit: Final = typer.Typer(no_args_is_help=True, help="Show who read, exported or changed rows of parcels.")


def register(app: typer.Typer) -> None:
    app.add_typer(keys, name="api-key")
    app.add_typer(account, name="account")
    app.add_typer(audit, name="audit")
    app.command()(forget)


@contextmanager
def _database(home: Path | None) -> Iterator[Connection]:
    settings = prepare(home)
    from cropmap.database.connection import connect
    from cropmap.stages.context import ready_database

    with connect(ready_database(settings)) as connection:
        yield connection


@keys.command("create")
def create_key_(
    name: Annotated[str, typer.Argument(help="name of the key, such as that of its user")],
    role: Role,
    agency: OneAgency = None,
    all_agencies: EveryAgency = False,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="first day on which it is refused, UTC")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it once; only its hash is stored.

    It is for one agency, or for every agency. An operator reads runs. A controller reads parcels, assessments and
    areas. A statistician reads areas and releases, the public releases alone. An administrator makes and ends keys and
    accounts of its agency over the API, and reads nothing else.

    A name may end with @AGENCY, where it is for that agency.
    """
    if (agency is None) is not all_agencies:
        raise typer.BadParameter("give either --agency NAME or --all-agencies")
    from cropmap.database.keys import create_key

    ends = expires.replace(tzinfo=UTC) if expires else None
    with _database(home) as connection:
        key = create_key(connection, name, role=role, agency=agency, expires_at=ends)
    say({"name": name, "role": role, "agency": agency or "every agency", "key": key}, as_json=as_json)


@keys.command("list")
def list_keys_(home: Home = None, as_json: AsJson = False) -> None:
    """List the keys by name.

    Each has its role and agency, and the times when it was created, used last and revoked, and when it expires. The use
    of a key is noted once in ten minutes. The keys themselves are not stored.
    """
    from cropmap.database.keys import list_keys

    with _database(home) as connection:
        known = list_keys(connection)
    if as_json:
        say({"keys": known}, as_json=True)
    elif known:
        _list(known)
    else:
        print("no key was made: cropmap api-key create NAME --role ROLE --agency AGENCY", file=sys.stderr)


@keys.command("revoke")
def revoke_key_(
    name: Annotated[str, typer.Argument(help="name of the key, from `cropmap api-key list`")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a key invalid, at once and permanently."""
    from cropmap.database.keys import revoke_key

    with _database(home) as connection:
        revoke_key(connection, name)
    say({"revoked": name}, as_json=as_json)


@account.command("create")
def create_account_(
    name: AccountName,
    role: Role,
    agency: OneAgency = None,
    all_agencies: EveryAgency = False,
    ask: Ask = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Create an account and print its password once.

    Only a hash of the password is stored. A person signs in to the REST API with name and password (HTTP Basic). The
    roles are those of keys.
    """
    if (agency is None) is not all_agencies:
        raise typer.BadParameter("give either --agency NAME or --all-agencies")
    from cropmap.database import accounts

    password = _typed_password() if ask else accounts.made_password()
    with _database(home) as connection:
        accounts.create_account(connection, name, password, role=role, agency=agency)
    made = {"name": name, "role": role, "agency": agency or "every agency"}
    say(made if ask else {**made, "password": password}, as_json=as_json)


@account.command("list")
def list_accounts_(home: Home = None, as_json: AsJson = False) -> None:
    """List the accounts by name.

    Each has its role and agency, and the times when it was created, got its password, was used last and was disabled.
    The use of an account is noted once in ten minutes.
    """
    from cropmap.database.accounts import list_accounts

    with _database(home) as connection:
        known = list_accounts(connection)
    if as_json:
        say({"accounts": known}, as_json=True)
    elif known:
        _list(known)
    else:
        print("no account was made: cropmap account create NAME --role ROLE --agency AGENCY", file=sys.stderr)


@account.command("password")
def set_password_(name: AccountName, ask: Ask = False, home: Home = None, as_json: AsJson = False) -> None:
    """Give an account another password and enable it.

    The former password is invalid at once.
    """
    from cropmap.database import accounts

    password = _typed_password() if ask else accounts.made_password()
    with _database(home) as connection:
        accounts.set_password(connection, name, password)
    say({"name": name} if ask else {"name": name, "password": password}, as_json=as_json)


@account.command("disable")
def disable_account_(name: AccountName, home: Home = None, as_json: AsJson = False) -> None:
    """Close an account, at once.

    `account password` enables it again.
    """
    from cropmap.database.accounts import disable_account

    with _database(home) as connection:
        disable_account(connection, name)
    say({"disabled": name}, as_json=as_json)


def _typed_password() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _list(known: list[dict[str, Any]]) -> None:
    rows = [one | {"agency": one["agency"] or "every agency"} for one in known]
    table([{name: value or "-" for name, value in row.items()} for row in rows], list(known[0]))


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
    name = agency_name(agency_file, agency, data=data)
    if name is None:
        raise typer.BadParameter("give AGENCY.yaml, or --agency NAME")
    from cropmap.database import audit as log

    with _database(home) as connection:
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
def prune_entries(
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
    name = agency_name(agency_file, agency, data=data)
    if name is None:
        raise typer.BadParameter("give AGENCY.yaml, or --agency NAME")
    from cropmap.database import audit as log

    with _database(home) as connection:
        removed = log.prune(connection, name, before=before.replace(tzinfo=UTC))
    say({"agency": name, "before": f"{before:%Y-%m-%d}", "removed": removed}, as_json=as_json)


def forget(
    agency_file: AgencyFile,
    holding: Annotated[str, typer.Option("--holding", help="holding_id, as in the declarations")],
    season: Annotated[int | None, typer.Option("--season", help="campaign year [default: every season]")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Erase a holding from everything that is stored.

    Its declarations, parcels, results, reviews and observations are removed. Runs, statistics, releases and models
    stay. Other parcels keep their rows, and their explanations to the last bit. A later load of the same file leaves
    the holding out. Run it as the database's owner. The answer counts what was removed and names the places that no
    command reaches, such as backups.
    """
    settings = prepare(home, verbose=verbose)
    from cropmap.agency import Agency
    from cropmap.results.erasure.forget import Request, forget_holding

    agency = Agency.read(agency_file.absolute(), data=data.absolute() if data else settings.data)

    def erase(*, dry: bool) -> Erased:
        request = Request(settings, agency.file, agency.data, lambda: datetime.now(UTC), dry_run=dry)
        return forget_holding(request, agency=agency.agency, holding_id=holding, season=season)

    if not dry_run and not yes:
        show_erased(erase(dry=True), as_json=False)
        confirm("Erase this? It cannot be taken back")
    show_erased(erase(dry=dry_run), as_json=as_json)


def show_erased(erased: Erased, *, as_json: bool) -> None:
    """Counts by season; no identifier."""
    if as_json:
        say(erased, as_json=True)
        return
    verb = "would be removed" if erased["dry_run"] else "removed"
    for one in erased["seasons"]:
        parts = {"rows": one["rows"], "objects": one["objects"], "files": one["files"]}
        shown = {f"{one['season']} {what} {verb}": counts for what, counts in parts.items() if counts}
        say(shown or {str(one["season"]): "nothing is left of it"}, as_json=False)
        if one["explanations"]:
            say({f"{one['season']} explanations of others": one["explanations"]}, as_json=False)
    if erased["audit_entries"]:
        say({f"audit entries {verb}": erased["audit_entries"]}, as_json=False)
    if not erased["seasons"] and not erased["audit_entries"]:
        print("nothing is left to remove", file=sys.stderr)
    print("\nNot reached by this command:", file=sys.stderr)
    for place in erased["not_reached"]:
        print(f"- {place}", file=sys.stderr)


def _named(parcel_ids: list[str] | None) -> str:
    if parcel_ids is None:
        return "not listed"
    shown = ", ".join(parcel_ids[:SHOWN_PARCELS])
    return shown if len(parcel_ids) <= SHOWN_PARCELS else f"{shown} and {len(parcel_ids) - SHOWN_PARCELS} more"
