"""The page: well-formed, closed to the network, and saying the same in words, SVG and pixels."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from cropmap.evidence import words
from cropmap.evidence.canvas import SCALE, PixelCanvas, SvgCanvas, measure
from cropmap.evidence.chart import _apart, wrapped
from cropmap.evidence.page import CHART, chart_svg, overview, render, to_html, to_png
from cropmap.schemas import Reason, Verdict
from tests.evidence.sheets import FACTS, SHOWN, band, sheet


class _Requests(HTMLParser):
    """What a browser would fetch, or follow without a click."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"src", "srcset", "poster", "data", "action"} or (name, tag) == ("href", "link"):
                self.found.append(f"{tag} {name}={value}")


def test_a_page_is_well_formed_and_asks_for_nothing() -> None:
    page = to_html(sheet())
    root = ET.fromstring(page.partition("\n")[2])  # noqa: S314  our own text
    requests = _Requests()
    requests.feed(page)
    assert requests.found == []
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    assert "default-src 'none'" in page
    texts = [" ".join("".join(element.itertext()).split()) for element in root.iter("p")]
    assert "Personal data: hand this page on to those only who may see it." in texts
    assert root.findtext(".//h1") == 'Parcel A/7 "x" does not fit its declaration'
    assert root.get("lang") == "en"


def test_every_picture_has_words_for_who_cannot_see_it() -> None:
    root = ET.fromstring(to_html(sheet()).partition("\n")[2])  # noqa: S314
    pictures = list(root.iter("svg"))
    assert [picture.get("role") for picture in pictures] == ["img", "img"]
    curve, where = (picture.findtext("desc") or "" for picture in pictures)
    assert "NDVI on 4 clear dates; highest 0.80 on 9 June 2018, lowest 0.20. 2 observations were not used." in curve
    assert where == "The parcel among 1 neighbours within 180 m, declared: 1 permanent meadows."


def test_the_reason_counts_the_dates_outside_each_band() -> None:
    """Used are .7, .75, .8 and .2: maize is .1-.5, meadows are .6-.78."""
    assert words.curve(sheet()) == (
        "On the clear dates its NDVI lies outside the band of corn on 3 of 4 (0 below, 3 above), "
        "and outside the band of permanent meadows on 2 of 4 (1 below, 1 above)."
    )
    said = words.reason(sheet())
    assert said[0] == "Declared is MIS (Maïs <grain> & co), that is corn, on 1.25 ha."
    assert said[1] == "The series looks like permanent meadows (88 %), not like corn (< 1 %)."
    assert said[2] == "The chance that the declaration is right is estimated at 3 %."


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_code_has_its_sentence(reason: Reason) -> None:
    one = sheet(judged=replace(sheet().judged, reason=str(reason)))
    assert str(reason) not in words.reason(one)[1]


def test_the_list_is_an_estimate_and_never_a_promise() -> None:
    statement = " ".join(words.list_statement(FACTS, listed=True))
    assert "one of 32 on the list" in statement
    assert "an estimated 9 % are right declarations all the same (aimed at: 10 %)" in statement
    assert "7 % to 21 %" in statement
    assert "no promise" in statement
    assert "provisional: fewer than 10,000 parcels" in statement
    refused = replace(FACTS, estimated_rate=None, reliability="refused: 276 assessable parcels")
    assert words.list_statement(refused, listed=False) == (
        "This run has no list of mismatches. Reliability: refused: 276 assessable parcels.",
    )


def test_a_wider_region_is_said() -> None:
    assert words.band_words(band("corn", 0.1, 0.5)) == "40 conform parcels in FRH01"
    wide = band("corn", 0.1, 0.5, region="", is_wider=True, is_conform=False, parcels=1_200)
    assert words.band_words(wide) == "1,200 not flagged parcels in all regions, wider region: too few in its own"


@pytest.mark.parametrize(
    ("share", "said"), [(None, "-"), (0.0, "< 1 %"), (0.03, "3 %"), (0.99, "99 %"), (0.999, "> 99 %")]
)
def test_no_probability_is_said_to_be_certain(share: float | None, said: str) -> None:
    assert words.percent(share) == said


