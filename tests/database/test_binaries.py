"""Which folders another user can enter, by their permission bits, and which program is taken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cropmap.database.binaries import Account, client_program, find_binaries
from cropmap.errors import ConfigurationError, DatabaseUnavailableError

ME = Account(os.geteuid(), os.getegid())
OTHER = Account(os.geteuid() + 1, os.getegid() + 1)
SAME_GROUP = Account(os.geteuid() + 1, os.getegid())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose parents everyone can enter, up to that of this user's temporary files."""
    made = tmp_path / "outer" / "inner"
    made.mkdir(parents=True)
    return made


def enters(account: Account, path: Path, mode: int) -> bool:
    path.chmod(mode)
    try:
        return account._enters(path.stat())
    finally:
        path.chmod(0o755)


@pytest.mark.parametrize(
    ("mode", "owner", "group", "others"),
    [
        (0o700, True, False, False),
        (0o710, True, True, False),
        (0o711, True, True, True),
        (0o701, True, False, True),  # a member of the group is judged by the bits of the group alone
        (0o644, False, False, False),  # to read a folder is not to enter it
        (0o011, False, True, True),  # nor does the owner fall back on the bits of others
    ],
)
def test_who_enters_by_which_bit(folder: Path, mode: int, owner: bool, group: bool, others: bool) -> None:
    assert [enters(account, folder, mode) for account in (ME, SAME_GROUP, OTHER)] == [owner, group, others]


def test_every_folder_above_must_let_one_in(folder: Path) -> None:
    assert ME.reaches(folder), "we need no permission that we do not have"
    outer = folder.parent
    outer.chmod(0o700)
    assert not OTHER.reaches(folder)


def test_the_programs_of_a_folder_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no pg_ctl in"):
        find_binaries(tmp_path, ME)
    for name in ("pg_ctl", "psql"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert find_binaries(tmp_path, ME) == tmp_path
    assert client_program("psql", pg_bin=tmp_path) == tmp_path / "psql"
    assert client_program("pg_dump", pg_bin=tmp_path) == tmp_path / "pg_dump", (
        "not that of the path, of another version"
    )


def test_a_file_of_ones_own_is_private_and_may_be_added_to(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    ME.write(path, "one\n")
    ME.write(path, "two\n", append=True)
    assert ME.read(path) == "one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600
    ME.write(path, "three\n")
    assert ME.read(path) == "three\n"
    assert ME.read(tmp_path / "absent") == ""


def test_only_a_folder_is_handed_over(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DatabaseUnavailableError, match="is a link, or no folder"):
        ME.own(file, 0o700)
    ME.own(tmp_path, 0o750)
    assert tmp_path.stat().st_mode & 0o777 == 0o750
