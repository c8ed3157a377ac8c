"""Logging: human lines on stderr, the full record in `logs/cropmap.log` of the home."""

from __future__ import annotations

import logging
import logging.handlers
import re
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.logging import RichHandler

from cropmap.masking import mask_logs

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
FILE_ONLY: Final = "record"
"""Loggers of this name write tracebacks, which belong into the file and not before a person."""


def ensure_logging(home: Path) -> None:
    """The same where it is not set up yet: in a scheduler's worker, which runs a flow and not a command."""
    if not logging.getLogger("cropmap").handlers:
        set_up_logging(home)


def take_log(name: str, *, into: logging.Logger) -> None:
    """Warnings of another library's logger, and of those below it, become lines of ours, and go nowhere else."""
    known = [logging.getLogger(one) for one in logging.root.manager.loggerDict if one.startswith(f"{name}.")]
    for logger in known:
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.NOTSET)
    logger = logging.getLogger(name)
    logger.handlers, logger.propagate = [_Taken(into)], False
    logger.setLevel(logging.WARNING)


class _Taken(logging.Handler):
    def __init__(self, into: logging.Logger) -> None:
        super().__init__()
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.log(record.levelno, "%s: %s", record.name, record.getMessage())


def log_on_worker(home: Path, name: str) -> None:
    """The lines of a worker of a cluster: in `logs/worker-NAME.log` of its home, or where it has none on stderr, which
    a cluster collects."""
    logger = logging.getLogger("cropmap")
    if logger.handlers:
        return
    mask_logs()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler: logging.Handler = logging.StreamHandler()
    if (folder := home / "logs").is_dir():
        path = folder / f"worker-{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}.log"
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=5_000_000, backupCount=5)
    handler.setFormatter(_OneRecord(FORMAT))
    logger.addHandler(handler)


def set_up_logging(home: Path | None, *, verbose: bool = False) -> None:
    """Messages of `cropmap` go to stderr, everything at INFO and above also to the log file (5 x 5 MB) of a home that
    is there: looking makes none. No secret does (`masking`)."""
    mask_logs()
    logger = logging.getLogger("cropmap")
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    shown = RichHandler(console=Console(stderr=True), show_path=False, markup=False, log_time_format="%H:%M:%S")
    shown.setLevel(logging.DEBUG if verbose else logging.INFO)
    shown.addFilter(lambda record: not record.name.endswith(FILE_ONLY))
    logger.addHandler(shown)
    if home is not None and home.is_dir():
        folder = home / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(folder / "cropmap.log", maxBytes=5_000_000, backupCount=5)
        file.setFormatter(_OneRecord(FORMAT))
        logger.addHandler(file)


class _OneRecord(logging.Formatter):
    """Further lines of a record are set in, so that none looks like a record of its own."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", "\n    ")
