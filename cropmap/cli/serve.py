"""`cropmap serve`, `schedule`, `schedules`, `unschedule`: the REST API and scheduled runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cropmap.interruption import INTERRUPTED, release
from cropmap.terminal import AgencyFile, AsJson, Data, Home, prepare, say, table


def register(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(schedule)
    app.command()(schedules)
    app.command()(unschedule)


def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on [default: CROPMAP_HOST or 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on [default: CROPMAP_PORT or 8000]")] = None,
    home: Home = None,
) -> None:
    """Serve published results as a REST API.

    Its routes are described at /docs. Every route except /health requires an API key. Ctrl-C stops the server.
    """
    settings = prepare(home)
    from cropmap.stages.context import ready_database
    from serving import server
    from serving.app import create_app
    from serving.settings import ServingSettings

    asked = {key: value for key, value in {"host": host, "port": port}.items() if value is not None}
    serving = ServingSettings.load(database_url=ready_database(settings), store=settings.open_store().root, **asked)
    server.require_free(serving)
    release()  # uvicorn ends in its own way: it finishes the requests that it has
    print(f"http://{serving.host}:{serving.port}/docs says what can be asked; Ctrl-C stops", file=sys.stderr)
    try:
        server.run(create_app(serving), serving)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)  # and no hint to run it again: nothing was cut short


def schedule(
    agency: AgencyFile,
    pool: Annotated[str, typer.Option("--pool", help="Prefect work pool; created where it is missing")] = "cropmap",
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Create or update the Prefect deployments of an agency.

    They are created on the server of PREFECT_API_URL, one for each cron line of the agency file. They use the home, the
    database and the data folder of this command; run it on the machine of the worker.
    """
    prepare(home)
    from flows.deployments import schedule as deploy

    say(deploy(agency.absolute(), pool=pool, data=data, home=home), as_json=as_json)


def schedules(home: Home = None, as_json: AsJson = False) -> None:
    """List the deployments on the Prefect server.

    The answer states whether the agency file of each still exists.
    """
    prepare(home)
    from flows.deployments import scheduled

    rows = scheduled()
    if as_json:
        say({"deployments": rows}, as_json=True)
    else:
        table(rows, ["deployment", "cron", "agency_file", "state"])


def unschedule(
    agencies: Annotated[
        list[str] | None, typer.Argument(metavar="[AGENCY]...", help="short names of agencies, as in their files")
    ] = None,
    gone: Annotated[
        bool,
        typer.Option(
            "--gone", help="also all deployments whose agency file no longer exists or belongs to another agency"
        ),
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Remove deployments of agencies from the Prefect server."""
    if not agencies and not gone:
        raise typer.BadParameter("name an agency, or give --gone")
    prepare(home)
    from flows.deployments import unschedule as remove

    say(remove(agencies or [], gone=gone), as_json=as_json)
