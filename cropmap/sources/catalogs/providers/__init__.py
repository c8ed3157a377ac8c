"""How the items of a catalogue are laid out and how it is entered, as data: one small YAML file per catalogue beside
this module, or the agency's own. In: a name, a path, or the addresses of an item. Out: a checked Provider.

No file holds a secret: those come from the environment, by the provider's name (`sign_in.secrets`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cropmap.documents import read_document
from cropmap.errors import ConfigurationError
from cropmap.schemas import BANDS

FOLDER: Final = Path(__file__).parent
GENERIC: Final = "generic"
SAFE: Final = "safe"
SUFFIXES: Final = (".yaml", ".yml")
WHERE: Final = "docs/catalogue-files.md"

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")
_BASELINE: Final = re.compile(r"\d\d\.\d\d")
_HOST: Final = re.compile(r"(\*\.)?[a-z0-9][a-z0-9.-]*(:\d{1,5})?|\[[0-9a-f:]+\](:\d{1,5})?")
_BUCKET: Final = re.compile(r"(s3|gs)://[^/\s]+")
_ADDRESS: Final = re.compile(r"https?://[^/\s?#@]+(/[^\s?#]*)?")


def _fitting(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{text!r} is no {what}")
        return text

    return AfterValidator(check)


def _every_band(assets: dict[str, list[str]]) -> dict[str, list[str]]:
    bands = (*BANDS, "SCL")
    if unknown := set(assets) - set(bands):
        raise ValueError(f"{', '.join(sorted(unknown))} is none of {', '.join(bands)}")
    if missing := [band for band in bands if not assets.get(band)]:
        raise ValueError(f"names no asset for {', '.join(missing)}")
    return assets


Host = Annotated[str, _fitting(_HOST, "host in small letters, such as example.org, *.example.org or 127.0.0.1:8080")]
Bucket = Annotated[str, _fitting(_BUCKET, "bucket, such as s3://name")]
Address = Annotated[str, _fitting(_ADDRESS, "http or https address without a query")]
Baseline = Annotated[str, _fitting(_BASELINE, "baseline in quotes, such as '04.00'")]
Name = Annotated[str, _fitting(_NAME, "name of small letters, digits and _")]
Names = Annotated[list[str], Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemFields(_Section):
    """Properties of an item, for each fact the names to look for, the first that is there counts."""

    baseline: Names = Field(description="processing baseline")
    datatake: Names = Field(description="identifier of the datatake")
    datastrip: Names = Field(description="identifier of the datastrip")
    generated: Names = Field(description="time at which the product was processed")
    product: Names = Field(description="name of the product")
    tile_id: Names = Field(description="identifier of the granule, which ends in the tile")
    tile: Names = Field(description="MGRS tile, with or without T or MGRS-")
    orbit: Names = Field(description="number of the relative orbit")
    platform: Names = Field(description="satellite")


class UnstatedOffset(_Section):
    """The offset of items that state none, where the catalogue documents it elsewhere."""

    from_baseline: Baseline = Field(description="first processing baseline whose pixels have the offset")
    offset: float = Field(ge=-1, le=1, description="reflectance to add to number x scale")
    source: str = Field("", description="where the catalogue documents it")


class S3(_Section):
    """How s3:// addresses of the buckets are opened."""

    endpoint: Address | None = Field(None, description="address of the service; default: Amazon's")
    region: str | None = Field(None, description="region of the buckets")
    path_style: bool = Field(False, description="true: the bucket stands in the path, not in the host's name")
    requester_pays: bool = Field(False, description="true: requests say that the owner of the keys pays for them")
    keys: bool = Field(
        True,
        description="true: requests are signed with `CROPMAP_CATALOG_<NAME>_ACCESS_KEY_ID` and `…_SECRET_ACCESS_KEY`; "
        "false: the buckets are open, and requests are not signed",
    )


class Token(_Section):
    """An OAuth 2.0 token that is sent as `Authorization: Bearer …`."""

    address: Address = Field(description="token endpoint")
    hosts: list[Host] = Field(min_length=1, description="hosts to which the token is sent, and to no other")
    client_id: str | None = Field(
        None, description="client to which a refresh token belongs; `CROPMAP_CATALOG_<NAME>_CLIENT_ID` overrides it"
    )
    scope: str | None = Field(None, description="scope that is asked for")


