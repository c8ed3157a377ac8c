"""The page of one parcel, as self-contained HTML and as a PNG of an A4 sheet; and the overview of a batch.

Input: sheets. Output: text and bytes. Both forms have the same text and the same drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import quote

from cropmap.evidence import chart, sketch, words
from cropmap.evidence.canvas import PixelCanvas, SvgCanvas, measure
from cropmap.evidence.chart import INK, QUIET, Box
from cropmap.evidence.sheet import Sheet
from cropmap.evidence.words import PERSONAL, SIMULATED, crop_words, day_words, percent
from cropmap.schemas import Verdict

CHART: Final = Box(0, 0, 920, 380)
MAP: Final = Box(0, 0, 400, 400)
A4: Final = (1000.0, 1414.0)
MARGIN: Final = 40.0
THUMBNAIL: Final = Box(0, 0, 150, 46)
CLOSED: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self'"
"""Content-Security-Policy: the browser fetches nothing, whatever the page contains"""

STYLE: Final = """
body{margin:0;background:#fff;color:#1a1a1a;font:15px/1.5 system-ui,sans-serif}
main{max-width:920px;margin:0 auto;padding:24px 20px 40px}
h1{font-size:26px;line-height:1.25;margin:2px 0 10px}h2{font-size:16px;margin:22px 0 6px}
p{margin:0 0 8px;max-width:78ch}.quiet{color:#5f6b73;font-size:13px}.warn{font-weight:600}
.pair{display:flex;flex-wrap:wrap;gap:28px}.pair>*{flex:1 1 380px;min-width:0}svg{width:100%;height:auto;display:block}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:4px 10px 4px 0;vertical-align:top;
border-bottom:1px solid #e6eaed;font-weight:400}th{color:#5f6b73}td.n{text-align:right}thead th button{font:inherit;
color:inherit;background:none;border:0;padding:0;cursor:pointer;text-decoration:underline}
td,h1,p{overflow-wrap:anywhere}.list{overflow-x:auto}.list td,.list th{overflow-wrap:normal}
@media (max-width:700px){main{padding:16px 12px}.pair>*{flex-basis:100%}.list td:nth-child(n+6):nth-child(-n+7),
.list th:nth-child(n+6):nth-child(-n+7){display:none}.list td,.list th{padding-right:6px;font-size:13px}}
figure{margin:0}figcaption{color:#5f6b73;font-size:13px;margin-top:4px}
@media print{main{padding:0}h2{break-after:avoid}figure{break-inside:avoid}}
"""
SORT: Final = """
document.querySelectorAll('thead button').forEach(function(b,c){b.onclick=function(){
var t=document.querySelector('tbody'),r=Array.from(t.rows),d=b.dataset.up==='1'?-1:1;b.dataset.up=d===1?'1':'0';
r.sort(function(x,y){var p=x.cells[c].dataset.v,q=y.cells[c].dataset.v,n=parseFloat(p)-parseFloat(q);
return d*(isNaN(n)?p.localeCompare(q):n)});r.forEach(function(x){t.appendChild(x)})}})
"""


@dataclass(frozen=True)
class Rendered:
    """The result of a worker process for one parcel."""

    parcel_id: str
    html: bytes | None
    png: bytes | None
    row: str
    """of the overview"""


def render(sheet: Sheet, *, name: str, html: bool, png: bool) -> Rendered:
    """`name` is the file's name without ending."""
    return Rendered(
        sheet.parcel_id,
        to_html(sheet).encode() if html else None,
        to_png(sheet) if png else None,
        _overview_row(sheet, f"parcels/{quote(name)}.{'html' if html else 'png'}"),
    )


def to_html(sheet: Sheet) -> str:
    notices = [PERSONAL, *([SIMULATED] if sheet.facts.simulated else [])]
    body = (
        f'<p class="quiet">{escape(subtitle(sheet))}</p><h1>{escape(words.title(sheet))}</h1>'
        f"{''.join(_paragraph(text, 'warn') for text in notices)}"
        f"<h2>Reason</h2>{''.join(_paragraph(text) for text in words.reason(sheet))}"
        f"<h2>The season, seen from above</h2><figure>{chart_svg(sheet)}"
        f"<figcaption>{escape(chart_caption(sheet))}</figcaption></figure>"
        f'<div class="pair"><div><h2>Where</h2><figure>{_sketch_svg(sheet)}'
        f"<figcaption>{escape(sketch.caption(sheet))}</figcaption></figure></div>"
        f"<div><h2>What was said</h2>{_table(rows(sheet))}</div></div>"
        f"<h2>What may be believed of the list</h2>"
        f"{''.join(_paragraph(text) for text in _statement(sheet))}"
        f'<p class="quiet">{escape(origin(sheet))}</p>'
    )
    return _document(words.title(sheet), f"<main>{body}</main>")


def to_png(sheet: Sheet) -> bytes:
    width, height = A4
    canvas, inner = PixelCanvas(width, height), width - 2 * MARGIN
    y = _write(canvas, subtitle(sheet), MARGIN, 44, inner, size=12, fill=QUIET)
    y = _write(canvas, words.title(sheet), MARGIN, y + 16, inner, size=23, bold=True)
    for text in [PERSONAL, *([SIMULATED] if sheet.facts.simulated else [])]:
        y = _write(canvas, text, MARGIN, y, inner, size=12, bold=True)
    y += 6
    for text in words.reason(sheet):
        y = _write(canvas, text, MARGIN, y + 2, inner, size=13)
    chart.draw_chart(canvas, Box(MARGIN, y, inner, 370), sheet)
    y = _write(canvas, chart_caption(sheet), MARGIN, y + 384, inner, size=11, fill=QUIET)
    sketch.draw_sketch(canvas, Box(MARGIN, y + 8, 380, 380), sheet)
    _write(canvas, sketch.caption(sheet), MARGIN, y + 408, 380, size=11, fill=QUIET)
    right, top = MARGIN + 412, y + 20
    for label, value in rows(sheet):
        canvas.text(right, top, label, size=12, fill=QUIET)
        top = _write(canvas, value, right + 150, top, inner - 412 - 150, size=12) + 5
    y = max(y + 478, top + 12)
    for text in _statement(sheet):
        y = _write(canvas, text, MARGIN, y, inner, size=12) + 3
    _write(canvas, origin(sheet), MARGIN, y + 6, inner, size=11, fill=QUIET)
    return canvas.png()


def subtitle(sheet: Sheet) -> str:
    return f"Evidence · {sheet.facts.agency} · season {sheet.facts.season} · data until {day_words(sheet.facts.as_of)}"


def chart_caption(sheet: Sheet) -> str:
    bands = [
        f"{crop_words(band.crop)}: {words.band_words(band)}"
        for band in (sheet.declared_band, sheet.predicted_band)
        if band
    ]
    return (
        "Black: this parcel's NDVI; open and pale: observations not used. Bands: median and 10-90 % of other "
        f"parcels, this one never among them. {'; '.join(bands)}."
    )


def origin(sheet: Sheet) -> str:
    f = sheet.facts
    window = f"{day_words(f.start)} to {day_words(f.as_of)}"
    source = (
        f"Simulated data, {window}."
        if f.simulated
        else f"Contains modified Copernicus Sentinel data {f.season}, {window}."
    )
    published = f"published {day_words(f.published_at.date())}"
    return f"Run {f.run_id} · model {f.model} · code {f.code_version} · {published}. {source}"


def rows(sheet: Sheet) -> list[tuple[str, str]]:
    judged = sheet.judged
    facts: list[tuple[str, str]] = [
        ("Parcel", sheet.parcel_id),
        ("Holding", sheet.holding_id or "-"),
        ("Region, area", f"{sheet.region}, {sheet.area_ha:.2f} ha"),
        ("Declared", " ".join(filter(None, (judged.declared_code, judged.declared_name)))),
        ("as crop", f"{crop_words(judged.declared_crop)} ({percent(judged.declared_probability)})"),
        ("Predicted", f"{crop_words(judged.predicted_crop)} ({percent(judged.probability)})"),
        ("Verdict", f"{judged.verdict}, {judged.reason}"),
        ("P(right)", percent(judged.right_probability)),
        ("Priority", "-" if judged.priority_ha is None else f"{judged.priority_ha:.2f} ha expected wrong"),
        ("Judged by", judged.scored_by or "-"),
        ("Clear dates", f"{judged.n_observations} used, {int((~sheet.shown.used).sum())} dropped"),
    ]
    if judged.changed_since:
        facts.append(("Note", "the declaration was changed after this run"))
    return facts


def chart_svg(sheet: Sheet, *, standalone: bool = False) -> str:
    canvas = SvgCanvas(CHART.width, CHART.height)
    chart.draw_chart(canvas, CHART, sheet)
    return canvas.svg(title="NDVI over the season", description=chart.describe(sheet), standalone=standalone)


def overview(rendered: Sequence[Rendered], *, heading: str, notes: Sequence[str]) -> str:
    """index.html: a row and a small curve per parcel, in the order given, sortable by a click."""
    columns = ("priority, ha", "P(right)", "parcel", "declared", "predicted", "area, ha", "region", "season")
    head = "".join(f"<th><button>{name}</button></th>" for name in columns)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(page.row for page in rendered)}</tbody></table>"
    body = f"<h1>{escape(heading)}</h1>{''.join(_paragraph(text) for text in notes)}<div class='list'>{table}</div>"
    return _document(heading, f"<main>{body}</main><script>{SORT}</script>")


def _overview_row(sheet: Sheet, link: str) -> str:
    canvas = SvgCanvas(THUMBNAIL.width, THUMBNAIL.height)
    chart.draw_thumbnail(canvas, THUMBNAIL, sheet)
    judged = sheet.judged
    cells = [
        _cell(judged.priority_ha, "-" if judged.priority_ha is None else f"{judged.priority_ha:.2f}"),
        _cell(judged.right_probability, percent(judged.right_probability)),
        f'<td data-v="{escape(sheet.parcel_id)}"><a href="{escape(link)}">{escape(sheet.parcel_id)}</a></td>',
        f'<td data-v="{escape(crop_words(judged.declared_crop))}">{escape(crop_words(judged.declared_crop))}</td>',
        f'<td data-v="{escape(crop_words(judged.predicted_crop))}">{escape(crop_words(judged.predicted_crop))}</td>',
        _cell(sheet.area_ha, f"{sheet.area_ha:.2f}"),
        f'<td data-v="{escape(sheet.region)}">{escape(sheet.region)}</td>',
        f'<td data-v="{judged.n_observations}">'
        f'<div style="width:{THUMBNAIL.width:g}px">'
        f"{canvas.svg(title='NDVI', description=f'{judged.n_observations} clear dates')}</div></td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _cell(value: float | None, shown: str) -> str:
    return f'<td class="n" data-v="{-1 if value is None else value}">{escape(shown)}</td>'


def _statement(sheet: Sheet) -> tuple[str, ...]:
    return words.list_statement(sheet.facts, listed=sheet.judged.verdict == Verdict.MISMATCH)


def _sketch_svg(sheet: Sheet) -> str:
    canvas = SvgCanvas(MAP.width, MAP.height)
    sketch.draw_sketch(canvas, MAP, sheet)
    return canvas.svg(title="Map sketch", description=sketch.describe(sheet))


def _document(title: str, body: str) -> str:
    """Well-formed as XML too."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        f'<meta http-equiv="Content-Security-Policy" content="{CLOSED}"/>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"/><meta name="robots" content="noindex"/>'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def _paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def _table(pairs: list[tuple[str, str]]) -> str:
    lines = (f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in pairs)
    return f"<table><tbody>{''.join(lines)}</tbody></table>"


def _write(
    canvas: PixelCanvas,
    text: str,
    x: float,
    y: float,
    width: float,
    *,
    size: float,
    fill: str = INK,
    bold: bool = False,
) -> float:
    """Wraps a text from the baseline y on; returns the baseline that follows it."""
    line = ""
    for word in text.split():
        longer = f"{line} {word}".lstrip()
        if line and measure(longer, size=size, bold=bold) > width:
            canvas.text(x, y, line, size=size, fill=fill, bold=bold)
            y, line = y + size * 1.4, word
        else:
            line = longer
    canvas.text(x, y, line, size=size, fill=fill, bold=bold)
    return y + size * 1.4
