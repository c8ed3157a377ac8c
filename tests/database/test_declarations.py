from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from shapely import box

from cropmap.database.connection import Connection
from cropmap.database.declarations import read_declarations, set_home_tiles
from cropmap.errors import DatabaseError, InputError
from tests.database.seasons import AWKWARD, KEY, LOADED, accepted, everything, load, rejected

LATER = LOADED + timedelta(days=3)
LAST = LOADED + timedelta(days=9)


def test_what_is_stored_is_read_back(connection: Connection) -> None:
    counts = load(connection)
    assert counts == {"accepted": 3, "new": 3, "changed": 0, "unchanged": 0, "closed": 0, "rejected": 2}
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
    assert counts == {"accepted": 3, "new": 0, "changed": 0, "unchanged": 3, "closed": 0, "rejected": 2}
    assert everything(connection, *tables) == before


def test_changed_vanished_and_returned_parcels(connection: Connection) -> None:
    load(connection)
    later = accepted()
    later.loc[0, "crop_code"] = "057"
    later.loc[1, "geometry"] = box(-1.0, 47.0, -0.9, 47.2)
    counts = load(connection, later.iloc[:2], LATER)
    assert counts == {"accepted": 2, "new": 0, "changed": 2, "unchanged": 0, "closed": 1, "rejected": 2}
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
    assert counts == {"accepted": 3, "new": 1, "changed": 0, "unchanged": 2, "closed": 0, "rejected": 2}
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
        connection, **KEY, accepted=accepted(), rejected=rejected().iloc[:0], source_file="a.gpkg",
        source_hash="def", loaded_at=datetime(2019, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    assert connection.execute("SELECT count(*) FROM rejected_declaration").fetchone() == (0,)


def test_home_tiles_survive_a_reload(connection: Connection) -> None:
    load(connection)
    tiles = {"007": "30UVU", "7": "30UWU", AWKWARD: None}
    assert set_home_tiles(connection, **KEY, home_tiles=tiles) == 2
    assert set_home_tiles(connection, **KEY, home_tiles=tiles) == 0
    load(connection, at=LATER)
    assert read_declarations(connection, **KEY)["home_tile"].tolist() == ["30UVU", "30UWU", None]


def test_the_planner_knows_a_fresh_load(connection: Connection) -> None:
    load(connection)
    counts = connection.execute("SELECT reltuples FROM pg_class WHERE relname IN ('parcel', 'declaration')").fetchall()
    assert counts == [(3.0,), (3.0,)]
