"""`cropmap evidence`: a page per flagged parcel, for the person who examines it; `cropmap explain`: how one parcel got
its published rows, recomputed to the same bits."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cropmap.schemas import Verdict
from cropmap.terminal import AgencyFile, AsJson, Data, Home, SeasonYear, say, season_context, table


def register(app: typer.Typer) -> None:
    app.command()(evidence)
    app.command()(explain)


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
    context = season_context(agency, season=season, home=home, data=data)
    from cropmap.results.evidence import write_evidence

    wanted = [str(kind) for kind in verdict or [Verdict.MISMATCH]]
    answer = write_evidence(
        context, out, parcel_ids=parcel or [], verdicts=wanted, html=format_ != "png", png=format_ != "html"
    )
    say(answer, as_json=as_json)


def explain(
    agency: AgencyFile,
    season: SeasonYear,
    parcel: Annotated[str, typer.Option("--parcel", help="parcel_id, as in the declarations")],
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show how a parcel got its published rows.

    The rows are computed again. Exit code 1 where they differ from the published ones, 2 where no file of the season
    names the parcel.
    """
    context = season_context(agency, season=season, home=home, data=data)
    from cropmap.results.explain import explain as explain_parcel

    explanation = explain_parcel(context, parcel)
    if explanation.is_kept:
        print("judge, scores, gates and channel are as they were before a holding was erased", file=sys.stderr)
    if as_json:
        say(explanation.sections, as_json=True)
    else:
        _show(explanation.sections)
    if explanation.differences:
        raise typer.Exit(1)


def _show(sections: Mapping[str, Any]) -> None:
    """A heading and a table or lines per section, in the order of the way."""
    for name, content in _rounded(sections).items():
        if content is None or content == []:
            continue
        print(f"\n{name.upper()}")
        if isinstance(content, Mapping):
            _show_facts(content)
        elif isinstance(content, list) and isinstance(content[0], Mapping):
            table(content, list(content[0]))
        else:
            print(content if isinstance(content, str) else "\n".join(content))


def _show_facts(content: Mapping[str, Any]) -> None:
    plain = {key: value for key, value in content.items() if not _is_table(value)}
    if plain:
        say(plain, as_json=False)
    for value in content.values():
        if _is_table(value):
            table(value, list(value[0]))


def _is_table(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _rounded(value: Any) -> Any:
    """Four digits that count: a transition rate of .00004 is not nothing."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value
