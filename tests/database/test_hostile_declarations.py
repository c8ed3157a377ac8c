"""Rows that would break a statement reach the database as counted rejections."""

from __future__ import annotations

from pathlib import Path

from cropmap.database.connection import Connection
from cropmap.database.declarations import store_declarations
from cropmap.database.runs import ensure_season
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import read_declarations
from tests.data.make_sources_declarations import make_legend, square, write_csv
from tests.database.seasons import KEY, LOADED


def test_a_nul_and_kilobytes_of_text_are_stored_as_rejections(connection: Connection, tmp_path: Path) -> None:
    lines = [
        "id;code;wkt",
        f"P1;056;{square(0).wkt}",
        f"P\0{2};056;{square(1).wkt}",
        f"{'ü' * 9000};056;{square(2).wkt}",
        f"P4;{'0' * 9000};{square(3).wkt}",
        "P5",
        f"{'ß' * 500};056;{square(5).wkt}",
    ]
    profile = Profile(columns={"parcel_id": "id", "crop_code": "code"}, crs="EPSG:3035")
    read = read_declarations(write_csv(tmp_path / "d.csv", lines), legend=make_legend("056"), profile=profile)
    ensure_season(connection, **KEY, simulated=True, document={"agency": "bretagne"})
    counts = store_declarations(
        connection,
        **KEY,
        accepted=read.accepted.assign(nuts_id="FRH01"),
        rejected=read.rejected,
        source_file="d.csv",
        source_hash=read.source_hash,
        loaded_at=LOADED,
    )
    assert (counts["accepted"], counts["rejected"]) == (2, 4)
    stored = connection.execute("SELECT row_number, reason FROM rejection ORDER BY row_number").fetchall()
    assert [tuple(row) for row in stored] == [(n, "UNUSABLE_ROW") for n in (2, 3, 4, 5)]
