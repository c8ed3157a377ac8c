"""`cropmap db url | psql | status | upgrade | allow | disallow | logins | rights | stop`, `cropmap doctor`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated, Final

import typer

from cropmap.cli.agencies import AsMarkdown
from cropmap.interruption import hand_over
from cropmap.masking import masked
from cropmap.terminal import AsJson, Home, prepare, say, table

Login = Annotated[str, typer.Argument(help="role of the database server that signs in")]

db: Final = typer.Typer(no_args_is_help=True, help="Show, query, upgrade or stop the database.")


def register(app: typer.Typer) -> None:
    app.add_typer(db, name="db")
    app.command()(doctor)


@db.command()
def url(home: Home = None) -> None:
    """Print the URL of the database without its password.

    Where no other server is configured, the embedded one is started.
    """
    from cropmap.stages.context import database_url

    print(masked(database_url(prepare(home))))


@db.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context, home: Home = None) -> None:
    """Open the database in psql, which is installed with cropmap.

    Further arguments are passed to psql, as in `db psql -c "\\d"`.
    """
    settings = prepare(home)
    from cropmap.database.binaries import client_program
    from cropmap.database.connection import connection_environment
    from cropmap.stages.context import database_url

    program, url = client_program("psql", pg_bin=settings.pg_bin), database_url(settings)
    # the password, where there is one, must not stand among the arguments, which every user of the machine can read
    environment = os.environ | connection_environment(url)
    hand_over()  # in psql Ctrl-C ends a question
    raise typer.Exit(subprocess.run([program, *context.args], env=environment, check=False).returncode)


@db.command()
def status(home: Home = None, as_json: AsJson = False) -> None:
    """List the migrations and whether each is applied."""
    from cropmap.stages.context import migration_status

    say(migration_status(prepare(home)), as_json=as_json)


@db.command()
def upgrade(home: Home = None, as_json: AsJson = False) -> None:
    """Apply the pending migrations, as the database's owner."""
    from cropmap.stages.context import upgrade_database

    say(upgrade_database(prepare(home)), as_json=as_json)


@db.command()
def allow(
    login: Login,
    agency: Annotated[str | None, typer.Option(help="short name of the agency, also of one that is to come")] = None,
    all_agencies: Annotated[bool, typer.Option("--all-agencies", help="instead: every agency")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Open the rows of an agency to a login of the database.

    What the login may do with them follows from its role: cropmap_reader, cropmap_controller or cropmap_writer. Without
    an agency it sees and writes no row. Run it as the database's owner.
    """
    if (agency is None) is not all_agencies:
        raise typer.BadParameter("give either --agency NAME or --all-agencies")
    settings = prepare(home)
    from cropmap.database import logins
    from cropmap.database.connection import connect
    from cropmap.stages.context import ready_database

    with connect(ready_database(settings)) as connection:
        logins.allow(connection, login, agency or logins.EVERY_AGENCY)
    say({"login": login, "agency": agency or "every agency"}, as_json=as_json)


@db.command()
def disallow(login: Login, home: Home = None, as_json: AsJson = False) -> None:
    """Close every agency to a login of the database, at once."""
    settings = prepare(home)
    from cropmap.database import logins
    from cropmap.database.connection import connect
    from cropmap.stages.context import ready_database

    with connect(ready_database(settings)) as connection:
        logins.disallow(connection, login)
    say({"login": login, "agency": None}, as_json=as_json)


@db.command("logins")
def list_all(home: Home = None, as_json: AsJson = False) -> None:
    """List logins and the agencies that are open to them.

    `*` is every agency.
    """
    settings = prepare(home)
    from cropmap.database.connection import connect
    from cropmap.database.logins import list_logins
    from cropmap.stages.context import ready_database

    with connect(ready_database(settings)) as connection:
        known = list_logins(connection)
    if as_json:
        say({"logins": known}, as_json=True)
    elif known:
        table(known, ["login", "agency"])
    else:
        print("no login: cropmap db allow LOGIN --agency AGENCY", file=sys.stderr)


@db.command()
def rights(home: Home = None, as_json: AsJson = False, markdown: AsMarkdown = False) -> None:
    """List which role may read which column.

    The answer is what the database grants to people with SQL and to keys of the API.
    """
    settings = prepare(home)
    from cropmap.database.connection import connect
    from cropmap.database.rights import ROLES, as_markdown, column_rights
    from cropmap.stages.context import ready_database

    with connect(ready_database(settings)) as connection:
        granted = column_rights(connection)
    if markdown:
        print(as_markdown(granted), end="")
        return
    rows = [
        {"table": one.table, "column": one.column, "roles": [ROLES[role] for role in ROLES if role in one.roles]}
        for one in granted
    ]
    if as_json:
        say({"columns": rows}, as_json=True)
    else:
        table([row | {"roles": ", ".join(row["roles"])} for row in rows], ["table", "column", "roles"])


@db.command()
def stop(home: Home = None) -> None:
    """Stop the embedded server of this home.

    Nothing is lost; the next command that needs the database starts it again.
    """
    from cropmap.stages.context import stop_embedded

    stop_embedded(prepare(home))


def doctor(home: Home = None, as_json: AsJson = False) -> None:
    """Check packages, settings, store and database.

    Exit code 1 where a check fails.
    """
    from cropmap.results.doctor import examine

    findings = examine(prepare(home))
    say(findings, as_json=as_json)
    if any(str(value).startswith("FAILED") for value in findings.values()):
        raise typer.Exit(1)
