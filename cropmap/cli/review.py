"""`cropmap review sample | import | report`: a sample of parcels, the findings of its reviews, what they certify."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cropmap.schemas import ReviewPurpose
from cropmap.terminal import AgencyFile, AsJson, Data, Home, SeasonYear, say, season_context, table, write_out

if TYPE_CHECKING:
    from cropmap.results.reviews import FieldFormat, ReviewReport

review: Final = typer.Typer(no_args_is_help=True, help="Draw parcels for review and import the findings.")
FORMATS: Final[dict[str, FieldFormat]] = {".csv": "csv", ".xlsx": "xlsx", ".gpkg": "gpkg"}


def register(app: typer.Typer) -> None:
    app.add_typer(review, name="review")


@review.command("sample")
def sample(
    agency: AgencyFile,
    season: SeasonYear,
    out: Annotated[Path, typer.Option("--out", "-o", help="file to write to, by its ending: .csv, .xlsx or .gpkg")],
    budget: Annotated[int, typer.Option("--budget", min=10, help="number of parcels to review")] = 300,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="the same seed draws the same parcels")] = 0,
    purpose: Annotated[
        ReviewPurpose,
        typer.Option("--for", help="list: certify the list of mismatches; areas: correct the area statistics"),
    ] = ReviewPurpose.LIST,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Draw parcels of the published run for review.

    For the list, parcels are drawn at random from the mismatches, and as a control from all other declarations. For
    areas, they are drawn from all declarations by region, verdict and crop, large parcels with higher probability;
    the next run corrects its areas with the findings.

    The sample is recorded. The same command gives the same parcels and changes nothing.
    """
    from datetime import UTC, datetime

    from cropmap.errors import ConfigurationError

    format_ = FORMATS.get(out.suffix.lower())
    if format_ is None:
        raise ConfigurationError(f"{out.name} is none of {', '.join(FORMATS)}", where="--out")
    context = season_context(agency, season=season, home=home, data=data)
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
    source: Annotated[Path, typer.Argument(metavar="FILE", help="file of the sample with the findings filled in")],
    rejected: Annotated[
        Path | None,
        typer.Option(
            "--rejected", help="CSV to write rejected rows to [default: FILE with .rejected.csv for its ending]"
        ),
    ] = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Import the findings of reviews.

    A finding is right, wrong (with the code of the crop found) or cannot_tell. FILE is a CSV or XLSX file as a
    spreadsheet saves it, or a GeoPackage. Rows that cannot be used are counted by reason and written to a file. Where
    no row can be used, the command ends with an error. A changed finding is imported as a new version. The answer
    states what the reviews of the list certify.
    """
    from datetime import UTC, datetime

    from cropmap.errors import InputError

    context = season_context(agency, season=season, home=home, data=data)
    from cropmap.results.reviews import import_reviews

    answer, refused = import_reviews(context, source, imported_at=datetime.now(UTC))
    if refused:
        target = rejected or source.with_suffix(".rejected.csv")
        write_out(refused, target, read=[agency, source])
        answer["rejected_rows"] = str(target)
    if as_json:
        say(answer, as_json=True)
    else:
        certification = answer["certification"]
        say({key: value for key, value in answer.items() if key != "certification"}, as_json=False)
        for campaign, sentence in certification.items():
            print(f"\n{campaign}: {sentence}")
    if refused and not answer["accepted"]:
        why = ", ".join(f"{reason} {rows}" for reason, rows in answer["rejected"].items())
        raise InputError(f"no row could be taken ({why})", where=str(source), mend=f"See {answer['rejected_rows']}")


@review.command("report")
def report(
    agency: AgencyFile,
    season: SeasonYear,
    campaign: Annotated[
        str | None, typer.Option("--campaign", help="sample [default: the last one of the published run]")
    ] = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Report what the reviews show about the list.

    The report states whether the list is certified, gives false alarms and misses with 95 % intervals, and compares the
    estimated rate of false alarms with the rate found.
    """
    context = season_context(agency, season=season, home=home, data=data)
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
