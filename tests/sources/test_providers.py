"""Catalogues as data: their files, the agency's own, and whose an address is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropmap.errors import ConfigurationError
from cropmap.schemas import BANDS
from cropmap.sources.catalogs.items import acquisition_from_item
from cropmap.sources.catalogs.places import CatalogAccess, Places
from cropmap.sources.catalogs.providers import (
    FOLDER,
    GENERIC,
    Provider,
    built_in,
    built_in_names,
    built_ins,
    documented_provider_keys,
    fits,
    recognised,
)
from cropmap.sources.catalogs.providers.in_use import provider_of
from tests.data.make_sources_catalog import COLLECTION, PLANETARY, make_item

OWN = """
title: our mirror
catalogs: ['127.0.0.1:8080']
buckets: ['s3://our-scenes']
assets: {B02: [band-two]}
fields: {baseline: ['our:baseline']}
offset_applied: []
offset_unstated: {from_baseline: '05.00', offset: -0.2}
s3: {endpoint: 'http://127.0.0.1:9000', path_style: true}
limits: {connections: 3}
"""


def write(folder: Path, text: str, name: str = "our-mirror.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_built_in_file_is_whole() -> None:
    assert set(built_in_names()) == {path.stem for path in FOLDER.glob("*.yaml")}
    for provider in built_ins():
        assert provider.title
        assert set(provider.assets) == {*BANDS, "SCL"}
        assert not provider.collections or provider.catalogs
    assert [key for key, text in documented_provider_keys() if not text] == []


def test_built_in_files_hold_no_name_twice() -> None:
    for path in FOLDER.glob("*.yaml"):
        for names in yaml.safe_load(path.read_text(encoding="utf-8")).get("assets", {}).values():
            assert len(set(names)) == len(names)


def test_an_agencys_own_file_is_completed_with_the_generic_names(tmp_path: Path) -> None:
    own = Provider.read("our-mirror.yaml", base=write(tmp_path, OWN).parent)
    assert own.name == "our_mirror"
    assert own.assets["B02"] == ["band-two", "blue", "B02_10m", "B02"]
    assert own.assets["B03"] == built_in(GENERIC).assets["B03"]
    assert own.fields.baseline[0] == "our:baseline"
    assert own.fields.datatake == built_in(GENERIC).fields.datatake
    assert own.offset_applied == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("title: [", "not YAML"),
        ("- a", "describes no catalogue"),
        ("colour: red", "colour: unknown key"),
        ("limits: {connexions: 4}", "limits.connexions: unknown key"),
        ("limits: {connections: 0}", "limits.connections"),
        ("assets: {B99: [x]}", "B99 is none of"),
        ("assets: {B02: []}", None),
        ("assets: {B02: blue}", "assets"),
        ("hosts: [Example.ORG]", "no host"),
        ("hosts: ['https://example.org']", "no host"),
        ("buckets: [our-bucket]", "no bucket"),
        ("s3: {endpoint: 's3.example.org'}", "no http or https address"),
        ("s3: {endpoint: 'https://user:word@s3.example.org'}", "no http or https address"),
        ("token: {address: 'https://example.org/token'}", "token.hosts"),
        ("offset_unstated: {from_baseline: 4.0, offset: -0.1}", "from_baseline"),
        ("offset_unstated: {from_baseline: '04.00', offset: -1000}", "offset_unstated.offset"),
        ("name: Our Mirror", "no name"),
        ("assets: {B02: [[a]]}", "assets.B02.0"),
        ("fields: {baseline: [{a: b}]}", "fields.baseline.0"),
        ("fields: {5: [a]}", "fields.5"),
        ("5: a", "5"),
        ("other_media: zarr", "other_media"),
    ],
)
def test_what_is_no_providers_file_is_one_line(tmp_path: Path, text: str, why: str | None) -> None:
    path = write(tmp_path, text)
    if why is None:
        assert Provider.read(path.name, base=tmp_path).assets["B02"]
        return
    with pytest.raises(ConfigurationError) as caught:
        Provider.read(path.name, base=tmp_path)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=st.dictionaries(st.sampled_from([*Provider.model_fields, "more", "s3"]), ODD, max_size=6))
def test_any_document_is_a_provider_or_a_configuration_error(tmp_path: Path, document: dict[str, Any]) -> None:
    path = write(tmp_path, yaml.safe_dump(document, allow_unicode=True))
    with suppress(ConfigurationError):
        Provider.read(path.name, base=tmp_path)


def test_unknown_names_say_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'copernicus' is no catalogue.*cdse.*planetary_computer"):
        Provider.read("copernicus")
    with pytest.raises(ConfigurationError, match="no such file"):
        Provider.read("none.yaml", base=tmp_path)


@pytest.mark.parametrize(
    ("address", "collection", "name"),
    [
        ("https://earth-search.aws.element84.com/v1", "sentinel-2-l2a", "earth_search"),
        ("https://earth-search.aws.element84.com/v1", "sentinel-2-c1-l2a", "earth_search_c1"),
        ("https://earth-search.aws.element84.com/v1", "landsat-c2-l2", None),
        ("https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/x.tif", "any", "earth_search_c1"),
        ("s3://sentinel-cogs/x.tif", None, "earth_search"),
        ("https://stac.dataspace.copernicus.eu/v1/", "sentinel-2-l2a", "cdse"),
        ("https://STAC.dataspace.copernicus.eu:443/v1/", "sentinel-2-l2a", "cdse"),
        ("https://download.dataspace.copernicus.eu/odata", "sentinel-2-l2a", "cdse"),
        ("s3://eodata/x.jp2", "sentinel-2-l2a", "cdse"),
        ("s3://eodata.evil/x.jp2", "sentinel-2-l2a", None),
        ("https://planetarycomputer.microsoft.com/api/stac/v1", "sentinel-2-l2a", "planetary_computer"),
        ("https://planetarycomputer.microsoft.com.evil.org/api", "sentinel-2-l2a", None),
        ("https://user@planetarycomputer.microsoft.com/api", "sentinel-2-l2a", "planetary_computer"),
        ("s3://sentinel-s2-l2a/tiles/x.jp2", "sentinel-2-l2a", "aws"),
        ("gs://gcp-public-data-sentinel-2/x.jp2", "sentinel-2-l2a", "google"),
        ("https://[", "sentinel-2-l2a", None),
        ("/scenes/catalog.json", "sentinel-2-l2a", None),
        (5, None, None),
    ],
)
def test_a_provider_is_recognised_by_an_address(address: object, collection: str | None, name: str | None) -> None:
    found = recognised([address], collection)
    assert (found.name if found else None) == name


def test_a_file_has_one_provider() -> None:
    """Of a host that two built-in catalogues share, the first would be taken."""
    for provider in built_ins():
        for bucket in provider.buckets:
            assert provider_of(f"{bucket}/x.jp2") == provider
        for host in provider.hosts:
            assert provider_of(f"https://{host.removeprefix('*.')}/x.jp2") in (provider, None)


@pytest.mark.parametrize(
    ("host", "pattern", "fit"),
    [
        ("a.example.org", "*.example.org", True),
        ("example.org", "*.example.org", False),
        ("example.org:8080", "example.org", True),
        ("example.org:8080", "example.org:8081", False),
        ("Example.org", "example.org", True),
        ("::1", "::1", True),
        ("[::1]:80", "[::1]:80", True),
    ],
)
def test_hosts_fit_patterns(host: str, pattern: str, fit: bool) -> None:
    assert fits(host, pattern) is fit


@pytest.mark.parametrize(
    ("baseline", "offset"), [("03.01", 0.0), ("04.00", -0.1), ("05.00", -0.1), ("05.11", -0.1), ("10.00", -0.1)]
)
def test_a_rule_outside_the_items_is_data(baseline: str, offset: float) -> None:
    """Planetary Computer documents it; its items state none."""
    folder = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2"
    item = make_item(provider=PLANETARY, baseline=baseline, offset=None, folder=folder)
    assert acquisition_from_item(item).assets["B02"].offset == offset


def test_an_alternate_address_is_taken_where_the_provider_prefers_its_scheme() -> None:
    folder = "https://zipper.dataspace.copernicus.eu/odata/v1"
    item = make_item(folder=folder, provider=1)
    for key, asset in item["assets"].items():
        asset["alternate"] = {"s3": {"href": f"s3://eodata/{key}.jp2"}, "none": 5, "empty": {}}
    assert acquisition_from_item(item).assets["B02"].href == "s3://eodata/B02_10m.jp2"


def test_a_files_name_within_an_odata_address_counts() -> None:
    odata = "https://download.dataspace.copernicus.eu/odata/v1/Products(1)/Nodes(B02_10m.jp2)/$value"
    item = make_item(folder="s3://eodata", provider=1)
    blue = item["assets"]["B02_10m"]
    blue |= {"href": odata, "alternate": {"preview": {"href": "s3://eodata/B02.png"}}}
    assert acquisition_from_item(item, places=Places("https://x.org", CatalogAccess())).assets["B02"].href == odata


def test_an_alternate_address_is_taken_where_the_href_names_no_raster() -> None:
    item = make_item(folder="https://example.org")
    blue = item["assets"]["blue"]
    blue |= {"href": "https://example.org/download/1", "alternate": {"s3": {"href": "s3://ours/B02.tif"}}}
    assert acquisition_from_item(item).assets["B02"].href == "s3://ours/B02.tif"
    item["assets"]["green"]["alternate"] = {"s3": {"href": "s3://ours/B03.tif"}}
    assert acquisition_from_item(item).assets["B03"].href.startswith("https://example.org/")
    assert item["collection"] == COLLECTION
