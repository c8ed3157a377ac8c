"""`cropmap season run | status`, and the steps of a season as single commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cropmap.cli.access import show_erased
from cropmap.interruption import settle
from cropmap.terminal import (
    Accept,
    AgencyFile,
    AsJson,
    AsOf,
    Data,
    DryRun,
    Home,
    Model,
    SeasonYear,
    Verbose,
    Yes,
    confirm,
    prepare,
    say,
    season_context,
    table,
)

if TYPE_CHECKING:
    from pathlib import Path

    from cropmap.costs.rates import Measured
    from cropmap.settings import Settings
    from cropmap.stages.open_season import OpenSeason

season: Final = typer.Typer(no_args_is_help=True, help="Run a whole season, or show its state.")


def register(app: typer.Typer) -> None:
    app.add_typer(season, name="season")
    for command in (observe, train, predict, assess, aggregate, publish):
        app.command()(command)


@season.command("run")
def run(
    agency: AgencyFile,
    season: SeasonYear,
    as_of: AsOf = None,
    model: Model = None,
    accept: Accept = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Run all steps of a season and publish it.

    The steps are observe, train, predict, assess, aggregate, publish. The command can be repeated after any
    interruption; finished work is kept.
    """
    settings = prepare(home, verbose=verbose, create=True)
    from cropmap.stages.finished import finished_season

    with _opened(settings, "season run", agency, season, as_of, model, data) as opened:
        summary = finished_season(opened, clock=_now)
        if summary is None:  # Prefect and its server take most of the time of a season without work
            _start_prefect(settings)
            from flows.season import season as flow

            summary = flow(_request(agency, season, as_of, model, data, home, accept), season=opened)
    say(summary if as_json else _readable(summary), as_json=as_json)


@season.command("status")
def status(
    agency: AgencyFile, season: SeasonYear, data: Data = None, home: Home = None, as_json: AsJson = False
) -> None:
    """Show the state of a season.

    The answer has declarations, acquisitions by state, models, runs, the command at work, and the published run.
    """
    context = season_context(agency, season=season, home=home, data=data)
    from cropmap.results.status import season_status

    say(season_status(context, at=_now()), as_json=as_json)


@season.command("plan")
def plan(
    agency: AgencyFile,
    season: SeasonYear,
    as_of: AsOf = None,
    data: Data = None,
    home: Home = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="measure this machine for some seconds, where no season has run on it")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a season will take before it runs.

    The answer has acquisitions, bytes to read, requests, processor hours, disk and memory. Nothing is changed.
    """
    settings = prepare(home)
    from cropmap.costs.plan import plan_season
    from cropmap.costs.words import lines, stage_rows

    answer = plan_season(
        settings,
        agency.absolute(),
        season=season,
        as_of=as_of.date() if as_of else None,
        data=data.absolute() if data else None,
        at=_now(),
        speed=_speed(settings, agency, data) if measure else {},
    )
    if as_json:
        say(answer, as_json=True)
        return
    say(lines(answer), as_json=False)
    print()
    rows = stage_rows(answer)
    table(rows, list(rows[0]))


@season.command("expire")
def expire(
    agency_file: AgencyFile,
    dry_run: DryRun = False,
    yes: Yes = False,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Remove the personal data of seasons whose retention has ended.

    It ends with the year that lies `retention.years` after the campaign year. Declarations, parcels, results, reviews
    and observations are removed; runs, statistics, releases, models and counts stay. Entries of the audit log that are
    older than `retention.audit_years` are removed too. Run it as the database's owner.
    """
    settings = prepare(home, verbose=verbose)
    from cropmap.agency import Agency
    from cropmap.results.erasure.forget import Request, expire_seasons

    agency = Agency.read(agency_file.absolute(), data=data.absolute() if data else settings.data)
    rules = agency.retention

    def erase(*, dry: bool) -> Any:
        request = Request(settings, agency.file, agency.data, _now, dry_run=dry)
        return expire_seasons(request, agency=agency.agency, years=rules.years, audit_years=rules.audit_years)

    if not dry_run and not yes:
        show_erased(erase(dry=True), as_json=False)
        confirm("Remove this? It cannot be taken back")
    show_erased(erase(dry=dry_run), as_json=as_json)


def _speed(settings: Settings, agency: Path, data: Path | None) -> dict[str, list[Measured]]:
    """Of the networks of the agency that no season has trained on this machine."""
    from cropmap.agency import Agency
    from cropmap.bench.speed import measure_speed
    from cropmap.costs.rates import remembered

    model, store = Agency.read(agency.absolute(), data=data or settings.data).model, settings.open_store()
    networks = dict.fromkeys([*model.networks, model.architecture])
    return measure_speed(
        [network for network in networks if not remembered(store, f"train {network}")], processors=settings.threads
    )


