"""`cropmap review sample | import | report`: parcels out to the field, findings back, and what they allow to say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cropmap.schemas import ReviewPurpose
from cropmap.terminal import AgencyFile, AsJson, Data, Home, SeasonYear, open_season, say, table, write_out

if TYPE_CHECKING:
    from cropmap.results.reviews import FieldFormat, ReviewReport

review: Final = typer.Typer(no_args_is_help=True, help="Reviews by people: sample, findings, what they certify.")
FORMATS: Final[dict[str, FieldFormat]] = {".csv": "csv", ".xlsx": "xlsx", ".gpkg": "gpkg"}


def register(app: typer.Typer) -> None:
    app.add_typer(review, name="review")


@review.command("sample")
def sample(
    agency: AgencyFile,
    season: SeasonYear,
    out: Annotated[Path, typer.Option("--out", "-o", help="FILE.csv, FILE.xlsx or FILE.gpkg for the field")],
    budget: Annotated[int, typer.Option("--budget", min=10, help="parcels to review")] = 300,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="the same seed draws the same parcels")] = 0,
    purpose: Annotated[
        ReviewPurpose, typer.Option("--for", help="certify the list, or correct the area statistics")
    ] = ReviewPurpose.LIST,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Draw parcels of the published run to review.

    For the list: at random inside the mismatches, and a control of all the rest. For areas: from all declarations by
    region, verdict and crop, large parcels more often; the next run estimates with what was found.

    The sample is recorded; the same command again gives the same parcels and changes nothing.
    """
    from datetime import UTC, datetime

    from cropmap.errors import ConfigurationError

    format_ = FORMATS.get(out.suffix.lower())
    if format_ is None:
        raise ConfigurationError(f"{out.name} is none of {', '.join(FORMATS)}", where="--out")
    context = open_season(agency, season=season, home=home, data=data)
    from cropmap.results.area_reviews import draw_area_reviews
    from cropmap.results.reviews import draw_reviews, refuse_to_overwrite

    refuse_to_overwrite(out)
    draw = draw_area_reviews if purpose == ReviewPurpose.AREAS else draw_reviews
    answer, file = draw(context, budget=budget, seed=seed, drawn_at=datetime.now(UTC), format_=format_)
    write_out(file, out)
    say({**answer, "file": str(out)}, as_json=as_json)


@review.command("import")
def import_(
    agency: AgencyFile,
    season: SeasonYear,
    source: Annotated[Path, typer.Argument(metavar="FILE", help="the file of the sample with findings filled in")],
    rejected: Annotated[
        Path | None,
        typer.Option("--rejected", help="CSV for rows not taken [default: beside FILE, .rejected.csv for its ending]"),
    ] = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take findings in (right, wrong with the crop found, cannot_tell) and say what the list's reviews now certify.

    FILE: CSV or XLSX as a spreadsheet saves it, or GeoPackage. Rows that cannot be used are counted by reason and
    written to a file; where none can be used it ends with an error. A correction is imported as a new version.
    """
    from datetime import UTC, datetime

    from cropmap.errors import InputError

    context = open_season(agency, season=season, home=home, data=data)
    from cropmap.results.reviews import import_reviews

    answer, refused = import_reviews(context, source, imported_at=datetime.now(UTC))
    if refused:
        target = rejected or source.with_suffix(".rejected.csv")
        write_out(refused, target, read=[agency, source])
        answer["rejected_rows"] = str(target)
    if as_json:
        say(answer, as_json=True)
    else:
        said = answer["certification"]
        say({key: value for key, value in answer.items() if key != "certification"}, as_json=False)
        for campaign, sentence in said.items():
            print(f"\n{campaign}: {sentence}")
    if refused and not answer["accepted"]:
        why = ", ".join(f"{reason} {rows}" for reason, rows in answer["rejected"].items())
        raise InputError(f"no row could be taken ({why})", where=str(source), mend=f"See {answer['rejected_rows']}")


@review.command("report")
def report(
    agency: AgencyFile,
    season: SeasonYear,
    campaign: Annotated[
        str | None, typer.Option("--campaign", help="a sample [default: the last one of the published run]")
    ] = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What reviews say of the list: certified or not, false alarms and misses with 95 % intervals, and the stated rate
    beside the one that was found."""
    context = open_season(agency, season=season, home=home, data=data)
    from cropmap.results.reviews import review_report

    answer = review_report(context, campaign=campaign)
    if as_json:
        say(answer, as_json=True)
    else:
        show(answer)


def show(answer: ReviewReport) -> None:
    """The sentence, the rates, and one table of figures."""
    print(answer["certification"]["statement"], end="\n\n")
    shown: Mapping[str, object] = answer
    names = ("run_id", "published", "campaign", "findings", "estimated_rate", "share_found")
    say({name: shown[name] for name in names}, as_json=False)
    print()
    columns = ["what", "by", "group", "parcels", "drawn", "judged", "found", "rate", "low", "high", "worst", "note"]
    table(answer["figures"], columns)
