"""Text of other people's documents, made fit for a ledger, a log and an object name."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

MAX_ID: Final = 200
"""characters of an identifier that is used as it is; a file name holds 255 bytes, an index entry 2,700"""
MAX_LINE: Final = 300
_SHOWN: Final = 80
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,149}")


def one_line(value: object, limit: int = MAX_LINE) -> str:
    """Printable text on one line, cut at `limit` characters: a database takes neither NUL nor half a surrogate pair."""
    words = " ".join(str(value)[: 4 * limit].split())
    text = "".join(c if _is_printable(c) else "\N{REPLACEMENT CHARACTER}" for c in words)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def id_problem(value: object) -> str | None:
    """What keeps an identifier from being one, None where nothing does."""
    if not isinstance(value, str):
        return f"the id is no text but {type(value).__name__}"
    if not value.strip():
        return "the id is empty"
    if len(value) > MAX_ID:
        return f"the id has {len(value)} characters, more than {MAX_ID}"
    if not all(_is_printable(c) for c in value):
        return "the id holds characters that cannot be printed"
    if "/" in value or "\\" in value or ".." in value:
        return "the id looks like a path"
    return None


def kept_id(value: object) -> str:
    """An identifier under which something can be counted: itself, or where it is none a shown part with a hash."""
    if id_problem(value) is None:
        return str(value)
    shown = one_line(value, _SHOWN).replace("/", "_").replace("\\", "_").replace("..", "__")
    return f"{shown or 'without id'} [{_digest(value)}]"


def kept_address(address: str) -> str:
    """The address of a document that could not be read, to count it by."""
    shown = one_line(address)
    return shown if shown == address else f"{shown} [{_digest(address)}]"


def object_part(name: str) -> str:
    """A name as one part of an object's name: itself where its alphabet is plain, else a shown part with a hash."""
    if _PLAIN.fullmatch(name) and ".." not in name:
        return name
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', name)[:60]}-{_digest(name)}"


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _is_printable(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] not in "CZ"
