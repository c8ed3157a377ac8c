"""Secrets of a provider, and what an operator may change about it: environment variables by its name."""

from __future__ import annotations

import os
import re
from typing import Final

from cropmap.errors import ConfigurationError

PREFIX: Final = "CROPMAP_CATALOG_"
VARIABLES: Final = {
    "ACCESS_KEY_ID": "S3 access key of the catalogue `<NAME>`",
    "SECRET_ACCESS_KEY": "S3 secret key that belongs to it",
    "SESSION_TOKEN": "S3 session token, for temporary keys",
    "CLIENT_ID": "client of the token service",
    "CLIENT_SECRET": "secret of that client: a token is asked for with it, again whenever one ends",
    "REFRESH_TOKEN": "refresh token, where there is no client secret; each renewal may replace it in memory",
    "SUBSCRIPTION_KEY": "key for the service that signs addresses (Planetary Computer); raises its limits",
    "HEADERS": "headers for the catalogue's own hosts and the provider's `header_hosts`, one `Name: value` per line",
    "CONNECTIONS": "files that are read from it at a time, by this process or by all workers of a cluster, in place of "
    "the provider's own limit; state it alike on all of them",
    "BYTES_PER_SECOND": "bytes per second that are read from it, by this process or by all workers of a cluster, in "
    "place of the provider's own limit",
}
"""end of the variable's name: meaning"""

_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)")


def variable(name: str, what: str) -> str:
    """CROPMAP_CATALOG_CDSE_ACCESS_KEY_ID for (cdse, ACCESS_KEY_ID)."""
    return f"{PREFIX}{name.upper()}_{what}"


def secret(name: str, what: str) -> str | None:
    """The value of a provider's variable; None where it is not set. Raises ConfigurationError for one that no header
    and no key can hold; the message never shows it."""
    value = os.environ.get(variable(name, what), "").strip()
    if value and not (value.isascii() and value.isprintable()):
        raise ConfigurationError("it holds signs that no key has", where=variable(name, what))
    return value or None


def number(name: str, what: str) -> float | None:
    """A limit. Raises ConfigurationError where it is no number above 0."""
    text = secret(name, what)
    try:
        value = float(text) if text else None
    except ValueError:
        value = 0.0
    if value is not None and not 0 < value < float("inf"):
        raise ConfigurationError("this is no number above 0", where=variable(name, what))
    return value


def headers(name: str) -> dict[str, str]:
    """Headers of a provider's variable. Raises ConfigurationError."""
    return read_headers(os.environ.get(variable(name, "HEADERS"), ""), where=variable(name, "HEADERS"))


def read_headers(text: str, *, where: str = f"{PREFIX}HEADERS") -> dict[str, str]:
    """Headers of a setting, one `Name: value` a line. Raises ConfigurationError, which never shows a value."""
    found = {}
    for count, line in enumerate(filter(None, map(str.strip, text.splitlines())), 1):
        match = _HEADER.fullmatch(line)
        if match is None:
            raise ConfigurationError(f"line {count} is no header", where=where, mend="Write `Name: value`, one a line")
        found[match[1]] = match[2]
    return found
