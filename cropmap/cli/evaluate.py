"""`cropmap evaluate`: out-of-fold accuracy of an agency's season, or of a table of parcel series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cropmap.schemas import Architecture
from cropmap.terminal import (
    AnyAgencyFile,
    AnySeasonYear,
    AsJson,
    AsOf,
    Data,
    Home,
    Verbose,
    prepare,
    require_file_to_write,
    say,
    season_context,
    table,
)

if TYPE_CHECKING:
    from cropmap.results.evaluation import Evaluated


def register(app: typer.Typer) -> None:
    app.command()(evaluate)


def evaluate(
    agency: AnyAgencyFile = None,
    season: AnySeasonYear = None,
    folds: Annotated[Path | None, typer.Option("--folds", help="CSV with columns parcel_id, fold")] = None,
    model: Annotated[Architecture | None, typer.Option("--model", help="network to evaluate [default: all]")] = None,
    observations: Annotated[
        Path | None,
        typer.Option("--observations", help="tidy Parquet table of parcel series, instead of an agency's season"),
    ] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help="CSV with columns parcel_id, crop_code")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="seed of every random choice")] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", callback=require_file_to_write, help="Parquet file to write the probabilities to"),
    ] = None,
    by_date: Annotated[
        bool, typer.Option("--by-date", help="also evaluate series cut at the end of each fortnight")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="with --by-date: PNG file to draw the accuracy to")
    ] = None,
    as_of: AsOf = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Measure the out-of-fold accuracy of the networks.

    Every parcel is scored by a model that was trained without it, its holding and its neighbours. Parcels that cannot
    be evaluated are counted by reason.
    """
    if plot is not None and not by_date:
        raise typer.BadParameter("--plot draws the accuracy by date: give --by-date")
    if observations is not None:
        if labels is None or folds is None:
            raise typer.BadParameter("--observations needs --labels and --folds")
        settings = prepare(home, verbose=verbose)
        from cropmap.results.evaluation import Wanted, evaluate_table

        answer = evaluate_table(
            settings,
            observations,
            labels=labels,
            folds=folds,
            architecture=model,
            seed=seed,
            wanted=Wanted(out=out, by_date=by_date, plot=plot),
        )
    elif agency is None or season is None:
        raise typer.BadParameter("give AGENCY.yaml and --season, or --observations, --labels and --folds")
    else:
        context = season_context(agency, season=season, home=home, data=data, as_of=as_of, model=model, verbose=verbose)
        from cropmap.results.evaluation import Wanted, evaluate_season

        wanted = Wanted(out=out, by_date=by_date, plot=plot)
        answer = evaluate_season(context, folds=folds, architecture=model, wanted=wanted)
    if as_json:
        say(answer, as_json=True)
    else:
        show(answer)


def show(answer: Evaluated) -> None:
    """One line per network, then precision, recall and F1 by class, then what was left out."""
    columns = ["network", "n", "oa", "kappa", "macro_f1", "ece", "ece_by_chance", "left_out_of_training"]
    networks = answer["networks"]
    table([{"network": name, **metrics} for name, metrics in networks.items()], columns)
    for name, metrics in networks.items():
        print(f"\n{name}")
        classes = [{"crop": crop, **values} for crop, values in metrics["per_class"].items()]
        table(classes, ["crop", "n", "precision", "recall", "f1"])
    for name, rows in answer.get("by_date", {}).items():
        print(f"\n{name}, by date")
        table(rows, ["date", "n", "unseen", "observations", "oa", "kappa", "macro_f1", "ece"])
    if answer["excluded"]:
        print("\nexcluded")
        table([{"reason": reason, "n": n} for reason, n in answer["excluded"].items()], ["reason", "n"])
    for note in answer["notes"]:
        print(f"note: {note}")
