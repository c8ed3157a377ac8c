"""A folder of products as a catalogue: folders and zip files of them, whatever is broken among them, and what is read
of them beside the same pixels of a STAC catalogue."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cropmap.errors import CatalogError, SceneError
from cropmap.observations.attempts import depends_on
from cropmap.observations.coverage import tile_coverage
from cropmap.observations.extract import observe
from cropmap.observations.grids import Window
from cropmap.observations.raster import read_grid, read_window
from cropmap.observations.tiles import tile_grids
from cropmap.schemas import BANDS, QuarantineReason
from cropmap.seasons import Season
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.sources.catalogs.catalog import CatalogSearch, find_acquisitions
from cropmap.sources.catalogs.places import CatalogAccess, Places, local_file
from cropmap.sources.catalogs.zipped import archived_address
from cropmap.store import Store
from tests.data.make_scenes import flat_bands, parcels_at, write_raster
from tests.data.make_sources_catalog import make_item, write_catalog
from tests.data.make_sources_safe import OFFSETS, make_level_1c, make_safe, zip_product

SEASON = Season(2018, date(2018, 1, 1), date(2018, 12, 31))
BRITTANY = (-3.1, 47.8, -2.95, 47.9)
ID = "S2A_MSIL2A_20180607T110621_N0500_R137_T30UVU_20230806T120000"
AROUND = (-3.0, 47.8, -2.9, 47.9)
"""the pixels of `make_scenes`"""
ROWS, COLS = 64, 48
"""at 20 m"""


def search(folder: Path | str, **access: Any) -> CatalogSearch:
    return find_acquisitions(
        str(folder), collection="sentinel-2-l2a", bbox=BRITTANY, season=SEASON, access=CatalogAccess(**access)
    )


def reasons(found: CatalogSearch) -> dict[str, QuarantineReason]:
    return {item.item_id: item.reason for item in found.unusable}


def speckled(seed: int = 3) -> dict[str, np.ndarray[Any, Any]]:
    """Every pixel another number, some clouded."""
    chance = np.random.default_rng(seed)
    bands = flat_bands(rows=ROWS, cols=COLS)
    for band in BANDS:
        bands[band] = chance.integers(1100, 6000, bands[band].shape).astype(np.uint16)
    bands["SCL"] = chance.choice(np.array([4, 5, 8, 9], np.uint8), bands["SCL"].shape)
    return bands


def test_products_of_the_folder_and_one_level_below(tmp_path: Path) -> None:
    make_safe(tmp_path, offsets=OFFSETS)
    make_safe(tmp_path / "2018-06-17", offsets=OFFSETS, day="20180617")
    make_safe(tmp_path / "30UVU" / "deeper", offsets=OFFSETS, day="20180620")
    make_safe(tmp_path / ".partial", offsets=OFFSETS, day="20180621")
    (tmp_path / "checksums.md5").touch()
    found = search(tmp_path)
    assert [acquisition.day.day for acquisition in found.acquisitions] == [7, 17]
    assert found.unusable == ()


def test_a_folder_by_its_address(tmp_path: Path) -> None:
    make_safe(tmp_path / "with space", offsets=OFFSETS)
    by_path, by_url = (search(reference) for reference in (tmp_path / "with space", (tmp_path / "with space").as_uri()))
    assert by_path == by_url
    assert len(by_path.acquisitions) == 1


def test_products_of_other_days_are_not_opened(tmp_path: Path) -> None:
    for day in ("20171230", "20190102"):
        (make_safe(tmp_path, offsets=OFFSETS, day=day) / "MTD_MSIL2A.xml").write_text("broken")
    make_safe(tmp_path, offsets=OFFSETS, day="20171231")  # sensed on that day as well, by its metadata
    make_safe(tmp_path, offsets=OFFSETS)
    found = search(tmp_path)
    assert [acquisition.day for acquisition in found.acquisitions] == [date(2018, 6, 7)]
    assert found.unusable == ()


def test_products_elsewhere_are_not_listed(tmp_path: Path) -> None:
    make_safe(tmp_path, offsets=OFFSETS, footprint=(5.0, 50.0, 6.0, 51.0))
    assert search(tmp_path) == CatalogSearch((), ())


def test_the_later_baseline_counts(tmp_path: Path) -> None:
    make_safe(tmp_path, baseline="02.06", generated="20180607T150000")
    make_safe(tmp_path, offsets=OFFSETS)
    make_safe(tmp_path, offsets=OFFSETS, generated="20230807T120000")
    found = search(tmp_path)
    assert [acquisition.item_id[-15:] for acquisition in found.acquisitions] == ["20230807T120000"]
    assert sorted(reasons(found).values()) == [QuarantineReason.DUPLICATE, QuarantineReason.SUPERSEDED]


def test_two_parts_of_a_tile_both_count(tmp_path: Path) -> None:
    make_safe(tmp_path, offsets=OFFSETS, footprint=(-3.2, 47.9, -3.0, 48.0))
    south = make_safe(
        tmp_path / "south", offsets=OFFSETS, generated="20230806T120001", footprint=(-3.2, 47.8, -3.0, 47.9)
    )
    text = (south / "MTD_MSIL2A.xml").read_text()
    (south / "MTD_MSIL2A.xml").write_text(text.replace("_S20180607T110835", "_S20180607T111235"))
    assert len(search(tmp_path).acquisitions) == 2


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("root", [None, ""], ids=["in a folder", "at the top"])
def test_a_zip_file_is_read_where_it_lies(tmp_path: Path, compression: int, root: str | None) -> None:
    bands = speckled()
    product = make_safe(tmp_path / "folder", offsets=OFFSETS, bands=bands, footprint=AROUND)
    (tmp_path / "zips").mkdir()
    archive = zip_product(product, tmp_path / "zips" / f"{ID}.SAFE.zip", compression=compression, root=root)
    (in_folder,) = search(tmp_path / "folder").acquisitions
    (in_zip,) = search(tmp_path / "zips").acquisitions
    assert replace(in_zip, assets=in_folder.assets) == in_folder
    for band, asset in in_zip.assets.items():
        assert local_file(asset.href) == archive
        grid = read_grid(asset.href)
        assert grid == read_grid(in_folder.assets[band].href)
        window = Window(col_off=5, row_off=7, width=30, height=20)
        assert (read_window(asset.href, grid, window) == bands[band][7:27, 5:35]).all()
    assert sorted(path.name for path in (tmp_path / "zips").iterdir()) == [archive.name], "nothing is unpacked"


def test_a_product_and_its_zip_file_count_once(tmp_path: Path) -> None:
    zip_product(make_safe(tmp_path, offsets=OFFSETS), tmp_path / f"{ID}.zip")
    found = search(tmp_path)
    assert [asset.href.startswith("/vsizip") for asset in found.acquisitions[0].assets.values()] == [False] * 11
    assert reasons(found) == {ID: QuarantineReason.DUPLICATE}


def test_a_zip_file_stands_in_for_a_broken_folder(tmp_path: Path) -> None:
    product = make_safe(tmp_path, offsets=OFFSETS)
    zip_product(product, tmp_path / f"{ID}.zip")
    (product / "MTD_MSIL2A.xml").unlink()
    found = search(tmp_path)
    assert [acquisition.item_id for acquisition in found.acquisitions] == [ID]
    assert reasons(found) == {ID: QuarantineReason.INCOMPLETE_METADATA}


def test_a_zip_file_stands_in_for_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    elsewhere = make_safe(tmp_path / "elsewhere", offsets=OFFSETS)
    (tmp_path / "products").mkdir()
    zip_product(elsewhere, tmp_path / "products" / f"{ID}.zip")
    (tmp_path / "products" / elsewhere.name).symlink_to(elsewhere)
    found = search(tmp_path / "products", folders=[tmp_path / "data"])
    assert [acquisition.item_id for acquisition in found.acquisitions] == [ID]
    assert reasons(found) == {ID: QuarantineReason.FORBIDDEN_ADDRESS}


def test_names_that_begin_with_the_folder_itself(tmp_path: Path) -> None:
    product = make_safe(tmp_path / "made", offsets=OFFSETS, bands=speckled(), footprint=AROUND)
    (tmp_path / "zips").mkdir()
    with zipfile.ZipFile(tmp_path / "zips" / f"{ID}.zip", "w") as sink:
        for file in product.rglob("*.*"):
            sink.writestr(f"./{product.name}/{file.relative_to(product)}", file.read_bytes() if file.is_file() else b"")
    (found,) = search(tmp_path / "zips").acquisitions
    assert read_grid(found.assets["B02"].href).width == 2 * COLS


def test_a_day_that_no_calendar_goes_on_from(tmp_path: Path) -> None:
    make_safe(tmp_path, offsets=OFFSETS)
    (tmp_path / f"{ID.replace('20180607', '99991231')}.SAFE").mkdir()
    assert [acquisition.item_id for acquisition in search(tmp_path).acquisitions] == [ID]


def test_an_empty_band_in_a_zip_file_is_one_line(tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as sink:
        sink.writestr("x.SAFE/B02.jp2", b"")
        sink.writestr("x.SAFE/B03.jp2", b"damaged")
    for member, said in (("B02", "it is empty"), ("B03", "'the member' not recognized")):
        with pytest.raises(SceneError, match=said) as caught:
            read_grid(archived_address(archive, f"x.SAFE/{member}.jp2"))
        assert caught.value.reason == QuarantineReason.UNREADABLE_FILE
        assert "vsimem" not in str(caught.value)


def truncated(archive: Path, _: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-200])


def without_metadata(archive: Path, product: Path) -> None:
    (product / "MTD_MSIL2A.xml").unlink()
    zip_product(product, archive)


def foreign(archive: Path, _: Path) -> None:
    with zipfile.ZipFile(archive, "w") as sink:
        sink.writestr("fields.csv", "id,crop\n")


def text(archive: Path, _: Path) -> None:
    archive.write_text("<html>504 Gateway Timeout</html>")


def added(name: str, content: bytes = b"x", mode: int = 0o100644) -> Callable[[Path, Path], None]:
    def make(archive: Path, _: Path) -> None:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as sink:
            sink.writestr(member, content, compress_type=zipfile.ZIP_DEFLATED)

    return make


def repeated(archive: Path, _: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        added(f"{ID}.SAFE/MTD_MSIL2A.xml")(archive, _)


def other_method(archive: Path, product: Path) -> None:
    zip_product(product, archive, compression=zipfile.ZIP_LZMA)


def under_a_password(archive: Path, _: Path) -> None:
    content = bytearray(archive.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 8] |= 1  # the flag in the list of members
    archive.write_bytes(content)


def many_members(archive: Path, _: Path) -> None:
    with zipfile.ZipFile(archive, "a") as sink:
        for number in range(5_001):
            sink.writestr(f"{number}", b"")


def long_list(archive: Path, _: Path) -> None:
    with zipfile.ZipFile(archive, "a") as sink:
        for number in range(70):
            sink.writestr(f"{number}" + "x" * 65_000, b"")


def damaged_document(archive: Path, _: Path) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"PROCESSING_LEVEL", b"PROCESSING_NEVEL"))  # its checksum is another now


BROKEN = {
    "truncated": (truncated, "UNREADABLE_FILE", "the archive cannot be read"),
    "text": (text, "UNREADABLE_FILE", "the archive cannot be read"),
    "empty": (lambda archive, _: archive.write_bytes(b""), "UNREADABLE_FILE", "the archive cannot be read"),
    "foreign": (foreign, "UNSUPPORTED_FORMAT", "holds no Sentinel-2 product"),
    "without metadata": (without_metadata, "UNSUPPORTED_FORMAT", "holds no Sentinel-2 product"),
    "leads out": (added(f"{ID}.SAFE/../../x.jp2"), "UNREADABLE_FILE", "leads out of it"),
    "absolute": (added("/etc/x.jp2"), "UNREADABLE_FILE", "leads out of it"),
    "repeated": (repeated, "UNREADABLE_FILE", "two members of one name"),
    "other method": (other_method, "UNREADABLE_FILE", "otherwise than by deflate"),
    "password": (under_a_password, "UNREADABLE_FILE", "under a password"),
    "many members": (many_members, "UNREADABLE_FILE", "members"),
    "long list": (long_list, "UNREADABLE_FILE", "MB are to be read at once, more than 4"),
    "bomb": (added("zeros", bytes(300 << 20)), "UNREADABLE_FILE", "would unpack to 300"),
    "damaged document": (damaged_document, "INCOMPLETE_METADATA", "MTD_MSIL2A.xml cannot be read (Bad CRC-32"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_zip_file_is_counted_and_the_others_go_on(tmp_path: Path, kind: str) -> None:
    breaking, reason, says = BROKEN[kind]
    make_safe(tmp_path / "products", offsets=OFFSETS, day="20180617")
    product = make_safe(tmp_path, offsets=OFFSETS)
    archive = zip_product(product, tmp_path / "products" / f"{ID}.zip")
    breaking(archive, product)
    found = search(tmp_path / "products")
    assert [acquisition.day.day for acquisition in found.acquisitions] == [17]
    (aside,) = found.unusable
    assert (aside.item_id, aside.reason, aside.tile) == (ID, reason, "30UVU")
    assert aside.sensed_at is not None
    assert aside.sensed_at.date() == date(2018, 6, 7)
    assert says in aside.detail
    assert len(aside.detail) <= 300


def rewritten(archive: Path, name: Callable[[str], str]) -> None:
    """The archive with other names of its members."""
    with zipfile.ZipFile(archive) as source:
        contents = {name(member): source.read(member) for member in source.namelist()}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as sink:
        for member, content in contents.items():
            sink.writestr(member, content)


LAID_OUT: dict[str, Callable[[str], str]] = {
    "deeper": lambda name: f"download/2018-06-07/{name}",
    "by Windows": lambda name: name.replace("/", "\\"),
    "in small letters": lambda name: name.lower(),
    "documents in other case": lambda name: name.replace("MTD_MSIL2A.xml", "MTD_MSIL2a.XML"),
}


@pytest.mark.parametrize("layout", LAID_OUT)
def test_a_zip_file_that_is_laid_out_otherwise_is_read(tmp_path: Path, layout: str) -> None:
    bands = speckled()
    product = make_safe(tmp_path / "folder", offsets=OFFSETS, bands=bands, footprint=AROUND)
    (tmp_path / "zips").mkdir()
    rewritten(zip_product(product, tmp_path / "zips" / f"{ID}.zip"), LAID_OUT[layout])
    (in_folder,) = search(tmp_path / "folder").acquisitions
    (in_zip,) = search(tmp_path / "zips").acquisitions
    assert replace(in_zip, assets=in_folder.assets) == in_folder
    for band, asset in in_zip.assets.items():
        window = Window(col_off=5, row_off=7, width=30, height=20)
        assert (read_window(asset.href, read_grid(asset.href), window) == bands[band][7:27, 5:35]).all()


def test_the_shadows_of_macos_are_no_product(tmp_path: Path) -> None:
    product = make_safe(tmp_path / "made", offsets=OFFSETS)
    (tmp_path / "zips").mkdir()
    archive = zip_product(product, tmp_path / "zips" / f"{ID}.zip")
    added(f"__MACOSX/{ID}.SAFE/MTD_MSIL2A.xml")(archive, product)
    assert [acquisition.item_id for acquisition in search(tmp_path / "zips").acquisitions] == [ID]


def test_each_product_of_a_zip_file_is_read(tmp_path: Path) -> None:
    """One that cannot be read is set aside under its own name; one of another season is not opened."""
    made = tmp_path / "made"
    several = [make_safe(made, offsets=OFFSETS, day=day) for day in ("20180607", "20180617", "20170617")]
    several += [make_level_1c(made), make_safe(made, offsets=OFFSETS, day="20180627", without=["B8A"])]
    (tmp_path / "zips").mkdir()
    with zipfile.ZipFile(tmp_path / "zips" / "order.zip", "w") as sink:
        for product in several:
            for file in sorted(product.rglob("*")):
                sink.write(file, f"{product.name}/{file.relative_to(product)}")
    found = search(tmp_path / "zips")
    assert [acquisition.day.day for acquisition in found.acquisitions] == [7, 17]
    assert reasons(found) == {
        several[3].stem: QuarantineReason.UNSUPPORTED_FORMAT,
        several[4].stem: QuarantineReason.MISSING_BAND,
    }


def into_itself(product: Path) -> None:
    inner = product.parent / "moved"
    product.rename(inner)
    product.mkdir()
    inner.rename(product / product.name)


def renamed(pattern: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def rename(product: Path) -> None:
        for file in sorted(product.rglob(pattern)):
            file.rename(file.with_name(change(file.name)))

    return rename


UNPACKED: dict[str, Callable[[Path], object]] = {
    "into a folder of its name": into_itself,
    "without .SAFE": lambda product: product.rename(product.with_suffix("")),
    "document in other case": renamed("MTD_MSIL2A.xml", lambda _: "MTD_MSIL2a.xml"),
    "bands in capitals": renamed("*.jp2", str.upper),
    "bands as GeoTIFF": renamed("*.jp2", lambda name: name.replace(".jp2", ".tif")),
}


@pytest.mark.parametrize("layout", UNPACKED)
def test_a_folder_that_is_laid_out_otherwise_is_read(tmp_path: Path, layout: str) -> None:
    product = make_safe(tmp_path, offsets=OFFSETS)
    (before,) = search(tmp_path).acquisitions
    UNPACKED[layout](product)
    (after,) = search(tmp_path).acquisitions
    assert replace(after, assets=before.assets) == before
    assert all(Path(asset.href).is_file() for asset in after.assets.values())


def test_jpeg_2000_counts_before_a_geotiff_beside_it(tmp_path: Path) -> None:
    product = make_safe(tmp_path, offsets=OFFSETS)
    for file in list(product.rglob("*.jp2")):
        file.with_suffix(".tif").touch()
    (found,) = search(tmp_path).acquisitions
    assert {Path(asset.href).suffix for asset in found.assets.values()} == {".jp2"}


@pytest.mark.parametrize("zipped", [False, True])
def test_the_format_of_before_december_2016_is_refused_by_name(tmp_path: Path, zipped: bool) -> None:
    times = "PDMC_20160829T133245_R022_V20160829T101032_20160829T101352"
    product = tmp_path / ("made/deep" if zipped else ".") / f"S2A_USER_PRD_MSIL2A_{times}.SAFE"
    (product / "GRANULE").mkdir(parents=True)
    (product / f"S2A_USER_MTD_SAFL2A_{times}.xml").write_text("<a/>")
    make_safe(tmp_path, offsets=OFFSETS)
    if zipped:
        zip_product(product, tmp_path / "old.zip")
    found = search(tmp_path)
    assert len(found.acquisitions) == 1
    (aside,) = found.unusable
    assert (aside.reason, "before December 2016" in aside.detail) == (QuarantineReason.UNSUPPORTED_FORMAT, True)


def test_a_link_that_leads_to_itself_is_counted(tmp_path: Path) -> None:
    make_safe(tmp_path, offsets=OFFSETS, day="20180617")
    (tmp_path / f"{ID}.SAFE").symlink_to(tmp_path / f"{ID}.SAFE")
    found = search(tmp_path)
    assert len(found.acquisitions) == 1
    assert list(reasons(found)) == [ID]


def test_a_link_in_a_zip_file_is_no_file(tmp_path: Path) -> None:
    product = make_safe(tmp_path / "made", offsets=OFFSETS)
    (product / "MTD_MSIL2A.xml").unlink()
    (tmp_path / "zips").mkdir()
    archive = zip_product(product, tmp_path / "zips" / f"{ID}.zip")
    added(f"{ID}.SAFE/MTD_MSIL2A.xml", b"/etc/passwd", mode=0o120777)(archive, product)
    assert reasons(search(tmp_path / "zips")) == {ID: QuarantineReason.INCOMPLETE_METADATA}


def test_level_1c_is_refused_by_name(tmp_path: Path) -> None:
    make_safe(tmp_path, offsets=OFFSETS)
    product = make_level_1c(tmp_path)
    zip_product(make_level_1c(tmp_path / "elsewhere" / "deep", "20180617"), tmp_path / "renamed.zip")
    found = search(tmp_path)
    assert len(found.acquisitions) == 1
    assert reasons(found) == dict.fromkeys((product.stem, "renamed"), QuarantineReason.UNSUPPORTED_FORMAT)
    assert all("Level-1C" in item.detail for item in found.unusable)


def test_links_that_lead_outside_are_refused(tmp_path: Path) -> None:
    folder, outside = tmp_path / "products", tmp_path / "outside"
    make_safe(folder, offsets=OFFSETS, day="20180617")
    linked = make_safe(outside, offsets=OFFSETS)
    (folder / linked.name).symlink_to(linked)
    (folder / "a.zip").symlink_to(zip_product(linked, outside / "a.zip"))
    banded = make_safe(folder, offsets=OFFSETS, day="20180620")
    band = next(banded.rglob("*_B02_10m.jp2"))
    band.unlink()
    band.symlink_to(next(linked.rglob("*_B02_10m.jp2")))
    os.mkfifo(folder / "pipe.zip")
    found = search(folder, folders=[tmp_path / "data"])
    assert [acquisition.day.day for acquisition in found.acquisitions] == [17]
    assert reasons(found) == dict.fromkeys((ID, "a", banded.stem, "pipe"), QuarantineReason.FORBIDDEN_ADDRESS)
    trusted = search(folder, folders=[tmp_path / "data"], trusted=[str(outside)])
    assert [acquisition.day.day for acquisition in trusted.acquisitions] == [7, 17, 20]


@pytest.mark.parametrize("catalog", ["catalog.json", "http://127.0.0.1:9/"])
def test_a_document_names_no_member_of_an_archive(tmp_path: Path, catalog: str) -> None:
    """Only a folder of products has such addresses, and makes them itself."""
    place = archived_address(tmp_path / "a.zip", "B02.jp2")
    (tmp_path / "a.zip").touch()
    of_document = Places(catalog if "://" in catalog else str(tmp_path / catalog), CatalogAccess())
    with pytest.raises(SceneError) as caught:
        of_document.check_raster("item", "blue", place, "image/jp2")
    assert caught.value.reason is QuarantineReason.FORBIDDEN_ADDRESS
    Places(str(tmp_path), CatalogAccess()).check_raster("item", "blue", place, "image/jp2")


def test_a_folder_without_products(tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    with pytest.raises(CatalogError, match=r"neither a catalog.json nor .*\.SAFE") as caught:
        search(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_catalogue_beside_products_is_read_as_stac(tmp_path: Path) -> None:
    make_safe(tmp_path, offsets=OFFSETS)
    write_catalog(tmp_path, [make_item("a")])
    assert [acquisition.item_id for acquisition in search(tmp_path).acquisitions] == ["a"]


def test_a_local_file() -> None:
    assert local_file("/a/b.tif") == local_file("file:///a/b.tif") == Path("/a/b.tif")
    assert local_file(archived_address(Path("/a/b.zip"), "c/d.jp2")) == Path("/a/b.zip")
    assert local_file("https://a/b.tif") is local_file("/vsis3/a/b.tif") is None


def test_an_attempt_depends_on_the_archive(tmp_path: Path) -> None:
    archive = zip_product(make_safe(tmp_path / "made", offsets=OFFSETS), tmp_path / f"{ID}.zip")
    (acquisition,) = search(tmp_path).acquisitions
    before = depends_on(acquisition, "parcels")
    os.utime(archive, (1, 1))
    assert depends_on(acquisition, "parcels") != before


PARCELS = parcels_at({"a": (20, 0, 500, 610), "b": (313, 41, 777, 1200), "c": (900, 1000, 933, 1066)})


def observed(store: Store, acquisition: Acquisition) -> pa.Table:
    grids = tile_grids([acquisition])
    coverage = tile_coverage(store, PARCELS, tile="30UVU", grids=grids, inner_buffer_10m_m=0, inner_buffer_20m_m=0)
    return observe(acquisition, coverage)


def test_observations_are_those_of_the_same_pixels_in_a_stac_catalogue(tmp_path: Path, store: Store) -> None:
    bands = speckled()
    product = make_safe(tmp_path / "products", offsets=OFFSETS, bands=bands, footprint=AROUND)
    (tmp_path / "zips").mkdir()
    zip_product(product, tmp_path / "zips" / f"{ID}.zip", compression=zipfile.ZIP_DEFLATED)
    item = make_item(ID, baseline="05.00", offset=-0.1, bbox=AROUND)
    catalog = write_catalog(tmp_path / "scenes", [json.loads(json.dumps(item))])
    for band, values in bands.items():
        write_raster(tmp_path / "scenes" / ID / f"{band}.tif", values, pixel_m=10 if values.shape[0] > ROWS else 20)
    tables = [
        observed(store, search(folder).acquisitions[0])
        for folder in (catalog, tmp_path / "products", tmp_path / "zips")
    ]
    assert tables[0].num_rows == 3
    assert min(tables[0]["clear_pixels"].to_pylist()) > 0
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_a_truncated_image_is_one_line(tmp_path: Path, store: Store, zipped: bool) -> None:
    product = make_safe(tmp_path / "products", offsets=OFFSETS, bands=speckled(), footprint=AROUND)
    band = next(product.rglob("*_B04_10m.jp2"))
    band.write_bytes(band.read_bytes()[: band.stat().st_size // 2])
    if zipped:
        (tmp_path / "zips").mkdir()
        zip_product(product, tmp_path / "zips" / f"{ID}.zip", compression=zipfile.ZIP_DEFLATED)
    (acquisition,) = search(tmp_path / ("zips" if zipped else "products")).acquisitions
    with pytest.raises(SceneError) as caught:
        observed(store, acquisition)
    assert caught.value.reason is QuarantineReason.UNREADABLE_FILE
    assert "\n" not in str(caught.value)
    assert "B04_10m.jp2" in str(caught.value)


def test_an_archive_that_is_gone_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="the file does not exist") as caught:
        read_grid(archived_address(tmp_path / "gone.zip", "B02.jp2"))
    assert caught.value.reason is QuarantineReason.MISSING_BAND
