"""What a catalogue may point to: addresses that are opened, and addresses that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropmap.errors import SceneError
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.places import CatalogAccess, ForbiddenAddressError, Places

NONE = CatalogAccess()
REMOTE = Places("https://stac.example.org/v1", CatalogAccess(trusted=["cogs.example.com", "*.tiles.eu", "s3://ours"]))
LOOPBACK = Places("http://127.0.0.1:8001/v1", NONE)
VRT = '<VRTDataset rasterXSize="1" rasterYSize="1"><SourceFilename>/etc/passwd</SourceFilename></VRTDataset>'

FORBIDDEN: list[object] = [
    "",
    " ",
    None,
    5,
    ["x.tif"],
    {},
    "x\x00.tif",
    "a\nb.tif",
    "x.tif" * 2000,
    VRT,
    "B02.tif",
    "file:///etc/passwd",
    "/etc/shadow",
    "/etc/x.tif",
    "/dev/zero",
    "/proc/self/environ",
    "/srv/x.tif",
    "/vsicurl/http://127.0.0.1:9977/a.tif",
    "/vsizip//tmp/a.zip/x.tif",
    "/vsizip/vsicurl/http://h/z.zip/x.tif",
    "/vsistdin/",
    "/vsis3/bucket/x.tif",
    "//host/share/x.tif",
    "/vsimem/x.tif",
    "file:///vsicurl/http://h/x.tif",
    "zip:///tmp/a.zip!x.tif",
    "zip+https://stac.example.org/a.zip!x.tif",
    "ftp://stac.example.org/x.tif",
    "WMS:http://127.0.0.1:9977/wms",
    "GTIFF_DIR:1:/tmp/x.tif",
    "vrt:///tmp/x.tif?bands=1",
    "gdal://x.tif",
    "az://a/x.tif",
    "http://127.0.0.1/x.tif",
    "http://127.0.0.1:9977/b.tif",
    "http://localhost/x.tif",
    "http://[::1]/x.tif",
    "http://169.254.169.254/latest/meta-data/c.tif",
    "http://10.0.0.1/x.tif",
    "http://192.168.1.1/x.tif",
    "http://[fd00::1]/x.tif",
    "http://2130706433/x.tif",
    "http://0x7f.1/x.tif",
    "http://0/x.tif",
    "http://intranet/x.tif",
    "https://evil.org/x.tif",
    "https://stac.example.org.evil.org/x.tif",
    "https://stac.example.org@evil.org/x.tif",
    "https://user:pw@stac.example.org/x.tif",
    "http://[bad/x.tif",
    "https://stac.example.org:99999/x.tif",
    "https:///x.tif",
    "s3://bucket/x.tif",
    "s3:///x.tif",
    "gs://other/x.tif",
    r"http://169.254.169.254\.dataspace.copernicus.eu/x.tif",
    r"http://169.254.169.254\@dataspace.copernicus.eu/x.tif",
    "https://evil.org%2f.tiles.eu/x.tif",
    "https://tiles.eu.evil.org/x.tif",
    "https://dataspace.copernicus.eu.evil.org/x.tif",
]
ALLOWED = [
    "https://stac.example.org/a/B02.tif",
    "https://stac.example.org/a/B02.TIF?sig=abc",
    "https://stac.example.org:8443/B02.tiff",
    "https://cogs.example.com/B02.jp2",
    "https://a.tiles.eu/B02.tif",
    "s3://ours/B02.tif",
    "s3://eodata/B02.jp2",
    "s3://sentinel-s2-l2a/tiles/32/U/PU/2024/6/1/0/R10m/B02.jp2",
    "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/13/T/DE/B02_10m.tif",
    "https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/sentinel-2-c1-l2a/B02.tif",
    "https://download.dataspace.copernicus.eu/B02.jp2",
]


def refusal(places: Places, address: object, media_type: object = "image/tiff") -> QuarantineReason | None:
    try:
        places.check_raster("item", "blue", address, media_type)
    except SceneError as error:
        line, reason = str(error), error.reason
    else:
        return None
    assert "\n" not in line
    assert len(line) < 400
    return reason


@pytest.mark.parametrize("address", FORBIDDEN, ids=lambda a: str(a)[:40].encode("unicode_escape").decode())
def test_a_remote_catalogue_may_not_point_there(address: object) -> None:
    assert refusal(REMOTE, address) is QuarantineReason.FORBIDDEN_ADDRESS


@pytest.mark.parametrize("address", ALLOWED)
def test_a_remote_catalogue_may_point_there(address: str) -> None:
    assert refusal(REMOTE, address) is None


@pytest.mark.parametrize(
    ("address", "media_type"),
    [
        ("https://stac.example.org/x.vrt", None),
        ("https://stac.example.org/x", "image/tiff"),
        ("s3://eodata/x.zarr", None),
        ("s3://eodata/x.zarr/b02", "application/vnd+zarr"),
        ("https://stac.example.org/B02.tif", "application/vnd.zarr; version=3"),
        ("https://stac.example.org/B02.tif", "application/x-netcdf"),
        ("https://stac.example.org/x.tif.xml", None),
    ],
)
def test_what_no_reader_takes(address: str, media_type: str | None) -> None:
    assert refusal(REMOTE, address, media_type) is QuarantineReason.UNSUPPORTED_FORMAT


def test_a_server_on_the_loopback_is_this_machine(tmp_path: Path) -> None:
    (tmp_path / "B02.tif").touch()
    assert refusal(LOOPBACK, str(tmp_path / "B02.tif")) is None
    assert refusal(LOOPBACK, "http://127.0.0.1:8001/B02.tif") is None
    assert refusal(LOOPBACK, "http://127.0.0.1:8002/B02.tif") is QuarantineReason.FORBIDDEN_ADDRESS
    assert refusal(LOOPBACK, "http://localhost:8001/B02.tif") is QuarantineReason.FORBIDDEN_ADDRESS


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("catalog/scene", "data", "elsewhere", "trusted"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "B02.tif").touch()
    (tmp_path / "catalog/link.tif").symlink_to(tmp_path / "elsewhere/B02.tif")
    (tmp_path / "catalog/passwd.tif").symlink_to("/etc/passwd")
    (tmp_path / "catalog/pipe.tif").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("catalog/B02.tif", True),
        ("catalog/scene/B02.tif", True),
        ("catalog/missing.tif", True),
        ("data/B02.tif", True),
        ("trusted/B02.tif", True),
        ("elsewhere/B02.tif", False),
        ("catalog/../elsewhere/B02.tif", False),
        ("catalog/link.tif", False),
        ("catalog/passwd.tif", False),
        ("catalog/pipe.tif", False),
    ],
)
def test_a_catalogue_on_disk_names_files_of_its_own_folders(folders: Path, path: str, allowed: bool) -> None:
    access = CatalogAccess(trusted=[str(folders / "trusted")], folders=[folders / "data"])
    places = Places(str(folders / "catalog/catalog.json"), access)
    for address in (str(folders / path), (folders / "x").as_uri().removesuffix("x") + path):
        assert refusal(places, address) is (None if allowed else QuarantineReason.FORBIDDEN_ADDRESS)


def test_without_folders_any_raster_of_this_machine(folders: Path) -> None:
    places = Places(str(folders / "catalog/catalog.json"), NONE)
    assert refusal(places, str(folders / "elsewhere/B02.tif")) is None
    for never in ("/etc/passwd", "/dev/zero", "/proc/self/maps", str(folders / "catalog/passwd.tif")):
        assert refusal(places, never) is QuarantineReason.FORBIDDEN_ADDRESS


@pytest.mark.parametrize(
    "address", ["/dev/zero", "file:///etc/passwd", "/vsicurl/http://h/c.json", "http://127.0.0.1:1/"]
)
def test_documents_are_held_to_the_same_rule(tmp_path: Path, address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        Places(str(tmp_path / "catalog.json"), NONE).check_document(address)


def test_headers_are_for_the_same_host_and_port() -> None:
    places = Places("http://stac.example.org/v1", NONE)
    assert places.is_own("http://stac.example.org/v1/search")
    assert places.is_own("https://stac.example.org/v1/search"), "an upgrade"
    assert not places.is_own("http://stac.example.org:8080/v1/search")
    assert not Places("https://stac.example.org/v1", NONE).is_own("http://stac.example.org/v1"), "in the clear"
    assert not places.is_own("http://example.org/")
