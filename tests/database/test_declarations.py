from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from shapely import box

from cropmap.database.connection import Connection
from cropmap.database.declarations import (
    amended_since,
    count_carried,
    read_declarations,
    register_state,
    set_home_tiles,
)
from cropmap.errors import DatabaseError, InputError
from cropmap.schemas import CARRIED_FORWARD
from tests.database.seasons import AWKWARD, KEY, LOADED, accepted, everything, load, rejected

LATER = LOADED + timedelta(days=3)
LAST = LOADED + timedelta(days=9)
NOTHING = {
    "accepted": 0,
    "new": 0,
    "came_back": 0,
    "changed": 0,
    "changed_crop": 0,
    "changed_outline": 0,
    "unchanged": 0,
    "withdrawn": 0,
    "withdrawn_as_rejected": 0,
    "rejected": 0,
}


def test_what_is_stored_is_read_back(connection: Connection) -> None:
    counts = load(connection)
    assert counts == NOTHING | {"accepted": 3, "new": 3, "rejected": 2}
    read = read_declarations(connection, **KEY)
    assert read["parcel_id"].tolist() == ["007", "7", AWKWARD]
    assert read["crop_code"].tolist() == ["056", "56", "BTH"]
    assert read["holding_id"].tolist() == ["0001", None, 'O"Neil\\n']
    assert read["area_ha"].tolist() == [1.4, 2.0, 0.25]
    assert read["nuts_id"].tolist() == ["FRH01", "FRH02", "FRH02"]
    assert read["home_tile"].tolist() == [None, None, None]
    assert read["version"].tolist() == [1, 1, 1]
    assert read["declared_area_ha"].isna().tolist() == [False, True, False]
    assert read.crs.to_epsg() == 4326
    assert read.geometry.iloc[0].equals(box(-2.0, 48.0, -1.9, 48.3))


def test_rows_come_back_sorted_by_parcel_id(connection: Connection) -> None:
    load(connection, accepted().iloc[[2, 1, 0]])
    assert read_declarations(connection, **KEY)["parcel_id"].tolist() == ["007", "7", AWKWARD]


def test_the_same_file_again_changes_nothing(connection: Connection) -> None:
    load(connection)
    tables = ("parcel", "declaration", "rejection")
    before = everything(connection, *tables)
    moved = accepted().assign(row_number=[9, 8, 7])
    counts = load(connection, moved, LATER)
    assert counts == NOTHING | {"accepted": 3, "unchanged": 3, "rejected": 2}
    assert everything(connection, *tables) == before


def test_changed_vanished_and_returned_parcels(connection: Connection) -> None:
    load(connection)
    later = accepted()
    later.loc[0, "crop_code"] = "057"
    later.loc[1, "geometry"] = box(-1.0, 47.0, -0.9, 47.2)
    counts = load(connection, later.iloc[:2], LATER)
    assert counts == NOTHING | {
        "accepted": 2,
        "changed": 2,
        "changed_crop": 1,
        "changed_outline": 1,
        "withdrawn": 1,
        "rejected": 2,
    }
    now = read_declarations(connection, **KEY).set_index("parcel_id")
    assert now["version"].to_dict() == {"007": 2, "7": 2}
    assert now.loc["007", "crop_code"] == "057"
    assert now.geometry["7"].bounds == (-1.0, 47.0, -0.9, 47.2)

    then = read_declarations(connection, **KEY, as_of=LATER - timedelta(seconds=1))
    assert then["crop_code"].tolist() == ["056", "56", "BTH"]
    assert then.geometry.iloc[1].bounds == (-1.0, 47.0, -0.9, 47.1)
    assert len(read_declarations(connection, **KEY, as_of=LATER)) == 2
    assert read_declarations(connection, **KEY, as_of=LOADED - timedelta(days=1)).empty

    counts = load(connection, later, LAST)
    assert counts == NOTHING | {"accepted": 3, "came_back": 1, "unchanged": 2, "rejected": 2}
    assert read_declarations(connection, **KEY)["version"].tolist() == [2, 2, 2]