class Signature(_Section):
    """A shared access signature (SAS) that is added to an address when it is opened."""

    address: Address = Field(description="token service; the storage account and the container are added to its path")
    hosts: list[Host] = Field(min_length=1, description="hosts whose files need the signature; the account comes first")


class Quota(_Section):
    bytes: float = Field(gt=0, description="bytes that may be read in `days`")
    days: int = Field(30, ge=1, description="length of the period in days")
    then_bytes_per_second: float | None = Field(None, gt=0, description="bytes per second once it is used up")
    then_connections: int | None = Field(None, ge=1, description="simultaneous connections once it is used up")


class Limits(_Section):
    """What the catalogue allows to one user; a season stays within it, on a cluster all workers together."""

    connections: int | None = Field(None, ge=1, description="files that are read at a time")
    bytes_per_second: float | None = Field(None, gt=0, description="bytes per second, of all connections together")
    requests_per_minute: float | None = Field(None, gt=0, description="requests for files in a minute")
    quota: Quota | None = Field(None, description="what may be read in a longer period")


class Provider(_Section):
    """One catalogue. Names that `generic` states are looked for after the file's own."""

    name: Name = Field(description="by which its secrets are found; default: the name of the file")
    title: str = Field("", description="what it is, for people")
    catalog: Address | None = Field(None, description="address of its STAC API")
    catalogs: list[Host] = Field([], description="hosts of the catalogue, by which it is recognised")
    collections: list[str] = Field(
        [], description="its collections of Sentinel-2 L2A that this file describes; []: any"
    )
    hosts: list[Host] = Field([], description="hosts of its files, by which it is recognised")
    buckets: list[Bucket] = Field([], description="buckets of its files, by which it is recognised")
    assets: Annotated[dict[str, Names], AfterValidator(_every_band)] = Field(
        description="band: keys of its asset, the first that is there counts"
    )
    prefer: Literal["s3", "https"] | None = Field(
        None, description="scheme to use where an asset has alternate addresses; default: that of its href"
    )
    other_media: list[str] = Field(description="parts of media types of assets that are no raster file")
    fields: ItemFields = Field(description="where an item's properties stand")
    offset_applied: list[str] = Field(
        description="properties, true where the pixels have the stated offset already; []: the catalogue has none"
    )
    offset_unstated: UnstatedOffset | None = Field(None, description="offset of items that state none")
    s3: S3 | None = Field(None, description="how its buckets are opened; default: as the AWS_… variables say")
    token: Token | None = Field(None, description="token that its hosts require")
    signature: Signature | None = Field(None, description="signature that its files require")
    header_hosts: list[Host] = Field(
        [], description="hosts, beside the catalogue's own, that get `CROPMAP_CATALOG_<NAME>_HEADERS`"
    )
    limits: Limits = Field(Limits(), description="what it allows to one user")

    @classmethod
    def read(cls, reference: str, *, base: Path | None = None) -> Provider:
        """A provider's file (relative paths start at `base`), else the built-in one of this name. Raises
        ConfigurationError."""
        path = (base or Path()) / reference
        if path.suffix.lower() in SUFFIXES:
            if not path.is_file():
                raise ConfigurationError("no such file", where=str(path), mend="Check acquisitions.provider")
            return _parse(path)
        if reference not in built_in_names():
            raise ConfigurationError(
                f"{reference!r} is no catalogue that cropmap knows and no YAML file",
                where="acquisitions.provider",
                mend=f"Built in are: {', '.join(built_in_names())}",
            )
        return built_in(reference)

    def __hash__(self) -> int:
        return hash(self.name)

    def holds(self, address: str) -> bool:
        """Whether a file at this address is the provider's, by its host or bucket."""
        scheme, host = place_of(address)
        if scheme in ("s3", "gs"):
            return f"{scheme}://{host}" in self.buckets
        return bool(scheme) and any(fits(host, pattern) for pattern in self.hosts)

    def lists(self, address: str) -> bool:
        """Whether a document at this address is the catalogue's, by its host."""
        scheme, host = place_of(address)
        return scheme in ("http", "https") and any(fits(host, pattern) for pattern in self.catalogs)


