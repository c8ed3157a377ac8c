"""Files of findings as they come back: spreadsheets with semicolons and lost zeros, and a GeoPackage."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import geopandas as gpd
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
        {"campaign": "c1", "parcel_id": "007", "finding": "wrong", "found_code": "BTH", "reviewed_by": "J. Le Goff",
         "reviewed_at": date(2018, 7, 31), "note": None},
        {"campaign": "c1", "parcel_id": "7", "finding": "cannot_tell", "found_code": None, "reviewed_by": None,
         "reviewed_at": date(2018, 7, 30), "note": "wet"},
    ]  # fmt: skip
    assert (len(found.rejected), found.not_visited) == (0, 1)


def test_what_cannot_be_used_is_rejected_with_its_reason(tmp_path: Path) -> None:
    rows = [
        "c1,,right,,,,", "c2,007,right,,,,", "c1,999,right,,,,", "c1,100,right,,,,", "c1,200,right,,,,",
        "c1,007,maybe,,,,", "c1,007,,BTH,,,", "c1,007,wrong,XXX,,,", "c1,007,wrong,056,,,", "c1,007,right,BTH,,,",
        "c1,007,right,,,yesterday,",
    ]  # fmt: skip
    found = check(_file(tmp_path, HEADER + "\n".join(rows)))
    assert len(found.accepted) == 0
    assert found.rejected[["row_number", "reason"]].to_numpy().tolist() == [
        [2, "MISSING_PARCEL_ID"], [3, "OTHER_CAMPAIGN"], [4, "UNKNOWN_PARCEL"], [5, "UNKNOWN_PARCEL"],
        [6, "NOT_IN_SAMPLE"], [7, "UNKNOWN_FINDING"], [8, "UNKNOWN_FINDING"], [9, "UNKNOWN_CODE"],
        [10, "CONTRADICTORY"], [11, "CONTRADICTORY"], [12, "UNREADABLE_DATE"],
    ]  # fmt: skip
    assert found.rejected["detail"][3] == "'0100' is: were leading zeros lost?"


def test_a_parcel_that_stands_twice_is_taken_once_or_not_at_all(tmp_path: Path) -> None:
    rows = ["c1,007,right,,,,", "c1,7,wrong,,,,", "c1,007,right,056,,,", "c1,7,right,,,,"]
    found = check(_file(tmp_path, HEADER + "\n".join(rows)))
    assert found.accepted["parcel_id"].tolist() == ["007"], "a right code beside right says the same"
    assert found.rejected[["row_number", "parcel_id", "reason"]].to_numpy().tolist() == [
        [3, "7", "DUPLICATE_PARCEL"], [4, "007", "DUPLICATE_PARCEL"], [5, "7", "DUPLICATE_PARCEL"],
    ]  # fmt: skip


def test_a_geopackage_that_was_filled_in_on_the_map(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame(
        {
            "campaign": ["c1", "c1"], "parcel_id": ["007", "7"], "finding": ["wrong", None],
            "found_crop_code": ["BTH", None], "reviewed_at": [date(2018, 7, 31), None],
        },
        geometry=[Point(0, 0), Point(1, 1)], crs=4326,
    )  # fmt: skip
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
    (tmp_path / "latin.csv").write_bytes("parcel_id,finding,note\n7,right,été\n".encode("latin-1"))
    with pytest.raises(InputError, match="Save it as UTF-8"):
        read_findings_file(tmp_path / "latin.csv")
    (tmp_path / "broken.gpkg").write_bytes(b"no database")
    with pytest.raises(InputError, match="cannot be read as GeoPackage"):
        read_findings_file(tmp_path / "broken.gpkg")
