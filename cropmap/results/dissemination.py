"""Published statistics out to a file, and held against a file of Eurostat's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pandas as pd

from cropmap.database import queries, runs
from cropmap.database.connection import Connection, connect
from cropmap.database.releases import Release
from cropmap.dissemination import formats
from cropmap.dissemination.compare import Comparison, compare
from cropmap.dissemination.compare_figure import draw
from cropmap.dissemination.long_form import DECIMALS, SIMULATION, LongForm, long_form, marked
from cropmap.dissemination.recoding import read_weights, recode
from cropmap.dissemination.registry import DATAFLOW, Described, find_format
from cropmap.errors import InputError
from cropmap.results.releases import open_release
from cropmap.schemas import CsvDialect, LeftOut
from cropmap.settings import Settings
from cropmap.stages.context import ready_database
from cropmap.stages.run_report import RunReport
from cropmap.store import Store


@dataclass(frozen=True)
class Exported:
    data: bytes
    left_out: dict[LeftOut, dict[str, int]]
    """reason -> crop -> rows that the format has no code for"""


@dataclass(frozen=True)
class Recoding:
    to_version: int
    weights: Path
    """CSV, see `recoding.read_weights`"""


@dataclass(frozen=True)
class PublishedStatistics:
    rows: pd.DataFrame
    """agency, season, as_of, nuts_version, STATISTIC_COLUMNS, run_id"""
    published_at: datetime
    confidentiality: str
    """how far it may go, as its run says"""
    release: Release | None = None
    """None: what is published, not a release of it"""

    @property
    def nuts_version(self) -> int | None:
        known = self.rows["nuts_version"].dropna().unique()
        return int(known[0]) if len(known) else None

    @property
    def _partial(self) -> str:
        """Whose figures are no figures of the region: the register has only a part of it."""
        return ", ".join(sorted(set(self.rows["nuts_id"][marked(self.rows, "partial_region")])))

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        first = self.rows.iloc[0]
        run_ids = ", ".join(sorted(set(self.rows["run_id"])))
        return (
            ("agency", ", ".join(sorted(set(self.rows["agency"])))),
            ("season", str(first["season"])),
            ("acquired until", str(first["as_of"])),
            ("NUTS version", str(self.nuts_version)),
            ("run", run_ids),
            ("release", self.release.name if self.release else "none"),
            ("published at", self.published_at.isoformat()),
            ("unit", "columns _ha: hectares; obs_value: 1000 ha (THS_HA)"),
            ("confidentiality", self.confidentiality),
            ("simulated", SIMULATION if marked(self.rows, "simulated").any() else "no"),
            ("regions covered in part", self._partial or "none"),
        )


def published_statistics(
    settings: Settings,
    *,
    agency: str | None,
    season: int,
    nuts: str | None,
    levels: Sequence[int] = (),
    release: int | None = None,
) -> PublishedStatistics:
    """Rows of a season that are published, or of one of its releases: of a region and all below it, of some NUTS
    levels. Raises InputError where there is none."""
    if release is not None:
        return _of_release(settings, agency=agency, season=season, nuts=nuts, levels=levels, number=release)
    with connect(ready_database(settings)) as connection:
        rows = pd.DataFrame(queries.statistics(connection, agency=agency, season=season, nuts_id=nuts))
        seasons = queries.published_seasons(connection, agency=agency)
        confidentiality = _confidentiality(connection, sorted(set(rows["run_id"]))) if len(rows) else ""
    if len(rows) and levels:
        rows = rows[rows["level"].isin(levels)]
    if rows.empty:
        known = ", ".join(f"{entry['agency']} {entry['season']}" for entry in seasons) or "nothing"
        what = f"nothing is published for {nuts or 'any region'} in season {season}"
        raise InputError(what, where="--agency / --nuts / --level / --season", mend=f"Published: {known}")
    published = [entry["published_at"] for entry in seasons if entry["run_id"] in set(rows["run_id"])]
    return PublishedStatistics(rows, max(published), confidentiality)


def _of_release(
    settings: Settings, *, agency: str | None, season: int, nuts: str | None, levels: Sequence[int], number: int
) -> PublishedStatistics:
    opened = open_release(settings, agency=agency, season=season, number=number)
    rows = opened.rows.rename(columns={"number": "release", "stage": "release_stage"})
    rows = rows[rows["nuts_id"].str.startswith(nuts or "") & (rows["level"].isin(levels) if levels else True)]
    if rows.empty:
        raise InputError(f"{opened.release.name} has no row for {nuts or 'any region'}", where="--nuts / --level")
    with connect(ready_database(settings)) as connection:
        confidentiality = _confidentiality(connection, [opened.release.run_id])
    return PublishedStatistics(rows, opened.release.released_at, confidentiality, opened.release)


def _confidentiality(connection: Connection, run_ids: Sequence[str]) -> str:
    reports = [RunReport.of(run).statistics for run in (runs.read_run(connection, run_id) for run_id in run_ids) if run]
    return "; ".join(sorted({report.confidentiality or "not stated" for report in reports}))


def export_statistics(
    settings: Settings,
    *,
    agency: str | None,
    season: int,
    nuts: str | None,
    format_: str,
    levels: Sequence[int] = (),
    decimals: int = DECIMALS,
    dataflow: str = DATAFLOW,
    recoding: Recoding | None = None,
    release: int | None = None,
    dialect: CsvDialect = CsvDialect.PLAIN,
    region_names: Mapping[str, str] | None = None,
) -> Exported:
    """Published statistics, or a release, as a file; empty figures where CONF_STATUS is C. Raises InputError."""
    statistics = published_statistics(settings, agency=agency, season=season, nuts=nuts, levels=levels, release=release)
    if recoding is not None:
        statistics = _recoded(statistics, recoding)
    if find_format(format_).coded:
        _one_agency(statistics)
    about = Described(
        dataflow=dataflow,
        source=", ".join(sorted(set(statistics.rows["agency"]))),
        updated=statistics.published_at,
        notes=statistics.notes,
        region_names=region_names or {},
    )
    written = formats.write(
        statistics.rows,
        format_,
        nuts_version=statistics.nuts_version,
        described=about,
        decimals=decimals,
        dialect=dialect,
    )
    if written.table is not None and written.table.table.empty:
        raise InputError(
            "no row has an item of its own in Eurostat's list and a region that is covered whole "
            f"({written.table.rows_left_out} rows)",
            where="--format",
            mend="csv, parquet, json and xlsx have all crops and regions",
        )
    left_out = written.table.left_out if written.table else {}
    return Exported(written.data, {reason: dict(names) for reason, names in left_out.items()})


def own_statistics(
    settings: Settings, *, file: Path | None, agency: str | None, season: int | None, nuts: str | None
) -> LongForm:
    """What is compared: a file that was exported, else what is published."""
    if file is not None:
        long = formats.read(_bytes(file), name=str(file))
        kept = long.table[long.table["geo"].str.startswith(nuts or "")]
        kept = kept if season is None else kept[kept["TIME_PERIOD"] == str(season)]
        return LongForm(kept.reset_index(drop=True), long.left_out)
    assert season is not None, "published statistics have a season"
    statistics = published_statistics(settings, agency=agency, season=season, nuts=nuts)
    _one_agency(statistics)
    return long_form(statistics.rows, nuts_version=statistics.nuts_version)


def _recoded(statistics: PublishedStatistics, wanted: Recoding) -> PublishedStatistics:
    _one_agency(statistics)
    if statistics.nuts_version is None or statistics.nuts_version == wanted.to_version:
        raise InputError(
            f"the season is in NUTS {statistics.nuts_version}", where="--recode-to", mend="Nothing is recoded"
        )
    weights = read_weights(
        _bytes(wanted.weights),
        from_version=statistics.nuts_version,
        to_version=wanted.to_version,
        where=str(wanted.weights),
    )
    return replace(statistics, rows=recode(statistics.rows, weights, to_version=wanted.to_version))


def _one_agency(statistics: PublishedStatistics) -> None:
    names = sorted(set(statistics.rows["agency"]))
    if len(names) > 1:
        raise InputError(
            f"{', '.join(names)} publish this season",
            where="--agency",
            mend="Name one: its regions are in one NUTS version",
        )


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(formats.MOST_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})", where=str(path), mend="Give the path of a file"
        ) from error


def compare_with_eurostat(ours: LongForm, file: Path) -> Comparison:
    """The areas of `ours` beside a file of Eurostat's. Raises InputError."""
    table = ours.table
    theirs = formats.read(_bytes(file), name=str(file), geo=set(table["geo"]), crops=set(table["crops"]))
    return compare(ours, theirs, where=f"--eurostat {file}")


def write_figure(comparison: Comparison, out: Path) -> None:
    """SVG or PNG by the name's ending, whole or not at all."""
    kind = out.suffix.lower().lstrip(".")
    if kind not in ("svg", "png"):
        raise InputError(
            f"cannot draw a {kind or 'file without an ending'}", where=str(out), mend="Name it .svg or .png"
        )
    picture = draw(comparison, kind="svg" if kind == "svg" else "png")
    Store(out.absolute().parent).write_bytes(out.name, picture, digest=False)
