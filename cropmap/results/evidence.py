"""Evidence for what a run published: a page per parcel, and an overview of the batch.

Gathers sheets from the run's objects, the series and the register; `cropmap.evidence` draws them, in several processes
where there are many. The files are personal data: the folder is closed to others, and so is every file.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypedDict
from urllib.parse import quote

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cropmap.database import acquisitions as ledger
from cropmap.database import audit
from cropmap.database.acquisitions import LedgerEntry
from cropmap.errors import InputError
from cropmap.evidence.bands import Population
from cropmap.evidence.observations import observation_table
from cropmap.evidence.page import Rendered, overview, render
from cropmap.evidence.sheet import Judged, RunFacts, Sheet, Shown
from cropmap.evidence.words import PERSONAL, SIMULATED, list_statement
from cropmap.legends import Legend
from cropmap.observations.files import read_observations
from cropmap.processes import worker_pool
from cropmap.progress import Counter
from cropmap.provenance import content_hash
from cropmap.results.published import PublishedRun, open_published, separation
from cropmap.results.surroundings import Surroundings
from cropmap.schemas import AcquisitionStatus, AuditAction, QuarantineReason, Verdict
from cropmap.stages.context import SeasonContext
from cropmap.stages.findings import run_statement

PART: Final = 256
"""parcels whose observations are read, and whose pages are written, at a time"""
FEW: Final = 24
"""pages that are drawn sooner than other processes would start"""
LONGEST_NAME: Final = 150
NOT_LOST: Final = frozenset({QuarantineReason.SUPERSEDED, QuarantineReason.DUPLICATE})
"""set aside because the same acquisition is there under another item"""


class WrittenEvidence(TypedDict):
    run_id: str
    pages: int
    index: str
    """path of the list of pages"""
    estimated_rate: float | None
    reliability: str
    note: str


def write_evidence(
    context: SeasonContext,
    out: Path,
    *,
    parcel_ids: Sequence[str] = (),
    verdicts: Sequence[str] = (),
    html: bool,
    png: bool,
) -> WrittenEvidence:
    """Writes a page for each of `parcel_ids`, or for every parcel with one of `verdicts`, the most urgent first.

    Raises InputError for a parcel that the run does not assess, and for a folder that others may read.
    """
    published = open_published(context)
    chosen = _chosen(published, parcel_ids, verdicts)
    facts = run_facts(published)
    _close(out)
    with context.connect() as connection:
        audit.note(connection, **context.key, action=AuditAction.EXPORT, subject="evidence", parcel_ids=chosen)
    rendered: list[Rendered] = []
    with Counter("evidence", total=len(chosen), unit="pages") as counter, _renderer(context, len(chosen)) as draw:
        for part, sheets in _parts(published, facts, chosen):
            named = [(sheet, file_name(parcel)) for sheet, parcel in zip(sheets, part, strict=True)]
            for (_, name), page in zip(named, draw(named, html, png), strict=True):
                for ending, content in (("html", page.html), ("png", page.png)):
                    if content is not None:
                        write_private(out / "parcels" / f"{name}.{ending}", content)
                rendered.append(replace(page, html=None, png=None))
                counter.add()
    write_private(out / "index.html", _overview(facts, rendered).encode())
    return {
        "run_id": published.run.run_id,
        "pages": len(rendered),
        "index": str(out / "index.html"),
        "estimated_rate": facts.estimated_rate,
        "reliability": facts.reliability,
        "note": PERSONAL,
    }


def run_facts(published: PublishedRun) -> RunFacts:
    context, run, report = published.context, published.run, published.report
    window = context.agency.season(context.season.year)
    rates = [row.estimated_rate for row in report.sensitivity if row.estimated_rate is not None]
    return RunFacts(
        agency=context.agency.agency,
        season=window.year,
        simulated=context.agency.simulated,
        start=window.start,
        end=window.end,
        as_of=run.as_of or window.end,
        day_zero=window.day_zero,
        run_id=run.run_id,
        model=run.model_version or "-",
        code_version=run.code_version,
        published_at=published.published_at,
        min_clear_fraction=context.agency.observations.min_clear_fraction,
        separation=separation(context.agency.model.folds),
        flags=report.flags,
        target=report.target,
        estimated_rate=report.estimated_rate,
        sensitivity=(min(rates), max(rates)) if rates else None,
        reliability=report.reliability,
        assumption=report.assumption,
        certification=run_statement(context, run.run_id),
    )


def quarantined(entries: Sequence[LedgerEntry], *, tile: str | None, context: SeasonContext) -> list[LedgerEntry]:
    """Acquisitions of a tile in the season's window that were lost whole."""
    return [
        entry
        for entry in entries
        if entry.status == AcquisitionStatus.QUARANTINED and entry.reason not in NOT_LOST
        if entry.sensed_at is not None and entry.tile == tile
        if context.season.start <= entry.sensed_at.date() <= context.season.end
    ]


