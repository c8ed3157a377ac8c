"""The overview of evidence in a real browser: no request, and nothing beyond the edge of a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from cropmap.evidence.page import overview, render
from tests.evidence.sheets import sheet
from tests.reports.system import CHROMIUM, needs_chromium

pytestmark = needs_chromium
IDS = ("7", "123456789", "FR-35-2018-000000000000000123456789-A", "b/ü 1")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_overview_and_a_page_fit_the_screen(tmp_path: Path, width: int) -> None:
    rows = [render(sheet(parcel_id=one), name=str(place), html=True, png=False) for place, one in enumerate(IDS)]
    (tmp_path / "parcels").mkdir()
    (tmp_path / "overview.html").write_text(overview(rows, heading="Evidence", notes=["Personal data."]), "utf-8")
    (tmp_path / "page.html").write_bytes(rows[2].html or b"")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        heard: list[str] = []
        page.on("console", lambda message: heard.append(message.text))
        for name in ("overview.html", "page.html"):
            page.goto((tmp_path / name).as_uri())
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
            assert page.locator("h1").is_visible()
        assert heard == []
        browser.close()
