"""Accounts of people: what is kept of a password, and what a changed password and a disabled account open."""

from __future__ import annotations

import pytest

from cropmap.database import accounts
from cropmap.database.connection import Connection
from cropmap.database.keys import KeyHolder
from cropmap.errors import InputError
from cropmap.schemas import AccessRole
from tests.database.seasons import load

PASSWORD = "correct horse battery"
CONTROLLER = AccessRole.CONTROLLER


@pytest.fixture
def known(connection: Connection) -> Connection:
    """With a season of bretagne, and an account."""
    load(connection)
    accounts.create_account(connection, "Jeanne d'Arc", PASSWORD, role=CONTROLLER, agency="bretagne")
    return connection


def found(connection: Connection) -> accounts.Account:
    account = accounts.find_account(connection, "Jeanne d'Arc")
    assert account is not None
    return account


def entered(connection: Connection, account: accounts.Account) -> KeyHolder | None:
    with connection.transaction():
        return accounts.enter(connection, account)


def test_an_account_opens_with_its_password_alone(known: Connection) -> None:
    account = found(known)
    assert account.holder == KeyHolder("Jeanne d'Arc", CONTROLLER, "bretagne", is_person=True)
    assert accounts.is_password(account, PASSWORD)
    assert not accounts.is_password(account, PASSWORD + "s")
    assert entered(known, account) == account.holder
    assert accounts.find_account(known, "nobody") is None


def test_the_password_is_not_kept(known: Connection) -> None:
    assert PASSWORD not in str(known.execute("SELECT * FROM account").fetchall())
    assert found(known).password_hash.startswith("$argon2id$")
    assert "password_hash" not in accounts.list_accounts(known)[0]


def test_another_password_closes_what_the_former_one_opened(known: Connection) -> None:
    former = found(known)
    accounts.set_password(known, "Jeanne d'Arc", "another long password")
    assert entered(known, former) is None
    assert not accounts.is_password(found(known), PASSWORD)
    assert entered(known, found(known)) is not None


def test_a_disabled_account_is_closed_until_it_gets_a_password(known: Connection) -> None:
    account = found(known)
    accounts.disable_account(known, "Jeanne d'Arc")
    assert accounts.find_account(known, "Jeanne d'Arc") is None
    assert entered(known, account) is None
    with pytest.raises(InputError, match="there is no enabled account named"):
        accounts.disable_account(known, "Jeanne d'Arc")
    accounts.set_password(known, "Jeanne d'Arc", PASSWORD)
    assert accounts.is_password(found(known), PASSWORD)


@pytest.mark.parametrize(
    ("name", "password", "agency", "said"),
    [
        ("Jeanne d'Arc", PASSWORD, "bretagne", "there is an account named"),
        ("with:colon", PASSWORD, "bretagne", "'with:colon' is no name of an account: Write 1 to 200 characters"),
        ("", PASSWORD, "bretagne", "'' is no name of an account"),
        ("a\nb", PASSWORD, "bretagne", "is no name of an account"),
        ("x" * 201, PASSWORD, "bretagne", "is no name of an account"),
        ("short", "hunter2", "bretagne", "a password has 12 to 200 characters"),
        ("long", "x" * 201, "bretagne", "a password has 12 to 200 characters"),
        ("jane@bayern", PASSWORD, "bretagne", "a name that ends with @bayern is for agency bayern"),
        ("elsewhere", PASSWORD, "bretange", "there is no agency 'bretange'"),
    ],
)
def test_what_is_no_account_is_refused(known: Connection, name: str, password: str, agency: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        accounts.create_account(known, name, password, role=CONTROLLER, agency=agency)
    assert said in str(caught.value).replace(". ", ": ")
    assert len(accounts.list_accounts(known)) == 1


def test_a_made_password_is_long_enough_and_another_each_time(known: Connection) -> None:
    assert accounts.made_password() != accounts.made_password()
    accounts.create_account(known, "made", accounts.made_password(), role=AccessRole.PUBLIC, agency=None)
