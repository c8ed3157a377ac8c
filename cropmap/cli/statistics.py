"""`cropmap stats`: published crop statistics as files, and beside what Eurostat published."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from cropmap.schemas import CsvDialect, LeftOut
from cropmap.terminal import (
    AgencyFile,
    AsJson,
    CsvOption,
    Data,
    Home,
    Out,
    SeasonYear,
    open_season,
    prepare,
    say,
    table,
    write_out,
)

stats: Final = typer.Typer(no_args_is_help=True, help="Crop statistics per NUTS region.")

SomeAgencyFile = Annotated[Path | None, typer.Argument(metavar="[AGENCY.yaml]", help="the agency file")]
AgencyName = Annotated[
    str | None, typer.Option("--agency", help="the agency's short name instead of its file, where several publish")
]
Nuts = Annotated[str | None, typer.Option("--nuts", help="region; all regions below it are included [default: all]")]

SHOWN_NAMES: Final = 6
SHOWN_ROWS: Final = 40
COMPARED: Final = [
    "geo",
    "crops",
    "year",
    "ours",
    "se",
    "eurostat",
    "flags",
    "ratio",
    "last_year",
    "last",
    "change",
    "outlier",
]


def register(app: typer.Typer) -> None:
    app.add_typer(stats, name="stats")


@stats.command("export")
def export_stats(
    season: SeasonYear,
    agency_file: SomeAgencyFile = None,
    nuts: Nuts = None,
    agency: AgencyName = None,
    format_: Annotated[
        Literal["csv", "parquet", "xlsx", "json", "sdmx-csv", "sdmx-csv-2", "json-stat", "tsv"],
        typer.Option("--format", help="sdmx-csv is 1.0 in Eurostat's layout, sdmx-csv-2 is 2.0"),
    ] = "csv",
    csv: CsvOption = CsvDialect.PLAIN,
    level: Annotated[
        list[int] | None, typer.Option("--level", min=0, max=3, help="only this NUTS level; may be repeated")
    ] = None,
    decimals: Annotated[
        int, typer.Option("--decimals", min=0, max=9, help="of areas in 1000 ha; Eurostat shows two")
    ] = 5,
    dataflow: Annotated[str | None, typer.Option("--dataflow", help="agency:id(version) that SDMX-CSV names")] = None,
    recode_to: Annotated[int | None, typer.Option("--recode-to", help="NUTS version: 2016, 2021 or 2024")] = None,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="with --recode-to: CSV of the share of each old region in each new one"),
    ] = None,
    release: Annotated[
        int | None, typer.Option("--release", min=1, help="number of a release instead of what is published")
    ] = None,
    out: Out = None,
    data: Data = None,
    home: Home = None,
) -> None:
    """Write the published statistics. csv, parquet, xlsx and json hold every row and column; the other formats are in
    Eurostat's codes and 1000 ha. Confidential cells stay empty, CONF_STATUS C."""
    settings = prepare(home)
    from cropmap.dissemination.formats import BINARY, DATAFLOW
    from cropmap.results.dissemination import Recoding
    from cropmap.results.dissemination import export_statistics as export

    if format_ in BINARY and out is None and sys.stdout.isatty():
        raise typer.BadParameter(f"{format_} is no text: give --out FILE")
    if (recode_to is None) is not (weights is None):
        raise typer.BadParameter("--recode-to and --weights belong together")
    written = export(
        settings,
        agency=agency_name(agency_file, agency, data=data),
        season=season,
        nuts=nuts,
        format_=format_,
        levels=level or (),
        decimals=decimals,
        dataflow=dataflow or DATAFLOW,
        recoding=Recoding(recode_to, weights) if recode_to is not None and weights is not None else None,
        release=release,
        dialect=csv,
        region_names=_region_names(agency_file, season, data=data),
    )
    write_out(written.data, out, read=[agency_file, weights])
    for line in left_out_lines(written.left_out):
        print(line, file=sys.stderr)


@stats.command("structure")
def structure(
    dataflow: Annotated[str | None, typer.Option("--dataflow", help="agency:id(version), as the data name it")] = None,
    out: Out = None,
) -> None:
    """Write the data structure of the SDMX files (SDMX-ML 2.1), which a reader of SDMX-CSV 2.0 needs beside them."""
    from datetime import UTC, datetime

    from cropmap.dissemination.formats import DATAFLOW, LABEL
    from cropmap.dissemination.sdmx_structure import write

    write_out(write(dataflow=dataflow or DATAFLOW, label=LABEL, prepared_at=datetime.now(UTC)), out)


