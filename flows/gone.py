"""What no unit of work can do without: where it is gone, those that wait are not tried one by one."""

from __future__ import annotations

import errno
from typing import Final

from cropmap.errors import (
    ClusterError,
    CropmapError,
    DatabaseUnavailableError,
    StoreRefusedError,
    StoreUnavailableError,
)


class DiskFullError(CropmapError):
    pass


GONE: Final = (DatabaseUnavailableError, StoreUnavailableError, StoreRefusedError, DiskFullError, ClusterError)


def what_is_gone(error: BaseException) -> CropmapError | None:
    """The database, the store, room on the disk, or the cluster; None where another unit may well succeed."""
    if isinstance(error, GONE):
        return error
    cause: BaseException | None = error
    while cause is not None:  # the store's own error names the object, and was caused by the disk's
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            where = str(cause.filename or getattr(error, "where", "") or "store")
            return DiskFullError("the disk is full", where=where, mend="Free space, then run the same command again")
        cause = cause.__cause__
    return None
