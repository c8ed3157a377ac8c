"""The page: one HTML document that needs no other file or host, for screens of any width and for paper.

The PDF is made from the same document.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import jinja2
from markupsafe import Markup

from cropmap.reports import numbers
from cropmap.reports.areas import Crop
from cropmap.reports.bars import bars
from cropmap.reports.maps import CropMap, crop_map
from cropmap.reports.report import Report
from cropmap.reports.revisions import revision_summary
from cropmap.schemas import BASIS_MEANING

CLOSED: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""Content-Security-Policy: the browser fetches nothing, whatever the page contains; `data:` is its empty icon"""
MAPPED: Final = 12
"""crops with a map; every crop is in the table"""
LEAST_SHOWN: Final = 2
"""regions: a map with fewer shown regions compares nothing"""
BARRED: Final = 20
FOLDER: Final = Path(__file__).parent
CONCEPTS: Final = {"SA": "sown area", "MA": "main area", "HA": "harvested area", "PA": "production area"}


def to_html(report: Report) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "hectares": numbers.hectares,
        "percent": numbers.percent,
        "number": numbers.number,
        "day": numbers.day,
    }
    return environment.get_template("page.html").render(**_shown(report))


def _shown(report: Report) -> dict[str, object]:
    areas = report.areas
    open_cells = [cell for cell in areas.cells.values() if cell.figures]
    letters = sorted({letter for cell in open_cells for letter in cell.flag})
    by_region = [(region, areas.of(region)) for region in areas.regions]
    barred = bars(areas, most=BARRED)
    used = {cell.basis for cell in open_cells}
    hidden_crops = [crop for crop, cell in areas.of(areas.head) if cell.figures is None]
    return {
        "report": report,
        "facts": report.facts,
        "quality": report.quality,
        "areas": areas,
        "closed": CLOSED,
        "style": Markup((FOLDER / "page.css").read_text(encoding="utf-8")),  # noqa: S704  a file of ours
        "maps": _maps(report),
        "bars": barred,
        "hidden_crops": hidden_crops,
        "bars_left_out": max(len(areas.drawn) - len(barred), 0),
        "by_region": by_region,
        "flags": {letter: report.flags.get(letter, "") for letter in letters},
        "concepts": {
            concept: CONCEPTS[concept]
            for concept in sorted({cell.concept for cell in open_cells})
            if concept in CONCEPTS
        },
        "basis": [f"{basis}: {meaning}" for basis, meaning in BASIS_MEANING.items() if basis in used],
        "sums": [crop for crop in areas.crops if crop.members],
        "revisions": revision_summary(report.revisions, areas) if report.revisions else None,
        "missing": _without_outline(report),
    }


def _maps(report: Report) -> list[CropMap]:
    if report.outlines is None or not report.outlines.regions:
        return []
    shown = [crop for crop in report.areas.drawn if _regions_shown(crop, report) >= LEAST_SHOWN]
    chosen = shown[:MAPPED]
    return [crop_map(crop, report.areas, report.outlines, number=place) for place, crop in enumerate(chosen, start=1)]


def _regions_shown(crop: Crop, report: Report) -> int:
    return sum(report.areas.at(region.nuts_id, crop.code) is not None for region in report.areas.finest)


def _without_outline(report: Report) -> list[str]:
    """Regions of the finest level that the boundaries file does not have."""
    if report.outlines is None:
        return []
    known = {region.nuts_id for region in report.outlines.regions}
    return [region.nuts_id for region in report.areas.finest if region.nuts_id not in known]
