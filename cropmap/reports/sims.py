"""The quality file: the quality section of the page under the headings of SIMS, for programs.

Headings: ESS Single Integrated Metadata Structure 2.0. A heading that only the agency can fill (contact, mandate, user
needs, cost) stands empty and says so; none is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final, TypedDict

from cropmap.reports.accuracy import Accuracy
from cropmap.reports.numbers import day
from cropmap.reports.quality import CV_LIMITS, Share
from cropmap.reports.report import Report, RunFacts
from cropmap.reports.revisions import revision_summary

STRUCTURE: Final = "ESS Single Integrated Metadata Structure (SIMS) 2.0"
HEADINGS: Final = {
    "S.1": "Contact",
    "S.2": "Metadata update",
    "S.3": "Statistical presentation",
    "S.3.1": "Data description",
    "S.3.2": "Classification system",
    "S.3.4": "Statistical concepts and definitions",
    "S.3.5": "Statistical unit",
    "S.3.6": "Statistical population",
    "S.3.7": "Reference area",
    "S.3.8": "Coverage - Time",
    "S.4": "Unit of measure",
    "S.5": "Reference period",
    "S.6": "Institutional mandate",
    "S.7": "Confidentiality",
    "S.7.1": "Confidentiality - policy",
    "S.7.2": "Confidentiality - data treatment",
    "S.8": "Release policy",
    "S.9": "Frequency of dissemination",
    "S.10": "Accessibility and clarity",
    "S.11": "Quality management",
    "S.12": "Relevance",
    "S.13": "Accuracy and reliability",
    "S.13.1": "Accuracy - overall",
    "S.13.2": "Sampling error",
    "S.13.3": "Non-sampling error",
    "S.13.3.1": "Coverage error",
    "S.13.3.2": "Measurement error",
    "S.13.3.5": "Model assumption error",
    "S.14": "Timeliness and punctuality",
    "S.14.1": "Timeliness",
    "S.15": "Coherence and comparability",
    "S.15.1": "Comparability - geographical",
    "S.15.2": "Comparability - over time",
    "S.15.4": "Coherence - internal",
    "S.16": "Cost and burden",
    "S.17": "Data revision",
    "S.17.2": "Data revision - practice",
    "S.18": "Statistical processing",
    "S.18.1": "Source data",
    "S.18.4": "Data validation",
    "S.18.5": "Data compilation",
    "S.19": "Comment",
}
BY_AGENCY: Final = frozenset({"S.1", "S.6", "S.8", "S.9", "S.12", "S.16"})
"""headings that only the agency can fill"""


class CropCv(TypedDict):
    crop: str
    cv: float | None
    """None where hidden"""
    confidential: bool
    flag: str | None


def quality_file(report: Report) -> bytes:
    """JSON: `structure`, `report`, and `concepts` in the order of HEADINGS, each with code, name, text and figures."""
    statements = _statements(report)
    facts = report.facts
    document = {
        "structure": STRUCTURE,
        "report": {
            "title": report.title,
            "agency": facts.agency,
            "season": facts.season,
            "region": report.areas.head.nuts_id,
            "nuts_version": facts.nuts_version,
            "run_id": facts.run_id,
            "model_version": facts.model_version,
            "code_version": facts.code_version,
            "published_at": facts.published_at.isoformat(),
            "release": facts.release,
            "simulated": facts.simulated,
            "for_publication": not facts.internal,
        },
        "concepts": [
            {
                "code": code,
                "name": name,
                "text": statements.get(code, (None, None))[0],
                "figures": statements.get(code, (None, None))[1],
                "filled_by": "agency" if code in BY_AGENCY else "cropmap",
            }
            for code, name in HEADINGS.items()
        ],
    }
    return (json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()


Statements = dict[str, tuple[str, Mapping[str, object] | None]]
"""code of a concept: text and figures"""


def _statements(report: Report) -> Statements:
    return _presentation(report) | _errors(report) | _process(report)


def _presentation(report: Report) -> Statements:
    facts, areas, quality = report.facts, report.areas, report.quality
    until = facts.as_of or facts.published_at
    return {
        "S.2": ("Written from the published run.", {"last_update": facts.published_at.isoformat()}),
        "S.3": ("Crop areas per NUTS region, declared and estimated, with intervals.", None),
        "S.3.1": (
            "Annual crop areas from declarations for the common agricultural policy and Sentinel-2.",
            {"crops": len(areas.crops), "regions": len(areas.regions), "cells": quality.cells},
        ),
        "S.3.2": (
            "Eurostat's list of crop items (EU 2023/1538); national classes without an item carry the prefix local:. "
            f"Regions: NUTS {facts.nuts_version}.",
            None,
        ),
        "S.3.4": ("Area concepts SA (sown), MA (main), HA (harvested), PA (production), by item.", None),
        "S.3.5": ("Agricultural parcel; contributors of a cell are holdings.", None),
        "S.3.6": ("Parcels in the register of declarations. Land outside the register is not covered.", None),
        "S.3.7": (report.place, {"regions": [region.nuts_id for region in areas.regions]}),
        "S.3.8": (f"Season {facts.season} alone.", {"seasons": [facts.season]}),
        "S.4": ("Hectares; shares and coefficients of variation as fractions of one.", {"unit": "HA"}),
        "S.5": (
            f"Season {facts.season}: acquisitions from {day(facts.start)} to {day(until)}.",
            {"start": facts.start.isoformat(), "end": until.isoformat()},
        ),
        "S.7": (
            "For publication." if not facts.internal else "For internal use, not for publication.",
            {"confidential_cells": quality.hidden, "cells": quality.cells},
        ),
        "S.7.1": ("A cell with few holdings, or dominated by few, is confidential.", None),
        "S.7.2": (
            f"{facts.protection}. Confidential cells have no figure in any output; no total over all crops is "
            "published.",
            {"mode": facts.confidentiality or None},
        ),
        "S.10": ("Page, PDF and this file; the areas as CSV, Parquet, XLSX, SDMX-CSV, JSON-stat and TSV.", None),
        "S.11": ("Every figure names its run; a run names its code, model and inputs.", None),
    }


def _errors(report: Report) -> Statements:
    quality = report.quality
    phi, grown = quality.worse_than_stated, quality.contradicted
    return {
        "S.13": ("Standard errors hold sampling, calibration and the chance of single parcels.", None),
        "S.13.1": (
            "Accuracy of the crop map, whole season: out-of-fold predictions beside declarations; unit parcel; truth "
            f"stands for the declaration. Each parcel was judged by {quality.judged_by}. Standard errors with "
            "holdings as clusters. Classes with few holdings or confidential areas are left out."
            if quality.accuracy
            else "No declarations to compare predictions with.",
            _accuracy(quality.accuracy),
        ),
        "S.13.2": (
            "Coefficients of variation of the cells that are shown, and the numbers of cells per class.",
            {
                "median_cv": _rounded(quality.cv.median, 3),
                "cv_limits": list(CV_LIMITS),
                "cells_per_class": list(quality.cv.counts),
                "head_region": _head_region(report),
            },
        ),
        "S.13.3": ("See the headings below.", None),
        "S.13.3.1": (
            "Shares of the land of all parcels in the register, whole season; a band where a cell is confidential.",
            {"declared_land": _share(quality.declared_land), "land_with_prediction": _share(quality.seen_land)},
        ),
        "S.13.3.2": (
            "Declarations that satellites could not decide on, whole season, as a share of all declarations.",
            {"undecided": _share(quality.undecided)},
        ),
        "S.13.3.5": (
            "Without reviews the estimate rests on the declared counts; wrong declarations that all look alike go "
            "unseen."
            if not quality.reviews
            else "Reviewed parcels correct the model.",
            {
                "parcels_reviewed": quality.reviews,
                "overconfidence": _rounded(phi, 2),
                "contradiction": _rounded(grown, 2),
            },
        ),
    }


def _offsets(facts: RunFacts) -> dict[str, int]:
    """Acquisitions whose stated offset did not hold; none are not mentioned."""
    counts = {"offset_corrected": facts.offset_corrected, "offset_contradicted": facts.offset_contradicted}
    return {name: count for name, count in counts.items() if count}


def _process(report: Report) -> Statements:
    facts = report.facts
    until = facts.as_of or facts.published_at
    revised = revision_summary(report.revisions, report.areas) if report.revisions else None
    source = (
        "Simulated declarations and acquisitions."
        if facts.simulated
        else (f"Declarations of {facts.agency}; contains modified Copernicus Sentinel data {facts.season}.")
    )
    return {
        "S.14": ("See timeliness; punctuality is not known here.", None),
        "S.14.1": ("Days from the last acquisition to publication.", {"days": (facts.published_at - until).days}),
        "S.15": ("See the headings below.", None),
        "S.15.1": (f"One method in all regions; boundaries of NUTS {facts.nuts_version}.", None),
        "S.15.2": ("Not assessed in this report: it holds one season.", None),
        "S.15.4": ("Crops add up to the region and regions to their parent before rounding.", None),
        "S.17": ("See practice.", None),
        "S.17.2": (
            f"{revised.caption}" if revised else "Held against no earlier release.",
            {"cells_compared": revised.compared, "outside_interval": revised.outside, "confidential": revised.hidden}
            if revised
            else None,
        ),
        "S.18": ("See the headings below.", None),
        "S.18.1": (source, {"acquisitions": facts.n_acquisitions, **_offsets(facts)}),
        "S.18.4": (
            "The protected table is attacked before it is published."
            if not facts.internal
            else "The table was not protected for publication.",
            None,
        ),
        "S.18.5": (
            "Out-of-fold class probabilities, raked to declared counts, combined with the declaration by Bayes' rule, "
            "corrected by reviews where there are any; estimated at NUTS 3 and added up.",
            {"model_version": facts.model_version, "code_version": facts.code_version},
        ),
        "S.19": ("Everything here was simulated.", None) if facts.simulated else ("", None),
    }


def _accuracy(accuracy: Accuracy | None) -> Mapping[str, object] | None:
    if accuracy is None:
        return None
    return {
        "overall_accuracy": asdict(accuracy.overall),
        "classes": [
            {"class": score.crop, "users_accuracy": asdict(score.users), "producers_accuracy": asdict(score.producers)}
            for score in accuracy.classes
        ],
        "classes_not_shown": accuracy.not_shown,
        "parcels_compared": accuracy.parcels,
    }


def _share(value: Share | None) -> dict[str, float] | None:
    return None if value is None else {"low": value.low, "high": value.high}


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)


def _head_region(report: Report) -> list[CropCv]:
    """CV per crop of the head region; null with `confidential` for hidden cells."""
    return [
        {
            "crop": crop.code,
            "cv": _rounded(cell.figures.cv, 3) if cell.figures else None,
            "confidential": cell.figures is None,
            "flag": cell.flag or None,
        }
        for crop, cell in report.areas.of(report.areas.head)
    ]
