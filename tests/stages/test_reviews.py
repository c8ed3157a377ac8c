"""The review loop on a season of 60 declarations whose verdicts are written out by hand."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import openpyxl
import pandas as pd
import pytest
import shapely

from cropmap.cli import run as cropmap
from cropmap.contracts.tables import ASSESSMENT_COLUMNS, PREDICTION_COLUMNS, STATISTIC_COLUMNS
from cropmap.database import reviews
from cropmap.database.connection import connect
from cropmap.database.declarations import read_declarations
from cropmap.database.publishing import publish
from cropmap.database.runs import begin_run
from cropmap.errors import InputError
from cropmap.results.exports import export_flags
from cropmap.results.reviews import ImportedReviews, draw_reviews, field_file, import_reviews, review_report
from cropmap.settings import Settings
from cropmap.stages import ingest
from cropmap.stages.context import SeasonContext
from cropmap.stages.findings import reviewed_labels, run_statement
from tests.stages.conftest import NOON, YEAR, open_context

LIST = 40
Fill = Callable[[dict[str, str]], dict[str, str]]


@pytest.fixture
def season(environment: None, tiny_inputs: Path, tmp_path: Path) -> SeasonContext:
    """Of 60 declarations the first 40 are published as mismatches, P(right) .001 to .04; the others are conform."""
    context = open_context(tiny_inputs, tmp_path)
    ingest.load_declarations(context, loaded_at=NOON)
    publish_by_hand(context, "run-1")
    return context


def publish_by_hand(context: SeasonContext, run_id: str) -> None:
    with context.connect() as connection:
        parcels = pd.DataFrame(read_declarations(connection, **context.key).drop(columns="geometry"))
        legend = context.agency.read_legend()
        listed = parcels.index < LIST
        assessments = pd.DataFrame(
            {
                "parcel_id": parcels["parcel_id"],
                "declared_code": parcels["crop_code"],
                "declared_crop": [legend.crop_of(code) for code in parcels["crop_code"]],
                "predicted_crop": "wheat",
                "declared_probability": 0.1,
                "right_probability": [(i + 1) / 1_000 for i in parcels.index],
                "verdict": ["mismatch" if flag else "conform" for flag in listed],
                "reason": ["OTHER_CROP_SUPPORTED" if flag else "DECLARED_CROP_SUPPORTED" for flag in listed],
                "priority": 1.0,
            }
        ).reindex(columns=list(ASSESSMENT_COLUMNS))
        predictions = (
            assessments[["parcel_id"]]
            .assign(
                crop="wheat",
                probability=0.9,
                second_crop=None,
                second_probability=0.1,
                n_observations=9,
                last_observation=None,
                scored_by=None,
                out_of_distribution=0.5,
            )
            .reindex(columns=list(PREDICTION_COLUMNS))
        )
        begin_run(connection, run_id=run_id, **context.key, as_of=None, code_version="1", started_at=NOON)
        publish(
            connection,
            run_id=run_id,
            **context.key,
            parcels=parcels,
            predictions=predictions,
            assessments=assessments,
            statistics=pd.DataFrame(columns=list(STATISTIC_COLUMNS)),
            model_version="hand",
            published_at=NOON,
            report={"assessments": {"target": 0.2, "estimated_rate": 0.02}},
        )


def draw(context: SeasonContext, *, budget: int = 50, seed: int = 0, format_: Any = "csv") -> tuple[Any, bytes]:
    return draw_reviews(context, budget=budget, seed=seed, drawn_at=NOON, format_=format_)


def field(file: bytes, fill: Fill, path: Path) -> Path:
    """The file as it comes back: `fill` says what was found of each row."""
    rows = [{**row, **fill(row)} for row in csv.DictReader(io.StringIO(file.decode()))]
    pd.DataFrame(rows).to_csv(path, index=False, sep=";", encoding="utf-8-sig")
    return path


def come_back(context: SeasonContext, file: bytes, fill: Fill, folder: Path, *, day: int = 0) -> ImportedReviews:
    path = field(file, fill, folder / f"back-{day}.csv")
    return import_reviews(context, path, imported_at=NOON + timedelta(days=day))[0]


def everything_wrong(row: dict[str, str]) -> dict[str, str]:
    return {"finding": "wrong"} if row["stratum"] == "list" else {"finding": "right"}


def everything_right(_: dict[str, str]) -> dict[str, str]:
    return {"finding": "right"}


def test_the_same_sample_again_is_the_same_and_another_seed_is_another(season: SeasonContext) -> None:
    answer, file = draw(season)
    again, file_again = draw(season)
    assert (answer["new"], again["new"]) == (True, False)
    assert again == {**answer, "new": False}
    assert file_again == file
    assert (answer["list"], answer["from_list"], answer["from_control"], answer["target"]) == (40, 40, 10, 0.2)
    other, other_file = draw(season, seed=1)
    assert other["campaign"] != answer["campaign"]
    assert answer["campaign"] in other["note"]
    assert other_file != file


def test_the_field_file_says_what_is_needed_and_leaves_room(season: SeasonContext, tmp_path: Path) -> None:
    _, file = draw(season)
    rows = pd.read_csv(io.BytesIO(file), dtype={"parcel_id": str, "declared_code": str})
    assert len(rows) == 50
    assert rows[["finding", "found_crop_code", "reviewed_by", "reviewed_at", "note"]].isna().all(axis=None)
    assert set(rows["predicted_crop"]) == {"wheat"}
    control = rows[rows["stratum"] != "list"]
    assert (1 / control["inclusion_probability"]).sum() == pytest.approx(20), "ten stand for twenty"
    (tmp_path / "field.gpkg").write_bytes(draw(season, format_="gpkg")[1])
    shapes = gpd.read_file(tmp_path / "field.gpkg")
    assert shapes["parcel_id"].tolist() == rows["parcel_id"].tolist()
    inside = shapes.geometry.contains(gpd.GeoSeries(gpd.points_from_xy(rows["lon"], rows["lat"]), crs=4326))
    assert (shapes.crs.to_epsg(), bool(inside.all())) == (4326, True)


def test_findings_certify_the_list_and_the_same_file_changes_nothing(season: SeasonContext, tmp_path: Path) -> None:
    answer, file = draw(season)
    assert run_statement(season, "run-1") == "Not certified: nobody has reviewed this list."
    first = come_back(season, file, everything_wrong, tmp_path)
    assert (first["rows"], first["accepted"], first["new"], first["rejected"]) == (50, 50, 50, {})
    sentence = first["certification"][answer["campaign"]]
    assert sentence.startswith("With 90% confidence at most 20% of these 40 parcels are rightly declared")
    assert run_statement(season, "run-1") == sentence
    again = come_back(season, file, everything_wrong, tmp_path, day=1)
    assert (again["new"], again["corrected"], again["unchanged"]) == (0, 0, 50)
    report = review_report(season)
    assert report["certification"]["certified"]
    assert report["findings"] == {"right": 10, "wrong": 40}
    assert report["estimated_rate"] == {
        "estimated": 0.02,
        "found": 0.0,
        "low": 0.0,
        "high": 0.0,
        "verdict": "less of the list is right than estimated",
    }
    assert report["share_found"]["share"] is None
    alarms, misses = (next(f for f in report["figures"] if f["what"] == w) for w in ("false_alarms", "misses"))
    assert (alarms["parcels"], alarms["judged"], alarms["rate"]) == (40, 40, 0.0)
    assert (misses["rate"], misses["note"]) == (None, "no figure: 10 judged, 20 are needed")


def test_the_certified_part_of_the_list_is_exported_alone(season: SeasonContext, tmp_path: Path) -> None:
    def exported() -> list[str]:
        written = export_flags(Settings.load(), **season.key, verdicts=["mismatch"], format_="json", certified=True)
        return [row["parcel_id"] for row in json.loads(written)]

    with pytest.raises(InputError, match="is not certified: nobody has reviewed it"):
        exported()
    _, file = draw(season)
    come_back(season, file, everything_wrong, tmp_path)
    assert len(exported()) == 40
    listed = json.loads(export_flags(Settings.load(), **season.key, verdicts=["mismatch"], format_="json"))
    assert exported() == [row["parcel_id"] for row in listed], "most urgent first, as the whole list"

    first = listed[0]["parcel_id"]

    def one_is_right(row: dict[str, str]) -> dict[str, str]:
        return {"finding": "right"} if row["parcel_id"] == first else everything_wrong(row)

    come_back(season, file, one_is_right, tmp_path, day=1)
    assert exported() == [row["parcel_id"] for row in listed[1:]]
    come_back(season, file, everything_right, tmp_path, day=2)
    with pytest.raises(InputError, match="Could not be certified"):
        exported()


def test_a_correction_can_take_the_certificate_back(season: SeasonContext, tmp_path: Path) -> None:
    answer, file = draw(season)
    come_back(season, file, everything_wrong, tmp_path)
    second = come_back(season, file, everything_right, tmp_path, day=1)
    assert (second["corrected"], second["unchanged"]) == (40, 10)
    assert second["certification"][answer["campaign"]].startswith("Could not be certified: too many")
    assert run_statement(season, "run-1").startswith("Could not be certified")


def test_a_list_is_tested_once(season: SeasonContext, tmp_path: Path) -> None:
    _, first = draw(season)
    other, second = draw(season, seed=1)
    come_back(season, first, everything_right, tmp_path)
    tried = come_back(season, second, everything_wrong, tmp_path, day=1)
    assert "a list is tested once" in tried["certification"][other["campaign"]]
    assert review_report(season, campaign=other["campaign"])["certification"]["reason"] == "LIST_USED_BEFORE"


def test_delta_is_fixed_when_the_sample_is_drawn(season: SeasonContext, tiny_inputs: Path, tmp_path: Path) -> None:
    draw(season)
    changed = open_context(tiny_inputs, tmp_path, review={"delta": 0.4})
    with pytest.raises(InputError, match=r"drawn with delta 0\.1, the agency file now says 0\.4"):
        draw(changed)


def test_labels_that_reviews_contradict_until_the_declaration_changes(season: SeasonContext, tmp_path: Path) -> None:
    _, file = draw(season)
    with season.connect() as connection:
        parcels = read_declarations(connection, **season.key)
    legend = season.agency.read_legend()
    assert reviewed_labels(season, parcels, legend).key == ()
    wrong, right, unclear = (row["parcel_id"] for row in list(csv.DictReader(io.StringIO(file.decode())))[:3])
    said = {wrong: "wrong", right: "right", unclear: "cannot_tell"}
    come_back(season, file, lambda row: {"finding": said.get(row["parcel_id"], "")}, tmp_path)
    labels = reviewed_labels(season, parcels, legend)
    assert (labels.wrong, labels.right) == (frozenset({wrong}), frozenset({right}))
    amended = parcels.assign(crop_code=parcels["crop_code"].where(parcels["parcel_id"] != wrong, "amended"))
    later = reviewed_labels(season, amended, legend)
    assert (later.wrong, later.right) == (frozenset(), frozenset({right}))
    assert len({labels.key, later.key, ()}) == 3, "each is another training"


def test_nothing_published_or_drawn_is_said(season: SeasonContext, tiny_inputs: Path, tmp_path: Path) -> None:
    other = open_context(tiny_inputs, tmp_path, agency="other")
    with pytest.raises(InputError, match="is not published"):
        draw(other)
    with pytest.raises(InputError, match="no sample of a list was drawn"):
        review_report(season)
    path = tmp_path / "f.csv"
    path.write_text("parcel_id,finding\n1,right\n")
    with pytest.raises(InputError, match="no sample was drawn"):
        import_reviews(season, path, imported_at=NOON)


def test_the_commands(season: SeasonContext, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = [str(season.agency.file), "--season", str(YEAR), "--data", str(season.agency.data)]
    out = tmp_path / "field.csv"
    assert cropmap(["review", "sample", *where, "--budget", "50", "--out", str(out)]) == 0
    assert cropmap(["review", "sample", *where, "--budget", "50", "--out", str(tmp_path / "field.ods")]) == 2
    field(out.read_bytes(), everything_wrong, out)
    with out.open("a") as file:
        file.write("c9;nobody\n")
    capsys.readouterr()
    assert cropmap(["review", "sample", *where, "--budget", "50", "--out", str(out)]) == 2
    assert "holds 50 findings" in capsys.readouterr().err
    assert cropmap(["review", "import", *where, str(out)]) == 0
    said = capsys.readouterr().out
    assert "With 90% confidence" in said
    assert cropmap(["review", "report", *where]) == 0
    assert "false_alarms" in capsys.readouterr().out
    with connect(season.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM review").fetchone() == (50,)


def test_a_sample_goes_out_and_comes_back_as_a_workbook(
    season: SeasonContext, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [str(season.agency.file), "--season", str(YEAR), "--data", str(season.agency.data)]
    out = tmp_path / "field.xlsx"
    assert cropmap(["review", "sample", *where, "--budget", "50", "--out", str(out)]) == 0
    book = openpyxl.load_workbook(out)
    sheet = book["review"]
    header = [cell.value for cell in sheet[1]]
    parcel, finding = header.index("parcel_id") + 1, header.index("finding") + 1
    assert isinstance(sheet.cell(2, parcel).value, str)
    assert sheet.data_validations.dataValidation[0].formula1 == '"right,wrong,cannot_tell"'
    for row in range(2, sheet.max_row + 1):
        sheet.cell(row, finding).value = "right"
    book.save(out)
    capsys.readouterr()
    assert cropmap(["review", "import", *where, str(out), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["rows"], answer["accepted"], answer["rejected"]) == (50, 50, {})


def test_an_import_of_which_nothing_could_be_taken_fails(
    season: SeasonContext, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [str(season.agency.file), "--season", str(YEAR), "--data", str(season.agency.data)]
    draw(season)
    back = tmp_path / "back.csv"
    back.write_text("parcel_id;finding\nnobody;right\nnobody either;wrong\n")
    capsys.readouterr()
    assert cropmap(["review", "import", *where, str(back), "--json"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["rejected"] == {"UNKNOWN_PARCEL": 2}
    assert f"no row could be taken (UNKNOWN_PARCEL 2). See {tmp_path / 'back.rejected.csv'}" in said.err
    assert (tmp_path / "back.rejected.csv").read_text().count("nobody") == 2


def test_an_identifier_that_a_spreadsheet_would_run_is_guarded_and_comes_back(
    season: SeasonContext, tmp_path: Path
) -> None:
    draw(season)
    with season.connect() as connection:
        (campaign,) = reviews.read_campaigns(connection, **season.key)
        sample = reviews.read_sample(connection, campaign.campaign_id)[:1].assign(parcel_id="=1+1")
    outline = gpd.GeoDataFrame({"parcel_id": ["=1+1"]}, geometry=[shapely.box(0, 50, 1, 51)], crs=4326)
    out = field_file(sample, outline, campaign, season.agency.read_legend(), "csv")
    (row,) = csv.DictReader(io.StringIO(out.decode()))
    assert row["parcel_id"] == "'=1+1"
    back = tmp_path / "back.csv"
    back.write_text("parcel_id,finding\n'=1+1,right\n")
    answer, rejected = import_reviews(season, back, imported_at=NOON)
    assert answer["rejected"] == {"UNKNOWN_PARCEL": 1}
    (row,) = csv.DictReader(io.StringIO(rejected.decode()))
    assert row["parcel_id"] == "'=1+1"
