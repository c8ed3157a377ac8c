"""`cropmap stats`: published crop statistics as files, and compared with those of Eurostat."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from cropmap.cli.agencies import AsMarkdown, print_reference
from cropmap.dissemination.registry import DATAFLOW, FORMATS, FormatName
from cropmap.schemas import CsvDialect, LeftOut
from cropmap.terminal import (
    AgencyFile,
    AsJson,
    CsvOption,
    Data,
    Home,
    Out,
    SeasonYear,
    prepare,
    say,
    season_context,
    table,
    write_out,
)

stats: Final = typer.Typer(no_args_is_help=True, help="Export, release and compare crop areas.")

SomeAgencyFile = Annotated[Path | None, typer.Argument(metavar="[AGENCY.yaml]", help="agency file")]
AgencyName = Annotated[str | None, typer.Option("--agency", help="short name of the agency, instead of its file")]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", help="with --recode-to: CSV with the share of each old region that lies in each new one"),
]
Nuts = Annotated[str | None, typer.Option("--nuts", help="region, with all regions below it [default: all]")]

WHOLE: Final = ", ".join(name for name, format_ in FORMATS.items() if not format_.coded)
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


FORMATS_PAGE: Final = """# Formats of crop statistics, one by one

This page is for statisticians who choose a `--format` of `cropmap stats export`. [File formats](formats.md) explains
what the formats have in common: columns, codes, observation flags, decimals, and what a coded format leaves out.

`make docs` writes this page from `cropmap/dissemination/registry.py`. `cropmap stats formats` prints the table.

"""


def register(app: typer.Typer) -> None:
    app.add_typer(stats, name="stats")


@stats.command("export")
def export_stats(
    season: SeasonYear,
    agency_file: SomeAgencyFile = None,
    nuts: Nuts = None,
    agency: AgencyName = None,
    format_: Annotated[
        FormatName,
        typer.Option(
            "--format",
            help=f"{WHOLE} contain every row and column; the others use Eurostat's codes and 1000 ha. sdmx-csv is "
            "SDMX-CSV 1.0 in Eurostat's layout, sdmx-csv-2 is SDMX-CSV 2.0, sdmx-ml is SDMX-ML 2.1",
        ),
    ] = "csv",
    csv: CsvOption = CsvDialect.PLAIN,
    level: Annotated[
        list[int] | None, typer.Option("--level", min=0, max=3, help="only regions of this NUTS level; may be repeated")
    ] = None,
    decimals: Annotated[
        int, typer.Option("--decimals", min=0, max=9, help="decimals of areas in 1000 ha; Eurostat publishes two")
    ] = 5,
    dataflow: Annotated[
        str | None, typer.Option("--dataflow", help="dataflow named in SDMX-CSV, as agency:id(version)")
    ] = None,
    recode_to: Annotated[
        int | None, typer.Option("--recode-to", help="NUTS version to convert to: 2016, 2021 or 2024")
    ] = None,
    weights: Weights = None,
    release: Annotated[
        int | None, typer.Option("--release", min=1, help="number of a release, instead of the published run")
    ] = None,
    out: Out = None,
    data: Data = None,
    home: Home = None,
) -> None:
    """Write the published crop statistics to a file.

    Confidential cells are empty and have CONF_STATUS C.
    """
    settings = prepare(home)
    from cropmap.results.dissemination import Recoding
    from cropmap.results.dissemination import export_statistics as export

    if FORMATS[format_].binary and out is None and sys.stdout.isatty():
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


@stats.command("formats")
def list_formats(as_json: AsJson = False, markdown: AsMarkdown = False) -> None:
    """List the formats of `stats export`."""
    rows = [
        {"format": name, "content": entry.content, "names and unit": entry.figures, "opens with": entry.opens_with}
        for name, entry in FORMATS.items()
    ]
    columns = ["format", "content", "names and unit", "opens with"]
    print_reference(rows, columns, FORMATS_PAGE, as_json=as_json, markdown=markdown)


@stats.command("structure")
def structure(
    dataflow: Annotated[
        str | None, typer.Option("--dataflow", help="dataflow, as agency:id(version), as in the data file")
    ] = None,
    out: Out = None,
) -> None:
    """Write the data structure of the SDMX files.

    The format is SDMX-ML 2.1. Readers of SDMX-CSV 2.0 need it together with the data file.
    """
    from datetime import UTC, datetime

    from cropmap.dissemination.names import LABEL
    from cropmap.dissemination.sdmx_structure import write

    write_out(write(dataflow=dataflow or DATAFLOW, label=LABEL, prepared_at=datetime.now(UTC)), out)


@stats.command("names")
def names(agency_file: AgencyFile, csv: CsvOption = CsvDialect.PLAIN, out: Out = None, data: Data = None) -> None:
    """Write a table of the names to be translated.

    It has a row for each code in each of the agency's `languages`, with its English name, and the name that the file
    `names` of the agency has. Fill in the column `name` and give the file as `names` in the agency file. Rows of the
    list `geo` name regions; the boundary file names them in the first language.
    """
    import pandas as pd

    from cropmap.agency import Agency
    from cropmap.dissemination.names import COLUMNS, untranslated
    from cropmap.dissemination.spreadsheets import to_csv
    from cropmap.errors import ConfigurationError

    agency = Agency.read(agency_file, data=data)
    if not agency.languages:
        raise ConfigurationError(
            "the agency names no language beside English", where=str(agency_file), mend="Set languages: [fr]"
        )
    rows = [(*one, english) for one, english in untranslated(agency.read_names(), languages=agency.languages)]
    write_out(to_csv(pd.DataFrame(rows, columns=[*COLUMNS, "english"]), csv), out)


@stats.command("estimators")
def estimators(
    agency_file: AgencyFile,
    season: SeasonYear,
    nuts: Annotated[str, typer.Option("--nuts", help="region whose NUTS-3 regions are shown [default: all]")] = "",
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compare the area estimate with other estimators.

    These are the register, the map and classical estimators, in ha by NUTS-3 region and crop (docs/areas.md). The
    answer is for internal use: no cell is hidden.
    """
    context = season_context(agency_file, season=season, home=home, data=data)
    from cropmap.results.area_reviews import season_estimators

    estimates = season_estimators(context, nuts=nuts)
    if as_json:
        about = {"run_id": estimates.run_id, "reviews": estimates.reviews.as_json()}
        say(about | {"rows": estimates.table.to_dict("records")}, as_json=True)
        return
    rows = [{str(name): value for name, value in row.items()} for row in estimates.table.round(2).to_dict("records")]
    table(rows, [str(name) for name in estimates.table.columns])
    print(f"\nrun {estimates.run_id}, {estimates.reviews.judged} reviews. For use inside: no cell is hidden.")


