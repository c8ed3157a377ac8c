"""The review loop of a season: draw parcels of the published run, take findings back, say what they allow to say."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, NotRequired, TypedDict

import geopandas as gpd
import numpy as np
import pandas as pd

from cropmap.assessments.certification import Certificate, certify, statement
from cropmap.assessments.review_quality import (
    EstimateAgainstFound,
    ShareFound,
    estimate_against_found,
    figures,
    outcomes,
    share_found,
)
from cropmap.assessments.review_sample import draw_sample
from cropmap.database import audit, queries, reviews
from cropmap.database import declarations as register
from cropmap.database.connection import Connection
from cropmap.database.reviews import Campaign
from cropmap.dissemination.spreadsheets import to_csv, unguarded
from cropmap.errors import InputError
from cropmap.legends import Legend
from cropmap.provenance import content_hash
from cropmap.results.field_workbook import field_workbook
from cropmap.results.published import published_run
from cropmap.schemas import AuditAction, ReviewPart, ReviewPurpose
from cropmap.seasons import SeasonKey
from cropmap.sources.findings import FILLED_IN, check_findings, read_findings_file
from cropmap.stages.context import SeasonContext
from cropmap.stages.run_report import RunReport

FieldFormat = Literal["csv", "xlsx", "gpkg"]
FIELD: Final = (
    "campaign",
    "parcel_id",
    "declared_code",
    "declared_name",
    "declared_crop",
    "predicted_crop",
    "reason",
    "area_ha",
    "nuts_id",
    "stratum",
    "inclusion_probability",
    *FILLED_IN,
)
"""columns of the file for the field; a GeoPackage adds the outline, others `lon` and `lat` of a point inside it"""
CERTIFIED: Final = ("certified", "reason", "certified_size", "sampled", "reviewed", "found_right", "statement")
DEGREE_DIGITS: Final = 6


class DrawnReviews(TypedDict):
    """A sample of a list and of the control."""

    campaign: str
    run_id: str
    new: bool
    list: int
    """its length"""
    from_list: int
    """drawn parcels"""
    from_control: int
    control_strata: int
    tested_lengths: Sequence[int]
    """of the list: what certifying it will test"""
    target: float | None
    delta: float
    note: NotRequired[str]


class ImportedReviews(TypedDict):
    file: str
    rows: int
    accepted: int
    new: int
    corrected: int
    unchanged: int
    not_visited: int
    rejected: dict[str, int]
    """rows by FindingReject"""
    certification: dict[str, str]
    """by sample, in words"""
    rejected_rows: NotRequired[str]
    """path of the CSV of rows that were not taken"""


class Certification(TypedDict):
    """What the reviews of a sample certify; see `assessments.certification.Certificate`."""

    certified: bool
    reason: str
    target: float | None
    confidence: float
    list_size: int
    certified_size: int
    sampled: int
    reviewed: int
    found_right: int
    statement: str


class CertificationSteps(Certification):
    steps: list[Mapping[str, object]]
    """the fields of `assessments.certification.Step`"""


class ReviewReport(SeasonKey):
    run_id: str
    published: bool
    campaign: str
    certification: CertificationSteps
    estimated_rate: EstimateAgainstFound
    share_found: ShareFound
    findings: dict[str, int]
    figures: list[Mapping[str, object]]
    """the fields of `assessments.review_quality.Figure`"""


def draw_reviews(
    context: SeasonContext, *, budget: int, seed: int, drawn_at: datetime, format_: FieldFormat
) -> tuple[DrawnReviews, bytes]:
    """Draws a sample of the published run, records it, and returns what was drawn and the file for the field.

    The same budget and seed give the recorded sample again. Raises InputError where nothing is published or assessed,
    or where the agency file now says another δ than when the sample was drawn.
    """
    section, legend = context.agency.review, context.agency.read_legend()
    with context.connect() as connection:
        run = published_run(connection, **context.key)
        run_id, report = run.run_id, RunReport.of(run).assessments
        assessed = assessed_parcels(context, connection, run_id)
        crop_group = [legend.group_of(crop) if crop else None for crop in assessed["declared_crop"]]
        drawn = draw_sample(
            assessed.assign(crop_group=pd.Series(crop_group, dtype=object)),
            budget=budget,
            list_share=section.list_share,
            target=report.target,
            seed=seed,
        )
        campaign = Campaign(
            content_hash(run_id, str(budget), str(seed), str(section.list_share), length=12),
            **context.key,
            run_id=run_id,
            budget=budget,
            seed=seed,
            list_share=section.list_share,
            target=report.target,
            delta=section.delta,
            estimated_rate=report.estimated_rate,
            list_size=drawn.list_size,
            grid=list(drawn.grid),
            drawn_at=drawn_at,
        )
        is_new = reviews.store_campaign(connection, campaign, drawn.table)
        campaigns = reviews.read_campaigns(connection, **context.key)
        _refuse_other_delta(campaigns, campaign)
        sample = reviews.read_sample(connection, campaign.campaign_id)
        note_sample(context, connection, sample)
        outlines = register.read_declarations(connection, **context.key)
    answer = _drawn(campaign, campaigns, sample, is_new=is_new)
    return answer, field_file(sample, outlines, campaign, legend, format_)


def note_sample(context: SeasonContext, connection: Connection, sample: pd.DataFrame) -> None:
    """Notes that a sample is exported."""
    parcel_ids = sample["parcel_id"].tolist()
    audit.note(connection, **context.key, action=AuditAction.EXPORT, subject="review sample", parcel_ids=parcel_ids)


def refuse_to_overwrite(path: Path) -> None:
    """Raises InputError where the file holds findings already."""
    if path.is_file() and (findings := int(read_findings_file(path)["finding"].notna().sum())):
        raise InputError(
            f"holds {findings} findings",
            where=str(path),
            mend="Import it with `cropmap review import`, or name another file",
        )


def import_reviews(context: SeasonContext, source: Path, *, imported_at: datetime) -> tuple[ImportedReviews, bytes]:
    """Takes findings in and certifies the lists again; returns the counts, and the rejected rows as CSV.

    Rows that cannot be used are counted by reason; the others are kept. The same file again changes nothing.
    """
    legend = context.agency.read_legend()
    with context.connect() as connection:
        campaigns = reviews.read_campaigns(connection, **context.key)
        raw = _with_campaign(_as_written(read_findings_file(source)), campaigns, where=str(source))
        named = {c.campaign_id for c in campaigns} & set(raw["campaign"])
        samples = {name: reviews.read_sample(connection, name) for name in sorted(named)}
        drawn = {name: dict(zip(s["parcel_id"], s["declared_code"], strict=True)) for name, s in samples.items()}
        parcels = frozenset(register.read_declarations(connection, **context.key)["parcel_id"])
        checked = check_findings(raw, drawn=drawn, parcels=parcels, legend=legend)
        counts = {"new": 0, "corrected": 0, "unchanged": 0}
        for name, rows in checked.accepted.groupby("campaign"):
            stored = reviews.store_findings(
                connection, str(name), rows, source_file=source.name, imported_at=imported_at
            )
            counts = {key: n + stored[key] for key, n in counts.items()}
        changed = checked.accepted["parcel_id"].tolist()
        audit.note(connection, **context.key, action=AuditAction.CHANGE, subject="review import", parcel_ids=changed)
        certification = {name: _recertify(context, connection, name, legend, stated_at=imported_at) for name in drawn}
    answer: ImportedReviews = {
        "file": str(source),
        "rows": len(raw),
        "accepted": len(checked.accepted),
        "new": counts["new"],
        "corrected": counts["corrected"],
        "unchanged": counts["unchanged"],
        "not_visited": checked.not_visited,
        "rejected": dict(Counter(sorted(checked.rejected["reason"]))),
        "certification": certification,
    }
    return answer, to_csv(checked.rejected) if len(checked.rejected) else b""


def review_report(context: SeasonContext, *, campaign: str | None = None) -> ReviewReport:
    """What the reviews of a list say: the certificate, false alarms and misses, the estimated rate against the found.

    Without a name, the last sample that was drawn from the published run, else of the season.
    """
    legend = context.agency.read_legend()
    with context.connect() as connection:
        campaigns = reviews.read_campaigns(connection, **context.key)
        published = queries.published_run(connection, **context.key) or ""
        chosen = _chosen(campaigns, campaign, published)
        sample = reviews.read_sample(connection, chosen.campaign_id)
        assessed = assessed_parcels(context, connection, chosen.run_id)
    sample = sample.assign(outcome=outcomes(sample, legend))
    all_figures = figures(assessed, sample)
    alarms, misses = (
        next(f for f in all_figures if f.what == what and f.by == "all") for what in ("false_alarms", "misses")
    )
    certificate = _certificate(chosen, campaigns, sample)
    findings = sample["outcome"].fillna("not visited").value_counts().sort_index()
    return {
        **context.key,
        "run_id": chosen.run_id,
        "published": chosen.run_id == published,
        "campaign": chosen.campaign_id,
        "certification": {**_certification(certificate, chosen), "steps": [asdict(step) for step in certificate.steps]},
        "estimated_rate": estimate_against_found(chosen.estimated_rate, alarms),
        "share_found": share_found(alarms, misses),
        "findings": {str(finding): int(n) for finding, n in findings.items()},
        "figures": [asdict(figure) for figure in all_figures],
    }


def assessed_parcels(context: SeasonContext, connection: Connection, run_id: str) -> pd.DataFrame:
    rows = queries.assessments(connection, **context.key, run_id=run_id, limit=None).items
    if not rows:
        raise InputError("nothing is assessed: a forecast has no declarations", where=run_id)
    frame = pd.DataFrame(rows).astype({"right_probability": float, "area_ha": float})
    return frame.sort_values("parcel_id", ignore_index=True)


def _refuse_other_delta(campaigns: list[Campaign], campaign: Campaign) -> None:
    recorded = next(c for c in campaigns if c.campaign_id == campaign.campaign_id)
    if recorded.delta != campaign.delta:
        raise InputError(
            f"this sample was drawn with delta {recorded.delta:g}, the agency file now says {campaign.delta:g}",
            where="review.delta",
            mend="It is fixed when a sample is drawn: put it back, or draw with another seed",
        )


def _drawn(campaign: Campaign, campaigns: list[Campaign], sample: pd.DataFrame, *, is_new: bool) -> DrawnReviews:
    control = sample[sample["part"] == str(ReviewPart.CONTROL)]
    same = (c for c in _of_lists(campaigns) if c.run_id == campaign.run_id)
    others = [c.campaign_id for c in same if c.campaign_id != campaign.campaign_id]
    note = f"{', '.join(others)} was drawn of the same list: only the sample that is reviewed first can certify it"
    answer: DrawnReviews = {
        "campaign": campaign.campaign_id,
        "run_id": campaign.run_id,
        "new": is_new,
        "list": campaign.list_size,
        "from_list": len(sample) - len(control),
        "from_control": len(control),
        "control_strata": control["stratum"].nunique(),
        "tested_lengths": list(campaign.grid),
        "target": campaign.target,
        "delta": campaign.delta,
    }
    if others:
        answer["note"] = note
    return answer


def field_file(
    sample: pd.DataFrame, outlines: gpd.GeoDataFrame, campaign: Campaign, legend: Legend, format_: FieldFormat
) -> bytes:
    names = [legend.by_code[code].crop_name if code in legend.by_code else "" for code in sample["declared_code"]]
    frame = sample.assign(campaign=campaign.campaign_id, declared_name=names, **dict.fromkeys(FILLED_IN))
    frame = frame[list(FIELD)].astype({"area_ha": float, "inclusion_probability": float})
    shapes = gpd.GeoDataFrame(
        frame.merge(outlines[["parcel_id", "geometry"]], on="parcel_id", how="left"), crs=outlines.crs
    )
    if format_ == "gpkg":
        sink = io.BytesIO()
        shapes.to_file(sink, driver="GPKG", layer="review")
        return sink.getvalue()
    inside = shapes.geometry.representative_point()
    points = {"lon": inside.x.round(DEGREE_DIGITS), "lat": inside.y.round(DEGREE_DIGITS)}
    table = pd.DataFrame(shapes.drop(columns="geometry")).assign(**points)
    if format_ == "xlsx":
        return field_workbook(table, to_fill_in=FILLED_IN)
    return to_csv(table)


def _as_written(raw: pd.DataFrame) -> pd.DataFrame:
    """Text without the apostrophes that keep a spreadsheet from running it."""
    cells = {name: [unguarded(cell) for cell in raw[name]] for name in raw}
    return pd.DataFrame(cells, index=raw.index, dtype=object)


def _with_campaign(raw: pd.DataFrame, campaigns: list[Campaign], *, where: str) -> pd.DataFrame:
    """Rows that name no sample belong to the season's only one."""
    if not campaigns:
        raise InputError("no sample was drawn in this season", where=where, mend="Run `cropmap review sample` first")
    if raw["campaign"].isna().any() and len(campaigns) > 1:
        raise InputError(
            "rows do not say which sample they belong to",
            where=where,
            mend=f"Keep the column `campaign`: one of {', '.join(c.campaign_id for c in campaigns)}",
        )
    return raw.assign(campaign=raw["campaign"].fillna(campaigns[0].campaign_id))


