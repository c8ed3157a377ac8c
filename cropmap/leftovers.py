"""What is being written has a name of its own. After a kill it stays under that name, until it is removed."""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
import uuid
from pathlib import Path
from typing import Final

PREFIX: Final = ".writing-"
STALE_S: Final = 24 * 3600.0
"""a file that another machine left is given up after a day without a change"""


def partial_name() -> str:
    """A new name for a file or folder that is being written: it says by which process of which machine."""
    return f"{PREFIX}{_host()}.{os.getpid()}.{uuid.uuid4().hex}"


def is_partial(path: str) -> bool:
    """Whether a name, or a folder above it, is of something half-written."""
    return any(part.startswith(PREFIX) for part in path.split("/"))


def remove_leftovers(root: Path) -> list[Path]:
    """Removes what processes that are gone were writing below `root`, and returns its paths."""
    removed = []
    for folder, folders, files in os.walk(root):
        for name in (name for name in (*files, *folders) if name.startswith(PREFIX)):
            path = Path(folder, name)
            if _abandoned(path):
                # another process may be removing the same
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                removed.append(path)
        folders[:] = [name for name in folders if not name.startswith(PREFIX)]
    return removed


def _abandoned(path: Path) -> bool:
    host, _, rest = path.name.removeprefix(PREFIX).partition(".")
    pid = rest.partition(".")[0]
    if rest and host == _host() and pid.isdecimal():
        return not _alive(int(pid))
    try:
        return time.time() - path.stat().st_mtime > STALE_S
    except FileNotFoundError:  # its writer has just finished
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _host() -> str:
    return re.sub(r"\W", "", socket.gethostname())[:32]
