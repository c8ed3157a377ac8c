from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cropmap.database.acquisitions import (
    find_again,
    mark_observed,
    mark_quarantined,
    mark_warned,
    read_acquisition,
    read_acquisitions,
    record_found,
)
from cropmap.database.connection import Connection
from cropmap.errors import DatabaseError
from cropmap.schemas import AcquisitionStatus, AcquisitionWarning, QuarantineReason
from cropmap.sources.catalogs.acquisition import Acquisition, BandAsset, UnusableItem
from tests.database.seasons import KEY, everything


def acquisition(item_id: str, day: int, baseline: str = "02.06") -> Acquisition:
    asset = BandAsset("B02", f"/scenes/{item_id}/B02.tif", 1e-4, -0.1, 0, 10)
    return Acquisition(
        item_id=item_id,
        collection="sentinel-2-l2a",
        tile="30UVU",
        sensed_at=datetime(2018, 5, day, 11, 1, 2, tzinfo=UTC),
        platform="sentinel-2a",
        relative_orbit=94,
        processing_baseline=baseline,
        datatake=f"GS2A_{day}",
        cloud_cover=12.5,
        epsg=32630,
        bbox=(-3.0, 47.8, -1.5, 48.7),
        footprint_wkt="POLYGON EMPTY",
        assets={"B02": asset},
    )


TRUNCATED: Any = {"reason": QuarantineReason.UNREADABLE_FILE, "detail": "truncated", "tried": "x"}
ONE, TWO = acquisition("S2A_02", 2), acquisition("S2A_01", 1)


def test_ledger_returns_what_it_was_given_in_order_of_time(connection: Connection) -> None:
    lost = UnusableItem("S2A_00", None, None, QuarantineReason.INCOMPLETE_METADATA, "no datetime")
    record_found(connection, **KEY, acquisitions=[ONE, TWO], unusable=[lost])
    entries = read_acquisitions(connection, **KEY)
    assert [(e.item_id, e.status) for e in entries] == [
        ("S2A_01", "found"),
        ("S2A_02", "found"),
        ("S2A_00", "quarantined"),
    ]
    assert entries[1].acquisition == ONE
    assert entries[2].detail == "no datetime"


def test_found_again_keeps_the_state(connection: Connection) -> None:
    record_found(connection, **KEY, acquisitions=[ONE, TWO])
    mark_observed(connection, **KEY, item_id="S2A_02", object_name="observations/x.parquet", n_parcels=3)
    mark_quarantined(
        connection, **KEY, item_id="S2A_01", reason=QuarantineReason.UNREADABLE_FILE, detail="truncated", tried="x"
    )
    before = everything(connection, "acquisition")
    record_found(connection, **KEY, acquisitions=[ONE, TWO])
    mark_quarantined(
        connection, **KEY, item_id="S2A_01", reason=QuarantineReason.UNREADABLE_FILE, detail="truncated", tried="x"
    )
    assert everything(connection, "acquisition") == before
    observed = read_acquisitions(connection, **KEY, status=AcquisitionStatus.OBSERVED)
    assert [(e.object_name, e.n_parcels) for e in observed] == [("observations/x.parquet", 3)]


def test_changed_metadata_is_found_anew(connection: Connection) -> None:
    record_found(connection, **KEY, acquisitions=[ONE])
    mark_observed(connection, **KEY, item_id="S2A_02", object_name="observations/x.parquet", n_parcels=3)
    record_found(connection, **KEY, acquisitions=[replace(ONE, processing_baseline="05.00")])
    entry = read_acquisition(connection, **KEY, item_id="S2A_02")
    assert (entry.status, entry.object_name, entry.processing_baseline) == ("found", None, "05.00")


def test_documents_that_were_read_already_are_those_of_the_ledger(connection: Connection) -> None:
    assert record_found(connection, **KEY, acquisitions=[ONE, TWO]) == {}
    known = record_found(connection, **KEY, acquisitions=[replace(ONE, processing_baseline="05.00"), TWO])
    assert known.keys() == {"S2A_01"}, "what changed is to be read again"
    assert read_acquisitions(connection, **KEY, documents=known) == read_acquisitions(connection, **KEY)
    assert record_found(connection, **KEY, acquisitions=[TWO]).keys() == {"S2A_01"}
    (first, *_) = read_acquisitions(connection, **KEY, documents={"S2A_01": {"a": 1}})
    assert first.document == {"a": 1}, "it is not read again"


