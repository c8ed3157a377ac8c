from __future__ import annotations

import pytest

from cropmap.database.connection import Connection
from cropmap.database.keys import check_key, create_key, list_keys, revoke_key
from cropmap.errors import InputError


def test_a_key_is_valid_until_it_is_revoked(connection: Connection) -> None:
    secret = create_key(connection, "web page")
    assert check_key(connection, secret) == "web page"
    assert check_key(connection, secret[:-1]) is None
    assert check_key(connection, "") is None
    revoke_key(connection, "web page")
    assert check_key(connection, secret) is None
    assert [row["name"] for row in list_keys(connection)] == ["web page"]


def test_the_secret_is_not_kept(connection: Connection) -> None:
    secret = create_key(connection, "web page")
    assert secret not in str(connection.execute("SELECT * FROM api_key").fetchall())


def test_names_are_given_once(connection: Connection) -> None:
    create_key(connection, "web page")
    with pytest.raises(InputError, match="there is a key named 'web page'"):
        create_key(connection, "web page")
    with pytest.raises(InputError, match="no valid key named 'nobody'"):
        revoke_key(connection, "nobody")
