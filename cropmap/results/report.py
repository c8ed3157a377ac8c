"""The report of a published season: rows, outlines and what the run said become a page or a PDF, and a quality file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pandas as pd

from cropmap.agency.sections import FoldsSection
from cropmap.database import queries, runs
from cropmap.dissemination import vocabulary
from cropmap.dissemination.long_form import masked
from cropmap.errors import InputError
from cropmap.legends import Legend
from cropmap.reports.accuracy import AGREEMENT_COLUMNS, Accuracy, accuracy, confidential_classes
from cropmap.reports.areas import CropAreas, crop_areas, head_region
from cropmap.reports.maps import Outlines, outlines
from cropmap.reports.page import to_html
from cropmap.reports.pdf import to_pdf
from cropmap.reports.quality import season_quality
from cropmap.reports.report import Report, Revisions, RunFacts
from cropmap.reports.sims import quality_file
from cropmap.results.dissemination import published_statistics
from cropmap.results.published import separation
from cropmap.results.releases import Released, open_release, release_of_published
from cropmap.schemas import HIDDEN_STATUSES, AcquisitionWarning, Confidentiality, QuarantineReason
from cropmap.settings import Settings
from cropmap.sources.regions import Regions
from cropmap.stages.context import SeasonContext
from cropmap.stages.declared import read_boundaries
from cropmap.stages.run_report import RunReport
from cropmap.statistics.confidentiality import internal_reasons
from cropmap.statistics.report import StatisticsReport

ReportFormat = Literal["html", "pdf"]


@dataclass(frozen=True)
class WrittenReport:
    data: bytes
    """HTML or PDF"""
    quality: bytes
    """JSON under the headings of SIMS"""
    report: Report


def season_report(
    settings: Settings, context: SeasonContext, *, nuts: str | None, format_: ReportFormat, release: int | None = None
) -> WrittenReport:
    """The published season, for `nuts` and all regions below it; with `release` that release, and without it the last
    one that was made from what is published, if any. Raises InputError where nothing is published."""
    report = gather(settings, context, nuts=nuts, release=release)
    page = to_html(report)
    return WrittenReport(to_pdf(page) if format_ == "pdf" else page.encode(), quality_file(report), report)


def gather(settings: Settings, context: SeasonContext, *, nuts: str | None, release: int | None = None) -> Report:
    agency, year = context.agency, context.season.year
    known = context.key
    number = release or release_of_published(settings, **known)
    released = open_release(settings, **known, number=number) if number else None
    rows = masked(published_statistics(settings, **known, nuts=nuts, release=number).rows)
    season = masked(published_statistics(settings, **known, nuts=None, release=number).rows)
    published = _published(context, released)
    report = RunReport.of(published.run)
    regions = read_boundaries(agency, season=year)
    areas = crop_areas(
        rows,
        head=_head(rows, asked=nuts),
        items=vocabulary.crop_items(),
        names=dict(zip(regions.table["nuts_id"], regions.table["name"], strict=True)),
        sums=_sums(rows, report.statistics.sum_members),
    )
    quality = season_quality(
        report.assessments,
        report.statistics,
        areas,
        judged_by=_judged_by(agency.model.folds),
        accuracy=_accuracy(published.agreement, agency.read_legend(), season),
        any_hidden=bool(season["conf_status"].isin(HIDDEN_STATUSES).any()),
    )
    return Report(
        _facts(context, published, report, release=released.release.name if released else None),
        areas,
        _outlines(areas, regions),
        quality,
        flags=vocabulary.flag_meanings(),
        revisions=_revised(released),
    )


@dataclass(frozen=True)
class _Published:
    run: runs.Run
    simulated: bool
    on: date
    agreement: pd.DataFrame
    """AGREEMENT_COLUMNS"""


def _head(rows: pd.DataFrame, *, asked: str | None) -> str:
    """Raises InputError where the rows have no region in common."""
    head = head_region(set(rows["nuts_id"]), asked=asked)
    if head is None:
        tops = ", ".join(sorted(set(rows["nuts_id"].str[:2])))
        raise InputError("no published region holds all others", where="--nuts", mend=f"Name one, such as {tops}")
    return head


def _published(context: SeasonContext, released: Released | None) -> _Published:
    with context.connect() as connection:
        known = queries.published_seasons(connection, agency=context.agency.agency)
        pointer = next(row for row in known if row["season"] == context.season.year)
        run = runs.read_run(connection, released.release.run_id if released else pointer["run_id"])
        assert run is not None, "what is published or released has a run"
        agreement = pd.DataFrame(queries.agreement(connection, run_id=run.run_id), columns=list(AGREEMENT_COLUMNS))
    simulated = bool(pointer["simulated"]) or context.agency.simulated
    out = released.release.released_at if released else pointer["published_at"]
    return _Published(run, simulated, out.date(), agreement)


def _revised(released: Released | None) -> Revisions | None:
    if released is None or released.revisions is None or released.before is None:
        return None
    return Revisions(released.revisions.table, f"{released.release.name} against {released.before.name}")


def _facts(context: SeasonContext, published: _Published, report: RunReport, *, release: str | None) -> RunFacts:
    run, statistics = published.run, report.statistics
    return RunFacts(
        agency=context.agency.agency,
        season=context.season.year,
        start=context.season.start,
        as_of=run.as_of,
        published_at=published.on,
        run_id=run.run_id,
        model_version=run.model_version or "not stated",
        code_version=run.code_version,
        nuts_version=run.nuts_version,
        n_acquisitions=run.n_acquisitions,
        simulated=published.simulated,
        confidentiality=_protected(statistics),
        protection=statistics.confidentiality or "the run does not say how its table was protected",
        release=release,
        offset_corrected=report.acquisitions.get(f"observed: {AcquisitionWarning.OFFSET_CORRECTED}", 0),
        offset_contradicted=report.acquisitions.get(f"quarantined: {QuarantineReason.OFFSET_CONTRADICTED}", 0),
    )


def _protected(statistics: StatisticsReport) -> str:
    """The mode of `statistics.confidentiality`, or why the table is for internal use although it was requested."""
    mode = str(statistics.disclosure.mode or "")
    reasons = internal_reasons(statistics)
    return mode if mode != Confidentiality.FULL else ", ".join(reasons) or mode


def _accuracy(agreement: pd.DataFrame, legend: Legend, season: pd.DataFrame) -> Accuracy | None:
    """Of the season, without the classes whose area is hidden at its top."""
    top = season[season["nuts_id"] == head_region(set(season["nuts_id"]), asked=None)]
    hidden = dict(zip(top["crop"], top["conf_status"].isin(HIDDEN_STATUSES), strict=True))
    return accuracy(agreement, hidden=confidential_classes(legend, hidden))


def _judged_by(folds: FoldsSection) -> str:
    flattered = "; its neighbours trained that model, so the accuracies are too good" if folds.by == "random" else ""
    return separation(folds) + flattered


def _sums(rows: pd.DataFrame, stated: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Members of the crops that are sums: as the run says, and as their codes do."""
    by_code = {crop: crop.split("+") for crop in set(rows["crop"]) if "+" in crop}
    return by_code | {name: list(members) for name, members in stated.items()}


def _outlines(areas: CropAreas, regions: Regions) -> Outlines | None:
    """Outlines of the finest regions; None for a single one, where a map would compare nothing."""
    codes = {region.nuts_id for region in areas.finest}
    chosen = regions.table[regions.table["nuts_id"].isin(codes)]
    return outlines(chosen) if len(chosen) > 1 else None
