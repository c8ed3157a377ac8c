"""How a catalogue is entered: whose it is, what is sent to it, and what an agency trusts beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cropmap.sources.catalogs.providers import Provider


@dataclass(frozen=True)
class CatalogAccess:
    """How a catalogue is entered, and what it may point to beside itself."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """sent to the catalogue's own host and to no other; secret"""
    trusted: Sequence[str] = ()
    """hosts (`example.org`, `*.example.org`), buckets (`s3://name`) and folders, beside the known providers"""
    folders: Sequence[Path] | None = None
    """folders that a catalogue on this machine may name files in, beside its own; None: any"""
    provider: Provider | None = None
    """whose items they are, by the agency's word; None: found by the addresses of the catalogue and its items"""
