"""The embedded PostgreSQL server of a home: made once, started when needed, shared by every process, outliving each.

It listens on a unix socket only, in a folder that nobody else can enter, and requires a generated password
(scram-sha-256) that stands in a file of mode 0600. The URL names that file and never the password, so it may be
logged. Committed rows survive `kill -9` of the server and of any client.

    home/postgres.pgpass     password file, in libpq's format
    home/postgres/           data, socket, server.log   (root with a home that an unprivileged user cannot reach:
    home/postgres.location   names the folder below /var/lib/cropmap that holds them instead)
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql

from cropmap.database.binaries import Account, find_binaries, major_version, reachable_place
from cropmap.database.connection import at_database, connect, database_errors, sqlalchemy_url
from cropmap.errors import DatabaseUnavailableError
from cropmap.leftovers import partial_name

__all__ = ["create_database", "ensure_running", "exists", "remove", "sqlalchemy_url", "stop"]

log = logging.getLogger(__name__)

DATABASE: Final = "cropmap"
USER: Final = "cropmap"
SOCKET_FILE: Final = ".s.PGSQL.5432"
SOCKET_PATH_MAX: Final = 100
"""sun_path holds 104 bytes on macOS, 108 on Linux"""
LOCK_SECONDS: Final = 120.0
START_SECONDS: Final = 60.0
SILENT_SECONDS: Final = 3.0
"""how long a living server may leave its socket unanswered before we take it to listen elsewhere"""
ANSWERS, REJECTS = 0, 1  # exit codes of pg_isready

SETTINGS: Final = """\
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
max_connections = 100
shared_buffers = 64MB
work_mem = 32MB
maintenance_work_mem = 256MB
max_wal_size = 4GB
jit = off
# a container's /dev/shm is often 64 MB: too small for a parallel query
dynamic_shared_memory_type = mmap
"""


@dataclass(frozen=True)
class _Cluster:
    folder: Path
    """data, socket and log; owned by the account"""
    account: Account
    binaries: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def socket(self) -> Path:
        """The socket's folder; a short one in the temporary folder where the path would be too long."""
        folder = self.folder / "socket"
        if len(os.fsencode(folder / SOCKET_FILE)) < SOCKET_PATH_MAX:
            return folder
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"cropmap-{digest}"

    def ready(self) -> int:
        return self.run("pg_isready", "-q", "-h", self.socket, "-d", "postgres", "-t", "3").returncode

    def run(self, program: str, *arguments: str | Path) -> CompletedText:
        done = self.account.run([self.binaries / program, *arguments], folder=self.folder, data=self.data)
        return CompletedText(done.returncode, done.stdout.strip())

    def lives(self) -> bool:
        """Whether the process of postmaster.pid is this cluster's server: another may have its number by now."""
        try:
            pid = int(self.account.read(self.data / "postmaster.pid").split()[0])
            os.kill(pid, 0)
        except (OSError, ValueError, IndexError):
            return False
        link = Path(f"/proc/{pid}/cwd")
        return not Path("/proc/self").exists() or (link.exists() and link.samefile(self.data))

    def removed_programs(self) -> str:
        """The programs of the running server, where they are no longer there: it answers, and can load nothing more."""
        try:
            pid = int(self.account.read(self.data / "postmaster.pid").split()[0])
            program = str(Path(f"/proc/{pid}/exe").readlink())
        except (OSError, ValueError, IndexError):
            return ""
        before = program.removesuffix(" (deleted)")
        return before if before != program and not Path(before).exists() else ""


@dataclass(frozen=True)
class CompletedText:
    returncode: int
    output: str


def ensure_running(home: Path, *, pg_bin: Path | None = None) -> str:
    """Returns the libpq URL of database `cropmap` on the home's server, made and started when it is not there.

    Any number of processes may call this at once. Raises DatabaseUnavailableError when the server cannot be
    started, ConfigurationError when `pg_bin` holds no PostgreSQL.
    """
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        cluster = _locate(home, pg_bin)
        _initialise(cluster, home)
        url = _url(home, cluster)
        if gone := cluster.removed_programs():
            _end_without_programs(cluster, url, gone)
        if cluster.ready() != ANSWERS:
            _start(cluster)
        return create_database(url, DATABASE)


def exists(home: Path) -> bool:
    """Whether the home has a database, running or not."""
    return (home / "postgres.location").is_file() or (home / "postgres" / "data").is_dir()


def stop(home: Path) -> bool:
    """Stops the home's server; True when one was running. Clients are disconnected, committed rows are on disk."""
    home = home.absolute()
    if not home.is_dir():
        return False
    with _locked(home):
        return _stop(_locate(home, None, create=False))


