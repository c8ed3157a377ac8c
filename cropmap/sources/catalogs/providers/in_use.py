"""Which provider an address belongs to: those of agencies that this process works for, then the built-in ones.

A ledger holds addresses alone, and may hold those of several catalogues. So whoever opens a file finds its provider by
the address. An agency's own provider is made known when the agency is opened, in each process anew; it holds no secret.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Final

from cropmap.errors import ConfigurationError
from cropmap.sources.catalogs.providers import Provider, built_ins

_own: Final[dict[str, Provider]] = {}
_lock: Final = threading.Lock()


def use(provider: Provider) -> None:
    """Makes a provider known to this process; one of the same name is replaced. Raises ConfigurationError where
    another agency's provider has a host or bucket of it and opens it otherwise."""
    if provider in built_ins():
        return
    with _lock:
        for other in _own.values():
            shared = {*provider.hosts, *provider.buckets} & {*other.hosts, *other.buckets}
            if other.name != provider.name and shared:
                raise ConfigurationError(
                    f"{provider.name} and {other.name} both describe {min(shared)}",
                    where="acquisitions.provider",
                    mend="Give both files one name, or work on one agency at a time",
                )
        _own[provider.name] = provider
        provider_of.cache_clear()


def in_use() -> tuple[Provider, ...]:
    """The providers that this process knows."""
    return (*_own.values(), *built_ins())


@lru_cache(4096)
def provider_of(address: str) -> Provider | None:
    """The provider of a file, by its host or bucket; None for a file of this machine or of nobody known."""
    return next((p for p in in_use() if p.holds(address)), None)
