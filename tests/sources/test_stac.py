"""Where a catalogue begins: an address, a document, or a folder of products."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropmap.errors import CatalogError
from cropmap.sources.catalogs.stac import root_of


@pytest.mark.parametrize("address", ["http://x/catalog.json", "https://x:8080/stac", "HTTPS://x"])
def test_an_address_stays(address: str) -> None:
    assert root_of(address) == address


def test_a_folder_is_its_catalog(tmp_path: Path) -> None:
    root = tmp_path / "a b" / "catalog.json"
    root.parent.mkdir()
    root.write_text("{}")
    assert root_of(str(root)) == root_of(str(root.parent)) == str(root)
    assert root_of(root.as_uri()) == str(root), "blanks are written %20 in an address"


def test_a_folder_of_products_is_itself_unless_it_has_a_catalog(tmp_path: Path) -> None:
    product = tmp_path / "S2A_MSIL2A_20180607T110621_N0206_R137_T30UVU_20180607T131456.SAFE"
    product.mkdir()
    assert root_of(str(tmp_path)) == str(tmp_path)
    (tmp_path / "catalog.json").write_text("{}")
    assert root_of(str(tmp_path)) == str(tmp_path / "catalog.json")


@pytest.mark.parametrize(
    ("catalog", "said"),
    [
        ("absent.json", "no such file"),
        ("", "neither a catalog.json nor Sentinel-2 products"),
        ("http://x:port/", "this is no address"),
        ("http://[x/", "this is no address"),
    ],
)
def test_what_is_no_catalogue(tmp_path: Path, catalog: str, said: str) -> None:
    place = catalog if catalog.startswith("http") else str(tmp_path / catalog)
    with pytest.raises(CatalogError, match=said):
        root_of(place)
