"""`cropmap evidence`: a page per flagged parcel, for the person who examines it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cropmap.schemas import Verdict
from cropmap.terminal import AgencyFile, AsJson, Data, Home, SeasonYear, open_season, say


def register(app: typer.Typer) -> None:
    app.command()(evidence)


def evidence(
    agency: AgencyFile,
    season: SeasonYear,
    out: Annotated[Path, typer.Option("--out", "-o", help="folder to write to; other users get no access")],
    parcel: Annotated[
        list[str] | None, typer.Option("--parcel", help="parcel_id, as in the declarations; may be repeated")
    ] = None,
    verdict: Annotated[
        list[Verdict] | None,
        typer.Option("--verdict", help="every parcel with this verdict; may be repeated [default: mismatch]"),
    ] = None,
    format_: Annotated[Literal["html", "png", "both"], typer.Option("--format", help="format of the pages")] = "both",
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write a page of evidence for each flagged parcel.

    A page of the published run shows the parcel's series beside those of its declared and its predicted crop, a map
    sketch, and the reason in words.
    """
    if parcel and verdict:
        raise typer.BadParameter("give either parcels or verdicts", param_hint="--parcel / --verdict")
    context = open_season(agency, season=season, home=home, data=data)
    from cropmap.results.evidence import write_evidence

    wanted = [str(one) for one in verdict or [Verdict.MISMATCH]]
    answer = write_evidence(
        context, out, parcel_ids=parcel or [], verdicts=wanted, html=format_ != "png", png=format_ != "html"
    )
    say(answer, as_json=as_json)
