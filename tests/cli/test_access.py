"""Who is let in: keys of the API, and logins of the database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cropmap.cli import run
from cropmap.database import audit
from cropmap.database.connection import connect
from cropmap.schemas import AuditAction


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_key_is_made_listed_and_revoked(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create = ("api-key", "create", "desk", "--role", "statistician", "--agency", "bretagne", "--expires", "2999-01-01")
    made = answer(capsys, *create)
    assert (made["name"], made["role"], made["agency"]) == ("desk", "statistician", "bretagne")
    assert str(made["key"]).startswith("cropmap_")
    (listed,) = answer(capsys, "api-key", "list")["keys"]
    assert (listed["role"], listed["agency"], listed["expires_at"]) == (
        "statistician",
        "bretagne",
        "2999-01-01T00:00:00+00:00",
    )
    assert listed["last_used_at"] is None
    assert str(made["key"]) not in str(listed)
    assert answer(capsys, "api-key", "revoke", "desk") == {"revoked": "desk"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--role", "controller"], "give either --agency NAME or --all-agencies"),
        (["--role", "controller", "--agency", "bretagne", "--all-agencies"], "give either --agency NAME or"),
        (["--agency", "bretagne"], "Missing option '--role'"),
        (["--role", "master", "--all-agencies"], "'master' is not one of"),
        (["--role", "controller", "--agency", "bretange"], "there is no agency 'bretange'. There are bretagne"),
        (["--role", "controller", "--all-agencies", "--expires", "2020-01-01"], "would have expired already"),
    ],
)
def test_a_key_needs_a_role_and_a_scope(
    workplace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(["api-key", "create", "desk", *arguments]) != 0
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_administrators_are_made_here_and_names_of_an_agency_are_its_own(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = answer(capsys, "api-key", "create", "IT@bretagne", "--role", "administrator", "--agency", "bretagne")
    assert (made["role"], made["agency"]) == ("administrator", "bretagne")
    for command in ("api-key", "account"):
        assert run([command, "create", "IT@bayern", "--role", "administrator", "--agency", "bretagne"]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "a name that ends with @bayern is for agency bayern. Choose a name with another end" in said


def test_an_account_is_made_listed_disabled_and_opened_again(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = answer(capsys, "account", "create", "jane", "--role", "controller", "--agency", "bretagne")
    assert (made["name"], made["role"], made["agency"]) == ("jane", "controller", "bretagne")
    assert len(str(made["password"])) >= 20
    assert answer(capsys, "account", "disable", "jane") == {"disabled": "jane"}
    (listed,) = answer(capsys, "account", "list")["accounts"]
    assert (listed["name"], listed["last_used_at"]) == ("jane", None)
    assert listed["disabled_at"] is not None
    other = answer(capsys, "account", "password", "jane")
    assert other["password"] != made["password"]
    assert answer(capsys, "account", "list")["accounts"][0]["disabled_at"] is None
    assert run(["account", "password", "nobody"]) == 2
    assert "there is no account named 'nobody'" in capsys.readouterr().err


def test_the_audit_log_is_listed_and_pruned(
    workplace: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(database_url) as connection:
        audit.note(
            connection,
            agency="bretagne",
            season=2018,
            action=AuditAction.READ,
            subject="explain",
            parcel_ids=[f"P{number}" for number in range(5)],
        )
    (entry,) = answer(capsys, "audit", "list", "--agency", "bretagne", "--parcel", "P3")["entries"]
    assert (entry["action"], entry["subject"], entry["n_rows"]) == ("read", "explain", 5)
    assert answer(capsys, "audit", "list", "--agency", "bretagne", "--parcel", "P9")["entries"] == []
    assert run(["audit", "list", "--agency", "bretagne"]) == 0
    assert "P0, P1, P2 and 2 more" in capsys.readouterr().out
    assert run(["audit", "list", "--agency", "bretagne", "--holding", "nobody"]) == 2
    assert "names holding nobody" in capsys.readouterr().err
    removed = answer(capsys, "audit", "prune", "--agency", "bretagne", "--before", "2999-01-01")
    assert removed == {"agency": "bretagne", "before": "2999-01-01", "removed": 1}


def test_a_login_is_allowed_and_disallowed(
    workplace: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(database_url) as connection:
        connection.execute("CREATE ROLE desk_of_bretagne LOGIN IN ROLE cropmap_reader")
        try:
            answer(capsys, "db", "allow", "desk_of_bretagne", "--agency", "bretagne")
            assert answer(capsys, "db", "logins") == {"logins": [{"login": "desk_of_bretagne", "agency": "bretagne"}]}
            answer(capsys, "db", "disallow", "desk_of_bretagne")
            assert answer(capsys, "db", "logins") == {"logins": []}
            assert run(["db", "allow", "desk_of_bretagne"]) != 0
            assert "give either --agency NAME or --all-agencies" in " ".join(capsys.readouterr().err.split())
        finally:
            connection.execute("DROP ROLE desk_of_bretagne")
