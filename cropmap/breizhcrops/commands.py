"""`cropmap breizhcrops`: the benchmark data set BreizhCrops, read from its own files and evaluated as published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from cropmap.schemas import Architecture
from cropmap.terminal import AsJson, Home, prepare, say, table

breizhcrops: Final = typer.Typer(no_args_is_help=True, help="Inspect and evaluate the benchmark BreizhCrops.")
Root = Annotated[Path, typer.Argument(metavar="ROOT", help="folder with classmapping.csv and YEAR/LEVEL/REGION.h5")]
Level = Annotated[Literal["L1C", "L2A"], typer.Option("--level", help="processing level")]
Year = Annotated[int, typer.Option("--year", help="year: 2017 or 2018")]
LegendOption = Annotated[
    str | None,
    typer.Option(
        "--legend", help="class mapping file, or a built-in legend (fr_breizhcrops13) [default: ROOT/classmapping.csv]"
    ),
]


def register(app: typer.Typer) -> None:
    app.add_typer(breizhcrops, name="breizhcrops")


@breizhcrops.command("inspect")
def inspect(
    root: Root,
    level: Level = "L1C",
    year: Year = 2017,
    legend: LegendOption = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show what a BreizhCrops folder contains.

    The answer has series, rows, classes and column order by region, and counts by reason what cannot be used.
    """
    prepare(home)
    from cropmap.breizhcrops.evaluation import inspect_breizhcrops

    answer = inspect_breizhcrops(root, year=year, level=level, legend=legend)
    if as_json:
        say(answer, as_json=True)
    else:
        _show_regions(answer)


@breizhcrops.command("evaluate")
def evaluate(
    root: Root,
    model: Annotated[Architecture, typer.Option("--model", help="network")] = Architecture.TRANSFORMER,
    level: Level = "L1C",
    year: Year = 2017,
    test: Annotated[
        Literal["frh01", "frh02", "frh03", "frh04"] | None,
        typer.Option("--test", help="region to test on, after training on the other three [default: each in turn]"),
    ] = None,
    compat: Annotated[
        bool,
        typer.Option("--compat", help="use the published networks, sampling and settings instead of those of cropmap"),
    ] = False,
    legend: LegendOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="seed of every random choice")] = 0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Train on the published splits and compare the figures."""
    settings = prepare(home)
    from cropmap.breizhcrops.evaluation import evaluate_breizhcrops
    from cropmap.breizhcrops.training import CompatConfig
    from cropmap.model.training_config import TrainingConfig

    config = CompatConfig.published(model) if compat else TrainingConfig(architecture=model)
    answer = evaluate_breizhcrops(settings, root, config, year=year, level=level, test=test, legend=legend, seed=seed)
    if as_json:
        say(answer, as_json=True)
    else:
        _show(answer)


def _show(answer: dict[str, Any]) -> None:
    """The table, then each region's classes, then what was read."""
    table(answer["table"], ["result", "n", "oa", "kappa", "mean_f1", "mean_precision", "mean_recall"])
    print("A published line without figures belongs to another legend, level, year or region.")
    for region, rows in answer["per_class"].items():
        print(f"\n{region}")
        table(rows, ["crop", "n", "precision", "recall", "f1"])
    print()
    _show_regions(answer)


def _show_regions(answer: dict[str, Any]) -> None:
    rows = [
        {"region": name, **facts, "left_out": facts["left_out"] or None} for name, facts in answer["regions"].items()
    ]
    table(rows, ["region", "series", "rows", "classes", "column_order", "left_out"])
