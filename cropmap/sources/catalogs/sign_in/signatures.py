"""Shared access signatures (SAS): added to an address when it is opened, and kept with nothing.

In the ledger a signature would change every document with every search. Source: Planetary Computer, "Using tokens for
data access": the answer of `api/sas/v1/token/<account>/<container>` is good for 45 minutes at least.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qs, urlsplit

from cropmap.sources.catalogs.providers import Provider, fits
from cropmap.sources.catalogs.sign_in.renewed import Lent, NoEntryError, Renewed, answered
from cropmap.sources.catalogs.sign_in.secrets import secret

LASTS_S: Final = 2_700.0
"""where neither the answer nor the signature says how long"""
MAX_SIGNATURE: Final = 2_000

_SECRET: Final = re.compile(r"(?i)\b(sig|token|x-amz-signature)=[^&\s'\"<>)]+")


def signature_of(provider: Provider, href: str) -> Renewed | None:
    """What is to be added to an address; None where it needs nothing."""
    parts = urlsplit(href)
    container = parts.path.split("/")[1:2]
    if (
        provider.signature is None
        or not container
        or not any(fits(parts.netloc, host) for host in provider.signature.hosts)
        or "sig=" in parts.query
    ):
        return None
    return _signature(provider, (parts.hostname or "").partition(".")[0], container[0])


def signed(href: str, signature: str) -> str:
    return f"{href}{'&' if urlsplit(href).query else '?'}{signature}"


@lru_cache(1024)
def _signature(provider: Provider, account: str, container: str) -> Renewed:
    assert provider.signature is not None
    return Renewed(lambda: _ask(provider, account, container))


def _ask(provider: Provider, account: str, container: str) -> Lent:
    assert provider.signature is not None
    service = provider.signature.address
    what = f"the files of {provider.title or provider.name} need a signature, and its service"
    mend = f"Let this machine reach {urlsplit(service).hostname}, then run the same command again"
    key = secret(provider.name, "SUBSCRIPTION_KEY")
    document = answered(
        "GET",
        f"{service}/{account}/{container}",
        what=what,
        mend=mend,
        headers={"Ocp-Apim-Subscription-Key": key} if key else {},
    )
    signature = document.get("token")
    if not isinstance(signature, str) or "sig=" not in signature or len(signature) > MAX_SIGNATURE:
        raise NoEntryError(f"{what} gives none (the answer holds no signature)", mend=mend)
    return Lent(signature.lstrip("?"), _lasts_s(document, signature))


def _lasts_s(document: Mapping[str, object], signature: str) -> float:
    """Until the end that the answer or the signature itself (`se`) states."""
    ends = (document.get("msft:expiry"), *parse_qs(signature).get("se", ()))
    for text in ends:
        try:
            moment = datetime.fromisoformat(str(text))
        except ValueError:
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if (seconds := (moment - datetime.now(UTC)).total_seconds()) > 0:
            return seconds
    return LASTS_S


def without_signatures(text: str) -> str:
    """A text for a log or a ledger: what signs an address is a secret."""
    return _SECRET.sub(r"\1=***", text)
