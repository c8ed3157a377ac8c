"""`python -m tests.studies NAME`: what proves a method, beside peers and against the truth; one run each.

The figures in `docs/` that are not about speed come from these commands. What a study keeps between runs lies in the
store of `--home`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cropmap import interruption
from cropmap.cli import run
from cropmap.errors import ConfigurationError
from cropmap.schemas import Architecture
from cropmap.terminal import AnyAgencyFile, AnySeasonYear, AsJson, Data, Home, prepare, say, season_context, table

studies: Final = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="What proves a method: one study a command."
)
Parcels = Annotated[int, typer.Option("--parcels", min=300, help="simulated parcels")]
Network = Annotated[Architecture, typer.Option("--model", help="the network")]
Seed = Annotated[int, typer.Option("--seed", min=0)]
QUICK_SEASONS: Final = 3
Quick = Annotated[bool, typer.Option("--quick", help="a small size, to see that it works")]


@studies.command("race")
def race(
    folder: Annotated[Path, typer.Option("--on", help="folder with observations.parquet, labels.csv and folds.csv")],
    fold: Annotated[int, typer.Option("--fold", min=0, help="the fold that both are judged on")] = 0,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="the package's")] = 60,
    model: Network = Architecture.LSTM,
    seed: Seed = 0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Wall time to the breizhcrops package's accuracy on one fold of real parcels, both at once."""
    prepare(home)
    from cropmap.model.training_config import TrainingConfig
    from tests.studies.race import measure

    config = TrainingConfig(architecture=model)
    _print(
        measure(folder=folder, fold=fold, architecture=model, epochs=epochs, seed=seed, config=config), as_json=as_json
    )


@studies.command("accuracy")
def accuracy(
    agency: AnyAgencyFile = None,
    season: AnySeasonYear = None,
    folder: Annotated[
        Path | None, typer.Option("--on", help="folder with observations.parquet, labels.csv and folds.csv")
    ] = None,
    thinned: Annotated[
        bool, typer.Option("--thinned", help="of the folder: fewer parcels, dates, bands and classes")
    ] = False,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="of the folder: repeat with seeds 0, 1, ..., thinned anew")
    ] = 1,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Out-of-fold accuracy of both networks and a random forest on the same parcels and folds."""
    if (folder is None) == (agency is None or season is None):
        raise typer.BadParameter("give either AGENCY.yaml and --season, or --on")
    if folder is not None:
        settings = prepare(home)
        from tests.studies.accuracy import measure_folder

        rows = measure_folder(settings, folder, thinned=thinned, seeds=range(seeds))
    elif agency is not None and season is not None:
        context = season_context(agency, season=season, home=home, data=data)
        from tests.studies.accuracy import measure

        rows = measure(context)
    _print(rows, as_json=as_json)


@studies.command("ablation")
def ablation(
    folder: Annotated[
        Path | None, typer.Option("--on", help="folder with observations.parquet, labels.csv and folds.csv")
    ] = None,
    parcels: Parcels = 2_500,
    model: Network = Architecture.TRANSFORMER,
    seed: Seed = 1,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Every answer to the seven challenges off / on: simulated Brittany, or a folder of real parcels."""
    settings = prepare(home)
    from cropmap.model.training_config import TrainingConfig
    from tests.studies.ablation import measure

    rows = measure(settings, folder=folder, parcels=parcels, config=TrainingConfig(architecture=model), seed=seed)
    _print(rows, as_json=as_json)