def file_name(parcel_id: str) -> str:
    """A name that any file system takes, different for different parcels."""
    name = quote(parcel_id, safe="")
    return name if len(name) <= LONGEST_NAME else content_hash(parcel_id)


def write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, readable by the owner alone."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    partial_ = path.with_name(f".writing-{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(partial_, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        partial_.replace(path)
    finally:
        partial_.unlink(missing_ok=True)


def _close(folder: Path) -> None:
    """Makes the folder, for its owner alone; one that others may enter is taken only where it is ours or empty."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"this folder cannot be made ({error.strerror})", where=str(folder), mend="Give a new folder"
        ) from error
    is_open = folder.stat().st_mode & 0o077
    if is_open and any(folder.iterdir()) and not (folder / "parcels").is_dir():
        raise InputError(
            "others may read this folder, and evidence is personal data", where=str(folder), mend="Give a new folder"
        )
    folder.chmod(0o700)


def _chosen(published: PublishedRun, parcel_ids: Sequence[str], verdicts: Sequence[str]) -> list[str]:
    table = published.assessments
    if parcel_ids:
        if unknown := sorted(set(parcel_ids) - set(table.index)):
            raise InputError(
                f"run {published.run.run_id} does not assess parcel {', '.join(unknown)}",
                where="--parcel",
                mend="`cropmap explain --parcel ID` says what became of it",
            )
        table = table.loc[list(dict.fromkeys(parcel_ids))]
    else:
        table = table[table["verdict"].isin(list(verdicts))]
    table = table[table.index.isin(published.data.series.parcel_ids)]  # one that was withdrawn has no series any more
    return [str(parcel) for parcel in table.sort_values("priority", ascending=False, kind="stable").index]


def _parts(published: PublishedRun, facts: RunFacts, chosen: list[str]) -> Iterator[tuple[list[str], list[Sheet]]]:
    data, context = published.data, published.context
    with context.connect() as connection:
        entries = ledger.read_acquisitions(connection, **context.key)
    observed = [
        entry
        for entry in entries
        if entry.status == AcquisitionStatus.OBSERVED and entry.sensed_at
        if entry.sensed_at.date() <= context.season.end
    ]
    names = [item.name for item in published.season.objects(observed)]
    population, around = _population(published), Surroundings.of(data.parcels, data.outlines)
    for start in range(0, len(chosen), PART):
        part = chosen[start : start + PART]
        seen = observation_table(
            read_observations(context.store, names, parcel_ids=part),
            season=context.season,
            min_clear_fraction=context.agency.observations.min_clear_fraction,
        )
        by_parcel = {str(parcel): rows for parcel, rows in seen.groupby("parcel_id", sort=False)}
        gather = partial(_sheet, published, facts, population, around, entries, by_parcel)
        yield part, [gather(parcel) for parcel in part]


def _population(published: PublishedRun) -> Population:
    data, season = published.data, published.context.agency.season(published.context.season.year)
    verdict = published.assessments["verdict"].reindex(data.series.parcel_ids).to_numpy(object)
    return Population(
        data.series,
        data.parcels["crop"].to_numpy(object),
        data.parcels["nuts_id"].fillna("").to_numpy(str),
        flagged=verdict == Verdict.MISMATCH,
        conform=verdict == Verdict.CONFORM,
        first_day=season.day_of_year(season.start),
        last_day=season.day_of_year(season.end),
    )


def _sheet(
    published: PublishedRun,
    facts: RunFacts,
    population: Population,
    around: Surroundings,
    entries: list[LedgerEntry],
    by_parcel: dict[str, pd.DataFrame],
    parcel_id: str,
) -> Sheet:
    row = int(np.searchsorted(published.data.series.parcel_ids, parcel_id))
    parcel = published.data.parcels.iloc[row]
    judged = _judged(published, parcel_id, parcel)
    lost = quarantined(entries, tile=parcel["home_tile"], context=published.context)
    bands = {
        crop: population.band(crop, region=parcel["nuts_id"] or "", without=row)
        for crop in (judged.declared_crop, judged.predicted_crop)
    }
    return Sheet(
        facts,
        parcel_id,
        parcel["holding_id"],
        parcel["nuts_id"] or "-",
        float(parcel["area_ha"]),
        judged,
        _shown(by_parcel.get(parcel_id), [(e.sensed_at.date() - facts.day_zero).days for e in lost if e.sensed_at]),
        declared_band=bands[judged.declared_crop],
        predicted_band=bands[judged.predicted_crop] if judged.predicted_crop != judged.declared_crop else None,
        sketch=around.sketch(row),
    )


def _judged(published: PublishedRun, parcel_id: str, parcel: Any) -> Judged:
    row: dict[str, Any] = {str(name): value for name, value in published.assessments.loc[parcel_id].items()}
    predictions = published.predictions
    place = int(np.searchsorted(predictions.parcel_ids, parcel_id))
    probability = partial(_probability, published.data.legend, predictions.crops, predictions.probabilities[place])
    entry = published.data.legend.by_code.get(row["declared_code"])
    return Judged(
        verdict=row["verdict"],
        reason=row["reason"],
        declared_code=row["declared_code"],
        declared_name=entry.crop_name if entry else "",
        declared_crop=_known(row["declared_crop"]),
        predicted_crop=_known(row["predicted_crop"]),
        probability=probability(row["predicted_crop"]),
        declared_probability=probability(row["declared_crop"]),
        right_probability=_known(row["right_probability"]),
        priority_ha=_known(row["priority"]),
        scored_by=predictions.scored_by[place],
        n_observations=int(predictions.n_observations[place]),
        changed_since=bool(row["declared_code"] != parcel["crop_code"]),
    )


def _probability(
    legend: Legend, crops: Sequence[str], probabilities: NDArray[np.floating[Any]], crop: Any
) -> float | None:
    """The model's, of a crop and those that are never held against it.

    None where the model was not trained on the crop, or the parcel was never observed.

    Declared and predicted crop are shown side by side and come from one distribution: what the assessment makes of it
    is P(right)."""
    if pd.isna(crop):
        return None
    group = legend.group_of(crop)
    together = [legend.group_of(member) == group for member in crops]
    return _known(float(probabilities[together].sum())) if any(together) else None


def _known(value: Any) -> Any:
    """None for what is missing."""
    if pd.isna(value):
        return None
    return float(value) if isinstance(value, float) else value


def _shown(seen: pd.DataFrame | None, lost: list[int]) -> Shown:
    if seen is None:
        nothing = np.empty(0)
        return Shown(
            nothing.astype(np.int64),
            nothing.astype(np.float32),
            nothing.astype(np.float32),
            nothing.astype(bool),
            tuple(lost),
        )
    return Shown(
        seen["day_of_year"].to_numpy(np.int64),
        seen["ndvi"].to_numpy(np.float32),
        seen["clear_fraction"].to_numpy(np.float32),
        seen["reject"].isna().to_numpy(),
        tuple(lost),
    )


def _draw(named: tuple[Sheet, str], html: bool, png: bool) -> Rendered:
    return render(named[0], name=named[1], html=html, png=png)


@contextmanager
def _renderer(context: SeasonContext, pages: int) -> Iterator[Any]:
    """A function that draws many sheets, in their order."""
    if context.threads == 1 or pages <= FEW:
        yield lambda named, html, png: (_draw(sheet, html, png) for sheet in named)
        return
    with worker_pool(min(context.threads, pages // FEW)) as pool:
        yield lambda named, html, png: pool.map(partial(_draw, html=html, png=png), named, chunksize=8)


def _overview(facts: RunFacts, rendered: list[Rendered]) -> str:
    heading = f"Evidence: {facts.agency} {facts.season}, {len(rendered):,} parcel{'s' if len(rendered) != 1 else ''}"
    about = f"Run {facts.run_id}, model {facts.model}. Click a heading to sort."
    notes = [PERSONAL, *([SIMULATED] if facts.simulated else []), *list_statement(facts), about]
    return overview(rendered, heading=heading, notes=notes)
