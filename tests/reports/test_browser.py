"""The page in a real browser: no message on the console, no request, everything visible, by keyboard too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from cropmap.reports.page import to_html
from tests.reports.seasons import report, revised
from tests.reports.system import CHROMIUM, needs_chromium

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Page, list[str]]]:
    """The page at a width, and everything that it complained of or asked for."""
    file = tmp_path / "report.html"
    file.write_text(to_html(report(revisions=revised(), simulated=True)), encoding="utf-8")
    page = browser.new_page(viewport={"width": getattr(request, "param", 1280), "height": 800})
    heard: list[str] = []
    page.on("console", lambda message: heard.append(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("request", lambda asked: heard.append(f"request: {asked.url}"))
    page.goto(file.as_uri())
    yield page, heard
    page.close()


@pytest.mark.parametrize("opened", [1280, 390], indirect=True)
def test_it_says_nothing_asks_for_nothing_and_shows_everything(opened: tuple[Page, list[str]]) -> None:
    page, heard = opened
    assert [one for one in heard if not one.startswith("request: file:///")] == []
    assert len(heard) == 1
    for part in ("h1", ".marks", "#maps svg >> nth=0", "#bars svg >> nth=0", "#table table >> nth=0", "#quality table"):
        assert page.locator(part).first.is_visible(), part
    drawn: Any = page.locator(".maps svg").first.bounding_box()
    assert drawn["width"] > 120
    assert drawn["height"] > 30
    # on a phone the page itself never scrolls sideways, the table does in its own frame
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('#table td')).fontSize)") >= 12


def test_hidden_regions_are_hatched(opened: tuple[Page, list[str]]) -> None:
    page, _ = opened
    fills = page.evaluate(
        "[...document.querySelectorAll('#maps [role=img] > path')].map(p => getComputedStyle(p).fill)"
    )
    assert len(fills) == 3
    assert sum("hatch-1" in fill for fill in fills) == 1


def test_the_keyboard_opens_a_region(opened: tuple[Page, list[str]]) -> None:
    page, _ = opened
    second = page.locator("#table details").nth(1)
    assert second.get_attribute("open") is None
    second.locator("summary").focus()
    page.keyboard.press("Enter")
    assert second.locator("table").is_visible()
    page.reload()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the table"


def test_print_shows_every_region(opened: tuple[Page, list[str]]) -> None:
    page, _ = opened
    page.emulate_media(media="print")
    assert page.locator("#table details").nth(2).locator("table").is_visible()
    assert not page.locator("nav").is_visible()
