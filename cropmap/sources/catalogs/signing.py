"""Addresses as they are opened: files of Planetary Computer need a short-lived signature, everything else does not.

The signature is added when a file is opened and is kept nowhere: in the ledger it would change every document with
every search. Source: Planetary Computer, "Using tokens for data access": a token of
`api/sas/v1/token/<account>/<container>` is good for 45 minutes at least.
"""

from __future__ import annotations

import re
import threading
import time
from typing import Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from cropmap.errors import SceneError
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.plain_text import one_line

TOKENS: Final = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
ACCOUNTS: Final = ("sentinel2l2a01",)
BLOB_HOST: Final = ".blob.core.windows.net"
KEPT_S: Final = 1_800.0
TIMEOUT_S: Final = 30.0
MAX_TOKEN: Final = 2_000

_SIGNATURE: Final = re.compile(r"(?i)\b(sig|token|x-amz-signature)=[^&\s'\"<>)]+")


class Signer:
    """Tokens of one service, each asked for once in half an hour. Threads may share it."""

    def __init__(self, tokens: str = TOKENS) -> None:
        self._tokens = tokens
        self._kept: dict[tuple[str, str], tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._session = requests.Session()
        retry = Retry(total=4, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), retry_after_max=60)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def opened(self, href: str) -> str:
        """The address under which a file is opened; that of the item itself where nothing has to be signed.

        Raises SceneError (UNREADABLE_FILE) where the file needs a token and there is none to be had.
        """
        parts = urlsplit(href)
        account, container = (parts.hostname or "").removesuffix(BLOB_HOST), parts.path.split("/")[1:2]
        if account not in ACCOUNTS or not container or "sig=" in parts.query:
            return href
        return f"{href}{'&' if parts.query else '?'}{self._token(account, container[0], href)}"

    def _token(self, account: str, container: str, href: str) -> str:
        with self._lock:
            token, fetched = self._kept.get((account, container), ("", 0.0))
            if not token or time.monotonic() - fetched > KEPT_S:
                token = self._fetched(account, container, href)
                self._kept[account, container] = token, time.monotonic()
            return token

    def _fetched(self, account: str, container: str, href: str) -> str:
        try:
            answer = self._session.get(f"{self._tokens}/{account}/{container}", timeout=TIMEOUT_S)
            answer.raise_for_status()
            token = answer.json()["token"]
        except (requests.RequestException, ValueError, LookupError, TypeError, RecursionError) as error:
            raise _no_token(one_line(without_signatures(str(error)), 160), href) from error
        if not isinstance(token, str) or "sig=" not in token or len(token) > MAX_TOKEN:
            raise _no_token("the answer holds no token", href)
        return token


def without_signatures(text: str) -> str:
    """A text for a log or a ledger: what signs an address is a secret."""
    return _SIGNATURE.sub(r"\1=***", text)


def _no_token(why: str, href: str) -> SceneError:
    return SceneError(
        f"Planetary Computer's files need a signature, and its token service gives none ({why})",
        reason=QuarantineReason.UNREADABLE_FILE,
        where=href,
        mend="Let this machine reach planetarycomputer.microsoft.com, then run the same command again",
    )


SIGNER: Final = Signer()
