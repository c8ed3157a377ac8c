"""What a catalogue may point to: the hosts, buckets and folders from which its documents and rasters are read.

An item's address decides what this machine opens, with this machine's network and credentials. So an address is
held against a list: the catalogue's own host, the known providers, and what the agency file adds
(`acquisitions.trusted`). Only http, https, s3, gs and files are addresses at all: no `/vsi` chain, no driver's prefix.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from cropmap.errors import SceneError
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.plain_text import one_line
from cropmap.sources.catalogs.providers import GENERIC, Provider, built_in, fits, known_buckets, known_hosts, recognised
from cropmap.sources.catalogs.zipped import archived

RASTER_ENDINGS: Final = (".tif", ".tiff", ".jp2")
"""GeoTIFF, cloud-optimised or not, and JPEG 2000: what Sentinel-2 L2A is delivered in"""
MAX_ADDRESS: Final = 4_000
"""characters; a signed address has about 500"""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_NO_HOST: Final = re.compile(r"[\\\s%<>\"^`{|}]")
"""signs at which readers of addresses part ways: for requests a backslash ends the host, for urlsplit it does not"""
_NEVER: Final = ("/dev", "/proc", "/sys", "/etc")


class ForbiddenAddressError(ValueError):
    """An address that this catalogue may not point to; the message says why and how to allow it."""


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


@dataclass(frozen=True)
class Places:
    """The rule for one catalogue. `check_document` and `check_raster` return nothing, or raise."""

    catalog: str
    """address or absolute path of its root document, or absolute path of a folder of products"""
    access: CatalogAccess
    collection: str | None = None
    """that is looked for in it"""

    def check_document(self, address: str) -> None:
        """Raises ForbiddenAddressError for a document that this catalogue may not lead to."""
        self._check(address)

    def check_raster(
        self, item_id: str, key: str, address: object, media_type: object, *, other_media: Sequence[str] | None = None
    ) -> None:
        """`other_media` are parts of media types that are no raster. Raises SceneError: FORBIDDEN_ADDRESS,
        UNSUPPORTED_FORMAT."""
        medium = str(media_type or "").lower()
        others = built_in(GENERIC).other_media if other_media is None else other_media
        if other := _other(medium, tuple(others)):
            raise SceneError(
                f"asset {key} is {one_line(medium, 60)}: {other} is not read",
                reason=QuarantineReason.UNSUPPORTED_FORMAT,
                where=item_id,
            )
        try:
            path = self._check(address)
        except ForbiddenAddressError as error:
            raise SceneError(
                f"asset {key}: {error}", reason=QuarantineReason.FORBIDDEN_ADDRESS, where=item_id
            ) from error
        if raster_ending(path) is None:
            raise SceneError(
                f"asset {key} ends in {one_line(path[-20:])}, not in {', '.join(RASTER_ENDINGS)}",
                reason=QuarantineReason.UNSUPPORTED_FORMAT,
                where=item_id,
            )

    def has_raster(self, address: str) -> bool:
        """Whether an address of a raster that was allowed is so today: what a path leads to may change."""
        if not address.startswith(("/", "file:")):
            return True
        folder, _, name = address.rpartition("/")
        if folder and name.lower().endswith(RASTER_ENDINGS) and name in self._files_of(folder):
            return True
        try:
            return raster_ending(self._check(address)) is not None
        except ForbiddenAddressError:
            return False

    def is_own(self, address: str) -> bool:
        """Whether an address lies on the catalogue's own host: the same port, or https instead of http."""
        own, other = urlsplit(self.catalog), urlsplit(address)
        if not own.hostname or own.hostname != other.hostname:
            return False
        upgraded = (own.scheme, other.scheme) == ("http", "https") and own.port is other.port is None
        return upgraded or (own.scheme == other.scheme and _port(own) == _port(other))

    @cached_property
    def provider(self) -> Provider | None:
        """Whose catalogue it is: by the agency's word, or by its address."""
        return self.access.provider or recognised([self.catalog], self.collection)

    @property
    def is_folder(self) -> bool:
        """Whether the catalogue is a folder of products: no document of it names a file."""
        return not _is_web(self.catalog) and Path(self.catalog).is_dir()

    @cached_property
    def _allowed(self) -> set[tuple[str, str]]:
        """Scheme and host of the addresses that were allowed: a season's files lie on a few hosts."""
        return set()

    @cached_property
    def _listed(self) -> dict[str, frozenset[str]]:
        """What `_files_of` found, by folder."""
        return {}

    def _files_of(self, folder: str) -> frozenset[str]:
        """Names of the regular files in a folder that files may be named in; none of any other folder.

        One listing answers for all bands of an item, where each would be asked for by itself.
        """
        if (names := self._listed.get(folder)) is not None:
            return names
        names, true = frozenset[str](), _resolved(folder)
        allowed = self._roots is None or any(_lies_in(true, root) for root in self._roots)
        if allowed and not any(_lies_in(true, other) for other in _NEVER):
            with suppress(OSError), os.scandir(true) as entries:
                names = frozenset(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        self._listed[folder] = names
        return names

    @cached_property
    def _roots(self) -> tuple[str, ...] | None:
        """Folders that files may be named in, resolved; None: any."""
        if self.access.folders is None:
            return None
        root = Path(self.catalog)
        own = () if _is_web(self.catalog) else (root if self.is_folder else root.parent,)
        trusted = (Path(address) for address in self.access.trusted if address.startswith("/"))
        return tuple(_resolved(str(folder)) for folder in (*own, *self.access.folders, *trusted))

    @cached_property
    def is_here(self) -> bool:
        """Whether the catalogue lies on this machine: a file, or a server on the loopback."""
        host = urlsplit(self.catalog).hostname if _is_web(self.catalog) else "localhost"
        return host == "localhost" or _is_loopback(host or "")

    def _check(self, address: object) -> str:
        """Raises ForbiddenAddressError; the path within the address otherwise."""
        if not isinstance(address, str) or not address.strip():
            raise ForbiddenAddressError("it has no address")
        if len(address) > MAX_ADDRESS or _CONTROL.search(address):
            raise ForbiddenAddressError(f"{_shown(address)} is no address")
        if address.startswith("/"):
            return self._check_file(address)
        try:
            parts = urlsplit(address)
            host = parts.hostname
            _port(parts)
        except ValueError as error:
            raise ForbiddenAddressError(f"{_shown(address)} is no address") from error
        if not is_host(parts.netloc):
            raise ForbiddenAddressError(f"{_shown(address)} names no host")
        if parts.scheme == "file" and not parts.netloc:
            return self._check_file(unquote(parts.path))
        if parts.scheme in ("http", "https") and host:
            self._check_host(address, parts, host)
        elif parts.scheme in ("s3", "gs") and parts.netloc:
            self._check_bucket(f"{parts.scheme}://{parts.netloc}")
        else:
            raise ForbiddenAddressError(f"{_shown(address)} is neither a file nor an http, https, s3 or gs address")
        return parts.path

    def _check_host(self, address: str, parts: SplitResult, host: str) -> None:
        if parts.username is not None or parts.password is not None:
            raise ForbiddenAddressError(f"the address at {host} carries a user name")
        place = parts.scheme, parts.netloc
        if place in self._allowed:
            return
        if self.is_own(address):
            self._allowed.add(place)
            return
        own = urlsplit(self.catalog).hostname if _is_web(self.catalog) else None
        of_provider = (*self.provider.catalogs, *self.provider.hosts) if self.provider else ()
        hosts = (*known_hosts(), *of_provider, *self.access.trusted, *([own] if own and not is_private(own) else []))
        if not any(fits(host, pattern) or fits(parts.netloc, pattern) for pattern in hosts):
            kind = "private address" if is_private(host) else "host"
            raise ForbiddenAddressError(
                f"{kind} {_shown(host)} is neither the catalogue's own nor a known provider's; to read from it, add it "
                "to acquisitions.trusted"
            )
        self._allowed.add(place)

    def _check_bucket(self, bucket: str) -> None:
        known = (*known_buckets(), *(self.provider.buckets if self.provider else ()))
        if bucket not in known and bucket not in [address.rstrip("/") for address in self.access.trusted]:
            raise ForbiddenAddressError(
                f"bucket {_shown(bucket)} is no known provider's; to read from it, add it to acquisitions.trusted"
            )

    def _check_file(self, path: str) -> str:
        if (member := archived(path)) and self.is_folder:
            self._check_file(str(member[0]))
            return member[1]
        if path.startswith(("/vsi", "//")):
            raise ForbiddenAddressError(f"{_shown(path)} is no file of this machine")
        if not self.is_here:
            raise ForbiddenAddressError(f"a catalogue elsewhere may not name a file of this machine ({_shown(path)})")
        folder, name = os.path.split(path)
        if name in self._files_of(folder):
            return f"{_resolved(folder).rstrip('/')}/{name}"
        true = _true_path(path)
        if any(_lies_in(true, folder) for folder in _NEVER):
            raise ForbiddenAddressError(f"{_shown(path)} belongs to the system")
        if self._roots is not None and not any(_lies_in(true, root) for root in self._roots):
            raise ForbiddenAddressError(
                f"{_shown(path)} lies outside the catalogue's folder; to read it, add its folder to "
                "acquisitions.trusted"
            )
        return true


def raster_ending(path: str) -> str | None:
    """One of RASTER_ENDINGS: of the path, or of the file that OData names in it (`…/Nodes(B02.jp2)/$value`)."""
    path = path.lower().removesuffix(")/$value")
    return next((ending for ending in RASTER_ENDINGS if path.endswith(ending)), None)


def local_file(address: str) -> Path | None:
    """The file of this machine that is opened at an address, of a member its archive; None for one elsewhere."""
    if member := archived(address):
        return member[0]
    path = address.removeprefix("file://")
    return None if "://" in path or path.startswith("/vsi") else Path(path)


@lru_cache(1024)
def _other(medium: str, others: tuple[str, ...]) -> str | None:
    return next((name for name in others if name.lower() in medium), None)


@lru_cache(4096)
def _resolved(folder: str) -> str:
    return str(_followed(Path(folder)))


def _followed(path: Path) -> Path:
    """Where it leads. Raises ForbiddenAddressError for a link that leads to itself."""
    try:
        return path.resolve()
    except RuntimeError as error:
        raise ForbiddenAddressError(f"{_shown(str(path))} is a link that leads to itself") from error


def _true_path(path: str) -> str:
    """Where a file lies once links are followed. Raises ForbiddenAddressError for what is no regular file."""
    file = Path(_resolved(str(Path(path).parent))) / Path(path).name
    file = _followed(file) if file.is_symlink() else file
    if file.exists() and not file.is_file():
        raise ForbiddenAddressError(f"{_shown(path)} is no regular file")
    return str(file)


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _is_web(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _port(parts: SplitResult) -> int | None:
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _is_loopback(host: str) -> bool:
    address = _ip(host)
    return address is not None and address.is_loopback


def is_host(authority: str) -> bool:
    """Whether every reader of addresses finds the same host in what stands between `//` and the path."""
    return not _NO_HOST.search(authority)


def is_private(host: str) -> bool:
    """An address of no public network, or a name that has one by convention."""
    address = _ip(host)
    if address is None:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return not address.is_global


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _shown(text: str) -> str:
    return one_line(text, 80)