def test_superseded_and_back(connection: Connection) -> None:
    record_found(connection, **KEY, acquisitions=[ONE])
    beaten = UnusableItem("S2A_02", "30UVU", ONE.sensed_at, QuarantineReason.SUPERSEDED, "S2A_03 is better")
    record_found(connection, **KEY, acquisitions=[TWO], unusable=[beaten])
    assert read_acquisition(connection, **KEY, item_id="S2A_02").reason == "SUPERSEDED"
    record_found(connection, **KEY, acquisitions=[ONE, TWO])
    assert read_acquisition(connection, **KEY, item_id="S2A_02").status == "found"


def test_an_item_listed_twice_stays_usable(connection: Connection) -> None:
    twice = UnusableItem("S2A_02", "30UVU", ONE.sensed_at, QuarantineReason.DUPLICATE, "listed twice")
    record_found(connection, **KEY, acquisitions=[ONE], unusable=[twice])
    assert read_acquisition(connection, **KEY, item_id="S2A_02").status == "found"


def test_unknown_item_is_an_error(connection: Connection) -> None:
    with pytest.raises(DatabaseError, match="S2A_09 is not in the ledger"):
        mark_observed(connection, **KEY, item_id="S2A_09", object_name="x", n_parcels=1)


@pytest.mark.parametrize("reason", [QuarantineReason.OFFSET_UNKNOWN, QuarantineReason.INCOMPLETE_METADATA])
def test_what_the_catalogue_set_aside_comes_back_when_its_item_is_mended(
    connection: Connection, reason: QuarantineReason
) -> None:
    record_found(connection, **KEY, acquisitions=[ONE])
    record_found(connection, **KEY, acquisitions=[], unusable=[UnusableItem("S2A_02", "30UVU", None, reason, "broken")])
    assert read_acquisition(connection, **KEY, item_id="S2A_02").reason == reason
    record_found(connection, **KEY, acquisitions=[ONE])  # the very document that the ledger had
    assert read_acquisition(connection, **KEY, item_id="S2A_02").status == "found"


def test_a_warning_stands_beside_what_is_observed_alone(connection: Connection) -> None:
    doubtful: Any = {"item_id": "S2A_02", "warning": AcquisitionWarning.OFFSET_DOUBTFUL, "detail": "bright"}
    record_found(connection, **KEY, acquisitions=[ONE])
    mark_warned(connection, **KEY, **doubtful)
    assert read_acquisition(connection, **KEY, item_id="S2A_02").warning is None
    mark_observed(connection, **KEY, item_id="S2A_02", object_name="observations/x.parquet", n_parcels=3)
    mark_warned(connection, **KEY, **doubtful)
    assert read_acquisition(connection, **KEY, item_id="S2A_02").warning_detail == "bright"
    before = everything(connection, "acquisition")
    mark_warned(connection, **KEY, **doubtful)
    assert everything(connection, "acquisition") == before
    mark_quarantined(connection, **KEY, item_id="S2A_02", reason=QuarantineReason.WRONG_GRID, detail="", tried="x")
    assert read_acquisition(connection, **KEY, item_id="S2A_02").warning is None
    find_again(connection, **KEY, item_id="S2A_02")
    assert read_acquisition(connection, **KEY, item_id="S2A_02").status == "found"


def test_a_correction_ends_with_what_it_belongs_to(connection: Connection) -> None:
    about: Any = {"item_id": "S2A_02", "warning": AcquisitionWarning.OFFSET_CORRECTED, "detail": "applied already"}

    def correct() -> float | None:
        mark_observed(connection, **KEY, item_id="S2A_02", object_name="observations/x.parquet", n_parcels=3)
        mark_warned(connection, **KEY, **about, offset_correction=0.1)
        return read_acquisition(connection, **KEY, item_id="S2A_02").offset_correction

    record_found(connection, **KEY, acquisitions=[ONE])
    assert correct() == 0.1
    record_found(connection, **KEY, acquisitions=[replace(ONE, processing_baseline="05.00")])
    assert read_acquisition(connection, **KEY, item_id="S2A_02").offset_correction is None
    assert correct() == 0.1
    mark_quarantined(connection, **KEY, item_id="S2A_02", reason=QuarantineReason.WRONG_GRID, detail="", tried="x")
    assert read_acquisition(connection, **KEY, item_id="S2A_02").offset_correction is None
    assert correct() == 0.1
    mark_warned(connection, **KEY, item_id="S2A_02", warning=None, detail="")
    assert read_acquisition(connection, **KEY, item_id="S2A_02").offset_correction is None