def test_an_earlier_load_is_refused_when_it_would_change_something(connection: Connection) -> None:
    load(connection, at=LATER)
    load(connection, at=LOADED)  # the same rows: nothing to change
    changed = accepted()
    changed.loc[2, "crop_code"] = "ORH"
    with pytest.raises(InputError, match="stored already"):
        load(connection, changed, LOADED)


def test_duplicate_parcels_store_nothing(connection: Connection) -> None:
    with pytest.raises(DatabaseError, match="duplicate key"):
        load(connection, accepted().iloc[[0, 1, 1]])
    assert read_declarations(connection, **KEY).empty


def test_rejections_are_replaced_per_file(connection: Connection) -> None:
    load(connection)
    rows = connection.execute("SELECT row_number, parcel_id, reason, detail FROM rejected_declaration ORDER BY 1")
    assert rows.fetchall() == [
        (4, "0042", "UNKNOWN_CODE", "code 'ZZZ' is not in the legend"),
        (6, None, "MISSING_PARCEL_ID", ""),
    ]
    from cropmap.database.declarations import store_declarations

    store_declarations(
        connection,
        **KEY,
        accepted=accepted(),
        rejected=rejected().iloc[:0],
        source_file="a.gpkg",
        source_hash="def",
        loaded_at=datetime(2019, 1, 1, tzinfo=UTC),
    )
    assert connection.execute("SELECT count(*) FROM rejected_declaration").fetchone() == (0,)


def test_home_tiles_survive_a_reload(connection: Connection) -> None:
    load(connection)
    tiles = {"007": "30UVU", "7": "30UWU", AWKWARD: None}
    assert set_home_tiles(connection, **KEY, home_tiles=tiles) == 2
    assert set_home_tiles(connection, **KEY, home_tiles=tiles) == 0
    load(connection, at=LATER)
    assert read_declarations(connection, **KEY)["home_tile"].tolist() == ["30UVU", "30UWU", None]


def test_the_state_of_a_register_tells_claims_outlines_and_regions(connection: Connection) -> None:
    empty = register_state(connection, **KEY)
    load(connection)
    first = register_state(connection, **KEY)
    assert first != empty
    load(connection, accepted().assign(row_number=[9, 8, 7]), LATER)
    set_home_tiles(connection, **KEY, home_tiles={"007": "30UVU"})
    assert register_state(connection, **KEY) == first, "the same claims, whatever row they stand in"

    other_region = accepted().assign(nuts_id="FRH03")
    load(connection, other_region, LATER)  # other boundaries: no version is written
    second = register_state(connection, **KEY)
    other_crop = other_region.copy()
    other_crop.loc[0, "crop_code"] = "057"
    load(connection, other_crop, LATER)
    third = register_state(connection, **KEY)
    other_outline = other_crop.copy()
    other_outline.loc[1, "geometry"] = box(-1.0, 47.0, -0.9, 47.2)
    load(connection, other_outline, LAST)
    fourth = register_state(connection, **KEY)
    load(connection, other_outline.iloc[:2], LAST + timedelta(days=1))
    assert len({first, second, third, fourth, register_state(connection, **KEY)}) == 5
    assert register_state(connection, **KEY, as_of=LAST) == fourth
    assert register_state(connection, **KEY, as_of=LATER) == third


def test_outlines_that_are_carried_forward_are_counted(connection: Connection) -> None:
    assert count_carried(connection, **KEY) == 0
    carried = accepted().assign(crop_code=CARRIED_FORWARD)
    load(connection, carried)
    assert count_carried(connection, **KEY) == 3
    carried.loc[0, "crop_code"] = "056"
    load(connection, carried, LATER)
    assert count_carried(connection, **KEY) == 0


def test_the_planner_knows_a_fresh_load(connection: Connection) -> None:
    load(connection)
    counts = connection.execute("SELECT reltuples FROM pg_class WHERE relname IN ('parcel', 'declaration')").fetchall()
    assert counts == [(3.0,), (3.0,)]


def test_only_the_declarations_concerned_are_written(connection: Connection) -> None:
    load(connection)
    before = {row[4]: row for row in everything(connection, "declaration")["declaration"]}
    later = accepted()
    later.loc[1, "crop_code"] = "ORH"
    load(connection, later, LATER)
    after = everything(connection, "declaration")["declaration"]
    assert len(after) == 4
    kept = {row[4]: row for row in after if row[4] != "7"}
    assert kept == {parcel: row for parcel, row in before.items() if parcel != "7"}


