from __future__ import annotations

import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from cropmap.database import binaries, embedded
from cropmap.database.binaries import Account, find_binaries
from cropmap.database.connection import connect
from cropmap.errors import ConfigurationError, DatabaseUnavailableError
from tests.database_fixtures import short_folder


@contextmanager
def private_folder() -> Iterator[Path]:
    """A short path that the server's user can enter; every cluster in it is gone in the end."""
    folder = short_folder()
    try:
        yield folder
    finally:
        for path in folder.iterdir():
            embedded.remove(path)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """One home for the tests that leave a working cluster behind."""
    with private_folder() as folder:
        yield folder / "home"


@pytest.fixture
def own_home() -> Iterator[Path]:
    with private_folder() as folder:
        yield folder / "home"


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


def insert(url: str, number: int) -> None:
    with connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n integer)")
        connection.execute("INSERT INTO kept VALUES (%s)", (number,))


def clear(url: str) -> None:
    with connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")


def kept(url: str) -> list[int]:
    with connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT n FROM kept ORDER BY n")]


def test_started_twice_it_is_the_same_server(home: Path) -> None:
    url = embedded.ensure_running(home)
    first = postmaster(home)
    assert embedded.ensure_running(home) == url
    assert postmaster(home) == first
    assert embedded.stop(home)
    assert not embedded.stop(home)
    with pytest.raises(DatabaseUnavailableError) as caught:
        connect(url)
    assert "\n" not in str(caught.value)


def test_committed_rows_survive_kill_9_of_the_server(home: Path) -> None:
    url = embedded.ensure_running(home)
    clear(url)
    for number in (1, 2):
        insert(url, number)
        os.kill(postmaster(home), signal.SIGKILL)
        assert embedded.ensure_running(home) == url
    assert kept(url) == [1, 2]


def test_many_processes_start_one_server(own_home: Path) -> None:
    program = (
        "import sys, pathlib; from cropmap.database import embedded; "
        "print(embedded.ensure_running(pathlib.Path(sys.argv[1])))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(own_home)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    time.sleep(0.6)
    started[0].kill()  # perhaps while it makes the cluster
    started[0].communicate()
    answers = {process.communicate(timeout=60)[0].strip() for process in started[1:]}
    assert answers == {embedded.ensure_running(own_home)}


def test_nobody_else_can_enter_and_the_url_holds_no_secret(home: Path) -> None:
    url = embedded.ensure_running(home)
    password = (home / "postgres.pgpass").read_text().strip().rpartition(":")[2]
    assert password not in url
    for path in ("postgres.pgpass", "postgres", "postgres/data", "postgres/socket"):
        assert stat.S_IMODE((home / path).stat().st_mode) & 0o077 == 0
    with pytest.raises(psycopg.OperationalError, match=r"no password supplied|password authentication failed"):
        psycopg.connect(url.replace("postgres.pgpass", "nothing"))
    with connect(url) as connection:
        settings = connection.execute(
            "SELECT current_setting('listen_addresses'), current_setting('data_checksums'),"
            " current_setting('unix_socket_permissions')"
        ).fetchone()
    assert settings == ("", "on", "0700")


def test_databases_beside_ours(home: Path) -> None:
    url = embedded.ensure_running(home)
    mlflow = embedded.create_database(url, "mlflow")
    assert embedded.create_database(url, "mlflow") == mlflow
    assert "/mlflow?" in mlflow
    engine = create_engine(embedded.sqlalchemy_url(mlflow))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT current_database()")).scalar() == "mlflow"
    engine.dispose()


def test_a_moved_home_works_running_or_stopped(own_home: Path) -> None:
    insert(embedded.ensure_running(own_home), 1)
    running = own_home.rename(own_home.with_name("moved"))
    insert(embedded.ensure_running(running), 2)
    embedded.stop(running)
    stopped = running.rename(own_home.with_name("again"))
    assert kept(embedded.ensure_running(stopped)) == [1, 2]


def test_a_path_too_long_for_a_socket(own_home: Path) -> None:
    long = own_home / ("x" * 100)
    url = embedded.ensure_running(long)
    insert(url, 7)
    socket = Path(url.partition("host=")[2].partition("&")[0])
    assert len(str(socket)) < 60
    shutil.rmtree(socket)  # as a cleaner of temporary folders would
    assert kept(embedded.ensure_running(long)) == [7]
    embedded.remove(long)
    assert not socket.exists()


def test_what_is_lost_is_said(own_home: Path) -> None:
    embedded.ensure_running(own_home)
    embedded.stop(own_home)
    (own_home / "postgres.pgpass").unlink()
    with pytest.raises(DatabaseUnavailableError, match="password file is gone"):
        embedded.ensure_running(own_home)
    (own_home / "postgres" / "data" / "PG_VERSION").write_text("12\n")
    (own_home / "postgres.pgpass").write_text("*:*:*:cropmap:x\n")
    with pytest.raises(DatabaseUnavailableError, match=r"data are of PostgreSQL 12, the programs of 18"):
        embedded.ensure_running(own_home)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the system does not tell of a process's program")
def test_a_server_whose_environment_was_removed_is_started_from_the_present_one(own_home: Path) -> None:
    package = find_binaries(None, Account.for_server()).parents[1]
    environment = own_home.parent / "environment"
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, environment / folder.name, symlinks=True)
    url = embedded.ensure_running(own_home, pg_bin=environment / package.name / "pginstall" / "bin")
    try:
        insert(url, 1)
        with connect(url):
            shutil.rmtree(environment)
            with pytest.raises(
                DatabaseUnavailableError, match=r"programs were removed .*connected to it \(1\). End the"
            ):
                embedded.ensure_running(own_home)
        with connect(embedded.ensure_running(own_home)) as connection:
            connection.execute("DO $$ BEGIN PERFORM 1; END $$")  # in a language that the server loads
        assert kept(url) == [1]
    finally:
        shutil.rmtree(environment, ignore_errors=True)  # the fixture takes every folder for a home


