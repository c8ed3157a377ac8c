"""Product folders: offsets by band id, and a missing file that is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import rasterio

from cropmap.errors import SceneError
from cropmap.schemas import BANDS, QuarantineReason
from cropmap.sources.catalogs.safe import read_safe
from tests.data.make_sources_safe import GRANULE, make_safe

GENUINE = "sentinel2_safe/S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454.SAFE"


def test_a_complete_product(tmp_path: Path) -> None:
    offsets = dict.fromkeys(range(13), -1000) | {8: -900}
    acquisition = read_safe(make_safe(tmp_path, offsets=offsets))
    assert (acquisition.tile, acquisition.epsg, acquisition.datatake) == ("30UVU", 32630, "S2A_20180607T110621")
    assert (acquisition.platform, acquisition.relative_orbit) == ("sentinel-2a", 137)
    assert acquisition.sensed_at.isoformat() == "2018-06-07T11:08:35.460000+00:00"
    assert acquisition.bbox == (-3.2, 47.8, -3.0, 48.0), "the file gives latitude first"
    assert acquisition.assets["B08"].offset == pytest.approx(-0.1)
    assert acquisition.assets["B8A"].offset == pytest.approx(-0.09), "band id 8 is B8A"
    assert (acquisition.assets["SCL"].scale, acquisition.assets["SCL"].offset) == (1.0, 0.0)
    assert acquisition.assets["B11"].href.endswith(f"{GRANULE}/IMG_DATA/R20m/T30UVU_20180607T110621_B11_20m.jp2")


def test_a_baseline_before_the_offset(tmp_path: Path) -> None:
    acquisition = read_safe(make_safe(tmp_path, baseline="02.06"))
    assert {acquisition.assets[band].offset for band in BANDS} == {0.0}


@pytest.mark.parametrize("offsets", [None, {0: -1000, 1: -1000}])
def test_a_baseline_that_needs_an_offset_must_state_it(tmp_path: Path, offsets: dict[int, int] | None) -> None:
    with pytest.raises(SceneError, match=r"baseline 04.00 needs BOA_ADD_OFFSET") as caught:
        read_safe(make_safe(tmp_path, baseline="04.00", offsets=offsets))
    assert caught.value.reason is QuarantineReason.OFFSET_UNKNOWN


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = make_safe(tmp_path, baseline="02.06", without={"B03"})
    with pytest.raises(SceneError, match=r"R10m/T30UVU_20180607T110621_B03_10m.jp2 is missing") as caught:
        read_safe(path)
    assert caught.value.reason is QuarantineReason.MISSING_BAND


@pytest.mark.parametrize(("file", "content"), [("MTD_MSIL2A.xml", None), (f"{GRANULE}/MTD_TL.xml", "<Tile>")])
def test_metadata_that_is_missing_or_cut_off(tmp_path: Path, file: str, content: str | None) -> None:
    path = make_safe(tmp_path, baseline="02.06")
    (path / file).unlink() if content is None else (path / file).write_text(content)
    with pytest.raises(SceneError, match=f"{Path(file).name} cannot be read") as caught:
        read_safe(path)
    assert caught.value.reason is QuarantineReason.INCOMPLETE_METADATA


def test_a_crs_that_is_text(tmp_path: Path) -> None:
    path = make_safe(tmp_path, baseline="02.06")
    text = (path / GRANULE / "MTD_TL.xml").read_text()
    (path / GRANULE / "MTD_TL.xml").write_text(text.replace("32630", "WGS84"))
    with pytest.raises(SceneError, match="a field of the metadata is no number") as caught:
        read_safe(path)
    assert caught.value.reason is QuarantineReason.INCOMPLETE_METADATA


@pytest.mark.parametrize("number", ["0", "nan", "inf", "ten"])
def test_a_scale_that_is_none(tmp_path: Path, number: str) -> None:
    path = make_safe(tmp_path, baseline="02.06")
    text = (path / "MTD_MSIL2A.xml").read_text()
    (path / "MTD_MSIL2A.xml").write_text(re.sub(r"(BOA_QUANTIFICATION_VALUE[^>]*>)[^<]*", rf"\g<1>{number}", text))
    with pytest.raises(SceneError, match="is no number") as caught:
        read_safe(path)
    assert caught.value.reason is QuarantineReason.INCOMPLETE_METADATA


def test_an_offset_that_is_not_finite(tmp_path: Path) -> None:
    path = make_safe(tmp_path, offsets=dict.fromkeys(range(13), -1000))
    text = (path / "MTD_MSIL2A.xml").read_text()
    (path / "MTD_MSIL2A.xml").write_text(text.replace("-1000", "nan", 1))
    with pytest.raises(SceneError, match="is no number"):
        read_safe(path)


@pytest.mark.parametrize("place", ["../../outside/T30UVU_20180607T110621_B02_10m", "/etc/T30UVU_B02_10m"])
def test_a_file_outside_the_product(tmp_path: Path, place: str) -> None:
    path = make_safe(tmp_path, baseline="02.06")
    text = (path / "MTD_MSIL2A.xml").read_text()
    (path / "MTD_MSIL2A.xml").write_text(re.sub(r"(IMAGE_FILE>)[^<]*", rf"\g<1>{place}", text, count=1))
    with pytest.raises(SceneError, match="outside the product") as caught:
        read_safe(path)
    assert caught.value.reason is QuarantineReason.FORBIDDEN_ADDRESS


def test_metadata_without_a_field(tmp_path: Path) -> None:
    path = make_safe(tmp_path, baseline="02.06")
    text = (path / "MTD_MSIL2A.xml").read_text()
    (path / "MTD_MSIL2A.xml").write_text(text.replace("PROCESSING_BASELINE", "OTHER"))
    with pytest.raises(SceneError, match="no PROCESSING_BASELINE"):
        read_safe(path)


@pytest.mark.shared_data
def test_the_genuine_product_lacks_its_10_m_files(shared_data: Path) -> None:
    with pytest.raises(SceneError, match=r"IMG_DATA/R10m/T29UNU_20221005T115411_B02_10m.jp2 is missing"):
        read_safe(shared_data / GENUINE)


@pytest.mark.shared_data
def test_the_genuine_product_opens_at_60_m(shared_data: Path) -> None:
    bands = ("B02", "B03", "B04", "B05", "B8A", "B11", "B12", "SCL")
    acquisition = read_safe(shared_data / GENUINE, bands=bands, resolutions=(10, 20, 60))
    assert set(acquisition.assets) == set(bands)
    assert {acquisition.assets[band].offset for band in bands[:-1]} == {-0.1}
    assert (acquisition.epsg, acquisition.tile, acquisition.processing_baseline) == (32629, "29UNU", "04.00")
    with rasterio.open(acquisition.assets["B12"].href) as raster:
        assert raster.crs.to_epsg() == acquisition.epsg
        assert raster.res == (60, 60)
