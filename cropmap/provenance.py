"""What a result was made from: content hashes and the version of the code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cropmap

if TYPE_CHECKING:
    from numpy.typing import NDArray


def content_hash(*parts: str | bytes | NDArray[Any], length: int = 16) -> str:
    """SHA-256 over the parts, each preceded by its length so that no two splits collide; `length` hex digits.

    A contiguous array is a part as it is, without a copy of its bytes.
    """
    return stream_hash(parts, length=length)


def stream_hash(parts: Iterable[str | bytes | NDArray[Any]], *, length: int = 16) -> str:
    """The same of parts that come one after the other."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        size = len(data) if isinstance(data, bytes) else data.nbytes
        digest.update(size.to_bytes(8, "big"))
        digest.update(data if isinstance(data, bytes) else data.data)
    return digest.hexdigest()[:length]


def value_hash(value: Any, *, length: int = 16) -> str:
    """Hash of a JSON-like value, independent of key order; dates and paths count as their text."""
    return content_hash(json.dumps(value, sort_keys=True, default=str, ensure_ascii=False), length=length)


def file_hash(path: Path, *, length: int = 16) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:length]


def files_hash(paths: Iterable[Path], *, length: int = 16) -> str:
    return content_hash(*(part for path in sorted(paths) for part in (path.name, path.read_bytes())), length=length)


@cache
def rules_hash(package: Path) -> str:
    """Of the modules of one package, as the program runs them."""
    return files_hash(package.glob("*.py"))


@cache
def code_version() -> str:
    """Version and digest of the rules (every module of `cropmap`): results of one code version can be compared.

    What cannot change a result is not among them: a page drawn otherwise makes no other run.
    """
    root = Path(cropmap.__file__).parent
    apart = {
        "cli",
        "terminal.py",
        "bench",
        "breizhcrops",
        "simulation",
        "results",
        "evidence",
        "dissemination",
        "reports",
    }
    rules = (p for p in root.rglob("*.py") if not apart & set(p.relative_to(root).parts))
    return f"{cropmap.__version__}+{files_hash(rules, length=8)}"
