"""`cropmap bench NAME`: speed as a ratio against the floor and against peers, measured in one run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cropmap.cli.options import AsJson, Home, prepare, say, table

NAMES = ("observe", "predict", "all")


def register(app: typer.Typer) -> None:
    app.command()(bench)


def bench(
    name: Annotated[str, typer.Argument(help="observe | predict | all")],
    quick: Annotated[bool, typer.Option("--quick", help="a small size, to see that it works")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Measure this machine. Peers come with `pip install 'cropmap[peers]'`."""
    if name not in NAMES:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(NAMES)}")
    prepare(home)
    results: dict[str, list[dict[str, Any]]] = {}
    if name in {"observe", "all"}:
        from cropmap.bench import observe

        results["observe"] = observe.measure(quick=quick)
    if name in {"predict", "all"}:
        from cropmap.bench import predict

        results["predict"] = predict.measure(quick=quick)
    if as_json:
        say(results, as_json=True)
        return
    for title, rows in results.items():
        print(title)
        table(rows, list(rows[0]))
