"""Every documented variant of a BreizhCrops folder gives the same numbers, or is refused with its reason."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cropmap.breizhcrops.columns import NATURAL as OUR_BANDS
from cropmap.breizhcrops.files import BreizhCropsData, find_regions, read_breizhcrops
from cropmap.breizhcrops.index import read_class_mapping
from cropmap.errors import ConfigurationError, ObservationFileError
from tests.data.make_breizhcrops import (
    ALPHABETICAL,
    CLASSES_9,
    CLASSES_13,
    NATURAL,
    NS_PER_DAY,
    make_array,
    make_breizhcrops,
    write_class_mapping,
    write_raw,
)

DAY_0 = (date(2017, 1, 3) - date(1970, 1, 1)).days


def read(root: Path, *regions: str, year: int = 2017, level: Any = "L1C") -> BreizhCropsData:
    return read_breizhcrops(
        root, year=year, level=level, regions=regions or ("frh01",), mapping=read_class_mapping(root)
    )


@pytest.mark.parametrize(
    "variant",
    [
        {"order": ALPHABETICAL, "header": "full", "cloud": "meanCLD"},
        {"order": ALPHABETICAL, "header": "short", "cloud": "meanQA60"},
        {"order": NATURAL, "header": "short", "cloud": "meanQA60"},
        {"order": NATURAL, "date_column": "first"},
        {"order": ALPHABETICAL, "ns_per_unit": 1000},
        {"year": 2018},
    ],
    ids=str,
)
def test_every_variant_of_l1c_gives_the_same_numbers(variant: dict[str, Any], tmp_path: Path) -> None:
    make_breizhcrops(tmp_path, regions=["frh01"], parcels=3, **variant)
    year = variant.get("year", 2017)
    data = read(tmp_path, year=year)
    assert data.parcel_ids.tolist() == ["frh01/100", "frh01/101", "frh01/102"]
    assert data.bands == OUR_BANDS
    assert data.order == {"frh01": "natural" if variant.get("order") == NATURAL else "alphabetical"}
    assert data.offsets.tolist() == [0, 30, 70, 120]
    assert data.day[data.offsets[1] + 2] == (date(year, 1, 17) - date(1970, 1, 1)).days
    # row 2 of the second parcel (class 1): 1000 + 100 n + 2, B08 3000 more, B10 holds 2
    row = dict(zip(data.bands, data.reflectance[data.offsets[1] + 2].tolist(), strict=True))
    expected = {"B01": 0.1102, "B02": 0.1202, "B08": 0.4802, "B8A": 0.1852, "B10": 0.0002, "B12": 0.2202}
    assert {band: row[band] for band in expected} == pytest.approx(expected, rel=1e-6)
    assert data.clear_fraction[:6].tolist() == [1, 1, 1, 0.5, 0, 1]
    assert data.reflectance.dtype == np.float32


@pytest.mark.parametrize("date_column", ["first", "last"])
def test_l2a_finds_its_date_wherever_it_stands(date_column: Any, tmp_path: Path) -> None:
    make_breizhcrops(tmp_path, level="L2A", regions=["frh01"], parcels=2, date_column=date_column)
    data = read(tmp_path, level="L2A")
    assert (data.bands, data.has_dates) == (OUR_BANDS[1:9] + OUR_BANDS[11:], True)
    assert data.day[:2].tolist() == [DAY_0, DAY_0 + 7]
    assert data.reflectance[30, data.bands.index("B08")] == pytest.approx(0.48)
    assert data.clear_fraction[:5].tolist() == [1, 1, 1, 0.5, 0]


def test_the_first_l2a_release_has_no_dates(tmp_path: Path) -> None:
    make_breizhcrops(tmp_path, level="L2A", regions=["frh01"], parcels=2, date_column="none")
    data = read(tmp_path, level="L2A")
    assert not data.has_dates
    assert data.day[28:33].tolist() == [28, 29, 0, 1, 2]


def test_series_that_cannot_be_used_are_counted_by_reason(tmp_path: Path) -> None:
    make_breizhcrops(tmp_path, regions=["frh01", "frh02"], parcels=4, troubles=True)
    data = read(tmp_path, "frh01", "frh02")
    assert len(data.parcel_ids) == 8
    assert data.region.tolist() == [0] * 4 + [1] * 4
    assert (
        data.left_out["frh01"]
        == data.left_out["frh02"]
        == {
            "crop code is in no class": 1,
            "parcel id is listed before": 1,
            "path is not in the h5 file": 1,
            "series has no usable row": 1,
        }
    )


def test_an_array_of_another_shape_is_left_out(tmp_path: Path) -> None:
    make_breizhcrops(tmp_path, regions=["frh01"], parcels=3)
    with h5py.File(tmp_path / "2017/L1C/frh01.h5", "a") as file:
        del file["csv/frh01/101.csv"]
        file["csv/frh01/101.csv"] = np.ones((4, 9))
    data = read(tmp_path)
    assert (len(data.parcel_ids), data.left_out["frh01"]) == (2, {"array has other columns than its region": 1})


def test_rows_are_put_in_order_and_a_day_is_kept_once(tmp_path: Path) -> None:
    make_breizhcrops(tmp_path, regions=["frh01"], parcels=1)
    array = make_array(0, 5, [*ALPHABETICAL, "QA10", "QA20", "QA60", "doa"], year=2017)
    array[1, :13] = np.nan  # nothing was seen
    array[3, -1] = array[4, -1]  # one day twice: the half cloudy row stays, the cloudy one goes
    with h5py.File(tmp_path / "2017/L1C/frh01.h5", "a") as file:
        del file["csv/frh01/100.csv"]
        file["csv/frh01/100.csv"] = array[::-1]
    data = read(tmp_path)
    assert data.day.tolist() == [DAY_0, DAY_0 + 14, DAY_0 + 28]
    assert data.clear_fraction.tolist() == [1, 1, 0.5]
    assert data.reflectance[:, 1] == pytest.approx([0.12, 0.1202, 0.1203])


def test_labels_follow_the_mapping_and_not_the_index(tmp_path: Path) -> None:
    """The index's own classid belongs to the mapping that it was made with."""
    make_breizhcrops(tmp_path, regions=["frh01"], parcels=4, classes=CLASSES_9)
    write_class_mapping(tmp_path, CLASSES_13)
    data = read(tmp_path)
    assert len(data.crops) == 13
    assert [data.crops[k] for k in data.label] == ["barley", "common wheat", "rapeseed", "corn"]
    own = read_class_mapping(tmp_path, "fr_breizhcrops9")
    assert (len(own.crops), own.crop_of["ORH"]) == (9, "barley")


