"""`cropmap drift`: differences between a season and an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cropmap.terminal import AgencyFile, AsJson, AsOf, Data, Home, SeasonYear, say, season_context, table

if TYPE_CHECKING:
    from cropmap.results.drift import SeasonDrift


def register(app: typer.Typer) -> None:
    app.command()(drift)


def drift(
    agency: AgencyFile,
    season: SeasonYear,
    against: Annotated[
        int | None, typer.Option("--against", help="season to compare with [default: the last one before]")
    ] = None,
    as_of: AsOf = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compare a season with an earlier one.

    Compared are reflectance per band and month, predicted crops, confidence, and the share of parcels that are unlike
    the training data. A population stability index (PSI) below 0.1 is called stable, below 0.25 some shift, above
    shifted. An agency's first season has no earlier one; the command states this and ends with 0.
    """
    context = season_context(agency, season=season, home=home, data=data, as_of=as_of)
    from cropmap.results.drift import earlier_season, season_drift
    from cropmap.stages.open_season import OpenSeason

    opened = OpenSeason(context)
    against = earlier_season(opened) if against is None else against
    if against is None:
        first = {**context.key, "against": None, "verdict": "the first season: there is no earlier one to compare with"}
        say(first, as_json=as_json)
        return
    answer = season_drift(opened, against=against)
    if as_json:
        say(answer, as_json=True)
    else:
        show(answer)


def show(answer: SeasonDrift) -> None:
    """The verdict, the bands, and two tables per network."""
    print(f"{answer['season']} against {answer['against']}, until {answer['until']}: {answer['verdict']}\n")
    table(answer["inputs"], ["band", "psi", "worst_month", "worst_psi", "verdict"])
    for name, network in answer["networks"].items():
        print(f"\n{name}, trained on {network['trained_on']}: crops {network['crops_verdict']}")
        table(network["crops"], ["crop", "before", "now"])
        rows = [{"season": season, **figures} for season, figures in network["confidence"].items()]
        table(rows, ["season", "parcels", "mean_probability", "unsure", "out_of_distribution"])