def remove(home: Path) -> None:
    """Stops the home's server and deletes its data for good."""
    home = home.absolute()
    if not home.is_dir():
        return
    with _locked(home):
        cluster = _locate(home, None, create=False)
        _stop(cluster, mode="immediate")
        for folder in (cluster.socket, cluster.folder):
            shutil.rmtree(folder, ignore_errors=True)
        for name in ("postgres.location", "postgres.pgpass"):
            (home / name).unlink(missing_ok=True)


@database_errors()
def create_database(url: str, name: str) -> str:
    """Makes the database `name` on the same server unless it exists; returns its URL."""
    target = at_database(url, name)
    try:
        connect(target).close()
    except DatabaseUnavailableError:
        # told apart below: a server that is away fails again, a database that is missing is made
        with connect(at_database(url, "postgres")) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if known is None:
                _create(connection, name)
    return target


def _create(connection: psycopg.Connection[object], name: str) -> None:
    try:
        connection.execute(
            sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(name))
        )
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        log.debug("database %s was made by another process at the same moment", name)


def _url(home: Path, cluster: _Cluster) -> str:
    host, passfile = (quote(str(path), safe="/") for path in (cluster.socket, home / "postgres.pgpass"))
    return f"postgresql://{USER}@/{DATABASE}?host={host}&passfile={passfile}"


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One process at a time looks after the server; the lock goes with the process, also by `kill -9`."""
    with (home / "postgres.lock").open("w") as file:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DatabaseUnavailableError(
                        "another process has been starting the database for two minutes", where=str(home)
                    ) from None
                time.sleep(0.05)
        yield


def _locate(home: Path, pg_bin: Path | None, *, create: bool = True) -> _Cluster:
    """Where the cluster is; decides it, and says so, when there is none yet."""
    account = Account.for_server()
    pointer = home / "postgres.location"
    folder = _pointed(pointer) if pointer.is_file() else home / "postgres"
    if pointer.is_file() and create and not folder.is_dir():
        raise DatabaseUnavailableError(
            f"the database's folder {folder} is gone",
            where=str(pointer),
            mend="Put it back; or delete this file to begin with an empty database",
        )
    if (folder / "data").is_dir():
        account = _owner(folder, account)
    elif create:
        if not pointer.is_file() and not account.reaches(home):
            folder = reachable_place() / f"{home.name.lstrip('.')}-{uuid.uuid4().hex[:12]}"
            folder.mkdir()
            partial = pointer.with_name(partial_name())
            partial.write_text(f"{folder}\n")
            partial.replace(pointer)
            log.warning("the database of %s is kept in %s: PostgreSQL cannot run as root", home, folder)
        folder.mkdir(exist_ok=True)
        account.own(folder, 0o700)
    return _Cluster(folder, account, find_binaries(pg_bin, account))


def _pointed(pointer: Path) -> Path:
    """The folder that the file names. Raises DatabaseUnavailableError for anything but a whole path: a file that was
    cut off would make a cluster of whatever folder we stand in."""
    text = pointer.read_bytes().decode(errors="replace").strip()
    if not Path(text).is_absolute() or not text.isprintable():
        raise DatabaseUnavailableError(
            f"names no folder ({text[:80]!r})",
            where=str(pointer),
            mend="Write the path of the database's folder there; or delete this file to begin with an empty database",
        )
    return Path(text)


def _owner(folder: Path, account: Account) -> Account:
    """The server keeps running as the user that owns its data. Raises DatabaseUnavailableError when we cannot."""
    status = folder.stat()
    if os.geteuid() == 0 and status.st_uid != 0:
        return Account(status.st_uid, status.st_gid)
    if status.st_uid != account.uid:
        raise DatabaseUnavailableError(
            f"the database belongs to user {status.st_uid}",
            where=str(folder),
            mend="Run as that user, or choose another home with --home",
        )
    return account


def _initialise(cluster: _Cluster, home: Path) -> None:
    """Makes the cluster under a temporary name and renames it: a killed initdb leaves no half cluster."""
    passfile = home / "postgres.pgpass"
    if cluster.data.is_dir():
        if not passfile.is_file():
            raise DatabaseUnavailableError(
                "the database's password file is gone",
                where=str(passfile),
                mend=f"Put it back; or remove {cluster.folder} to begin with an empty database",
            )
        return
    for leftover in cluster.folder.glob("making-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    password = secrets.token_urlsafe(24)
    making = cluster.folder / f"making-{uuid.uuid4().hex}"
    making.mkdir()
    cluster.account.own(making, 0o700)
    cluster.account.write(making / "password", password)
    done = cluster.run(
        "initdb",
        "-D",
        making / "data",
        "-U",
        USER,
        f"--pwfile={making / 'password'}",
        "--data-checksums",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-instructions",
    )
    if done.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        raise DatabaseUnavailableError(f"initdb failed ({_last_line(done.output)})", where=str(cluster.folder))
    include = "\ninclude_if_exists = 'cropmap.conf'\n"
    cluster.account.write(making / "data" / "postgresql.conf", include, append=True)
    passfile.unlink(missing_ok=True)
    _write_private(passfile, f"*:*:*:{USER}:{password}\n")
    (making / "data").rename(cluster.data)
    shutil.rmtree(making)
    log.info("made a database cluster in %s", cluster.folder)


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _start(cluster: _Cluster) -> None:
    """Starts the server and waits until it answers.

    Tried again for a while: after `kill -9` the old server's children hold its shared memory for about 2 s.
    """
    _check_version(cluster)
    if cluster.lives() and _silent(cluster):
        log.warning("the database server listens elsewhere (its home was moved?); it is started again")
        _stop(cluster)
    _prepare_socket(cluster)
    deadline = time.monotonic() + START_SECONDS
    while True:
        done = cluster.run("pg_ctl", "start", "-w", "-t", "20", "-s", "-l", cluster.folder / "server.log")
        if cluster.ready() == ANSWERS:
            return
        if time.monotonic() > deadline:
            cause = _last_line(_log_tail(cluster)) or _last_line(done.output)
            raise DatabaseUnavailableError(
                f"the database server does not start ({cause})", where=str(cluster.folder), mend="See its server.log"
            )
        time.sleep(0.3)


def _end_without_programs(cluster: _Cluster, url: str, gone: str) -> None:
    """Stops the server of an environment that was removed. Raises DatabaseUnavailableError where others use it."""
    if cluster.ready() != ANSWERS:
        return
    _check_version(cluster)
    query = "SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    with database_errors(), connect(at_database(url, "postgres")) as connection:
        others = connection.execute(query).rowcount
    if others:
        raise DatabaseUnavailableError(
            f"the database server's programs were removed ({gone}), and others are connected to it ({others})",
            where=str(cluster.folder),
            mend="End the commands that use it, `cropmap serve` too; the next one starts it from its own environment",
        )
    log.warning("the database server's programs were removed (%s); it is started again", gone)
    _stop(cluster)


def _check_version(cluster: _Cluster) -> None:
    made = cluster.account.read(cluster.data / "PG_VERSION").strip()
    ours = major_version(cluster.binaries, cluster.account)
    if made != ours:
        raise DatabaseUnavailableError(
            f"the data are of PostgreSQL {made}, the programs of {ours}",
            where=str(cluster.folder),
            mend=f"Set CROPMAP_PG_BIN to PostgreSQL {made}; or dump there and load into a fresh home",
        )


def _silent(cluster: _Cluster) -> bool:
    """Whether nothing at all answers on the socket for a while; a server in recovery rejects, and that is an answer."""
    deadline = time.monotonic() + SILENT_SECONDS
    while time.monotonic() < deadline:
        if cluster.ready() in (ANSWERS, REJECTS) or not cluster.lives():
            return False
        time.sleep(0.2)
    return True


def _prepare_socket(cluster: _Cluster) -> None:
    folder = cluster.socket
    if not folder.exists():
        folder.mkdir(mode=0o700)
        cluster.account.own(folder, 0o700)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != cluster.account.uid or status.st_mode & 0o077:
        raise DatabaseUnavailableError(
            "the socket's folder belongs to someone else, or others can enter it", where=str(folder), mend="Remove it"
        )
    settings = SETTINGS.format(socket=str(folder).replace("'", "''"))
    cluster.account.write(cluster.data / "cropmap.conf", settings)


def _stop(cluster: _Cluster, *, mode: str = "fast") -> bool:
    if not cluster.lives():
        return False
    done = cluster.run("pg_ctl", "stop", "-m", mode, "-w", "-t", "60", "-s")
    if cluster.lives():
        raise DatabaseUnavailableError(
            f"the database server does not stop ({_last_line(done.output)})", where=str(cluster.folder)
        )
    return True


def _log_tail(cluster: _Cluster) -> str:
    return cluster.account.read(cluster.folder / "server.log")[-2000:].strip()


def _last_line(text: str) -> str:
    return text.splitlines()[-1] if text else ""
