"""What a home and MLflow hold of parcels beside database and store: mapped series, log files, error texts."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np

from cropmap.dataset.shared import machines_copies

log = logging.getLogger(__name__)

STAMP: Final = rb"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[,.]\d+"
WORD: Final = rb"[^\s'\"`(),;:=\[\]{}<>|/]+"
PIECES: Final = re.compile(STAMP + rb"|" + WORD, re.MULTILINE)
SEPARATORS: Final = re.compile(r"[\s'\"`(),;:=\[\]{}<>|/]")


class Mask:
    """Puts asterisks in the place of identifiers, as many as they have bytes, where they stand as words of their own.

    A number that is an identifier by chance is masked too; the time of a line is not.
    """

    def __init__(self, identifiers: Collection[str]) -> None:
        self._words = frozenset(each.encode() for each in identifiers if not SEPARATORS.search(each))
        odd = sorted((each for each in identifiers if SEPARATORS.search(each)), key=len, reverse=True)
        self._odd = re.compile("|".join(rf"(?<!\w){re.escape(each)}(?!\w)" for each in odd).encode()) if odd else None

    def data(self, data: bytes) -> bytes:
        if self._odd is not None:
            data = self._odd.sub(lambda found: b"*" * len(found[0]), data)
        return PIECES.sub(self._word, data)

    def text(self, text: str) -> str:
        return self.data(text.encode()).decode()

    def _word(self, found: re.Match[bytes]) -> bytes:
        word = found[0]
        bare = word.rstrip(b".")
        return b"*" * len(bare) + word[len(bare) :] if bare in self._words else word


def mask_logs(home: Path, mask: Mask, *, dry_run: bool = False) -> int:
    """Masks identifiers in the log files of a home; returns how many files had any. Bytes are written in their place,
    so that a process which is appending to a file meanwhile loses no line."""
    changed = 0
    for path in sorted([*(home / "logs").rglob("*"), *home.glob("postgres*/server.log")]):
        try:
            changed += path.is_file() and _mask_file(path, mask, dry_run=dry_run)
        except PermissionError as error:
            log.warning("%s: %s; look through it yourself", path, error.strerror)
    return changed


def _mask_file(path: Path, mask: Mask, *, dry_run: bool) -> bool:
    data = path.read_bytes()
    masked = mask.data(data)
    if masked != data and not dry_run:
        with path.open("r+b") as file:
            file.write(masked)
    return masked != data


def remove_mapped(folder: Path, parcel_ids: Collection[str], *, dry_run: bool = False) -> int:
    """Removes mapped series and copies of datasets that hold one of the parcels: those of a home in `folder`, and those
    that this machine took of a store in a bucket. They are made again where they are wanted."""
    removed = _remove(folder, parcel_ids, dry_run=dry_run)
    with machines_copies() as copies:
        return removed + _remove(copies, parcel_ids, dry_run=dry_run)


def _remove(root: Path, parcel_ids: Collection[str], *, dry_run: bool) -> int:
    wanted = np.array(sorted(parcel_ids), dtype=np.str_)
    found = [path.parent for path in root.glob("*/parcel_ids.npy") if np.isin(np.load(path), wanted).any()]
    if not dry_run:
        for path in found:
            shutil.rmtree(path, ignore_errors=True)
    return len(found)
