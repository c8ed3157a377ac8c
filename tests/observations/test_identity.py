"""When the numbers of an observation file are still those that its item would give."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict, Unpack

import pytest

from cropmap.observations.identity import pixel_key, pixel_metadata, same_pixels
from cropmap.sources.catalogs.acquisition import Acquisition, BandAsset
from cropmap.sources.catalogs.item_identity import generated_at_of
from cropmap.sources.catalogs.items import acquisition_from_item
from tests.data.make_scenes import flat_bands, make_acquisition

SHA = "1220" + "ab" * 32
MD5 = "d50110" + "cd" * 16


@pytest.fixture
def bare(tmp_path: Path) -> Acquisition:
    """Neither checksums nor a time of processing."""
    return make_acquisition(tmp_path, flat_bands(rows=2, cols=2))


class AssetChanges(TypedDict, total=False):
    href: str
    scale: float
    offset: float
    nodata: int
    checksum: str
    size: int


def assets(acquisition: Acquisition, only: str = "", **changes: Unpack[AssetChanges]) -> Acquisition:
    changed: dict[str, BandAsset] = {
        band: replace(asset, **changes) if only in ("", band) else asset for band, asset in acquisition.assets.items()
    }
    return replace(acquisition, assets=changed)


def same(before: Acquisition, now: Acquisition) -> bool:
    return same_pixels(pixel_metadata(before), pixel_metadata(now))


def test_the_checksum_decides_where_there_is_one(bare: Acquisition) -> None:
    checked = assets(bare, checksum=SHA)
    rewritten = replace(
        assets(checked, href="s3://elsewhere/x.tif", size=7),
        processing_baseline="05.12",
        generated_at=datetime(2026, 8, 24, tzinfo=UTC),
        sensed_at=bare.sensed_at + timedelta(microseconds=108),
        footprint_wkt="POLYGON EMPTY",
    )
    assert same(checked, rewritten)
    for band in ("B02", "B12", "SCL"):
        assert not same(checked, assets(checked, only=band, checksum="1220" + "ef" * 32))


def test_the_same_files_read_with_another_offset_give_other_numbers(bare: Acquisition) -> None:
    checked = assets(bare, checksum=SHA)
    assert not same(checked, assets(checked, only="B08", offset=-0.1))
    assert not same(checked, assets(checked, only="B08", scale=2e-4))
    assert not same(checked, assets(checked, nodata=65_535))


def test_without_checksums_the_time_of_processing_decides_and_then_the_rest(bare: Acquisition) -> None:
    made = replace(bare, generated_at=datetime(2026, 8, 24, 3, 5, 7, tzinfo=UTC))
    assert same(made, assets(made, href="s3://mirror/x.tif"))
    assert not same(made, replace(made, generated_at=datetime(2026, 9, 1, tzinfo=UTC)))
    assert not same(made, replace(made, processing_baseline="05.12"))
    assert not same(bare, assets(bare, href="s3://mirror/x.tif"))
    assert not same(assets(bare, size=10), assets(bare, only="B03", size=11))
    assert same(bare, replace(bare, sensed_at=bare.sensed_at + timedelta(seconds=3)))


def test_a_signature_in_the_address_is_no_other_file(bare: Acquisition) -> None:
    signed = [assets(bare, href=f"https://blob.example/B02.tif?se=2026&sig={sig}") for sig in ("a", "b")]
    assert same(*signed)
    assert pixel_key(signed[0]) == pixel_key(signed[1])


def test_checksums_of_two_kinds_say_nothing(bare: Acquisition) -> None:
    assert same(assets(bare, checksum=SHA), assets(bare, checksum=MD5))


def test_a_file_of_an_earlier_version_is_not_made_again(bare: Acquisition) -> None:
    now = replace(assets(bare, checksum=SHA, size=9), generated_at=datetime(2026, 8, 24, tzinfo=UTC))
    kept = {key: pixel_metadata(bare)[key] for key in ("processing_baseline", "offset", "scale")}
    assert same_pixels(kept, pixel_metadata(now))
    assert not same_pixels({**kept, "processing_baseline": "01.00"}, pixel_metadata(now))


def test_the_two_items_of_one_product_of_earth_search(shared_data: Path) -> None:
    folder = shared_data / "stac_items" / "earth_search_c1"
    up, down = (
        acquisition_from_item(json.loads(next(folder.glob(f"*.{kind}-*.json")).read_text()))
        for kind in ("upgrade", "downgrade")
    )
    assert up.sensed_at != down.sensed_at
    assert up.footprint_wkt != down.footprint_wkt
    assert up.assets["B02"].checksum == "1220cdad6d367990d0d3bc0654407a96b6b35be6acbf12fc71610b1c857e15a04f33"
    assert up.generated_at == down.generated_at == datetime(2026, 8, 24, 3, 5, 7, tzinfo=UTC)
    assert same(up, down)
    assert Acquisition.from_json(json.loads(json.dumps(up.to_json()))) == up


@pytest.mark.parametrize(
    ("file", "generated_at"),
    [
        ("cdse/S2A_MSIL2A_20241107T113311_N0511_R080_T32VKR_20241107T123948.json", "2024-11-07T12:39:48+00:00"),
        ("stactools/S2A_T01WCP_20230625T234624_L2A.20230626T022158.json", "2023-06-26T02:21:58+00:00"),
    ],
)
def test_real_items_say_when_they_were_processed(shared_data: Path, file: str, generated_at: str) -> None:
    item = json.loads((shared_data / "stac_items" / file).read_text())
    found = generated_at_of(item)
    assert found is not None
    assert found.isoformat() == generated_at
    item["properties"]["s2:product_uri"], item["id"] = None, "x"
    assert generated_at_of(item) is not None  # the fields
