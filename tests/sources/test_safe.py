"""What a product's metadata says: offsets by band id, identity, and a missing file that is named."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cropmap.observations.raster import read_grid
from cropmap.schemas import BANDS, QuarantineReason
from cropmap.seasons import Season
from cropmap.sources.catalogs.acquisition import Acquisition, UnusableItem
from cropmap.sources.catalogs.catalog import find_acquisitions
from cropmap.sources.catalogs.zipped import archived_address
from tests.data.make_sources_safe import GRANULE, OFFSETS, PHYSICAL, make_safe, zip_product

GENUINE = "S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454.SAFE"
WORLD = (-180.0, -90.0, 180.0, 90.0)
PRODUCT = "MTD_MSIL2A.xml"
TILE = f"{GRANULE}/MTD_TL.xml"


def outcome(folder: Path, year: int = 2018) -> Acquisition | UnusableItem:
    """Of the only product of a folder."""
    season = Season(year, date(year, 1, 1), date(year, 12, 31))
    found = find_acquisitions(str(folder), collection="sentinel-2-l2a", bbox=WORLD, season=season)
    products: list[Acquisition | UnusableItem] = [*found.acquisitions, *found.unusable]
    (one,) = products
    return one


def acquisition(folder: Path, year: int = 2018) -> Acquisition:
    found = outcome(folder, year)
    assert isinstance(found, Acquisition), found
    return found


def refused(folder: Path, year: int = 2018) -> tuple[QuarantineReason, str]:
    found = outcome(folder, year)
    assert isinstance(found, UnusableItem), found
    return found.reason, found.detail


def change(
    product: Path, document: str, pattern: str, replacement: str | Callable[[re.Match[str]], str], count: int = 0
) -> None:
    text = (product / document).read_text()
    changed = re.sub(pattern, replacement, text, count=count)
    assert changed != text
    (product / document).write_text(changed)


def test_a_complete_product(tmp_path: Path) -> None:
    product = make_safe(tmp_path, offsets=OFFSETS | {8: -900})
    found = acquisition(tmp_path)
    assert found.item_id == "S2A_MSIL2A_20180607T110621_N0500_R137_T30UVU_20230806T120000"
    assert (found.tile, found.epsg, found.datatake) == ("30UVU", 32630, "S2A_20180607T110621")
    assert (found.platform, found.relative_orbit, found.processing_baseline) == ("sentinel-2a", 137, "05.00")
    assert (found.collection, found.cloud_cover) == ("sentinel-2-l2a", 12.5)
    assert found.sensed_at.isoformat() == "2018-06-07T11:08:35.460000+00:00"
    assert found.generated_at == datetime(2023, 8, 6, 12, tzinfo=UTC)
    assert found.bbox == (-3.2, 47.8, -3.0, 48.0), "the document gives latitude first"
    assert (found.assets["B08"].scale, found.assets["B08"].offset) == (0.0001, -0.1)
    assert found.assets["B8A"].offset == -0.09, "band id 8 is B8A"
    assert (found.assets["SCL"].scale, found.assets["SCL"].offset) == (1.0, 0.0)
    assert {
        band: asset.resolution_m for band, asset in found.assets.items() if asset.resolution_m == 10
    } == dict.fromkeys(("B02", "B03", "B04", "B08"), 10)
    assert found.assets["B11"].href == f"{product}/{GRANULE}/IMG_DATA/R20m/T30UVU_20180607T110621_B11_20m.jp2"


def test_a_baseline_before_the_offset(tmp_path: Path) -> None:
    make_safe(tmp_path, baseline="02.06")
    assert {acquisition(tmp_path).assets[band].offset for band in BANDS} == {0.0}


def test_the_names_of_issue_14_2(tmp_path: Path) -> None:
    product = make_safe(tmp_path, baseline="02.05")
    change(product, PRODUCT, r"(</?)(IMAGE_FILE|PRODUCT_URI)>", r"\1\2_2A>")
    change(product, PRODUCT, r"(</?)BOA_QUANTIFICATION_VALUE", r"\1L2A_BOA_QUANTIFICATION_VALUE")
    found = acquisition(tmp_path)
    assert (found.tile, found.assets["B02"].scale, found.assets["B02"].offset) == ("30UVU", 0.0001, 0.0)


@pytest.mark.parametrize("offsets", [None, {0: -1000, 1: -1000}])
def test_a_baseline_that_needs_an_offset_must_state_it(tmp_path: Path, offsets: dict[int, int] | None) -> None:
    make_safe(tmp_path, baseline="04.00", offsets=offsets)
    reason, detail = refused(tmp_path)
    assert reason is QuarantineReason.OFFSET_UNKNOWN
    assert re.search(r"asset B0[23]_10m has no offset and the processing baseline is 04.00", detail)


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r'band_id="(\d)"', r'band_id="0\1"'),
        (r'band_id="(\d+)"', lambda found: f'band_id="{PHYSICAL[int(found[1])]}"'),
        (r"<Spectral_Information_List>.*</Spectral_Information_List>", ""),
    ],
    ids=["with a zero", "names", "without a list of bands"],
)
def test_band_ids_that_are_written_otherwise(
    tmp_path: Path, pattern: str, replacement: str | Callable[[re.Match[str]], str]
) -> None:
    product = make_safe(tmp_path, offsets={number: -1000 - number for number in range(13)})
    before = {band: asset.offset for band, asset in acquisition(tmp_path).assets.items()}
    change(product, PRODUCT, pattern, replacement)
    assert {band: asset.offset for band, asset in acquisition(tmp_path).assets.items()} == before
    assert (before["B02"], before["B8A"], before["B12"]) == (-0.1001, -0.1008, -0.1012)


def test_a_band_id_that_is_none_gives_no_band_an_offset(tmp_path: Path) -> None:
    """Not by its number: 2 is B03, and never B02."""
    product = make_safe(tmp_path, offsets=OFFSETS)
    change(product, PRODUCT, r'<Spectral_Information bandId="1".*?</Spectral_Information>', "")
    assert refused(tmp_path)[0] is QuarantineReason.OFFSET_UNKNOWN


@pytest.mark.parametrize(
    ("field", "written", "attribute", "value"),
    [
        ("Cloud_Coverage_Assessment", "n/a", "cloud_cover", None),
        ("Cloud_Coverage_Assessment", "", "cloud_cover", None),
        ("SENSING_ORBIT_NUMBER", "none", "relative_orbit", 137),
        ("SENSING_ORBIT_NUMBER", "", "relative_orbit", 137),
        ("GENERATION_TIME", "", "generated_at", datetime(2023, 8, 6, 12, tzinfo=UTC)),
        ("SPACECRAFT_NAME", "", "platform", None),
    ],
)
def test_a_fact_that_no_pixel_needs_may_be_missing(
    tmp_path: Path, field: str, written: str, attribute: str, value: object
) -> None:
    product = make_safe(tmp_path, offsets=OFFSETS)
    before = acquisition(tmp_path)
    change(product, PRODUCT, rf"(<{field}>)[^<]*", rf"\g<1>{written}")
    found = acquisition(tmp_path)
    assert getattr(found, attribute) == value
    assert found.to_json() | {attribute: None} == before.to_json() | {attribute: None}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16 as it is declared", "iso-8859-1"])
def test_documents_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    product = make_safe(tmp_path, offsets=OFFSETS)
    before = acquisition(tmp_path)
    encoding, _, declared = encoding.partition(" ")
    for document in (PRODUCT, TILE):
        text = (product / document).read_text()
        if declared or encoding == "iso-8859-1":
            text = text.replace("UTF-8", encoding)
        (product / document).write_bytes(text.encode(encoding))
    assert acquisition(tmp_path) == before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    make_safe(tmp_path, baseline="02.06", without={"B03"})
    file = f"{GRANULE}/IMG_DATA/R10m/T30UVU_20180607T110621_B03_10m.jp2"
    assert refused(tmp_path) == (QuarantineReason.MISSING_BAND, f"{file} is missing")


@pytest.mark.parametrize(("document", "content"), [(PRODUCT, None), (TILE, "<Tile>"), (TILE, "")])
def test_metadata_that_is_missing_or_cut_off(tmp_path: Path, document: str, content: str | None) -> None:
    product = make_safe(tmp_path, baseline="02.06")
    (product / document).unlink() if content is None else (product / document).write_text(content)
    reason, detail = refused(tmp_path)
    assert reason is QuarantineReason.INCOMPLETE_METADATA
    assert f"{Path(document).name} cannot be read" in detail


@pytest.mark.parametrize(
    ("document", "pattern", "replacement", "reason", "says"),
    [
        (TILE, "EPSG:32630", "WGS84", "WRONG_CRS", "WGS84"),
        (TILE, "EPSG:32630", "EPSG:32631", "WRONG_CRS", "32631"),
        (TILE, "SENSING_TIME", "OTHER", "INCOMPLETE_METADATA", "no SENSING_TIME"),
        (PRODUCT, r"(BOA_QUANTIFICATION_VALUE[^>]*>)10000", r"\g<1>0", "INCOMPLETE_METADATA", "is no number"),
        (PRODUCT, r"(BOA_QUANTIFICATION_VALUE[^>]*>)10000", r"\g<1>nan", "INCOMPLETE_METADATA", "reflectance"),
        (PRODUCT, r"(BOA_QUANTIFICATION_VALUE[^>]*>)10000", r"\g<1>inf", "INCOMPLETE_METADATA", "reflectance"),
        (PRODUCT, r"(BOA_QUANTIFICATION_VALUE[^>]*>)10000", r"\g<1>ten", "INCOMPLETE_METADATA", "is no number"),
        (PRODUCT, "-1000", "nan", "INCOMPLETE_METADATA", "reflectance"),
        (PRODUCT, "PROCESSING_BASELINE", "OTHER", "INCOMPLETE_METADATA", "no PROCESSING_BASELINE"),
        (PRODUCT, "IMAGE_FILE", "OTHER", "INCOMPLETE_METADATA", "lists no image file"),
        (
            PRODUCT,
            r"(<IMAGE_FILE>)GRANULE/[^/]*",
            r"\1GRANULE/OTHER",
            "INCOMPLETE_METADATA",
            "MTD_TL.xml cannot be read",
        ),
        (PRODUCT, r"(EXT_POS_LIST>48.0) ", r"\1 1 ", "INCOMPLETE_METADATA", "is no number"),
        (PRODUCT, r"(PRODUCT_URI>)S2A", r"\1../S2A", "INVALID_ID", "looks like a path"),
    ],
)
def test_a_field_that_is_missing_or_none(
    tmp_path: Path, document: str, pattern: str, replacement: str, reason: str, says: str
) -> None:
    change(make_safe(tmp_path, offsets=OFFSETS), document, pattern, replacement)
    found, detail = refused(tmp_path)
    assert found == reason
    assert says in detail


def test_a_product_of_several_granules(tmp_path: Path) -> None:
    change(make_safe(tmp_path, offsets=OFFSETS), PRODUCT, r"(<IMAGE_FILE>)GRANULE/[^/]*", r"\1GRANULE/OTHER", count=1)
    reason, detail = refused(tmp_path)
    assert reason is QuarantineReason.UNSUPPORTED_FORMAT
    assert "2 granules" in detail


@pytest.mark.parametrize("place", ["../../outside/T30UVU_20180607T110621_B02_10m", "/etc/T30UVU_B02_10m"])
def test_a_file_outside_the_product(tmp_path: Path, place: str) -> None:
    change(make_safe(tmp_path, baseline="02.06"), PRODUCT, r"(IMAGE_FILE>)[^<]*", rf"\g<1>{place}", count=1)
    reason, detail = refused(tmp_path)
    assert reason is QuarantineReason.FORBIDDEN_ADDRESS
    assert "outside the product" in detail


BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("doctype", [f"{BOMB}]>", "<!DOCTYPE x [<!ENTITY i SYSTEM 'file:///etc/hostname'>]>"])
def test_entities_are_refused(tmp_path: Path, doctype: str) -> None:
    product = make_safe(tmp_path, offsets=OFFSETS)
    change(product, PRODUCT, r"\?>", lambda found: f"{found[0]}{doctype}", count=1)
    change(product, PRODUCT, "Sentinel-2A", "&i;")
    reason, detail = refused(tmp_path)
    assert reason is QuarantineReason.INCOMPLETE_METADATA
    assert "it has a DOCTYPE" in detail


def test_a_document_that_is_too_long(tmp_path: Path) -> None:
    product = make_safe(tmp_path, offsets=OFFSETS)
    (product / PRODUCT).write_bytes(b" " * ((4 << 20) + 1))
    assert refused(tmp_path) == (QuarantineReason.INCOMPLETE_METADATA, f"{PRODUCT} has more than 4 MB")


@pytest.mark.shared_data
def test_the_genuine_product_lacks_its_10_m_files(shared_data: Path) -> None:
    reason, detail = refused(shared_data / "sentinel2_safe", 2022)
    assert reason is QuarantineReason.MISSING_BAND
    assert detail.endswith("IMG_DATA/R10m/T29UNU_20221005T115411_B02_10m.jp2 is missing")


@pytest.mark.shared_data
def test_the_genuine_documents(shared_data: Path, tmp_path: Path) -> None:
    genuine, copy = shared_data / "sentinel2_safe" / GENUINE, tmp_path / GENUINE
    for document in (genuine / PRODUCT, *genuine.rglob("MTD_TL.xml")):
        target = copy / document.relative_to(genuine)
        target.parent.mkdir(parents=True)
        shutil.copy(document, target)
    for image in re.findall(r"IMAGE_FILE>([^<]*)<", (genuine / PRODUCT).read_text()):
        (copy / f"{image}.jp2").parent.mkdir(parents=True, exist_ok=True)
        (copy / f"{image}.jp2").touch()
    found = acquisition(tmp_path, 2022)
    assert {found.assets[band].offset for band in BANDS} == {-0.1}
    assert (found.epsg, found.tile, found.processing_baseline) == (32629, "29UNU", "04.00")
    assert found.sensed_at == datetime(2022, 10, 5, 11, 56, 49, 581767, UTC)
    assert found.generated_at == datetime(2022, 10, 5, 16, 44, 54, tzinfo=UTC)
    assert (found.relative_orbit, found.cloud_cover) == (23, 59.769726)


@pytest.mark.shared_data
def test_a_genuine_image_in_a_folder_and_in_a_zip_file(shared_data: Path, tmp_path: Path) -> None:
    genuine = shared_data / "sentinel2_safe" / GENUINE
    file = next(genuine.rglob("*_SCL_60m.jp2"))
    archive = zip_product(file.parent, tmp_path / "R60m.zip", root="")
    for address in (str(file), archived_address(archive, file.name)):
        grid = read_grid(address)
        assert (grid.epsg, grid.transform) == (32629, (60.0, 0.0, 499980.0, 0.0, -60.0, 5900040.0))
        assert (grid.width, grid.height) == (1830, 1830)