@studies.command("networks")
def networks(
    parcels: Parcels = 2_500,
    compat_epochs: Annotated[
        int | None, typer.Option("--compat-epochs", min=1, help="epochs of the published networks, instead of theirs")
    ] = None,
    seed: Seed = 1,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Both networks beside the published BreizhCrops ones: simulated Brittany, one region left out in turn."""
    settings = prepare(home)
    from cropmap.model.training_config import TrainingConfig
    from tests.studies.learning import measure_networks

    config = TrainingConfig()
    rows = measure_networks(settings, parcels=parcels, seed=seed, compat_epochs=compat_epochs, config=config)
    _print(rows, as_json=as_json)


@studies.command("noise")
def noise(
    parcels: Parcels = 2_500,
    model: Network = Architecture.TRANSFORMER,
    seed: Seed = 1,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Accuracy against the truth when 0, 3 and 10 % of the declarations are wrong: simulated Brittany."""
    settings = prepare(home)
    from cropmap.model.training_config import TrainingConfig
    from tests.studies.learning import measure_noise

    rows = measure_noise(settings, parcels=parcels, seed=seed, config=TrainingConfig(architecture=model))
    _print(rows, as_json=as_json)


@studies.command("reviews")
def reviews(quick: Quick = False, home: Home = None, as_json: AsJson = False) -> None:
    """What reviews promise: broken certificates in 200 campaigns a setting, and how often intervals cover the truth."""
    prepare(home)
    from tests.studies.reviews import measure, measure_intervals

    certified, covered = measure(quick=quick), measure_intervals(quick=quick)
    if as_json:
        say({"certification": certified, "control_sample": covered}, as_json=True)
        return
    table(certified, list(certified[0]))
    print()
    table(covered, list(covered[0]))


@studies.command("areas")
def areas(
    parcels: Annotated[int, typer.Option("--parcels", min=2_000, help="simulated parcels")] = 60_000,
    populations: Annotated[int, typer.Option("--populations", min=1, help="populations per scenario")] = 20,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="of the populations")] = 0,
    networks: Annotated[bool, typer.Option("--networks", help="scored by a network instead of the light one")] = False,
    model: Network = Architecture.TRANSFORMER,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Area estimates against the truth: coverage of the intervals, bias and error, beside other estimators."""
    settings, seeds = prepare(home), range(first_seed, first_seed + populations)
    from tests.studies.areas import measure
    from tests.studies.areas import table as figures

    if networks:
        from cropmap.model.training_config import TrainingConfig
        from tests.studies.areas_networks import measure_networks

        config = TrainingConfig(architecture=model)
        rows = measure_networks(settings, parcels=parcels, seeds=seeds, config=config)
    else:
        rows = measure(settings.open_store(), parcels=parcels, seeds=seeds)
    _print(figures(rows), as_json=as_json)


@studies.command("flags")
def flags(
    grid: Annotated[bool, typer.Option("--grid", help="every pattern, share of wrong declarations and stress")] = False,
    networks: Annotated[bool, typer.Option("--networks", help="the 3 % settings through a network")] = False,
    folder: Annotated[
        Path | None, typer.Option("--on", help="folder of real parcels, of which 3 % exchange their labels")
    ] = None,
    parcels: Annotated[int, typer.Option("--parcels", min=300, help="simulated parcels")] = 25_000,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="populations per setting")] = 20,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="of the populations")] = 20,
    model: Network = Architecture.TRANSFORMER,
    figure: Annotated[Path | None, typer.Option("--figure", help="draw precision against number of flags here")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """The list of mismatches against the truth: realised rate and recall, beside rules that others use.

    Without `--grid`, `--networks` or `--on`: the settings with 3 % wrong, with the light classifier. Seeds below 20 and
    from 100 were looked at while the method was made.
    """
    settings = prepare(home)
    from cropmap.model.training_config import TrainingConfig
    from tests.studies.flags_elsewhere import measure_folder, measure_networks
    from tests.studies.flags_figure import draw
    from tests.studies.flags_study import MAIN, SHOWN, STRESS, measure, peer_table
    from tests.studies.flags_study import table as rates

    chosen = range(first_seed, first_seed + seeds)
    if folder is not None:
        rows = measure_folder(folder, seeds=chosen)
    elif networks:
        rows = measure_networks(settings, parcels=parcels, seeds=chosen, config=TrainingConfig(architecture=model))
    else:
        cases = (*MAIN, *STRESS) if grid else SHOWN
        rows = measure(settings.open_store(), cases, parcels=parcels, seeds=chosen)
    if figure is not None:
        draw(rows, list(dict.fromkeys(one["setting"] for one in rows))[: len(SHOWN)], figure)
    if as_json:
        say({"rates": rates(rows), "rules": peer_table(rows)}, as_json=True)
        return
    _print(rates(rows), as_json=False)
    print()
    _print(peer_table(rows), as_json=False)


@studies.command("disclosure")
def disclosure(
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="tables, optimum, releases, seasons, large or huge; again for several"),
    ] = None,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="of the random tables")] = 0,
    quick: Quick = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Secondary suppression: what could be recovered of random tables, beside the optimum, and what it costs."""
    prepare(home)
    from tests.studies.disclosure import PARTS, measure

    if unknown := set(part or ()) - set(PARTS):
        raise ConfigurationError(f"{min(unknown)!r} is none of {', '.join(PARTS)}", where="--part")
    rows = measure(part or PARTS, quick=quick, first_seed=first_seed)
    if as_json:
        say({"rows": rows}, as_json=True)
        return
    for number, row in enumerate(rows):
        if number:
            print()
        table([row], list(row))


