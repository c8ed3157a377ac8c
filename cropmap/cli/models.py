"""`cropmap models list | promote | rollback`, `cropmap mlflow`: the versions of an agency's networks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cropmap.schemas import Architecture
from cropmap.terminal import AgencyFile, AsJson, Data, Home, prepare, say, season_context, table

if TYPE_CHECKING:
    from cropmap.stages.context import SeasonContext

models: Final = typer.Typer(no_args_is_help=True, help="List, promote and roll back versions of the networks.")

Network = Annotated[Architecture, typer.Option("--model", help="network")]
COLUMNS: Final = (
    "network",
    "version",
    "season",
    "oa",
    "macro_f1",
    "ece",
    "alias",
    "decision",
    "reason",
    "created",
    "artifact",
)


def register(app: typer.Typer) -> None:
    app.add_typer(models, name="models")
    app.command("mlflow")(mlflow_pages)


def mlflow_pages(
    host: Annotated[str, typer.Option("--host", help="address to listen on; 127.0.0.1: this machine only")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="port to listen on")] = 5000,
    home: Home = None,
) -> None:
    """Show every training in MLflow's web pages.

    The pages contain parameters, metrics, plots and models. Ctrl-C stops them. The first call installs MLflow into the
    home.
    """
    settings = prepare(home)
    from cropmap.results.tracking_pages import serve_pages, tracking_uri

    uri = tracking_uri(settings)
    if uri.startswith(("http://", "https://")):
        print("trainings are recorded by a server, which has the pages: open MLFLOW_TRACKING_URI in a browser")
        return
    print(f"http://{host}:{port} shows every training; Ctrl-C stops", file=sys.stderr)
    raise typer.Exit(serve_pages(settings, uri=uri, host=host, port=port))


@models.command("list")
def list_versions(
    agency: AgencyFile,
    model: Annotated[Architecture | None, typer.Option("--model", help="network [default: all]")] = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List every version of the networks.

    A row gives the out-of-fold accuracy, the alias (champion or challenger), and the decision of the promotion gate
    with its reason.
    """
    context = _open(agency, data, home)
    from cropmap.results.models import list_models

    answer = list_models(context, [model] if model else list(Architecture))
    if as_json:
        say(answer, as_json=True)
    else:
        table(answer["models"], COLUMNS)


@models.command("promote")
def promote(
    agency: AgencyFile,
    model: Network,
    version: Annotated[
        str, typer.Option("--version", help="number of the version or id of its artifact, from `models list`")
    ],
    reason: Annotated[str, typer.Option("--reason", help="reason, stored with the version")] = "",
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a version the champion.

    Bands, legend, metrics and parity are checked as in an automatic promotion.
    """
    context = _open(agency, data, home)
    from cropmap.results.models import promote_model

    say(promote_model(context, model, version=version, reason=reason), as_json=as_json)


@models.command("rollback")
def rollback(
    agency: AgencyFile,
    model: Network,
    reason: Annotated[str, typer.Option("--reason", help="reason, stored with the version that is replaced")] = "",
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make the previous champion the champion again."""
    context = _open(agency, data, home)
    from cropmap.results.models import roll_back

    say(roll_back(context, model, reason=reason), as_json=as_json)


def _open(agency: Path, data: Path | None, home: Path | None) -> SeasonContext:
    """Models belong to no season, but a context needs one; the present year serves."""
    from datetime import UTC, datetime

    return season_context(agency, season=datetime.now(UTC).year, home=home, data=data)
