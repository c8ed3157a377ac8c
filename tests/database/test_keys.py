from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cropmap.database.connection import Connection
from cropmap.database.keys import KeyHolder, create_key, enter, hash_key, list_keys, note_use, revoke_key, valid_keys
from cropmap.errors import InputError
from cropmap.schemas import AccessRole
from tests.database.seasons import load

CONTROLLER = AccessRole.CONTROLLER


@pytest.fixture
def known(connection: Connection) -> Connection:
    """With a season of bretagne."""
    load(connection)
    return connection


def holder(connection: Connection, secret: str) -> KeyHolder | None:
    with connection.transaction():
        return enter(connection, secret)


def test_a_key_is_valid_until_it_is_revoked(known: Connection) -> None:
    secret = create_key(known, "web page", role=CONTROLLER, agency="bretagne")
    expected = KeyHolder("web page", CONTROLLER, "bretagne")
    assert holder(known, secret) == expected
    assert valid_keys(known) == {hash_key(secret): expected}
    assert holder(known, secret[:-1]) is None
    assert holder(known, "") is None
    revoke_key(known, "web page")
    assert holder(known, secret) is None
    assert valid_keys(known) == {}
    assert [row["name"] for row in list_keys(known)] == ["web page"]


def test_a_key_ends_on_its_day(known: Connection) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)
    secret = create_key(known, "until then", role=CONTROLLER, agency=None, expires_at=soon)
    assert holder(known, secret) == KeyHolder("until then", CONTROLLER, None)
    known.execute("UPDATE api_key SET expires_at = now() - interval '1 second'")
    assert holder(known, secret) is None
    assert valid_keys(known) == {}
    with pytest.raises(InputError, match="would have expired already"):
        create_key(known, "too late", role=CONTROLLER, agency=None, expires_at=datetime(2020, 1, 1, tzinfo=UTC))


def test_a_key_is_for_an_agency_that_is_there(known: Connection) -> None:
    with pytest.raises(InputError, match=r"^there is no agency 'bretange'\. There are bretagne"):
        create_key(known, "typing error", role=CONTROLLER, agency="bretange")


def test_the_use_of_a_key_is_noted(known: Connection) -> None:
    secret = create_key(known, "web page", role=CONTROLLER, agency="bretagne")
    assert list_keys(known)[0]["last_used_at"] is None
    note_use(known, hash_key(secret))
    assert datetime.now(UTC) - list_keys(known)[0]["last_used_at"] < timedelta(minutes=1)


def test_the_secret_is_not_kept(connection: Connection) -> None:
    secret = create_key(connection, "web page", role=CONTROLLER, agency=None)
    assert secret not in str(connection.execute("SELECT * FROM api_key").fetchall())


def test_names_are_given_once(connection: Connection) -> None:
    create_key(connection, "web page", role=CONTROLLER, agency=None)
    with pytest.raises(InputError, match="there is a key named 'web page'"):
        create_key(connection, "web page", role=CONTROLLER, agency=None)
    with pytest.raises(InputError, match="no valid key named 'nobody'"):
        revoke_key(connection, "nobody")


@pytest.mark.parametrize("agency", ["bretagne", None])
def test_a_name_that_ends_with_an_agency_is_that_agency_s(known: Connection, agency: str | None) -> None:
    with pytest.raises(InputError, match=r"ends with @bayern is for agency bayern\. Choose a name with another end"):
        create_key(known, "desk@bayern", role=CONTROLLER, agency=agency)
    create_key(known, "desk@bretagne", role=CONTROLLER, agency="bretagne")
    create_key(known, "jeanne@agence.example.fr", role=CONTROLLER, agency=agency)
    assert len(list_keys(known)) == 2
