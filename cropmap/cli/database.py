"""`cropmap db url | psql | status | upgrade | stop`, `cropmap doctor`."""

from __future__ import annotations

import os
import subprocess
from typing import Final

import typer

from cropmap.interruption import hand_over
from cropmap.masking import masked
from cropmap.terminal import AsJson, Home, prepare, say

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
