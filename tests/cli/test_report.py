"""`cropmap report` on a published season: page, PDF and quality file, and one line where it cannot be made."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pypdf
import pytest

from cropmap.cli import run
from tests.dissemination.published import write_agency, write_regions
from tests.reports.system import needs_pango


@pytest.fixture
def season(published_season: Path) -> Path:
    """A folder with an agency and its boundaries, beside a database with `published()`."""
    write_regions(published_season / "nuts.geojson")
    write_agency(published_season / "agency.yaml")
    return published_season


def test_a_page_and_its_quality_file(season: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "agency.yaml", "--season", "2018", "--out", "areas.html"]) == 0
    assert capsys.readouterr().err.strip() == "quality file: areas.quality.json"
    page = (season / "areas.html").read_text(encoding="utf-8")
    quality = (season / "areas.quality.json").read_text(encoding="utf-8")
    assert "<h1>Crop areas in Bretagne (FRH0), season 2018</h1>" in page
    for said in ("SIMULATED", "INTERNAL, not for publication", "301\u202f590", "FRH02 Finistère", "lstm-1", "run-1"):
        assert said in page
    assert "777" not in page
    assert "777" not in quality
    said = json.loads(quality)
    assert said["report"]["region"] == "FRH0"
    cells = next(one for one in said["concepts"] if one["code"] == "S.7")
    assert cells["figures"] == {"confidential_cells": 1, "cells": 9}
    # the same again is the same bytes
    assert run(["report", "agency.yaml", "--season", "2018"]) == 0
    assert capsys.readouterr().out == page


@needs_pango
def test_a_pdf_by_its_name_and_a_region(season: Path) -> None:
    asked = ["report", "agency.yaml", "--season", "2018", "--nuts", "FRH02", "--out", "a.pdf", "--quality", "q.json"]
    assert run(asked) == 0
    pages = pypdf.PdfReader(io.BytesIO((season / "a.pdf").read_bytes())).pages
    text = " ".join(page.extract_text() for page in pages)
    assert re.search(r"Crop areas in\s+Finistère\s+\(FRH02\)", text)
    assert "FRH01" not in text
    assert json.loads((season / "q.json").read_text())["report"]["region"] == "FRH02"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--season", "2017"], "nothing is published for any region in season 2017"),
        (["--season", "2018", "--nuts", "DE21"], "nothing is published for DE21"),
        (["--season", "2018", "--out", "a.html", "--quality", "a.html"], "name the same file"),
        (["--season", "2018", "--format", "docx"], "'docx' is not one of"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], said: str, season: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", "agency.yaml", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in " ".join(re.sub("[│╭╮╰╯─]", " ", err).split())
    assert "Traceback" not in err


def test_missing_boundaries_are_one_line(season: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (season / "nuts.geojson").unlink()
    assert run(["report", "agency.yaml", "--season", "2018"]) == 2
    assert "nuts.geojson: no such file. Check regions.boundaries" in capsys.readouterr().err
