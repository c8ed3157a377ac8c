"""Every document of a catalogue is read here: one size, one time, one list of hosts for all of them.

A catalogue may be busy, endless, slow, or point elsewhere. Reads are tried again where that helps, cut off where it
does not, and the operator's own headers go to the catalogue's host alone.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urljoin, urlsplit

from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from requests import PreparedRequest, Request, RequestException, Response, Session

from cropmap.masking import masked
from cropmap.sources.catalogs.known_items import KnownItems
from cropmap.sources.catalogs.places import ForbiddenAddressError, Places
from cropmap.sources.catalogs.providers import place_of
from cropmap.sources.catalogs.sign_in.opening import headers_for
from cropmap.sources.catalogs.sign_in.patience import (
    BACKOFF_S,
    RETRIES,
    TIMEOUT_S,
    CutOffError,
    as_stated,
    body_of,
    make_patient,
)
from cropmap.sources.catalogs.sign_in.renewed import Renewed

log = logging.getLogger(__name__)

DOCUMENT_TIME_S: Final = 300.0
"""for a whole document, however it trickles in"""
MAX_DOCUMENT_BYTES: Final = 64 * 2**20
"""a page of 100 items has 8 MB at most"""
MAX_EMPTY_PAGES: Final = 10
"""in a row; some APIs name a next page for ever"""
REFUSED: Final = (401, 403)
"""what an API answers to a token that has ended"""
THROTTLED: Final = {"message": "Forbidden"}
"""body of a 403 by which Amazon's gateway, before Earth Search, refuses clients that send too many requests"""


