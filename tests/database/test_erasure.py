"""Rows of a holding: every table that has any is known, a parcel that changed hands is its present holding's."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from cropmap.contracts.tables import REJECTION_COLUMNS
from cropmap.database import declarations as register
from cropmap.database import erasure
from cropmap.database.connection import Connection, connect
from cropmap.errors import DatabaseError, InputError
from tests.database.seasons import KEY, PUBLISHED, begin, load, publish_run


def erase(connection: Connection, subject: erasure.Subject) -> dict[str, int]:
    return erasure.erase_rows(
        connection, subject, mask=str, objects={}, erased_at=PUBLISHED, note=lambda _: None, dry_run=False
    )


def test_every_table_with_a_parcel_or_a_holding_is_erased_from(connection: Connection) -> None:
    assert erasure.tables_with_personal_columns(connection) == erasure.ERASE.keys()
    erasure.require_owner(connection)
    connection.execute("CREATE TABLE photograph (agency text, season integer, parcel_id text)")
    with pytest.raises(DatabaseError, match="photograph: nothing here erases from it"):
        erasure.require_owner(connection)


def test_only_the_owner_may(connection: Connection) -> None:
    connection.execute("SET ROLE cropmap_writer")
    with pytest.raises(InputError, match="only the owner of the tables"):
        erasure.require_owner(connection)


def test_a_parcel_that_changed_hands_stays_with_its_present_holding(connection: Connection) -> None:
    load(connection)
    begin(connection, "run-1")
    publish_run(connection)
    before = register.read_declarations(connection, **KEY)
    parcel, holding = next(
        (p, h) for p, h in zip(before["parcel_id"], before["holding_id"], strict=True) if h is not None
    )
    others = before.loc[before["parcel_id"] != parcel, "parcel_id"].tolist()
    moved = before.assign(
        holding_id=[
            "another" if p == parcel else h for p, h in zip(before["parcel_id"], before["holding_id"], strict=True)
        ]
    )
    register.store_declarations(
        connection,
        **KEY,
        accepted=moved,
        rejected=pd.DataFrame(columns=list(REJECTION_COLUMNS)),
        source_file="a.gpkg",
        source_hash="",
        loaded_at=PUBLISHED + timedelta(days=1),
    )
    subject = erasure.subject_of_holding(connection, **KEY, holding_id=holding)
    assert subject is not None
    assert parcel not in subject.parcel_ids
    erase(connection, subject)
    left = register.read_declarations(connection, **KEY)
    assert parcel in left["parcel_id"].tolist()
    assert set(left["parcel_id"]) - {parcel} == set(others) - set(subject.parcel_ids)
    named = connection.execute(
        "SELECT count(*) FROM declaration d FULL JOIN assessment a USING (parcel_id)"
        " WHERE d.holding_id = %(h)s OR a.holding_id = %(h)s",
        {"h": holding},
    ).fetchone()
    assert named == (0,)
    assert erasure.subject_of_holding(connection, **KEY, holding_id=holding) is None


def test_an_erased_holding_is_known_by_a_keyed_hash_alone(
    connection: Connection, database_url: str, fresh_database: str
) -> None:
    load(connection)
    holding = connection.execute("SELECT holding_id FROM declaration WHERE holding_id IS NOT NULL").fetchall()[0][0]
    subject = erasure.subject_of_holding(connection, **KEY, holding_id=holding)
    assert subject is not None
    erase(connection, subject)

    def ask(season: int = KEY["season"]) -> list[str]:
        return erasure.erased_holdings(
            lambda: connect(database_url), [holding, "other"], agency=KEY["agency"], season=season
        )

    assert ask() == [holding]
    assert ask(2017) == []
    assert erasure.holding_erased_at(connection, agency=KEY["agency"], holding_id=holding) == PUBLISHED
    text = connection.execute("SELECT string_agg(t::text, ' ') FROM erasure t").fetchone()
    assert text is not None
    assert holding not in text[0].split(",")
    with connect(fresh_database) as other:
        load(other)
        again = erasure.subject_of_holding(other, **KEY, holding_id=holding)
        assert again is not None
        erase(other, again)
        hashes = [c.execute("SELECT holding_hash FROM erasure").fetchone() for c in (connection, other)]
    assert hashes[0] != hashes[1], "each agency has a key of its own"
