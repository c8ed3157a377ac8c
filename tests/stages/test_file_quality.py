"""The report on a declarations file with rows of many kinds."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
import yaml
from shapely import Point, Polygon, box

from cropmap.cli import run

X, Y = 500_000.0, 5_345_000.0
BOWTIE = Polygon([(X, Y + 500), (X + 100, Y + 600), (X + 100, Y + 500), (X, Y + 600)])


def square(column: float) -> Polygon:
    """A hectare on the UTM grid, `column` hundred metres east."""
    return box(X + 100 * column, Y, X + 100 * column + 100, Y + 100)


ROWS = [
    ("001", "BTH", 1.0, square(0)),
    ("002", "BTH", 1.0, square(0.5)),  # half of it lies in 001
    ("003", "BTH", 1.15, square(4)),  # more than 1.5 m x 400 m above, less than a quarter
    ("004", "???", 1.0, square(6)),
    ("003", "BTH", 1.0, square(8)),
    ("005", "BTH", 1.0, square(4)),
    ("006", "BTH", 1.0, None),
    ("007", "BTH", 0.5, BOWTIE),
    ("008", "BTH", 1.0, square(9_000)),
    ("009", "BTH", 9.0, square(10)),
    (None, "BTH", 1.0, square(12)),
    ("<b>", "BTH", 1.0, square(14)),
    ("012", "BTH", 1.0, Point(X, Y + 300)),
]
REJECTIONS = {
    "MISSING_PARCEL_ID": 1,
    "DUPLICATE_PARCEL_ID": 1,
    "UNKNOWN_CODE": 1,
    "EMPTY_GEOMETRY": 1,
    "INVALID_GEOMETRY": 2,
    "DUPLICATE_GEOMETRY": 1,
    "AREA_CONTRADICTS_GEOMETRY": 1,
    "OUTSIDE_REGIONS": 1,
}


@pytest.fixture
def agency(tmp_path: Path) -> Path:
    ids, codes, areas, shapes = zip(*ROWS, strict=True)
    table = gpd.GeoDataFrame({"id": ids, "code": codes, "ha": areas}, geometry=list(shapes), crs=32630)
    table.to_file(tmp_path / "declarations.gpkg", layer="declarations")
    region = {"NUTS_ID": ["FRH01"], "LEVL_CODE": [3], "NAME_LATN": ["Côtes-d'Armor"]}
    nuts = gpd.GeoDataFrame(region, geometry=[box(X - 1e4, Y - 1e4, X + 1e4, Y + 1e4)], crs=32630)
    nuts.to_crs(4326).to_file(tmp_path / "nuts.geojson")
    document = {
        "agency": "test",
        "regions": {"nuts_version": 2024, "boundaries": "nuts.geojson", "codes": ["FRH01"]},
        "acquisitions": {"catalog": "catalog.json"},
        "declarations": {
            "path": "declarations.gpkg",
            "columns": {"parcel_id": "id", "crop_code": "code", "area": "ha"},
        },
        "legend": "fr_breizhcrops13",
    }
    path = tmp_path / "agency.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def report(agency: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    home = str(agency.parent / "home")
    assert (
        run(["declarations", "quality", str(agency), "--season", "2018", "--out", str(out), "--json", "--home", home])
        == 0
    )
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_every_row_is_accepted_or_rejected_and_warnings_are_apart(
    agency: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    answer = report(agency, out, capsys)
    assert (answer["rows"], answer["accepted"], answer["rejected"], answer["with_warnings"]) == (13, 4, 9, 3)
    assert answer["rejections"] == REJECTIONS
    assert answer["warnings"] == {"OVERLAP": 2, "CLAIMED_ABOVE_DRAWN": 1}

    document = json.loads((out / "quality.json").read_text())
    checks = {check["name"]: check for check in document["checks"]}
    assert sum(check["rows"] for check in checks.values() if check["rejects"]) == 9
    assert checks["UNKNOWN_CODE"]["examples"] == [
        {"row_number": 4, "parcel_id": "004", "detail": "code ??? is not in legend fr_breizhcrops13"}
    ]
    assert checks["UNKNOWN_CODE"]["area_ha"] == pytest.approx(1.0, abs=0.01)
    assert checks["OVERLAP"]["area_ha"] == pytest.approx(0.5, abs=0.01)
    assert checks["EMPTY_GEOMETRY"]["area_ha"] is None
    assert [(code["code"], code["rows"]) for code in document["unmapped_codes"]] == [("???", 1)]


def test_the_rejects_open_in_a_gis(agency: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report"
    report(agency, out, capsys)
    layers = {str(name) for name, _ in pyogrio.list_layers(out / "rejects.gpkg")}
    assert layers == {"rejected", "rejected_without_outline", "warnings", "overlaps"}
    rejected = gpd.read_file(out / "rejects.gpkg", layer="rejected")
    assert rejected.crs.to_epsg() == 4326
    assert sorted(rejected["row_number"]) == [4, 5, 6, 8, 9, 10, 11, 13]
    assert set(rejected.geometry.geom_type) == {"Polygon", "Point"}
    fourth = rejected.set_index("row_number").to_crs(32630).geometry[4]
    assert fourth.bounds == pytest.approx((X + 600, Y, X + 700, Y + 100), abs=0.01)
    nowhere = pyogrio.read_dataframe(out / "rejects.gpkg", layer="rejected_without_outline")
    assert nowhere[["row_number", "parcel_id", "reason"]].to_numpy().tolist() == [[7, "006", "EMPTY_GEOMETRY"]]
    overlaps = gpd.read_file(out / "rejects.gpkg", layer="overlaps")
    assert overlaps[["first_id", "second_id"]].to_numpy().tolist() == [["001", "002"]]
    assert overlaps.to_crs(32630).total_bounds == pytest.approx([X + 50, Y, X + 100, Y + 100], abs=0.1)


def test_the_page_stands_alone_and_escapes_what_the_file_says(
    agency: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    table = gpd.read_file(agency.parent / "declarations.gpkg")
    table.loc[3, "code"] = "<script>"
    table.to_file(agency.parent / "declarations.gpkg", layer="declarations")
    report(agency, out, capsys)
    page = (out / "quality.html").read_text()
    assert "13 rows: 4 accepted" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    picture = re.search(r'src="data:image/png;base64,([^"]+)"', page)
    assert picture is not None
    assert base64.b64decode(picture[1]).startswith(b"\x89PNG")


def test_the_same_file_gives_the_same_report(agency: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = []
    for name in ("one", "two", "two"):
        report(agency, tmp_path / name, capsys)
        pages.append([(tmp_path / name / file).read_bytes() for file in ("quality.json", "quality.html")])
    assert pages[0] == pages[1] == pages[2]
    assert sorted(item.name for item in (tmp_path / "two").iterdir()) == [
        "quality.html",
        "quality.json",
        "rejects.gpkg",
    ]


def test_a_file_without_a_finding_and_one_without_a_good_row(
    agency: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = gpd.read_file(agency.parent / "declarations.gpkg")
    for name, rows in (("good", [0]), ("bad", [3])):
        table.iloc[rows].to_file(agency.parent / "declarations.gpkg", layer="declarations")
        answer = report(agency, tmp_path / name, capsys)
        assert (answer["rows"], answer["accepted"]) == (1, int(name == "good"))
        assert (tmp_path / name / "quality.html").exists()


def test_a_missing_file_is_one_line(agency: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (agency.parent / "declarations.gpkg").unlink()
    home = str(agency.parent / "home")
    code = run(
        ["declarations", "quality", str(agency), "--season", "2018", "--out", str(tmp_path / "o"), "--home", home]
    )
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert "no such file" in err