class BoundedIO(StacApiIO):
    """Reads documents of one catalogue from files and over HTTP, within the bounds above.

    Raises ForbiddenAddressError for a document that `places` does not allow, APIError (with `status_code` where a
    server answered) over HTTP, OSError and ValueError for files.
    """

    def __init__(self, places: Places, known: KnownItems | None = None) -> None:
        super().__init__(timeout=TIMEOUT_S)
        self.places, self.known = places, known
        self.session: _Session = _Session(places)
        make_patient(self.session)

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
        address = str(source)
        self.places.check_document(address)
        if urlsplit(address).scheme in ("http", "https"):
            return self.request(address, *args, **kwargs)
        return _read_file(Path(unquote(urlsplit(address).path) if address.startswith("file:") else address))

    def get_pages(
        self, url: str, method: str | None = None, parameters: dict[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Every page of a search, with `known` as that splits it. One without an item may be followed by others: an API
        may count before it filters."""
        page, empty, asked = self._read_page(url, method=method, parameters=parameters), 0, parameters or {}
        while True:
            if not isinstance(page, dict):
                raise APIError("a page of the search is no JSON object")
            yield page
            empty = 0 if page.get("features") else empty + 1
            following = _next_link(page)
            if following is None or empty > MAX_EMPTY_PAGES:
                return
            url = urljoin(url, following["href"])
            page = self._read_page(url, **_next_request(following, asked))

    def json_loads(self, txt: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().json_loads(txt, *args, **kwargs)
        except ValueError:
            return json.loads(txt)  # which takes the NaN that writers in Python leave: one item's, not the page's fault

    def _read_page(self, source: str, **asked: Any) -> Any:
        text = self.read_text(source, **asked)
        return self.known.page(text, self.json_loads) if self.known else self.json_loads(text)

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        self.places.check_document(href)
        method = (method or "GET").upper()
        response, content = self._patient_answer(href, method, headers or {}, parameters)
        if response.status_code in REFUSED and self.session.forget(href):
            response, content = self._patient_answer(href, method, headers or {}, parameters)
        if not 200 <= response.status_code < 300:
            said = f"{response.status_code} {response.reason or ''} {_excerpt(content)}".strip()
            error = APIError(self.session.without_secrets(said))
            error.status_code = response.status_code
            raise error
        if content.lstrip()[:1] == b"<":
            raise APIError(f"it answers with a web page in place of JSON: {_excerpt(content)}")
        return _decoded(content, response.encoding)

    def _patient_answer(
        self, href: str, method: str, headers: dict[str, str], parameters: Mapping[str, Any] | None
    ) -> tuple[Response, bytes]:
        own = self.session.headers_for(href)
        request = Request(method, href, headers={**headers, **own}, auth=as_stated if own else None)
        if method == "POST":
            request.json = parameters
        else:
            request.params = parameters or {}
        for wait in (*(BACKOFF_S * 2**attempt for attempt in range(RETRIES)), None):
            try:
                response, content = self._answer(request)
                if wait is None or not _is_throttled(response, content):
                    return response, content
                why = f"403 {THROTTLED}"
            except _CutOffAnswerError as error:
                if wait is None:
                    raise
                why = str(error)
            log.info("%s answers %s; again in %.1f s", urlsplit(href).netloc, why, wait)
            time.sleep(wait)
        raise AssertionError("the last try is the last")

    def _answer(self, request: Request) -> tuple[Response, bytes]:
        try:
            prepared = self.session.prepare_request(request)
            settings = self.session.merge_environment_settings(str(prepared.url), {}, True, None, None)
            with self.session.send(prepared, timeout=self.timeout, **settings) as response:
                return response, _content(response)
        except CutOffError as error:
            raise _CutOffAnswerError(self.session.without_secrets(str(error))) from error
        except RequestException as error:
            raise APIError(self.session.without_secrets(str(error))) from error


class _Session(Session):
    """A session whose redirects stay within the rule, and whose headers do not leave the catalogue's host."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self.places = places
        self.max_redirects = 5
        self._lent: list[tuple[Renewed, str]] = []

    def headers_for(self, address: str) -> dict[str, str]:
        """What is sent to an address: the operator's headers to the catalogue's own host, and those of its provider to
        the hosts that the provider names. Raises NoEntryError, ConfigurationError."""
        provider, own = self.places.provider, self.places.is_own(address)
        sent, self._lent = headers_for(provider, place_of(address)[1], own=own) if provider else ({}, [])
        return {**sent, **(self.places.access.headers if own else {})}

    def forget(self, address: str) -> bool:
        """The host refused: whether a token was sent to it that can be asked for anew."""
        for renewed, value in self._lent:
            renewed.forget(value)
        return bool(self._lent) and bool(self.headers_for(address))

    def get_redirect_target(self, resp: Response) -> str | None:
        target = super().get_redirect_target(resp)
        try:
            if target:
                self.places.check_document(urljoin(resp.url, target))
        except ForbiddenAddressError:
            resp.close()
            raise
        if target and resp.request.method == "POST" and resp.status_code in (301, 302):
            resp.status_code = 307  # else the search goes on as a GET for everything
        return target

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        super().rebuild_auth(prepared_request, response)
        before, after = self.headers_for(str(response.url)), self.headers_for(str(prepared_request.url))
        for name in {**before, **self.places.access.headers}:
            if prepared_request.headers.get(name) == after.get(name):
                continue
            prepared_request.headers.pop(name, None)  # two hosts may have other keys of one name
            if name in after and before.get(name) == after[name]:  # else ~/.netrc would come before it
                prepared_request.headers[name] = after[name]

    def without_secrets(self, text: str) -> str:
        for value in self.places.access.headers.values():
            text = text.replace(value, "***") if value else text
        return masked(text)


class _CutOffAnswerError(APIError):
    """An answer that was not there to its end; another try may help."""


def _content(response: Response) -> bytes:
    """Raises RequestException."""
    content = body_of(response, most_bytes=MAX_DOCUMENT_BYTES, within_s=DOCUMENT_TIME_S)
    if response.ok and content.lstrip()[:1] == b"{" and content.rstrip()[-1:] != b"}":
        raise CutOffError("an answer ends within its JSON")  # no length was stated that would tell
    return content


def _next_link(page: Mapping[str, Any]) -> Mapping[str, Any] | None:
    links = page.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, Mapping) and link.get("rel") == "next" and isinstance(link.get("href"), str):
            return link if link["href"] else None
    return None


def _next_request(link: Mapping[str, Any], asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """How the next page is asked for, by STAC API's rules for links; `asked` are the parameters of the first one."""
    body, headers = link.get("body"), link.get("headers")
    body = body if isinstance(body, Mapping) else {}
    # an API that gives a body and no method means POST: by GET the search would lose its filters, and pages their items
    method = str(link.get("method") or ("POST" if body else "GET")).upper()
    sent = {
        str(name): ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in (headers.items() if isinstance(headers, Mapping) else ())
    }
    if method != "POST":
        return {"method": "GET", "headers": sent, "parameters": {}}
    return {"method": "POST", "headers": sent, "parameters": {**asked, **body} if link.get("merge") else {**body}}


def _decoded(content: bytes, declared: str | None) -> str:
    """JSON is UTF-8; some write a mark before it, or another encoding that they declare. Raises APIError."""
    for encoding in ("utf-8-sig", declared or "utf-8"):
        try:
            return content.decode(encoding)
        except (UnicodeError, LookupError) as error:
            problem = error
    raise APIError(f"an answer is not UTF-8 ({problem})")


def _read_file(path: Path) -> str:
    """The text of a file. Raises OSError, or ValueError for one that is no regular file, too long, or not UTF-8."""
    if path.exists() and not path.is_file():
        raise ValueError("this is no file")
    with path.open("rb") as source:
        content = source.read(MAX_DOCUMENT_BYTES + 1)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"the document is longer than {MAX_DOCUMENT_BYTES // 2**20} MiB")
    return content.decode("utf-8-sig")


def _is_throttled(response: Response, content: bytes) -> bool:
    if response.status_code != 403 or len(content) > 200:
        return False
    try:
        return bool(json.loads(content) == THROTTLED)
    except ValueError:
        return False


def _excerpt(content: bytes) -> str:
    return content[:200].decode("utf-8", "replace")