def observe(
    agency: AgencyFile,
    season: SeasonYear,
    as_of: AsOf = None,
    accept: Accept = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Load declarations and observe new acquisitions.

    One observation file is written per acquisition.
    """
    settings = prepare(home, verbose=verbose, create=True)
    from cropmap.stages.finished import finished_ingest
    from cropmap.stages.ingest import raise_unreadable

    with _opened(settings, "observe", agency, season, as_of, None, data) as opened:
        summary = finished_ingest(opened)
        if summary is None:
            _start_prefect(settings)
            from flows.ingest import ingest

            summary = ingest(_request(agency, season, as_of, None, data, home, accept), season=opened)
            raise_unreadable(summary["acquisitions"])
    say(summary, as_json=as_json)


def train(
    agency: AgencyFile,
    season: SeasonYear,
    as_of: AsOf = None,
    model: Model = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Train, calibrate and register the networks.

    Every network is trained on every fold, exported to ONNX and checked for parity. A gate decides on its promotion.
    """
    _prepare_flows(home, verbose=verbose)
    from flows.retrain import retrain

    say(retrain(_request(agency, season, as_of, model, data, home)), as_json=as_json)


def _stage(name: str, agency: Any, season: int, as_of: Any, model: Any, data: Any, home: Any, as_json: bool) -> None:
    context = season_context(agency, season=season, home=home, data=data, as_of=as_of, model=model)
    from cropmap.stages import products
    from cropmap.stages.open_season import OpenSeason
    from cropmap.stages.work import claimed

    with claimed(context, name, clock=_now):
        opened = OpenSeason(context)
        plan = products.plan_run(opened)
        with products.logged_run(context, plan, clock=_now):
            if name == "publish":
                answer = products.publish(opened, plan, published_at=_now())
            else:
                answer = {"run_id": plan.run_id, name: getattr(products, name)(opened, plan)}
    say(answer, as_json=as_json)


def predict(
    agency: AgencyFile,
    season: SeasonYear,
    as_of: AsOf = None,
    model: Model = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Predict the crop of every parcel (ONNX Runtime)."""
    from cropmap.settings import Settings

    if Settings.load(home=home).dask:
        _prepare_flows(home, verbose=False)
        from flows.predict import score

        say(score(_request(agency, season, as_of, model, data, home)), as_json=as_json)
    else:
        _stage("predict", agency, season, as_of, model, data, home, as_json)


def assess(
    agency: AgencyFile,
    season: SeasonYear,
    as_of: AsOf = None,
    model: Model = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Assess every declaration: verdict, reason and priority."""
    _stage("assess", agency, season, as_of, model, data, home, as_json)


def aggregate(
    agency: AgencyFile,
    season: SeasonYear,
    as_of: AsOf = None,
    model: Model = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Estimate crop areas per NUTS region with their uncertainty."""
    _stage("aggregate", agency, season, as_of, model, data, home, as_json)


def publish(
    agency: AgencyFile,
    season: SeasonYear,
    as_of: AsOf = None,
    model: Model = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Publish the rows of a run in one transaction."""
    _stage("publish", agency, season, as_of, model, data, home, as_json)


@contextmanager
def _opened(
    settings: Settings, task: str, agency: Path, season: int, as_of: datetime | None, model: Any, data: Path | None
) -> Iterator[OpenSeason]:
    """The season, after what its agency file names was checked; the agency is ours while the block works."""
    from cropmap.stages.first_check import open_checked
    from cropmap.stages.open_season import OpenSeason
    from cropmap.stages.work import claimed

    context = open_checked(
        settings,
        agency.absolute(),
        season=season,
        as_of=as_of.date() if as_of else None,
        model=model,
        data=data.absolute() if data else None,
        observing=True,
        create=True,
    )
    with claimed(context, task, clock=_now):
        yield OpenSeason(context)


def _now() -> datetime:
    return datetime.now(UTC)


def _prepare_flows(home: Any, *, verbose: bool) -> None:
    """Settings and logging, and a Prefect server where there is none."""
    _start_prefect(prepare(home, verbose=verbose, create=True))


def _start_prefect(settings: Settings) -> None:
    from flows.server import ensure_server

    settle()
    ensure_server(settings.home_path / "logs")


def _request(agency: Any, season: int, as_of: Any, model: Any, data: Any, home: Any, accept: str | None = None) -> Any:
    from flows.request import SeasonRequest

    return SeasonRequest(
        agency_file=agency.absolute(),
        season=season,
        as_of=as_of.date() if as_of else None,
        model=model,
        data=data.absolute() if data else None,
        home=home.absolute() if home else None,
        accept=accept,
    )


def _readable(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """The season's answer for a person: one line per stage."""
    flat: dict[str, Any] = {}
    for part, value in summary.items():
        if part in {"ingest", "networks"}:
            flat.update({f"{name}": inner for name, inner in value.items()})
        else:
            flat[part] = value
    return flat