def place_of(address: object) -> tuple[str, str]:
    """Scheme and host (with its port, if it has one) or bucket of an address; empty texts for what has none."""
    try:
        parts = urlsplit(address) if isinstance(address, str) else urlsplit("")
        scheme, host = parts.scheme.lower(), parts.netloc.rpartition("@")[2]
        _ = parts.port
    except ValueError:
        return "", ""
    if scheme in ("s3", "gs"):
        return scheme, host
    return (scheme, host.lower()) if scheme in ("http", "https") and host else ("", "")


def fits(host: str, pattern: str) -> bool:
    """Whether a host is one of a pattern (`example.org`, `*.example.org`), which without a port stands for any."""
    pattern, host = pattern.lower(), host.lower()
    if not re.search(r":\d+$", pattern):
        host = re.sub(r":\d+$", "", host)
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def recognised(addresses: Iterable[object], collection: object) -> Provider | None:
    """The built-in provider of a catalogue or an item: the first of its addresses that one claims decides.

    Of several that claim one address, the one that describes the collection; None where none does.
    """
    for address in addresses:
        claiming = _claiming(*place_of(address))
        if claiming:
            fitting = [p for p in claiming if not p.collections or collection in p.collections]
            return next(iter(fitting or (claiming if len(claiming) == 1 else ())), None)
    return None


@lru_cache(1024)
def _claiming(scheme: str, host: str) -> tuple[Provider, ...]:
    """The built-in providers that an address with this scheme and host may belong to."""
    address = f"{scheme}://{host}"
    return tuple(p for p in built_ins() if p.lists(address) or p.holds(address))


@cache
def built_in_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@cache
def built_in(name: str) -> Provider:
    return _parse(FOLDER / f"{name}.yaml")


@cache
def built_ins() -> tuple[Provider, ...]:
    return tuple(map(built_in, built_in_names()))


@cache
def known_hosts() -> tuple[str, ...]:
    """Hosts of every built-in catalogue and of its files."""
    return tuple(dict.fromkeys(host for p in built_ins() for host in (*p.catalogs, *p.hosts)))


@cache
def known_buckets() -> tuple[str, ...]:
    return tuple(dict.fromkeys(bucket for p in built_ins() for bucket in p.buckets))


def documented_provider_keys(model: type[BaseModel] = Provider, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(key, description) of every key of a provider's file."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field.description or ""
        for kind in _sections(field.annotation):
            yield from documented_provider_keys(kind, f"{prefix}{name}.")


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    kinds = (annotation, *getattr(annotation, "__args__", ()))
    yield from (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, _Section))


def _parse(path: Path) -> Provider:
    try:
        document = read_document(path)
    except ConfigurationError as error:
        raise ConfigurationError(f"describes no catalogue ({error.what})", where=str(path)) from error
    if not isinstance(document, dict):
        raise ConfigurationError("describes no catalogue", where=str(path), mend=f"The keys are in {WHERE}")
    try:
        return Provider.model_validate(_completed({"name": path.stem.lower().replace("-", "_"), **document}, path))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        what = "unknown key" if first["type"] == "extra_forbidden" else " ".join(first["msg"].split())
        raise ConfigurationError(f"{key}: {what}", where=str(path), mend=f"The keys are in {WHERE}") from error


def _completed(document: Mapping[str, object], path: Path) -> Mapping[str, object]:
    """With what `generic` states: after the file's own names of a band or a field, else where it states nothing."""
    if path == FOLDER / f"{GENERIC}.yaml":
        return document
    generic = built_in(GENERIC).model_dump(include={"assets", "other_media", "fields", "offset_applied"})
    completed = {**generic, **document}
    for key in ("assets", "fields"):
        own = document.get(key)
        if isinstance(own, dict) and all(isinstance(names, list) for names in own.values()):
            added = {name: [*own.get(name, ()), *more] for name, more in generic[key].items()}
            completed[key] = own | {name: _once(names) for name, names in added.items()}
    return completed


def _once(names: list[Any]) -> list[Any]:
    return [name for count, name in enumerate(names) if name not in names[:count]]
