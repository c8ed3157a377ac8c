"""`cropmap acquisitions list | report | retry`: the state of each; what is missing; reading quarantined ones again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from cropmap.schemas import AcquisitionStatus, AcquisitionWarning, QuarantineReason
from cropmap.terminal import AgencyFile, AsJson, Data, Home, SeasonYear, say, season_context, table

acquisitions: Final = typer.Typer(
    no_args_is_help=True, help="List a season's acquisitions and its gaps; read some again."
)
LEGEND: Final = "# used  c used, offset corrected  q quarantined  o not observed yet  - missing; a column is 5 days"
REASONS: Final = sorted([*QuarantineReason, *AcquisitionWarning])


def register(app: typer.Typer) -> None:
    app.add_typer(acquisitions, name="acquisitions")


@acquisitions.command("list")
def show(
    agency: AgencyFile,
    season: SeasonYear,
    status: Annotated[
        AcquisitionStatus | None, typer.Option("--status", help="only acquisitions in this state")
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="only acquisitions quarantined or marked for this reason: " + ", ".join(REASONS)),
    ] = None,
    tile: Annotated[str | None, typer.Option("--tile", help="only acquisitions of this tile, such as 32UPU")] = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the acquisitions of a season by time.

    Each is found (not yet observed), observed or quarantined; a reason is shown where there is one.
    """
    if reason is not None and reason not in REASONS:
        raise typer.BadParameter(f"{reason} is none of {', '.join(REASONS)}", param_hint="--reason")
    context = season_context(agency, season=season, home=home, data=data)
    from cropmap.results.acquisitions import list_acquisitions

    rows = list_acquisitions(context, status=status, reason=reason, tile=tile)
    if as_json:
        say({**context.key, "acquisitions": rows}, as_json=True)
        return
    shown = [
        {**row, "sensed_at": f"{row['sensed_at']:%Y-%m-%d}" if row["sensed_at"] else ""} | _filled(row) for row in rows
    ]
    table(shown, ["item_id", "tile", "sensed_at", "baseline", "status", "reason", "detail"])


def _filled(row: Mapping[str, object]) -> dict[str, object]:
    return {key: row[key] or "" for key in ("tile", "baseline", "reason", "detail")}


@acquisitions.command("report")
def report(
    agency: AgencyFile,
    season: SeasonYear,
    tile: Annotated[str | None, typer.Option("--tile", help="only this tile, such as 32UPU")] = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show by tile and orbit which passes were expected and used.

    The calendar has a column for five days: # used, c used with a corrected offset, q quarantined, o not observed yet,
    - missing from the catalogue. Empty: no satellite is expected.
    """
    context = season_context(agency, season=season, home=home, data=data)
    from cropmap.results.acquisitions import report_acquisitions

    answer = report_acquisitions(context, today=datetime.now(UTC).date(), tile=tile)
    if as_json:
        say({**context.key, **answer}, as_json=True)
        return
    shown = [{**row, "satellites": " ".join(row["satellites"])} for row in answer["orbits"]]
    table(shown, [column for column in shown[0] if column not in ("missing_dates", "reasons")])
    print()
    for row in answer["orbits"]:
        name = f"{row['tile']} orbit {row['orbit'] or '?'}"
        if row["missing_dates"]:
            print(f"{name} missing: {', '.join(map(str, row['missing_dates']))}")
        if row["reasons"]:
            print(f"{name} quarantined: {', '.join(f'{reason} {n}' for reason, n in row['reasons'].items())}")
    print("\n".join(["", *answer["calendar"], "", LEGEND]))


@acquisitions.command("retry")
def retry(
    agency: AgencyFile,
    season: SeasonYear,
    items: Annotated[
        list[str] | None, typer.Argument(metavar="[ITEM]...", help="names of acquisitions, from `acquisitions list`")
    ] = None,
    reason: Annotated[
        QuarantineReason | None, typer.Option("--reason", help="all acquisitions quarantined for this reason")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="all quarantined acquisitions")] = False,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Mark quarantined acquisitions for another try.

    The next `cropmap observe` or `cropmap season run` reads them again.
    """
    if sum((bool(items), reason is not None, everything)) != 1:
        raise typer.BadParameter("name acquisitions, or pass --reason, or --all")
    context = season_context(agency, season=season, home=home, data=data)
    from cropmap.results.acquisitions import retry_acquisitions

    say(retry_acquisitions(context, items=items or (), reason=reason), as_json=as_json)
