"""Files of findings as they come back: spreadsheets with semicolons and lost zeros, and a GeoPackage."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import geopandas as gpd
import openpyxl
import pytest
from shapely import Point

from cropmap.errors import InputError
from cropmap.legends import Legend, LegendEntry
from cropmap.sources.findings import CheckedFindings, check_findings, read_findings_file

LEGEND = Legend(
    "test",
    (LegendEntry("056", "maize", "maize", None, "maize"), LegendEntry("BTH", "wheat", "wheat", None, "wheat")),
    "hash",
)
DRAWN = {"c1": {"007": "056", "7": "BTH", "0100": "BTH"}}
HEADER = "campaign,parcel_id,finding,found_crop_code,reviewed_by,reviewed_at,note\n"


def check(path: Path) -> CheckedFindings:
    parcels = frozenset({"007", "7", "0100", "200"})
    return check_findings(read_findings_file(path), drawn=DRAWN, parcels=parcels, legend=LEGEND)


def _file(folder: Path, text: str) -> Path:
    path = folder / "field.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_findings_are_read_whatever_the_spreadsheet_made_of_them(tmp_path: Path, mark: str, delimiter: str) -> None:
    rows = "c1,007,Wrong,bth,J. Le Goff,31.07.2018,\r\nc1,7,cannot tell,,,2018-07-30,wet\r\nc1,0100,,,,,\r\n,,,,,,\r\n"
    text = HEADER + rows
    found = check(_file(tmp_path, mark + text.replace(",", delimiter)))
    assert found.accepted.to_dict("records") == [
        {
            "campaign": "c1",
            "parcel_id": "007",
            "finding": "wrong",
            "found_code": "BTH",
            "reviewed_by": "J. Le Goff",
            "reviewed_at": date(2018, 7, 31),
            "note": None,
        },
        {
            "campaign": "c1",
            "parcel_id": "7",
            "finding": "cannot_tell",
            "found_code": None,
            "reviewed_by": None,
            "reviewed_at": date(2018, 7, 30),
            "note": "wet",
        },
    ]
    assert (len(found.rejected), found.not_visited) == (0, 1)


def test_what_cannot_be_used_is_rejected_with_its_reason(tmp_path: Path) -> None:
    rows = [
        "c1,,right,,,,",
        "c2,007,right,,,,",
        "c1,999,right,,,,",
        "c1,100,right,,,,",
        "c1,200,right,,,,",
        "c1,007,maybe,,,,",
        "c1,007,,BTH,,,",
        "c1,007,wrong,XXX,,,",
        "c1,007,wrong,056,,,",
        "c1,007,right,BTH,,,",
        "c1,007,right,,,yesterday,",
    ]
    found = check(_file(tmp_path, HEADER + "\n".join(rows)))
    assert len(found.accepted) == 0
    assert found.rejected[["row_number", "reason"]].to_numpy().tolist() == [
        [2, "MISSING_PARCEL_ID"],
        [3, "OTHER_CAMPAIGN"],
        [4, "UNKNOWN_PARCEL"],
        [5, "UNKNOWN_PARCEL"],
        [6, "NOT_IN_SAMPLE"],
        [7, "UNKNOWN_FINDING"],
        [8, "UNKNOWN_FINDING"],
        [9, "UNKNOWN_CODE"],
        [10, "CONTRADICTORY"],
        [11, "CONTRADICTORY"],
        [12, "UNREADABLE_DATE"],
    ]
    assert found.rejected["detail"][3] == "'0100' is: were leading zeros lost?"


def test_a_parcel_that_stands_twice_is_taken_once_or_not_at_all(tmp_path: Path) -> None:
    rows = ["c1,007,right,,,,", "c1,7,wrong,,,,", "c1,007,right,056,,,", "c1,7,right,,,,"]
    found = check(_file(tmp_path, HEADER + "\n".join(rows)))
    assert found.accepted["parcel_id"].tolist() == ["007"], "a right code beside right says the same"
    assert found.rejected[["row_number", "parcel_id", "reason"]].to_numpy().tolist() == [
        [3, "7", "DUPLICATE_PARCEL"],
        [4, "007", "DUPLICATE_PARCEL"],
        [5, "7", "DUPLICATE_PARCEL"],
    ]


def test_a_geopackage_that_was_filled_in_on_the_map(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame(
        {
            "campaign": ["c1", "c1"],
            "parcel_id": ["007", "7"],
            "finding": ["wrong", None],
            "found_crop_code": ["BTH", None],
            "reviewed_at": [date(2018, 7, 31), None],
        },
        geometry=[Point(0, 0), Point(1, 1)],
        crs=4326,
    )
    frame.to_file(tmp_path / "field.gpkg", layer="review")
    found = check(tmp_path / "field.gpkg")
    assert found.accepted[["parcel_id", "found_code", "reviewed_at"]].to_numpy().tolist() == [
        ["007", "BTH", date(2018, 7, 31)]
    ]
    assert found.not_visited == 1


def test_a_file_that_is_none_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column finding\. .*this one has parcel_id, result"):
        read_findings_file(_file(tmp_path, "parcel_id,result\n007,right\n"))
    with pytest.raises(InputError, match="no such file"):
        read_findings_file(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"a folder, not a file of findings\. Name the file"):
        read_findings_file(tmp_path)
    with pytest.raises(InputError, match=r"has no rows\. Fill in"):
        read_findings_file(_file(tmp_path, "parcel_id,finding\n"))
    (tmp_path / "broken.gpkg").write_bytes(b"no database")
    with pytest.raises(InputError, match="cannot be read as GeoPackage"):
        read_findings_file(tmp_path / "broken.gpkg")


@pytest.mark.parametrize(("encoding", "note"), [("cp1252", "été à côté"), ("cp1250", "řepka žlutá"), ("utf-16", "été")])
def test_what_excel_saves_as_csv(tmp_path: Path, encoding: str, note: str) -> None:
    text = f"campaign;parcel_id;finding;reviewed_at;note\r\nc1;007;right;31.07.18;{note}\r\n"
    (tmp_path / "field.csv").write_bytes(text.encode(encoding))
    found = check(tmp_path / "field.csv")
    assert found.accepted[["parcel_id", "reviewed_at", "note"]].to_numpy().tolist() == [
        ["007", date(2018, 7, 31), note]
    ]


@pytest.mark.parametrize(
    "written",
    [
        "31. 7. 2018",
        "31. 07. 2018",
        "31. 07. 2018.",
        "31.07.2018.",
        "2018. 07. 31.",
        "2018.07.31.",
        "2018. 07. 31. 14:05",
        "31. 7. 2018 14:05",
        "31.07.18.",
        "31.07.2018 14:05",
        "2018-07-31T14:05:00",
    ],
)
def test_days_as_spreadsheets_of_the_cap_write_them(tmp_path: Path, written: str) -> None:
    found = check(_file(tmp_path, f"campaign,parcel_id,finding,reviewed_at\nc1,007,right,{written}\n"))
    assert found.accepted["reviewed_at"].tolist() == [date(2018, 7, 31)]


@pytest.mark.parametrize("written", ["31. 13. 2018", "2018. 31. 07.", "31.", "31. 7.", "7. 31. 2018"])
def test_days_that_are_none_are_counted(tmp_path: Path, written: str) -> None:
    found = check(_file(tmp_path, f"campaign,parcel_id,finding,reviewed_at\nc1,007,right,{written}\n"))
    assert found.rejected["reason"].tolist() == ["UNREADABLE_DATE"]


def test_a_workbook_keeps_leading_zeros_and_days(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Campaign", "Parcel ID", "Finding", "Found crop code", "Reviewed at"])
    sheet.append(["c1", "007", "wrong", "BTH", datetime(2018, 7, 31)])  # noqa: DTZ001  a cell has no time zone
    sheet.append(["c1", 7, "right", None, 43312])
    sheet.append(["c1", 100, "cannot tell", None, "2018-07-30"])
    sheet["B4"].number_format = "0000"
    sheet.append([None] * 5)
    sheet.append(["c1", "999", "right", None, None])
    book.save(tmp_path / "field.xlsx")
    found = check(tmp_path / "field.xlsx")
    assert found.accepted[["parcel_id", "finding", "found_code", "reviewed_at"]].to_numpy().tolist() == [
        ["007", "wrong", "BTH", date(2018, 7, 31)],
        ["7", "right", None, date(2018, 7, 31)],
        ["0100", "cannot_tell", None, date(2018, 7, 30)],
    ]
    assert found.rejected[["row_number", "reason"]].to_numpy().tolist() == [[6, "UNKNOWN_PARCEL"]]


def test_old_and_damaged_workbooks_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and so on")
    with pytest.raises(InputError, match=r"Excel file of before 2007\. Save it as XLSX or CSV"):
        read_findings_file(tmp_path / "old.xls")
    (tmp_path / "cut.xlsx").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(InputError, match="cannot be read as XLSX"):
        read_findings_file(tmp_path / "cut.xlsx")
