"""The raw layout: one CSV per parcel, bands in alphabetical order."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from cropmap.breizhcrops.raw_folders import SCHEMA, read_breizhcrops_raw
from cropmap.errors import ObservationFileError

HEADER = ",B1,B10,B11,B12,B2,B3,B4,B5,B6,B7,B8,B8A,B9,QA10,QA20,QA60,doa,label,id"


def write(folder: Path, parcel: str, *rows: str, header: str = HEADER) -> None:
    (folder / f"{parcel}.csv").write_text("\n".join([header, *rows]) + "\n")


def row(day: str, qa60: float, *, parcel: str, label: str = "056") -> str:
    """Band Bn holds n00, B8A holds 850."""
    values = "100,1000,1100,1200,200,300,400,500,600,700,800,850,900"
    return f"{day.replace('-', '')}T1024_T32UPA,{values},0,0,{qa60},{day},{label},{parcel}"


def test_columns_are_resolved_by_name(tmp_path: Path) -> None:
    write(tmp_path, "042", row("2018-03-01", 0.0, parcel="042"), row("2018-01-02", 1024.0, parcel="042"))
    table = read_breizhcrops_raw(tmp_path)
    assert table.schema == SCHEMA
    first, second = table.to_pylist()
    assert (first["day"], second["day"]) == (date(2018, 1, 2), date(2018, 3, 1))
    assert (first["parcel_id"], first["label"], first["product_id"]) == ("042", "056", "20180102T1024_T32UPA")
    assert {band: round(first[band], 4) for band in ("B01", "B02", "B8A", "B10", "B12")} == {
        "B01": 0.01,
        "B02": 0.02,
        "B8A": 0.085,
        "B10": 0.1,
        "B12": 0.12,
    }


@pytest.mark.parametrize(
    ("qa60", "opaque", "cirrus"),
    [(0, False, False), (1024, True, False), (2048, False, True), (3072, True, True), (637.1, True, True)],
)
def test_cloud_bits(tmp_path: Path, qa60: float, opaque: bool, cirrus: bool) -> None:
    write(tmp_path, "1", row("2018-01-02", qa60, parcel="1"))
    (record,) = read_breizhcrops_raw(tmp_path).to_pylist()
    assert (record["opaque_cloud"], record["cirrus"]) == (opaque, cirrus)


def test_a_product_listed_twice_stays_once(tmp_path: Path) -> None:
    write(tmp_path, "1", row("2018-01-02", 0, parcel="1"), row("2018-01-02", 0, parcel="1"))
    assert read_breizhcrops_raw(tmp_path).num_rows == 1


def test_a_file_of_another_layout(tmp_path: Path) -> None:
    with pytest.raises(ObservationFileError, match="no CSV file"):
        read_breizhcrops_raw(tmp_path)
    write(tmp_path, "1", "x,1", header=",B1")
    with pytest.raises(ObservationFileError, match="no column 'QA60'"):
        read_breizhcrops_raw(tmp_path)
    write(tmp_path, "1", row("02.01.2018", 0, parcel="1"))
    with pytest.raises(ObservationFileError, match="cannot be read"):
        read_breizhcrops_raw(tmp_path)


@pytest.mark.shared_data
def test_the_sample(shared_data: Path) -> None:
    table = read_breizhcrops_raw(shared_data / "breizhcrops_sample/csv")
    parcels = table.group_by(["parcel_id", "label"]).aggregate([([], "count_all")]).to_pylist()
    assert len(parcels) == 6
    assert {parcel["label"] for parcel in parcels} == {"451", "422", "453"}
    assert sorted(parcel["count_all"] for parcel in parcels) == [71, 71, 71, 71, 71, 90]


def test_a_row_without_a_parcel_is_named(tmp_path: Path) -> None:
    write(tmp_path, "1", row("2018-01-02", 0, parcel=""))
    with pytest.raises(ObservationFileError, match=r"1\.csv: parcel_id is empty in some rows"):
        read_breizhcrops_raw(tmp_path)