@pytest.mark.slow
def test_a_picture_is_an_a4_sheet_with_both_crops_colours() -> None:
    image = Image.open(io.BytesIO(to_png(sheet())))
    assert image.size == (round(1000 * SCALE), round(1414 * SCALE))
    pixels = np.asarray(image).reshape(-1, 3)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x1A, 0x1A, 0x1A)):  # declared, predicted, the parcel
        assert (pixels == colour).all(axis=1).any()


def test_a_parcel_that_was_never_seen_has_a_page_all_the_same() -> None:
    nothing = replace(
        SHOWN, **{name: getattr(SHOWN, name)[:0] for name in ("day_of_year", "ndvi", "clear_fraction", "used")}
    )
    judged = replace(
        sheet().judged,
        verdict=str(Verdict.NOT_ASSESSABLE),
        reason="TOO_FEW_OBSERVATIONS",
        predicted_crop=None,
        probability=None,
        right_probability=None,
        priority_ha=None,
        scored_by="no model",
        n_observations=0,
    )
    one = render(sheet(shown=nothing, judged=judged, predicted_band=None), name="x", html=True, png=True)
    assert one.html is not None
    assert one.png is not None
    assert "No clear observation." in one.html.decode()


def test_the_overview_links_every_page_and_sorts_by_a_click() -> None:
    rows = [
        render(sheet(parcel_id=parcel), name=name, html=True, png=False)
        for parcel, name in (("7", "7"), ("A/7", "A%2F7"))
    ]
    page = overview(rows, heading="Evidence", notes=["Personal data."])
    root = ET.fromstring(page.partition("\n")[2])  # noqa: S314
    assert [link.get("href") for link in root.iter("a")] == ["parcels/7.html", "parcels/A%252F7.html"]
    assert len(list(root.iter("button"))) == 8
    assert len(list(root.iter("svg"))) == 2


def test_labels_keep_their_order_and_their_distance() -> None:
    three = [30.0, 30.0, 30.0]
    assert _apart([10, 12, 200], three, lowest=0, highest=300) == [10, 40, 200]
    assert _apart([290, 295, 299], three, lowest=0, highest=300) == [210, 240, 270]
    assert _apart([], [], lowest=0, highest=300) == []


def test_a_long_label_goes_on_in_the_next_line_and_a_long_word_ends_in_an_ellipsis() -> None:
    assert wrapped("this parcel", 190, size=12, bold=True) == ["this parcel"]
    lines = wrapped("permanent grassland with little cover (declared, predicted)", 186, size=12, bold=True)
    assert len(lines) > 1
    assert " ".join(lines) == "permanent grassland with little cover (declared, predicted)"
    (word,) = wrapped("x" * 80, 186, size=12)
    assert word.endswith("…")
    assert all(measure(line, size=12, bold=True) <= 186 for line in lines)
    assert measure(word, size=12) <= 186


def test_no_text_of_the_chart_is_cut_at_its_edge() -> None:
    crop = "temporary_grassland_of_more_than_five_years"
    shown = sheet(declared_band=band(crop, 0.1, 0.5, parcels=123_456))
    drawing = ET.fromstring(chart_svg(shown))  # noqa: S314
    names = [text for text in drawing.iter() if text.tag.endswith("text")]
    assert any("five years" in (text.text or "") for text in names)
    for text in names:
        if text.get("text-anchor") in (None, "start"):
            size, bold = float(text.get("font-size", 12)), text.get("font-weight") in ("bold", "600", "700")
            assert float(text.get("x", 0)) + measure(text.text or "", size=size, bold=bold) <= CHART.width, text.text


def test_both_canvases_draw_a_square_where_it_belongs() -> None:
    """10 units from the left, 20 from the top: neither flipped nor swapped."""
    ring = np.array([[10, 20], [30, 20], [30, 24], [10, 24]], float)
    pixels, vectors = PixelCanvas(100, 50), SvgCanvas(100, 50)
    for canvas in (pixels, vectors):
        canvas.shape([ring], fill="#000000")
    image = np.asarray(Image.open(io.BytesIO(pixels.png())).convert("L"))
    rows, columns = np.nonzero(image < 128)
    assert (rows.min() / SCALE, columns.min() / SCALE) == pytest.approx((20, 10), abs=1)
    assert ((rows.max() + 1) / SCALE, (columns.max() + 1) / SCALE) == pytest.approx((24, 30), abs=1)
    assert 'd="M10.0,20.0 30.0,20.0 30.0,24.0 10.0,24.0Z"' in vectors.svg(title="t", description="d")
