"""What an item says of its sensing: when, which tile, which processing, by every name in use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cropmap.sources.catalogs.item_identity import (
    baseline_of,
    datastrip_start_of,
    datatake_of,
    generated_at_of,
    relative_orbit_of,
    sensed_at_of,
    tile_of,
)

PRODUCT = "S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454"


def item(name: str = "x", **properties: Any) -> dict[str, Any]:
    return {"id": name, "properties": {key.replace("__", ":"): value for key, value in properties.items()}}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018-06-07T11:06:21Z", datetime(2018, 6, 7, 11, 6, 21, tzinfo=UTC)),
        ("2018-06-07t11:06:21z", datetime(2018, 6, 7, 11, 6, 21, tzinfo=UTC)),
        ("2018-06-07T13:06:21+02:00", datetime(2018, 6, 7, 11, 6, 21, tzinfo=UTC)),
        (" 2018-06-07T11:06:21 ", datetime(2018, 6, 7, 11, 6, 21, tzinfo=UTC)),  # without a zone it is UTC
        ("2015-01-01T00:00:00Z", datetime(2015, 1, 1, tzinfo=UTC)),
        ("2014-12-31T23:59:59Z", None),  # before the satellite
        ("2015-01-01T00:00:00+01:00", None),  # in UTC it is 2014 still
        ("yesterday", None),
        (1_528_369_581, None),
        ("9999-12-31T23:59:59-01:00", None),  # beyond what a date can be
    ],
)
def test_a_time_of_sensing(text: Any, moment: datetime | None) -> None:
    assert sensed_at_of(item(datetime=text)) == moment


def test_a_time_may_stand_as_the_beginning_of_a_span() -> None:
    assert sensed_at_of(item(datetime=None, start_datetime="2018-06-07T11:06:21Z")) is not None
    assert sensed_at_of({"properties": []}) is None


@pytest.mark.parametrize(
    ("found", "moment"),
    [
        (item(PRODUCT), "2022-10-05 16:44:54"),
        (item(s2__product_uri=f"{PRODUCT}.SAFE", s2__generation_time="2020-01-01T00:00:00Z"), "2022-10-05 16:44:54"),
        (item(s2__generation_time="2022-10-05T16:44:54.987Z"), "2022-10-05 16:44:54"),  # whole seconds
        (
            item(
                s2__product_uri="S2A_USER_PRD_MSIL2A_PDMC_20160829T133245_R022_V20160829T101032_20160829T101352.SAFE",
                s2__generation_time="2016-08-29T13:32:45Z",
            ),
            "2016-08-29 13:32:45",  # these names end in a time of sensing
        ),
        (item(created="2022-10-05T16:44:54Z", updated="2022-10-05T16:44:54Z"), None),  # when the catalogue wrote it
    ],
)
def test_when_a_product_was_processed(found: dict[str, Any], moment: str | None) -> None:
    assert generated_at_of(found) == (None if moment is None else datetime.fromisoformat(f"{moment}+00:00"))


@pytest.mark.parametrize(
    ("found", "tile"),
    [
        (item(s2__mgrs_tile="30UVU"), "30UVU"),
        (item(s2__mgrs_tile="T30UVU"), "30UVU"),
        (item(grid__code="MGRS-5QKB"), "05QKB"),  # a zone of one digit
        (item(mgrs__utm_zone=5, mgrs__latitude_band="Q", mgrs__grid_square="KB"), "05QKB"),
        (item(PRODUCT), "29UNU"),
        (item(s2__tile_id="S2A_OPER_MSI_L2A_TL_2APS_20240422T235959_A046145_T13TDE_N05.10"), "13TDE"),
        (item(s2__mgrs_tile="30IVU"), None),  # MGRS has no band I
        (item(s2__mgrs_tile="30UVUX"), None),
        (item(PRODUCT, s2__mgrs_tile="elsewhere"), "29UNU"),  # what is none leaves the word to the next
        (item(), None),
    ],
)
def test_the_tile(found: dict[str, Any], tile: str | None) -> None:
    assert tile_of(found) == tile


@pytest.mark.parametrize(
    ("found", "baseline"),
    [
        (item(PRODUCT), "04.00"),
        (item(PRODUCT, s2__processing_baseline="05.10"), "05.10"),
        (item("S2A_MSIL2A_20221005T115411_R023_T29UNU_20221005T164454"), None),
        (item(processing__version="5.1"), "05.10"),
        (item(processing__version="5.01"), "05.01"),
        (item(processing__version="version 5"), None),
    ],
)
def test_the_processing_baseline(found: dict[str, Any], baseline: str | None) -> None:
    assert baseline_of(found) == baseline


@pytest.mark.parametrize(
    ("found", "datatake"),
    [
        (item(s2__datatake_id="GS2A_20221005T115411_038058_N04.00"), "S2A_20221005T115411"),
        (item(PRODUCT), "S2A_20221005T115411"),
        (item(platform="Sentinel-2B"), "S2B_20180607T110621"),
        (item("S2C_30UVU_20180607_0_L2A"), "S2C_20180607T110621"),
        (item(platform="landsat_8"), "LANDSAT-8_20180607T110621"),
        (item(platform="sentinel-2"), "S2_20180607T110621"),  # any of them
        (item(), "S2_20180607T110621"),
    ],
)
def test_what_tells_one_sensing_from_another(found: dict[str, Any], datatake: str) -> None:
    assert datatake_of(found, datetime(2018, 6, 7, 11, 6, 21, tzinfo=UTC)) == datatake


def test_the_start_of_a_datastrip_by_its_id_or_by_a_folder() -> None:
    start = datetime(2024, 6, 1, 10, 15, 59, tzinfo=UTC)
    named = item(s2__datastrip_id="S2A_OPER_MSI_L2A_DS_2APS_20240601T120000_S20240601T101559_N05.10")
    assert datastrip_start_of(named) == start
    folder = item() | {"assets": {"red": {"href": "s3://x/GRANULE/L2A_T29UNU_A038058_20240601T101559/B04.jp2"}}}
    assert datastrip_start_of(folder) == start
    assert datastrip_start_of(item(s2__datastrip_id="x_S20241301T101559_x")) is None, "no month 13"
    assert datastrip_start_of(item() | {"assets": None}) is None


def test_the_orbit_is_a_field_or_part_of_the_name() -> None:
    assert relative_orbit_of(item(PRODUCT)) == 23
    assert relative_orbit_of(item(PRODUCT, sat__relative_orbit=0)) == 0, "a field counts, also where it is 0"
    assert relative_orbit_of(item()) is None
