"""Where the host of a raster sends its readers. In: an address; out: nothing, or a SceneError.

GDAL follows redirects by itself, and has no option against it. So a host that is no known provider's gets a request
first, and may not redirect to this machine or its private network; a name counts as the addresses that it resolves to.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import requests

from cropmap.errors import SceneError
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.places import is_host, is_private
from cropmap.sources.catalogs.plain_text import one_line
from cropmap.sources.catalogs.providers import fits, known_hosts
from cropmap.sources.catalogs.sign_in.patience import as_stated, bounded_session
from cropmap.sources.catalogs.sign_in.signatures import without_signatures

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 30.0
MAX_REDIRECTS: Final = 10
"""as many as GDAL follows"""


FORWARDED_NEVER: Final = ("authorization",)
"""headers that GDAL does not send along with a redirect to another host"""


def check_redirects(href: str, headers: Mapping[str, str] | None = None) -> None:
    """Raises SceneError (FORBIDDEN_ADDRESS) where the address leads to a private one, or on without end. Files, buckets
    and known providers are not asked; a host that does not answer is left to the reader of the file.

    `headers` are those that the file's host gets. GDAL would send some of them along to another host: where there are
    such, none may follow.
    """
    if headers:
        _check(href, headers)
    else:
        _check_once(href)


@lru_cache(4096)
def _check_once(href: str) -> None:
    _check(href, {})


def _check(href: str, headers: Mapping[str, str]) -> None:
    start = urlsplit(href)
    if start.scheme not in ("http", "https") or any(fits(start.netloc, provider) for provider in known_hosts()):
        return
    forwarded = [name for name in headers if name.lower() not in FORWARDED_NEVER]
    address, sent = href, {**headers, "Range": "bytes=0-0"}
    for _ in range(MAX_REDIRECTS):
        try:
            with (
                bounded_session() as session,
                session.get(
                    address,
                    headers=sent,
                    auth=as_stated if len(sent) > 1 else None,
                    timeout=TIMEOUT_S,
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                following = answer.headers.get("Location") if answer.is_redirect else None
        except requests.RequestException as error:
            log.debug("%s: not asked for redirects (%s)", without_signatures(address), type(error).__name__)
            return
        except ValueError as error:  # requests looks at the address that it is sent to
            raise _refused(href, "its host sends on to an address that cannot be read") from error
        if following is None:
            return
        address = urljoin(address, following)
        if not _allowed(address, start):
            raise _refused(href, f"its host sends on to {one_line(urlsplit(address).netloc.rpartition('@')[2], 80)}")
        if (urlsplit(address).scheme, urlsplit(address).netloc) != (start.scheme, start.netloc):
            if forwarded:
                raise _refused(href, f"its host sends {', '.join(forwarded)} on to {urlsplit(address).hostname}")
            sent = {"Range": "bytes=0-0"}
    raise _refused(href, f"its host sends on more than {MAX_REDIRECTS} times")


def _allowed(address: str, start: SplitResult) -> bool:
    try:
        parts = urlsplit(address)
        if (parts.scheme, parts.netloc) == (start.scheme, start.netloc):
            return True
        return parts.scheme in ("http", "https") and is_host(parts.netloc) and not _leads_inside(parts.hostname)
    except ValueError:
        return False


def _leads_inside(host: str | None) -> bool:
    host = (host or "").rstrip(".")
    if not host or is_private(host):
        return True
    try:
        resolved = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False  # behind a proxy the name may not resolve here; then it cannot be reached from here either
    return any(is_private(str(entry[4][0]).partition("%")[0]) for entry in resolved)


def _refused(href: str, why: str) -> SceneError:
    return SceneError(
        f"{why}, which a catalogue may not do",
        reason=QuarantineReason.FORBIDDEN_ADDRESS,
        where=without_signatures(href),
        mend="Let the catalogue give the address at which the file lies, and add its host to acquisitions.trusted",
    )