@stats.command("estimators")
def estimators(
    agency_file: AgencyFile,
    season: SeasonYear,
    nuts: Annotated[str, typer.Option("--nuts", help="only NUTS-3 regions below it")] = "",
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """The estimate beside register, map and classical estimators, ha by NUTS-3 region and crop (docs/areas.md).

    For use inside: no cell is hidden.
    """
    context = open_season(agency_file, season=season, home=home, data=data)
    from cropmap.results.area_reviews import season_estimators

    found = season_estimators(context, nuts=nuts)
    if as_json:
        about = {"run_id": found.run_id, "reviews": found.reviews.as_json()}
        say(about | {"rows": found.table.to_dict("records")}, as_json=True)
        return
    rows = [{str(name): value for name, value in row.items()} for row in found.table.round(2).to_dict("records")]
    table(rows, [str(name) for name in found.table.columns])
    print(f"\nrun {found.run_id}, {found.reviews.judged} reviews. For use inside: no cell is hidden.")


@stats.command("compare")
def compare_stats(
    eurostat: Annotated[
        Path, typer.Option("--eurostat", help="Eurostat's bulk TSV of apro_cpshr (also gzipped), SDMX-CSV or JSON-stat")
    ],
    agency_file: SomeAgencyFile = None,
    season: Annotated[int | None, typer.Option("--season", help="campaign year")] = None,
    nuts: Nuts = None,
    agency: AgencyName = None,
    statistics: Annotated[
        Path | None, typer.Option("--statistics", help="compare this exported file instead of what is published")
    ] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="draw it here (SVG or PNG)")] = None,
    every: Annotated[bool, typer.Option("--all", help=f"print more than {SHOWN_ROWS} rows")] = False,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Hold crop areas against Eurostat's: ratio of the year, change from its last earlier year, and what stands out
    (RATIO, SERIES, REGION: docs/formats.md). Areas in 1000 ha. It says where to look, not who is right."""
    if statistics is None and season is None:
        raise typer.BadParameter("give --season, or --statistics FILE")
    settings = prepare(home)
    from cropmap.results.dissemination import compare_with_eurostat, own_statistics, write_figure

    name = agency_name(agency_file, agency, data=data)
    ours = own_statistics(settings, file=statistics, agency=name, season=season, nuts=nuts)
    comparison = compare_with_eurostat(ours, eurostat)
    if figure is not None:
        write_figure(comparison, figure)
    if as_json:
        series = {
            f"{geo} {crops}": one[["TIME_PERIOD", "OBS_VALUE", "OBS_FLAG"]].to_dict("records")
            for (geo, crops), one in comparison.series.items()
        }
        counts = {
            "compared": len(comparison.rows),
            "outliers": len(comparison.outliers),
            "simulated": comparison.simulated,
        }
        say(counts | {"rows": comparison.rows, "series": series, "left_out": comparison.left_out}, as_json=True)
        return
    shown = comparison.rows if every else comparison.rows[:SHOWN_ROWS]
    table(shown, COMPARED)
    more = len(comparison.rows) - len(shown)
    print(
        f"\n{len(comparison.rows)} compared, {len(comparison.outliers)} stand out"
        + (f", {more} not shown" if more else "")
    )
    for line in left_out_lines(comparison.left_out):
        print(line)
    if comparison.simulated:
        print("simulation: our figures describe no real land")


def agency_name(file: Path | None, name: str | None, *, data: Path | None) -> str | None:
    """The short name, from the agency file where one is given."""
    if file is None:
        return name
    if name is not None:
        raise typer.BadParameter("give AGENCY.yaml or --agency, not both")
    from cropmap.agency import Agency

    return Agency.read(file, data=data).agency


def _region_names(file: Path | None, season: int, *, data: Path | None) -> dict[str, str]:
    """Of the agency file's boundaries; none where there is no agency file, or its boundaries are not at hand."""
    if file is None:
        return {}
    from cropmap.agency import Agency
    from cropmap.errors import InputError
    from cropmap.stages.declared import read_boundaries

    try:
        table = read_boundaries(Agency.read(file, data=data), season=season).table
    except InputError as error:
        print(f"without names of regions: {error}", file=sys.stderr)
        return {}
    return dict(zip(table["nuts_id"], table["name"], strict=True))


def left_out_lines(left_out: Mapping[LeftOut, Mapping[str, int]]) -> list[str]:
    """One line per reason, with the first names."""
    lines = []
    for reason, names in left_out.items():
        shown = ", ".join(list(names)[:SHOWN_NAMES])
        rest = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        lines.append(f"left out: {sum(names.values())} {reason} ({shown}{rest})")
    return lines