def test_other_binaries_must_be_there(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="CROPMAP_PG_BIN: no pg_ctl in"):
        embedded.ensure_running(home, pg_bin=tmp_path)


def test_a_number_given_to_another_process_is_not_taken_for_the_server(home: Path) -> None:
    url = embedded.ensure_running(home)
    clear(url)
    insert(url, 1)
    embedded.stop(home)
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (home / "postgres" / "data" / "postmaster.pid").write_text(f"{bystander.pid}\n{home}\n0\n5432\n/tmp\n\n1 2\n")
        assert not embedded.stop(home)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
    assert kept(embedded.ensure_running(home)) == [1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
class TestAsRoot:
    def test_the_server_is_unprivileged(self, home: Path) -> None:
        embedded.ensure_running(home)
        assert (home / "postgres").stat().st_uid == Account.for_server().uid != 0
        assert Path(f"/proc/{postmaster(home)}").stat().st_uid == Account.for_server().uid

    def test_a_home_out_of_reach_keeps_its_cluster_elsewhere_and_says_so(
        self, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        place = own_home.with_name("reachable")
        monkeypatch.setattr(binaries, "REACHABLE", place)
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        with caplog.at_level(logging.WARNING):
            url = embedded.ensure_running(closed)
        assert f"is kept in {place}" in caplog.text
        insert(url, 3)
        embedded.stop(closed)
        moved = closed.rename(tmp_path / "moved")
        assert kept(embedded.ensure_running(moved)) == [3]
        folder = Path((moved / "postgres.location").read_text().strip())
        embedded.remove(moved)
        assert not folder.exists()
        folder.mkdir()
        (moved / "postgres.location").write_text(f"{folder}/gone\n")
        with pytest.raises(DatabaseUnavailableError, match="is gone"):
            embedded.ensure_running(moved)
        for cut in (b"", b"data\n", b"/tmp/\xff\x00\n"):
            (moved / "postgres.location").write_bytes(cut)
            with pytest.raises(DatabaseUnavailableError, match=r"postgres\.location: names no folder"):
                embedded.ensure_running(moved)
        shutil.rmtree(place)

    def test_programs_out_of_reach_are_copied_aside(
        self, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        account, place = Account.for_server(), own_home.with_name("aside")
        monkeypatch.setattr(binaries, "REACHABLE", place)
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        original = binaries.find_binaries(None, Account(0, 0)).parents[1]
        for folder in (original, original.with_name(f"{original.name}.libs")):
            (closed / folder.name).symlink_to(folder)
        monkeypatch.syspath_prepend(str(closed))
        found = binaries.find_binaries(None, account)
        assert found.is_relative_to(place)
        assert binaries.major_version(found, account) == "18"
        assert binaries.find_binaries(None, account) == found
        shutil.rmtree(place)


def test_threads_that_ask_at_once_get_one_server(home: Path) -> None:
    urls: list[str] = []
    threads = [threading.Thread(target=lambda: urls.append(embedded.ensure_running(home))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(urls) == 4
    assert len(set(urls)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could be misled")
def test_a_link_in_the_clusters_folder_leads_root_nowhere(own_home: Path, tmp_path: Path) -> None:
    """Whoever can write there is the server's user; root neither writes nor reads for it what it may not."""
    embedded.ensure_running(own_home)
    embedded.stop(own_home)
    cluster, secret = own_home / "postgres", tmp_path / "root only"
    secret.write_text("do not touch\n")
    secret.chmod(0o600)
    before = secret.stat()
    (cluster / "data" / "cropmap.conf").unlink()
    (cluster / "data" / "cropmap.conf").symlink_to(secret)
    with pytest.raises(DatabaseUnavailableError, match=r"cropmap\.conf"):
        embedded.ensure_running(own_home)
    (cluster / "data" / "cropmap.conf").unlink()
    (cluster / "data" / "PG_VERSION").rename(cluster / "version")
    (cluster / "data" / "PG_VERSION").symlink_to(secret)
    with pytest.raises(DatabaseUnavailableError) as caught:
        embedded.ensure_running(own_home)
    assert "do not touch" not in str(caught.value)
    (cluster / "version").replace(cluster / "data" / "PG_VERSION")
    after = secret.stat()
    assert (after.st_uid, after.st_mode, secret.read_text()) == (before.st_uid, before.st_mode, "do not touch\n")
    embedded.ensure_running(own_home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could be misled")
def test_root_gives_away_no_folder_that_a_link_leads_to(own_home: Path, tmp_path: Path) -> None:
    own_home.mkdir(mode=0o711)
    target = tmp_path / "roots"
    target.mkdir(mode=0o700)
    (own_home / "postgres").symlink_to(target)
    with pytest.raises(DatabaseUnavailableError, match="is a link"):
        embedded.ensure_running(own_home)
    assert target.stat().st_uid == 0
    (own_home / "postgres").unlink()