def test_an_order_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    make_breizhcrops(tmp_path, regions=["frh01"], parcels=2)
    with h5py.File(tmp_path / "2017/L1C/frh01.h5", "a") as file:
        for array in file["csv/frh01"].values():
            array[:, 1] = 1500.0  # no band is near zero
    with pytest.raises(ObservationFileError, match=r"order of the bands cannot be told.*1500 and"):
        read(tmp_path)


def test_other_contents_are_refused(tmp_path: Path) -> None:
    make_breizhcrops(tmp_path, regions=["frh01"], parcels=2)
    path = tmp_path / "2017/L1C/frh01.h5"
    with h5py.File(path, "a") as file:
        for array in file["csv/frh01"].values():
            array[:, :13] *= 1e-4
    with pytest.raises(ObservationFileError, match="x 10 000"):
        read(tmp_path)
    with h5py.File(path, "a") as file:
        for array in file["csv/frh01"].values():
            array[:, -1] = 20170103
    with pytest.raises(ObservationFileError, match="17 columns, none of which is a date"):
        read(tmp_path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ObservationFileError, match="cannot be read as HDF5"):
        read(tmp_path)
    with pytest.raises(ObservationFileError, match="no region frh03"):
        read(tmp_path, "frh03")
    (tmp_path / "2017/L1C/frh01.csv").write_text("id,path\n1,x\n")
    with pytest.raises(ObservationFileError, match="no column CODE_CULTU"):
        read(tmp_path)
    (tmp_path / "classmapping.csv").unlink()
    with pytest.raises(ConfigurationError, match=r"no classmapping\.csv.*--legend fr_breizhcrops9"):
        read(tmp_path)


def test_l1c_files_are_not_taken_for_l2a(tmp_path: Path) -> None:
    make_breizhcrops(tmp_path, regions=["frh01"], parcels=2)
    (tmp_path / "2017/L1C").rename(tmp_path / "2017/L2A")
    with pytest.raises(ObservationFileError, match=r"17 columns.*check --level"):
        read(tmp_path, level="L2A")


@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_raw_exports_are_read_where_there_is_no_h5(level: Any, tmp_path: Path) -> None:
    write_class_mapping(tmp_path, CLASSES_9)
    write_raw(tmp_path, "frh01", level=level)
    make_breizhcrops(tmp_path, regions=["frh02"], parcels=9, level=level)
    assert find_regions(tmp_path, year=2017, level=level) == ("frh01", "frh02")
    assert find_regions(tmp_path, year=2018, level=level) == ()
    data = read(tmp_path, "frh01", "frh02", level=level)
    raw, compiled = (slice(data.offsets[i], data.offsets[i] + 30) for i in (0, 9))
    assert data.label[:9].tolist() == data.label[9:].tolist() == list(range(9))
    np.testing.assert_array_equal(data.day[raw], data.day[compiled])
    np.testing.assert_allclose(data.reflectance[raw], data.reflectance[compiled], rtol=1e-6)
    np.testing.assert_array_equal(data.clear_fraction[raw], data.clear_fraction[compiled])


