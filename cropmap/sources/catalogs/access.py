"""How a catalogue is entered: what is sent to it, and what an agency trusts beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cropmap.errors import ConfigurationError

_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)")


@dataclass(frozen=True)
class CatalogAccess:
    """How a catalogue is entered, and what it may point to beside itself."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """sent to the catalogue's own host and to no other; secret"""
    trusted: Sequence[str] = ()
    """hosts (`example.org`, `*.example.org`), buckets (`s3://name`) and folders, beside the known providers"""
    folders: Sequence[Path] | None = None
    """folders that a catalogue on this machine may name files in, beside its own; None: any"""


def read_headers(text: str) -> dict[str, str]:
    """Headers of a setting, one `Name: value` a line. Raises ConfigurationError, which never shows a value."""
    headers = {}
    for number, line in enumerate(filter(None, map(str.strip, text.splitlines())), 1):
        match = _HEADER.fullmatch(line)
        if match is None:
            raise ConfigurationError(
                f"line {number} is no header", where="CROPMAP_CATALOG_HEADERS", mend="Write `Name: value`, one a line"
            )
        headers[match[1]] = match[2]
    return headers
