"""The PDF, read back by another library; and one line where the system lacks Pango."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pypdf
import pytest

from cropmap.reports.areas import crop_areas
from cropmap.reports.page import to_html
from cropmap.reports.pdf import to_pdf
from cropmap.reports.report import Report
from tests.dissemination.published import row
from tests.reports.seasons import SECRETS, report, revised
from tests.reports.system import needs_pango


def read(data: bytes) -> list[str]:
    return [" ".join(page.extract_text().split()) for page in pypdf.PdfReader(io.BytesIO(data)).pages]


@needs_pango
@pytest.mark.slow
def test_every_page_is_numbered_named_and_marked() -> None:
    data = to_pdf(to_html(report(revisions=revised(), simulated=True, confidentiality="off")))
    pages = read(data)
    assert len(pages) >= 2
    for number, page in enumerate(pages, start=1):
        assert f"{number} / {len(pages)}" in page
        assert "Crop areas in Bretagne (FRH0), season 2018" in page
        assert "SIMULATED" in page
        assert "INTERNAL, not for publication" in page
    whole = " ".join(pages)
    for heading in ("Where crops grow", "Declared and estimated areas", "All areas", "Revisions", "Quality", "Method"):
        assert heading in whole
    # what the screen folds away is printed
    assert "FRH02 Finistère" in whole
    assert [secret for secret in SECRETS if secret in whole] == []
    reader = pypdf.PdfReader(io.BytesIO(data))
    assert reader.metadata is not None
    assert reader.metadata.title == "Crop areas in Bretagne (FRH0), season 2018"
    assert str(reader.root_object["/Lang"]) == "en"


@needs_pango
@pytest.mark.slow
def test_a_long_table_repeats_its_head() -> None:
    rows = pd.DataFrame([row("FRH0", f"local:crop_{number:03}", 1_000.0 - number) for number in range(150)])
    one = report()
    long = Report(
        one.facts, crop_areas(rows, head="FRH0", names={}, items={}, sums={}), None, one.quality, flags=one.flags
    )
    pages = [page for page in read(to_pdf(to_html(long))) if "local:crop_" in page]
    assert len(pages) > 2
    assert all("95 % interval" in page for page in pages)


def test_without_pango_one_line_names_the_package(tmp_path: Path) -> None:
    (tmp_path / "weasyprint.py").write_text("raise OSError(\"cannot load library 'libpango-1.0-0'\")\n")
    code = (
        "from cropmap.errors import CropmapError\nfrom cropmap.reports.pdf import to_pdf\n"
        "try:\n    to_pdf('<p>')\nexcept CropmapError as error:\n    print(error)\n    exit(error.exit_code)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{tmp_path}:{root}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.splitlines() == [
        "--format pdf: a PDF needs Pango, which is not installed. On Debian: apt install libpango-1.0-0 "
        "libpangoft2-1.0-0 libharfbuzz-subset0"
    ]


@needs_pango
@pytest.mark.parametrize("address", ["http://127.0.0.1:9/picture.png", "file:///etc/hostname"])
def test_nothing_is_fetched(address: str) -> None:
    data = to_pdf(f'<html lang="en"><title>x</title><body>text<img src="{address}"></body></html>')
    assert read(data) == ["text"]