@pytest.mark.shared_data
def test_the_sample_opens_like_any_region(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "2018/L1C/bavaria").mkdir(parents=True)
    (tmp_path / "2018/L1C/bavaria/csv").symlink_to(shared_data / "breizhcrops_sample/csv")
    (tmp_path / "classmapping.csv").symlink_to(shared_data / "breizhcrops_sample/classmapping.csv")
    data = read(tmp_path, "bavaria", year=2018)
    assert len(data.parcel_ids) == 6
    assert data.left_out == {"bavaria": {}}
    crops = {data.crops[k] for k in data.label}
    assert crops == {"clover alfalfa protein plants", "machined meadow", "cattle meadow"}


@pytest.mark.filterwarnings("ignore:.*inplace keyword")  # the peer's way with pandas
def test_the_peer_reads_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The breizhcrops package takes natural order for granted, and only files of a known size."""
    peer = pytest.importorskip("breizhcrops.datasets.breizhcrops", reason="the breizhcrops package is not installed")
    make_breizhcrops(tmp_path, regions=["frh01"], parcels=6, order=NATURAL)
    size = (tmp_path / "2017/L1C/frh01.h5").stat().st_size
    monkeypatch.setitem(peer.FILESIZES[2017]["L1C"], "frh01", size)
    theirs = peer.BreizhCrops("frh01", root=str(tmp_path), transform=lambda x: x, target_transform=int)
    ours = read(tmp_path)
    assert len(theirs) == len(ours.parcel_ids) == 6
    for i in range(6):
        array, label, parcel = theirs[i]
        rows = slice(ours.offsets[i], ours.offsets[i + 1])
        assert (ours.parcel_ids[i], ours.label[i]) == (f"frh01/{parcel}", label)
        columns = [peer.SELECTED_BANDS["L1C"].index(band) for band in NATURAL]
        np.testing.assert_allclose(ours.reflectance[rows], array[:, columns] * 1e-4, rtol=1e-6)
        np.testing.assert_array_equal(ours.day[rows], array[:, -1] // NS_PER_DAY)


@pytest.mark.parametrize("how", ["link", "folder", "soft", "raw values", "virtual"])
def test_arrays_that_lie_in_another_file_are_not_read(tmp_path: Path, how: str) -> None:
    """HDF5 follows what a file names, wherever that lies."""
    make_breizhcrops(tmp_path, regions=["frh01"], parcels=3)
    array = make_array(0, 30, [*ALPHABETICAL, "QA10", "QA20", "QA60", "doa"], year=2017)
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["csv/frh01/100.csv"] = array
    with h5py.File(tmp_path / "2017/L1C/frh01.h5", "r+") as file:
        name = "csv/frh01/100.csv"
        del file["csv" if how == "folder" else name]
        if how == "link":
            file[name] = h5py.ExternalLink(str(secret), f"/{name}")
        elif how == "folder":
            file["csv"] = h5py.ExternalLink(str(secret), "/csv")
        elif how == "soft":
            file["other"] = h5py.ExternalLink(str(secret), "/csv")
            file[name] = h5py.SoftLink("/other/frh01/100.csv")
        elif how == "raw values":
            (tmp_path / "raw").write_bytes(array.tobytes())
            file.create_dataset(name, array.shape, "f8", external=[(str(tmp_path / "raw"), 0, array.nbytes)])
        else:
            layout = h5py.VirtualLayout(array.shape, "f8")
            layout[:] = h5py.VirtualSource(str(secret), name, array.shape)
            file.create_virtual_dataset(name, layout)
    with pytest.raises(ObservationFileError, match=r"frh01\.h5: 'csv/frh01/100\.csv' cannot be read \(it is a link"):
        read(tmp_path)


def test_an_array_that_declares_more_than_any_memory_is_counted(tmp_path: Path) -> None:
    make_breizhcrops(tmp_path, regions=["frh01"], parcels=3)
    with h5py.File(tmp_path / "2017/L1C/frh01.h5", "r+") as file:
        del file["csv/frh01/100.csv"]
        file.create_dataset("csv/frh01/100.csv", (2**31, 17), "f8", chunks=(1024, 17), compression="gzip")
    found = read(tmp_path)
    assert found.parcel_ids.tolist() == ["frh01/101", "frh01/102"]
    assert found.left_out == {"frh01": {"array is larger than any series": 1}}
