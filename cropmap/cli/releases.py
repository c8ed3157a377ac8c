"""`cropmap stats release | releases | revisions`: numbered, frozen tables, and what changed between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cropmap.cli.statistics import SHOWN_ROWS, AgencyName, SomeAgencyFile, agency_name, stats
from cropmap.schemas import ReleaseStage, ReleaseWord, Revision
from cropmap.terminal import (
    AgencyFile,
    AsJson,
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

if TYPE_CHECKING:
    from cropmap.dissemination.revisions import Revisions

LISTED: Final = [
    "agency",
    "season",
    "number",
    "stage",
    "as_of",
    "released_at",
    "cells",
    "confidential",
    "intact",
    "simulated",
    "run_id",
    "note",
]
REVISED: Final = [
    "nuts_id",
    "crop",
    "previous_ha",
    "estimate_ha",
    "change_ha",
    "change_share",
    "outside_interval",
    "state",
]
SUMMARISED: Final = ["level", *(str(state) for state in Revision), "mr_ha", "mar_ha", "rmar", "outside_interval"]


def register(_: typer.Typer) -> None:
    """Adds the commands to `cropmap stats`."""
    for command in (release, releases, revisions):
        stats.command(command.__name__)(command)


def release(
    agency_file: AgencyFile,
    season: SeasonYear,
    stage: Annotated[
        ReleaseStage,
        typer.Option(
            "--stage",
            help="first: in season, observation flag f; provisional: after declarations closed, observation flag p; "
            "final",
        ),
    ],
    note: Annotated[str | None, typer.Option("--note", help="note of one line, stored with the release")] = None,
    allow: Annotated[
        list[ReleaseWord] | None,
        typer.Option(
            "--allow",
            help="permit a release that is refused otherwise: unknown-holdings (no parcel names its holding, and the "
            "agency is responsible for confidentiality) or simulation (the season is simulated); may be repeated",
        ),
    ] = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Freeze the published table as the next release.

    The answer lists what changed since the last release. Releasing the same run at the same stage again changes
    nothing. Only a table that is protected with statistics.confidentiality: full can be released. A season cannot
    return to an earlier stage. A table whose parcels name no holding, and a simulated one, need a permission
    (--allow).
    """
    from datetime import UTC, datetime

    context = season_context(agency_file, season=season, home=home, data=data)
    from cropmap.results.releases import release_season

    outcome = release_season(context, stage, released_at=datetime.now(UTC), note=note, allowed=allow or ())
    released = outcome.release
    hidden = int((outcome.rows["conf_status"] == "C").sum())
    answer: dict[str, Any] = {
        "release": released.number,
        "stage": released.stage,
        "new": outcome.is_new,
        "run_id": released.run_id,
        "cells": len(outcome.rows),
        "confidential": hidden,
        "content_hash": released.content_hash,
        "released_at": released.released_at,
        "simulated": released.simulated,
        "against": outcome.before.name if outcome.before else None,
    }
    if as_json:
        say(answer | {"revisions": outcome.revisions.summary() if outcome.revisions else None}, as_json=True)
        return
    say(answer, as_json=False)
    if outcome.revisions is not None:
        print()
        table(outcome.revisions.summary(), SUMMARISED)


def releases(
    agency_file: SomeAgencyFile = None,
    season: Annotated[int | None, typer.Option("--season", help="campaign year [default: all]")] = None,
    agency: AgencyName = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the releases.

    `intact` states whether the rows of a release are unchanged.
    """
    settings = prepare(home)
    from cropmap.results.releases import list_releases

    listed = list_releases(settings, agency=agency_name(agency_file, agency, data=data), season=season)
    if as_json:
        say({"releases": listed}, as_json=True)
        return
    if not listed:
        print(
            "Nothing was released. `cropmap stats release AGENCY.yaml --season Y --stage provisional` makes the first"
        )
        return
    table(listed, LISTED)


def revisions(
    season: SeasonYear,
    agency_file: SomeAgencyFile = None,
    number: Annotated[
        int | None, typer.Option("--release", min=1, help="number of the release [default: the latest]")
    ] = None,
    against: Annotated[
        int | None, typer.Option("--against", min=1, help="number of the earlier release [default: the one before]")
    ] = None,
    agency: AgencyName = None,
    every: Annotated[
        bool, typer.Option("--all", help=f"print all cells: also unchanged ones, and more than {SHOWN_ROWS}")
    ] = False,
    out: Out = None,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compare a release with an earlier one, cell by cell.

    Cells come by the size of their revision, then a summary per NUTS level. mr_ha is the mean revision and mar_ha the
    mean absolute revision. rmar is the sum of absolute revisions divided by the sum of the figures. outside_interval
    is the share of figures outside the earlier 95 % interval. A cell that is confidential in either release has no
    difference. With --out, every cell is written as CSV.
    """
    settings = prepare(home)
    from cropmap.errors import InputError
    from cropmap.results.releases import open_release

    name = agency_name(agency_file, agency, data=data)
    opened = open_release(settings, agency=name, season=season, number=number, against=against)
    if opened.revisions is None or opened.before is None:
        why = "is the first" if opened.before is None else f"is in another NUTS version than {opened.before.name}"
        raise InputError(f"{opened.release.name} {why}: nothing to compare", where="--release / --against")
    what = f"{opened.release.name} against {opened.before.name}"
    if out is not None:
        write_out(opened.revisions.table.to_csv(index=False, lineterminator="\n").encode(), out, read=[agency_file])
    if as_json:
        cells = opened.revisions.table.to_dict("records")
        say({"what": what, "summary": opened.revisions.summary(), "rows": cells}, as_json=True)
        return
    rows, more = _largest(opened.revisions, every=every)
    if rows:
        table(rows, REVISED)
        print()
    print(what + (f"; {more} cells not shown" if more else ""))
    table(opened.revisions.summary(), SUMMARISED)


def _largest(compared: Revisions, *, every: bool) -> tuple[list[Mapping[str, Any]], int]:
    """Cells by the size of their change, those without one last; (rows, number of cells that are not among them)."""
    cells = compared.table
    shown = cells if every else cells[~cells["state"].isin([Revision.UNCHANGED, Revision.CONFIDENTIAL])]
    order = shown["change_ha"].abs().sort_values(ascending=False, kind="stable", na_position="last").index
    shown = shown.loc[order if every else order[:SHOWN_ROWS]]
    rows = shown.astype(object).where(shown.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows], len(cells) - len(shown)
