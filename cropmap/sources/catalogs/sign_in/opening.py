"""How the file of a band is opened: its address as GDAL takes it, and GDAL's options for it.

Every option that holds a secret or says where to is stated for every file, if only as empty. GDAL would else take what
the process's environment says, which may be meant for another provider or for the object store; and rasterio sets the
options of the main thread for all threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cropmap.sources.catalogs.providers import S3, Provider, fits, place_of
from cropmap.sources.catalogs.providers.in_use import provider_of
from cropmap.sources.catalogs.sign_in.renewed import NoEntryError, Renewed
from cropmap.sources.catalogs.sign_in.secrets import headers, secret, variable
from cropmap.sources.catalogs.sign_in.signatures import signature_of, signed
from cropmap.sources.catalogs.sign_in.tokens import token_of

AMAZON: Final = "https://s3.amazonaws.com"
DEFAULT_REGION: Final = "us-east-1"
"""of GDAL too, where nothing states another"""
AUTHORIZATION: Final = "Authorization"
KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True, repr=False)
class Opening:
    address: str
    """as GDAL opens it; it may hold a signature"""
    options: Mapping[str, str] = field(default_factory=dict)
    """of GDAL; keys and tokens are among them"""
    headers: Mapping[str, str] = field(default_factory=dict)
    """that are sent to the file's host"""
    mend: str = ""
    """what to do where the host refuses"""
    forget: Callable[[], bool] = lambda: False
    """the host refused: whether there is something to be asked for anew, which the next opening does"""

    def __repr__(self) -> str:
        return "Opening(…)"


def opening_of(href: str) -> Opening:
    """How a file is opened. Raises NoEntryError where what it needs cannot be had, ConfigurationError for a variable
    that holds none."""
    scheme, host = place_of(href)
    provider = provider_of(href)
    if scheme in ("s3", "gs"):
        address = f"/vsi{scheme}/{host}{urlsplit(href).path}"
        if provider is None or provider.s3 is None:
            return Opening(address, _environments_keys(S3()))
        return Opening(address, _s3_options(provider, provider.s3), mend=_keys_mend(provider))
    if not scheme:
        return Opening(href)
    environments = {"GDAL_HTTP_HEADERS": os.environ.get("GDAL_HTTP_HEADERS", "")}
    if provider is None:
        return Opening(href, environments)
    sent, lent = headers_for(provider, host)
    signature = signature_of(provider, href)
    address = href
    if signature is not None:
        value = signature.value()
        address, lent = signed(href, value), [*lent, (signature, value)]

    def forget() -> bool:
        for renewed, value in lent:
            renewed.forget(value)
        return bool(lent)

    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    options = {"GDAL_HTTP_HEADERS": lines} if sent else environments
    return Opening(address, options, sent, _headers_mend(provider), forget)


def headers_for(
    provider: Provider, host: str, *, own: bool = False
) -> tuple[dict[str, str], list[tuple[Renewed, str]]]:
    """Headers that a host gets, `own` where it is the catalogue's, and what of them can be asked for anew. Raises
    NoEntryError, ConfigurationError."""
    sent: dict[str, str] = {}
    lent: list[tuple[Renewed, str]] = []
    if own or any(fits(host, pattern) for pattern in (*provider.catalogs, *provider.header_hosts)):
        sent |= headers(provider.name)
    if (
        provider.token
        and AUTHORIZATION.lower() not in map(str.lower, sent)
        and any(fits(host, pattern) for pattern in provider.token.hosts)
    ):
        renewed = token_of(provider)
        value = renewed.value()
        sent[AUTHORIZATION] = f"Bearer {value}"
        lent.append((renewed, value))
    return sent, lent


def _s3_options(provider: Provider, s3: S3) -> dict[str, str]:
    """With the provider's keys, without any for open buckets, else with those that the process's environment has."""
    key, private = secret(provider.name, "ACCESS_KEY_ID"), secret(provider.name, "SECRET_ACCESS_KEY")
    if bool(key) != bool(private):
        missing = "SECRET_ACCESS_KEY" if key else "ACCESS_KEY_ID"
        raise NoEntryError(f"{variable(provider.name, missing)} is missing", mend="Set both keys, or none")
    region = _region(s3.region or DEFAULT_REGION)
    if key and private:
        token = secret(provider.name, "SESSION_TOKEN") or ""
        keys = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": private, "AWS_SESSION_TOKEN": token}
        return {**_service(s3), **region, **keys, "AWS_NO_SIGN_REQUEST": "NO"}
    if not s3.keys:
        return {**_service(s3), **region, "AWS_NO_SIGN_REQUEST": "YES"}
    if s3.endpoint and not _has_aws_keys():
        raise NoEntryError(f"the buckets of {provider.title or provider.name} need keys", mend=_keys_mend(provider))
    return _environments_keys(s3)


def _service(s3: S3) -> dict[str, str]:
    """Where the service is, and how it is spoken to."""
    return {
        "AWS_S3_ENDPOINT": (s3.endpoint or AMAZON).partition("://")[2].rstrip("/"),
        "AWS_HTTPS": "NO" if s3.endpoint and s3.endpoint.startswith("http://") else "YES",
        "AWS_VIRTUAL_HOSTING": "FALSE" if s3.path_style else "TRUE",
        "AWS_REQUEST_PAYER": "requester" if s3.requester_pays else "",
    }


def _environments_keys(s3: S3) -> dict[str, str]:
    """What the environment says, else the provider; empty keys send GDAL to Amazon's file of keys or its roles."""
    region = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION") or s3.region or DEFAULT_REGION
    stated = {**_service(s3), **dict.fromkeys(KEYS, ""), "AWS_NO_SIGN_REQUEST": "NO"}
    return {name: os.environ.get(name, value) for name, value in stated.items()} | _region(region)


def _region(name: str) -> dict[str, str]:
    """Both names, because GDAL takes the second one before the first."""
    return {"AWS_REGION": name, "AWS_DEFAULT_REGION": name}


def _has_aws_keys() -> bool:
    """Whether GDAL would find keys outside Amazon's own machines: in the environment, or in Amazon's file of keys."""
    if any(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_NO_SIGN_REQUEST")):
        return True
    file = os.environ.get("AWS_SHARED_CREDENTIALS_FILE")
    return (Path(file) if file else Path("~/.aws/credentials").expanduser()).is_file()


def _keys_mend(provider: Provider) -> str:
    if provider.s3 and not provider.s3.keys:
        return ""
    return (
        f"Set {variable(provider.name, 'ACCESS_KEY_ID')} and {variable(provider.name, 'SECRET_ACCESS_KEY')}, or renew "
        "them: docs/catalogues.md"
    )


def _headers_mend(provider: Provider) -> str:
    if provider.token or provider.header_hosts:
        return f"Check the variables {variable(provider.name, '…')}: docs/catalogues.md"
    return ""