def test_one_declaration_may_change_crop_and_outline_at_once(connection: Connection) -> None:
    load(connection)
    later = accepted()
    later.loc[0, ["crop_code", "geometry"]] = ["BTH", box(-2.0, 48.0, -1.8, 48.3)]
    later.loc[1, "holding_id"] = "0009"
    counts = load(connection, later, LATER)
    assert (counts["changed"], counts["changed_crop"], counts["changed_outline"]) == (2, 1, 1)


def test_a_row_that_is_no_longer_acceptable_is_not_the_same_as_a_withdrawn_one(connection: Connection) -> None:
    load(connection)
    broken = rejected().assign(parcel_id=np.array(["007", None], dtype=object))
    from cropmap.database.declarations import store_declarations

    counts = store_declarations(
        connection,
        **KEY,
        accepted=accepted().iloc[[1]],
        rejected=broken,
        source_file="a.gpkg",
        source_hash="def",
        loaded_at=LATER,
    )
    assert (counts["withdrawn"], counts["withdrawn_as_rejected"]) == (2, 1)


def test_an_earlier_register_keeps_its_place(connection: Connection) -> None:
    load(connection)
    set_home_tiles(connection, **KEY, home_tiles={"007": "30UVU", "7": "30UWU", AWKWARD: "31UCQ"})
    later = accepted()
    later.loc[0, ["geometry", "nuts_id"]] = [box(-0.5, 47.0, -0.4, 47.1), "FRH02"]
    load(connection, later, LATER)
    set_home_tiles(connection, **KEY, home_tiles={"007": "30TXT"})
    now = read_declarations(connection, **KEY)
    then = read_declarations(connection, **KEY, as_of=LATER - timedelta(seconds=1))
    assert now[["nuts_id", "home_tile"]].iloc[0].tolist() == ["FRH02", "30TXT"]
    assert then[["nuts_id", "home_tile"]].iloc[0].tolist() == ["FRH01", "30UVU"]
    assert then.geometry.iloc[0].bounds == (-2.0, 48.0, -1.9, 48.3)
    assert then[["nuts_id", "home_tile"]].iloc[1].tolist() == ["FRH02", "30UWU"]


def test_whether_the_register_was_amended_since(connection: Connection) -> None:
    assert not amended_since(connection, **KEY, at=LATER)
    load(connection)
    assert not amended_since(connection, **KEY, at=LOADED - timedelta(days=1))  # there was none yet
    assert not amended_since(connection, **KEY, at=LOADED)
    load(connection, accepted().iloc[:2], LATER)
    assert amended_since(connection, **KEY, at=LOADED)
    assert not amended_since(connection, **KEY, at=LOADED - timedelta(days=1))
    assert not amended_since(connection, **KEY, at=LATER)


def test_the_log_names_every_change(connection: Connection) -> None:
    load(connection)
    later = accepted()
    later.loc[0, "crop_code"] = "057"
    later.loc[1, "geometry"] = box(-1.0, 47.0, -0.9, 47.2)
    load(connection, later.iloc[:2], LATER)
    both = later.copy()
    both.loc[0, ["crop_code", "geometry"]] = ["058", box(-2.0, 48.0, -1.8, 48.3)]
    both.loc[1, "holding_id"] = "0009"
    load(connection, both, LAST)
    rows = connection.execute(
        "SELECT parcel_id, version, change, valid_to FROM declaration_log ORDER BY 1, 2"
    ).fetchall()
    assert [row[:3] for row in rows] == [
        ("007", 1, "new"),
        ("007", 2, "crop changed"),
        ("007", 3, "crop and outline changed"),
        ("7", 1, "new"),
        ("7", 2, "outline changed"),
        ("7", 3, "other changes"),
        (AWKWARD, 1, "new"),
        (AWKWARD, 2, "came back"),
    ]
    assert [row[3] for row in rows if row[0] == AWKWARD] == [LATER, None]