def _recertify(
    context: SeasonContext, connection: Connection, campaign_id: str, legend: Legend, *, stated_at: datetime
) -> str:
    campaigns = reviews.read_campaigns(connection, **context.key)
    campaign = next(c for c in campaigns if c.campaign_id == campaign_id)
    if campaign.purpose == ReviewPurpose.AREAS:
        return "Drawn for area statistics: the next run takes it in, and it certifies no list."
    sample = reviews.read_sample(connection, campaign_id)
    certification = _certification(
        _certificate(campaign, campaigns, sample.assign(outcome=outcomes(sample, legend))), campaign
    )
    stored = {name: value for name, value in certification.items() if name in CERTIFIED}
    reviews.store_certificate(connection, campaign_id, stored, stated_at=stated_at)
    return str(certification["statement"])


def _certificate(campaign: Campaign, campaigns: list[Campaign], sample: pd.DataFrame) -> Certificate:
    listed = sample[sample["part"] == str(ReviewPart.LIST)]
    first = min(
        (c for c in _of_lists(campaigns) if c.run_id == campaign.run_id and c.first_review is not None),
        key=lambda c: (c.first_review, c.drawn_at, c.campaign_id),
        default=campaign,
    )
    return certify(
        campaign.grid,
        listed["list_rank"].to_numpy(dtype=np.int64),
        listed["outcome"].to_numpy(dtype=object),
        target=campaign.target or 0.0,
        delta=campaign.delta,
        used_before=first.campaign_id != campaign.campaign_id,
    )


