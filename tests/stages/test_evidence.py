"""`cropmap evidence`: pages of a published run, closed to others, and the figures that the run published."""

from __future__ import annotations

import json
import stat
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import Polygon

from cropmap.cli import run
from cropmap.errors import InputError
from cropmap.evidence.observations import observation_table
from cropmap.evidence.words import crop_words, percent
from cropmap.observations.files import read_observations
from cropmap.results.evidence import file_name, write_evidence
from cropmap.results.published import open_published
from cropmap.results.surroundings import Surroundings, utm_zone
from cropmap.stages.open_season import OpenSeason
from tests.stages.conftest import YEAR
from tests.stages.judged import JudgedSeason


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_pages_say_what_was_published_and_are_closed_to_others(
    judged: JudgedSeason, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published = open_published(judged.context)
    parcels = [str(parcel) for parcel in published.assessments.index[:2]]
    out = tmp_path / "pages"
    judged.enter(monkeypatch)
    options = ["--season", str(YEAR), "--data", str(judged.data), "--out", str(out), "--json"]
    wanted = [part for parcel in parcels for part in ("--parcel", parcel)]
    assert run(["evidence", str(judged.context.agency.file), *options, *wanted]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["pages"], answer["run_id"]) == (2, published.run.run_id)

    files = sorted(path for path in out.rglob("*") if path.is_file())
    assert [path.name for path in files] == [
        "index.html",
        *(f"{parcel}.{kind}" for parcel in parcels for kind in ("html", "png")),
    ]
    assert {_mode(path) for path in files} == {0o600}
    assert {_mode(out), _mode(out / "parcels")} == {0o700}
    page = (out / "parcels" / f"{parcels[0]}.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    root = ET.fromstring(page.partition("\n")[2])  # noqa: S314  our own text
    facts = {row.findtext("th"): row.findtext("td") for row in root.iter("tr")}
    row = published.assessments.loc[parcels[0]]
    assert facts["Verdict"] == f"{row['verdict']}, {row['reason']}"
    assert facts["Parcel"] == parcels[0]
    assert published.run.run_id in page
    assert "SIMULATION" in page


def test_declared_and_predicted_crop_come_from_one_distribution(judged: JudgedSeason, tmp_path: Path) -> None:
    """A page once said 57 % declared (after the noise channel) and 51 % predicted (before it)."""
    published = open_published(judged.context)
    verdict = published.assessments["verdict"].iloc[0]
    write_evidence(judged.context, tmp_path / "pages", verdicts=[verdict], html=True, png=False)
    predictions, compared = published.predictions, 0
    for place, parcel in enumerate(predictions.parcel_ids):
        page = tmp_path / "pages" / "parcels" / f"{parcel}.html"
        if not page.exists():
            continue
        root = ET.fromstring(page.read_text().partition("\n")[2])  # noqa: S314  our own text
        facts = {row.findtext("th"): row.findtext("td") or "" for row in root.iter("tr")}
        shares = dict(zip(predictions.crops, predictions.probabilities[place].tolist(), strict=True))
        declared, predicted = (
            str(published.assessments.at[parcel, "declared_crop"]),
            max(shares, key=lambda c: shares[c]),
        )
        assert facts["as crop"] == f"{crop_words(declared)} ({percent(shares[declared])})"
        assert facts["Predicted"] == f"{crop_words(predicted)} ({percent(shares[predicted])})"
        compared += 1
    assert compared > 10


def test_a_verdict_chooses_the_parcels_most_urgent_first(judged: JudgedSeason, tmp_path: Path) -> None:
    published = open_published(judged.context)
    verdict = published.assessments["verdict"].iloc[0]
    answer = write_evidence(judged.context, tmp_path / "all", verdicts=[verdict], html=True, png=False)
    assert answer["pages"] == (published.assessments["verdict"] == verdict).sum()
    assert not list((tmp_path / "all").rglob("*.png"))
    none = write_evidence(judged.context, tmp_path / "none", verdicts=["mismatch"], html=True, png=True)
    assert none["pages"] == 0
    assert "This run has no list of mismatches" in (tmp_path / "none" / "index.html").read_text()


def test_a_folder_that_others_read_is_not_written_into(judged: JudgedSeason, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    (shared / "somebody's file").write_text("")
    with pytest.raises(InputError, match="personal data"):
        write_evidence(judged.context, shared, verdicts=["conform"], html=True, png=False)
    assert _mode(shared) == 0o755


@pytest.mark.parametrize("below", ["", "pages"])
def test_a_file_where_the_folder_should_be_is_named(judged: JudgedSeason, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match=r"this folder cannot be made .* Give a new folder"):
        write_evidence(judged.context, tmp_path / "file" / below, verdicts=["conform"], html=True, png=False)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_parcel_that_was_not_assessed_is_refused(judged: JudgedSeason, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not assess parcel nobody"):
        write_evidence(judged.context, tmp_path / "x", parcel_ids=["nobody"], html=True, png=True)


def test_the_observations_of_stored_files_are_the_series(judged: JudgedSeason) -> None:
    data, store = OpenSeason(judged.context).data, judged.context.store
    told = observation_table(
        read_observations(store, store.names("observations")), season=judged.context.season, min_clear_fraction=0.5
    )
    used = told[told["reject"].isna()].groupby("parcel_id").size().reindex(data.series.parcel_ids, fill_value=0)
    assert used.tolist() == data.series.lengths.tolist()


def test_a_sketch_is_in_metres_with_the_parcel_in_the_middle(judged: JudgedSeason) -> None:
    data = OpenSeason(judged.context).data
    parcels = data.outlines.beside(data.parcels)
    sketch = Surroundings.of(data.parcels, data.outlines).sketch(7)
    subject = next(one for one in sketch.outlines if one.is_subject)
    outline = Polygon(subject.rings[0])
    west, south, east, north = outline.bounds
    assert (west + east, south + north) == pytest.approx((0, 0), abs=1)
    assert outline.area / 10_000 == pytest.approx(parcels["area_ha"].iloc[7], rel=0.01)
    assert sketch.half_width_m >= 180
    assert all(np.abs(ring).max() <= sketch.half_width_m + 1 for one in sketch.outlines for ring in one.rings)
    assert len(sketch.outlines) > 1


@pytest.mark.parametrize(
    ("longitude", "latitude", "epsg"), [(-3.0, 48, 32630), (3.1, 50, 32631), (151.2, -33.9, 32756)]
)
def test_the_zone_of_a_place(longitude: float, latitude: float, epsg: int) -> None:
    assert utm_zone(longitude, latitude) == epsg


def test_any_identifier_becomes_a_file_of_its_own() -> None:
    assert file_name("B/2") == "B%2F2"
    assert file_name("Ü6") != file_name("U6")
    assert len(file_name("x" * 300)) < 100
    assert file_name("x" * 300) != file_name("x" * 301)
