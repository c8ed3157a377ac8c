"""The page as a document: every section, nothing of a hidden cell, nothing from elsewhere, nothing unescaped."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import Element

import pytest
import tinyhtml5

from cropmap.reports.areas import Region
from cropmap.reports.page import CLOSED, to_html
from tests.reports.seasons import SECRETS, report, revised


def parsed(html: str) -> Element:
    root: Element = tinyhtml5.parse(html, namespace_html_elements=False)
    return root


def text(element: Element) -> str:
    """Words with single spaces between them and between elements; narrow spaces stay."""
    return re.sub(r"[ \n]+", " ", " ".join(element.itertext())).strip()


def section(page: Element, name: str) -> Element:
    found = page.find(f".//section[@id='{name}']")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def html() -> str:
    return to_html(report(revisions=revised(), release="release 2 (provisional)"))


@pytest.fixture(scope="module")
def page(html: str) -> Element:
    return parsed(html)


def test_nothing_of_a_hidden_cell_is_anywhere(html: str) -> None:
    found = [secret for secret in SECRETS if secret in html]
    assert found == []


def test_the_page_is_closed_and_needs_no_other_file(html: str, page: Element) -> None:
    policy = page.find(".//meta[@http-equiv='Content-Security-Policy']")
    assert policy is not None
    assert policy.get("content") == CLOSED
    assert not re.search(r"https?://|@import|<script|<link(?! rel=\"icon\" href=\"data:,\")", html)
    assert all((one.get("href") or "").startswith(("#", "data:,")) for one in page.iter() if one.get("href"))


def test_everyone_can_read_it(page: Element) -> None:
    assert page.get("lang") == "en"
    assert [text(one) for one in page.iter("h1")] == ["Crop areas in Bretagne (FRH0), season 2018"]
    ids = [one.get("id") for one in page.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    targets = {(one.get("href") or "")[1:] for one in page.iter("a")}
    assert targets <= set(ids)
    for picture in page.iter("{http://www.w3.org/2000/svg}svg"):
        named = picture.get("aria-label") or picture.get("aria-labelledby")
        assert picture.get("aria-hidden") == "true" or (picture.get("role") == "img" and named)
        assert named is None or picture.get("aria-label") or named in ids
    scrolled = [one for one in page.iter("div") if one.get("class") == "scroll"]
    assert scrolled
    assert all(one.get("tabindex") == "0" and one.get("aria-label") for one in scrolled)


def test_the_table_has_every_cell(page: Element) -> None:
    table = section(page, "table")
    regions = {text(one).split()[0]: one for one in table.iter("details")}
    assert list(regions) == ["FRH0", "FRH01", "FRH02", "FRH03"]
    rows = [[text(cell) for cell in row] for row in regions["FRH0"].iter("tr")][1:]
    assert rows[0] == [
        "Common wheat & spelt C1110",
        "3\u202f000",
        "3\u202f000",
        "2\u202f900 – 3\u202f100",
        "2.0\u202f%",
        "SA",
        "model_assisted",
        "e",
    ]
    assert rows[1][0] == "Grain maize + Green maize Σ C1500+G3000"
    assert rows[4][:5] == ["Other uses local:other_uses", "0", "0", "0 – 0", "–"]
    assert rows[5] == ["R1000", "C"]
    assert "u low reliability" in text(table)
    explained = {text(one) for one in table.iter("dt")}
    assert {"C", "Basis", "95 % interval", "CV"} <= explained


def test_maps_show_crops_with_two_regions_to_compare(page: Element) -> None:
    maps = section(page, "maps")
    assert [text(one) for one in maps.iter("h3")] == ["Common wheat & spelt"]
    assert "confidential" in text(maps)


def test_bars_revisions_quality_and_method(page: Element) -> None:
    assert [text(one)[:11] for one in section(page, "bars").findall(".//tbody/tr")] == [
        "Common whea",
        "Grain maize",
        "Green maize",
    ]
    assert "Confidential here, without a bar or a map: R1000." in text(section(page, "bars"))
    revisions = text(section(page, "revisions"))
    assert "Release 2 against release 1 (first): 3 cells compared, 1 outside the earlier interval," in revisions
    assert "1 confidential in one of the two or in both" in revisions
    assert "+500 +20.0\u202f% revised outside the interval" in revisions
    quality = text(section(page, "quality"))
    for said in (
        "Overall 94.4\u202f%",
        "wheat 100\u202f% 0.0\u202f% 92\u202f% 3.6\u202f%",
        "Parcels compared: fewer than 100",
        "Land that is declared 90 to 95\u202f%",
        "Declarations undecided 15 to 20\u202f%",
        "confidential 4",
        "NUTS version 2024",
        "Model lstm-1",
        "Code 0.1.0+abc",
        "Run run-1",
    ):
        assert said in quality
    assert "Contains modified Copernicus Sentinel data 2018." in text(section(page, "method"))
    assert "release 2 (provisional)" in text(page)


def test_without_an_earlier_release() -> None:
    assert "held against no earlier release" in text(section(parsed(to_html(report())), "revisions"))


@pytest.mark.parametrize(
    ("facts", "marks"),
    [
        ({}, []),
        ({"simulated": True}, ["SIMULATED: no satellite saw this, nobody declared it"]),
        ({"confidentiality": "primary"}, ["INTERNAL, not for publication"]),
        ({"confidentiality": ""}, ["INTERNAL, not for publication"]),
    ],
)
def test_marks(facts: dict[str, Any], marks: list[str]) -> None:
    page = parsed(to_html(report(**facts)))
    assert [text(one) for one in page.findall(".//ul[@class='marks']/li")] == marks
    header = page.find(".//header")
    assert header is not None
    assert header.get("data-marks") == "".join(marks)


def test_names_are_text_not_markup() -> None:
    evil = '<img src=x onerror="alert(1)">'
    one = report(agency=evil, model_version=evil)
    one = replace(one, areas=replace(one.areas, head=Region("FRH0", evil)))
    html = to_html(one)
    assert "<img" not in html
    assert evil in text(parsed(html))


def test_a_single_region_has_no_map() -> None:
    page = parsed(to_html(replace(report(), outlines=None)))
    assert page.find(".//section[@id='maps']") is None
    assert page.find(".//nav//a[@href='#maps']") is None