def _certification(certificate: Certificate, campaign: Campaign) -> Certification:
    sentence = statement(certificate, target=campaign.target, delta=campaign.delta, list_size=campaign.list_size)
    return {
        "certified": certificate.certified,
        "reason": str(certificate.reason),
        "target": campaign.target,
        "confidence": 1 - campaign.delta,
        "list_size": campaign.list_size,
        "certified_size": certificate.certified_size,
        "sampled": certificate.sampled,
        "reviewed": certificate.reviewed,
        "found_right": certificate.found_right,
        "statement": sentence,
    }


def _of_lists(campaigns: list[Campaign]) -> list[Campaign]:
    return [c for c in campaigns if c.purpose == ReviewPurpose.LIST]


def _chosen(campaigns: list[Campaign], name: str | None, published: str) -> Campaign:
    campaigns = _of_lists(campaigns)
    if not campaigns:
        raise InputError("no sample of a list was drawn in this season", mend="Run `cropmap review sample` first")
    if name is not None:
        named = [c for c in campaigns if c.campaign_id == name]
        if not named:
            raise InputError(
                f"no sample {name!r}", where="--campaign", mend=f"Drawn: {', '.join(c.campaign_id for c in campaigns)}"
            )
        return named[0]
    return ([c for c in campaigns if c.run_id == published] or campaigns)[-1]