@studies.command("wire")
def wire(
    parcels: Parcels = 1_000,
    dates: Annotated[int, typer.Option("--dates", min=4, help="acquisition dates of each tile")] = 24,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="runs of each, in turn")] = 3,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """A whole season from a STAC API with pixels and store on an S3 server, beside the same season from disk."""
    from tests.studies.wire import measure

    _print(measure(parcels=parcels, dates=dates, seed=seed, rounds=rounds), as_json=as_json)


@studies.command("every-day")
def every_day(
    tiles: Annotated[int, typer.Option("--tiles", min=1, help="tiles of the country")] = 100,
    dates: Annotated[int, typer.Option("--dates", min=1, help="acquisitions of a tile")] = 100,
    folder: Annotated[Path | None, typer.Option("--in", help="folder that keeps the season for another time")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """A day without anything new, on a season that is observed: seconds of the whole command, and its searches."""
    prepare(home)
    from tests.studies.every_day import measure

    _print(measure(tiles=tiles, dates=dates, folder=folder), as_json=as_json)


@studies.command("remote")
def remote(
    size_px: Annotated[int, typer.Option("--pixels", min=512, help="of the tile, each way at 10 m")] = 2_196,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="of each, in turn")] = 5,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Observing from a real S3 server beside bare reading of the same windows, GeoTIFF and JPEG 2000."""
    prepare(home)
    from tests.studies.remote import measure

    _print(measure(size_px=size_px, repeats=repeats), as_json=as_json)


@studies.command("plan")
def plan(
    parcels: Annotated[
        list[int] | None, typer.Option("--parcels", min=100, help="of a season; again for another")
    ] = None,
    dates: Annotated[int, typer.Option("--dates", min=4, help="acquisitions of a tile")] = 16,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """The plan of a season beside what it took, for two simulated seasons of different size; and bytes and requests."""
    prepare(home)
    from tests.studies.plan import measure, over_the_wire

    sizes = parcels or (600, 1800)
    rows = [row for size in sizes for row in over_the_wire(parcels=size, dates=dates)]
    _print([*rows, *measure(sizes=sizes, dates=dates)], as_json=as_json)


@studies.command("cluster")
def cluster(
    part: Annotated[
        list[str] | None, typer.Option("--part", help="overhead, speed or kills; again for several")
    ] = None,
    units: Annotated[int, typer.Option("--units", min=100, help="empty units of the overhead")] = 14_000,
    parcels: Parcels = 2_000,
    dates: Annotated[int, typer.Option("--dates", min=2, help="simulated dates")] = 12,
    quick: Quick = False,
    as_json: AsJson = False,
) -> None:
    """Units of work on Dask workers of this machine: their overhead, their speed, and workers that are killed."""
    prepare(None)
    from tests.studies.cluster import PARTS, measure

    if unknown := set(part or ()) - set(PARTS):
        raise ConfigurationError(f"{min(unknown)!r} is none of {', '.join(PARTS)}", where="--part")
    _print(measure(list(part or PARTS), units=units, parcels=parcels, dates=dates, quick=quick), as_json=as_json)


@studies.command("gpu")
def gpu(
    parcels: Annotated[int, typer.Option("--parcels", min=64, help="of random series")] = 608_000,
    dates: Annotated[int, typer.Option("--dates", min=2, help="of each")] = 70,
    batch: Annotated[
        list[int] | None, typer.Option("--batch", min=0, help="parcels a step; 0: as a season; again for several")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """An epoch of both networks on this machine's GPU, else its processor: seconds, and share of its peak."""
    prepare(home)
    from tests.studies.gpu import measure

    _print(measure(parcels=parcels, dates=dates, batch_sizes=batch or (0, 4096)), as_json=as_json)


@studies.command("scale")
def scale(
    folder: Annotated[Path, typer.Option("--folder", help="holds the season; what is there is taken as it is")],
    parcels: Annotated[int, typer.Option("--parcels", min=300, help="simulated parcels")] = 6_000,
    dates: Annotated[int, typer.Option("--dates", min=4, help="days with an acquisition")] = 70,
    steps: Annotated[int, typer.Option("--steps", min=1, help="steps that each fold is trained for")] = 200,
    stage: Annotated[list[str] | None, typer.Option("--stage", help="one step alone; again for several")] = None,
    limit_gib: Annotated[
        float, typer.Option("--limit-gib", min=0, help="of data that each process of a step may have; 0: no limit")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Time and peak memory of every step of a season, by the number of its parcels."""
    prepare(folder / "home", create=True)
    from tests.studies.scale import STAGES, measure

    if unknown := set(stage or ()) - set(STAGES):
        raise ConfigurationError(f"{min(unknown)!r} is none of {', '.join(STAGES)}", where="--stage")
    stages = stage or list(STAGES)
    rows = measure(folder.absolute(), parcels=parcels, dates=dates, steps=steps, stages=stages, limit_gib=limit_gib)
    _print(rows, as_json=as_json)


@studies.command("country")
def country(
    folder: Annotated[Path, typer.Option("--folder", help="holds the season; what is there is taken as it is")],
    parcels: Annotated[int, typer.Option("--parcels", min=4_000, help="9,500,000 are France's")] = 9_500_000,
    as_json: AsJson = False,
) -> None:
    """Time and peak memory from stored predictions to a publication, of a country in one process."""
    prepare(folder / "home", create=True)
    from tests.studies.copies import measure

    _print(measure(folder.absolute(), parcels=parcels), as_json=as_json)


@studies.command("publishing")
def publishing(
    folder: Annotated[Path, typer.Option("--folder", help="for the database and the simulated products")],
    parcels: Annotated[int, typer.Option("--parcels", min=300, help="simulated parcels")] = 600_000,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="of every way, in turn")] = 4,
    as_json: AsJson = False,
) -> None:
    """Publishing a run from the store, beside a bare binary COPY of the same rows."""
    prepare(folder / "home", create=True)
    from tests.studies.publishing import measure

    os.environ["CROPMAP_HOME"] = str(folder.absolute() / "home")
    _print(measure(folder.absolute(), parcels=parcels, repeats=repeats), as_json=as_json)


@studies.command("isolation")
def isolation(
    parcels: Annotated[int, typer.Option("--parcels", min=300, help="simulated parcels")] = 50_000,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="of every question, in turn")] = 50,
    earlier_runs: Annotated[int, typer.Option("--earlier-runs", min=0, help="published before")] = 300,
    as_json: AsJson = False,
) -> None:
    """The questions of the API with and without row-level security."""
    prepare(None)
    from cropmap.database.embedded import remove
    from cropmap.settings import Settings
    from tests.database_fixtures import short_folder
    from tests.studies.isolation import measure

    home = short_folder() / "home"
    os.environ["CROPMAP_HOME"] = str(home)
    try:
        _print(measure(Settings.load(), parcels=parcels, repeats=repeats, earlier_runs=earlier_runs), as_json=as_json)
    finally:
        remove(home)


@studies.command("confidentiality")
def confidentiality(
    seasons: Annotated[int, typer.Option("--seasons", min=1, help="random seasons")] = 200,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="of the seasons")] = 0,
    quick: Quick = False,
    as_json: AsJson = False,
) -> None:
    """Everything that each role may read, joined, against what is hidden: figures recovered or narrowed, by role.

    20 to 30 minutes for 200 seasons on one core. Exits with 1 where anything is found.
    """
    prepare(None)
    from tests.database_fixtures import databases
    from tests.studies.confidentiality import measure

    with databases(2) as (first, second):
        rows = measure(first, second, range(first_seed, first_seed + (QUICK_SEASONS if quick else seasons)))
    _print(rows, as_json=as_json)
    if any(row["found"] for row in rows):
        raise typer.Exit(1)


@studies.command("offsets")
def offsets(
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="seasons per setting")] = 20,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="of the seasons")] = 100,
    file: Annotated[
        Path | None, typer.Option("--on", help="Parquet of date, parcel_id, band, reflectance, cloud_fraction")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Wrong offsets planted in simulated seasons: what is corrected, quarantined, missed, and wrongly corrected.

    Seeds below 100 were looked at while the method was made.
    """
    prepare(home)
    from tests.studies.offsets import measure, measure_real

    rows = measure_real(file) if file else measure(seeds=range(first_seed, first_seed + seeds))
    _print(rows, as_json=as_json)


def _print(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    say({"rows": rows}, as_json=True) if as_json else table(rows, list(rows[0]))


if __name__ == "__main__":
    interruption.watch()
    sys.exit(run(sys.argv[1:], studies, "python -m tests.studies"))