@stats.command("compare")
def compare_stats(
    eurostat: Annotated[
        Path,
        typer.Option(
            "--eurostat", help="file of Eurostat: bulk TSV of apro_cpshr (also gzipped), SDMX-CSV or JSON-stat"
        ),
    ],
    agency_file: SomeAgencyFile = None,
    season: Annotated[int | None, typer.Option("--season", help="campaign year")] = None,
    nuts: Nuts = None,
    agency: AgencyName = None,
    statistics: Annotated[
        Path | None, typer.Option("--statistics", help="exported file to compare, instead of the published run")
    ] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="SVG or PNG file to draw the comparison to")] = None,
    every: Annotated[bool, typer.Option("--all", help=f"print all rows, not only the first {SHOWN_ROWS}")] = False,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compare crop areas with those of Eurostat.

    Areas are in 1000 ha. Each row has the ratio for the year and the change from Eurostat's last earlier year.
    Unusual rows are marked RATIO, SERIES or REGION (docs/formats.md). A mark is a reason to check both sources.
    """
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
            f"{geo} {crops}": measured[["TIME_PERIOD", "OBS_VALUE", "OBS_FLAG"]].to_dict("records")
            for (geo, crops), measured in comparison.series.items()
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
    """The short name of the agency, read from its file where one is given."""
    if file is None:
        return name
    if name is not None:
        raise typer.BadParameter("give AGENCY.yaml or --agency, not both")
    from cropmap.agency import Agency

    return Agency.read(file, data=data).agency


def _region_names(file: Path | None, season: int, *, data: Path | None) -> dict[str, str]:
    """Names of the regions, from the boundaries of the agency file; empty where there is no file or no boundaries."""
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
