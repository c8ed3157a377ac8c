"""The one place that speaks STAC: every item of a collection as a dictionary with absolute hrefs, from a static
catalogue (file or URL) through pystac, or from an API through pystac-client. Decides nothing about the items.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pystac
from pystac_client import Client
from pystac_client.conformance import ConformanceClasses
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import PystacClientWarning
from urllib3 import Retry

from cropmap.errors import CatalogError
from cropmap.seasons import Season
from cropmap.sources.acquisition import Bbox

TIMEOUT_S: Final = 30.0
RETRIES: Final = 5
RETRIED_STATUS: Final = (429, 500, 502, 503, 504)
CONNECT_RETRIES: Final = 2
"""nobody answering at all is a wrong address more often than a restart"""
BACKOFF_S: Final = 0.5
"""waits 0, 1, 2, 4, 8 s: a busy API is back within seconds"""
PAGE_SIZE: Final = 100

UNREADABLE: Final = (
    pystac.STACError, pystac.STACTypeError, pystac.RequiredPropertyMissing,
    OSError, ValueError, KeyError, TypeError, AttributeError,
)  # fmt: skip
"""what pystac lets through for a document that is missing, no JSON, or JSON of something else"""


@dataclass(frozen=True)
class UnreadableItem:
    href: str
    detail: str


def read_items(
    catalog: str, *, collection: str, bbox: Bbox, season: Season
) -> Iterator[dict[str, Any] | UnreadableItem]:
    """Items of the collection in the catalogue's order; an API filters by bbox and season, a static catalogue
    gives all it has.

    Raises CatalogError: unreachable, not STAC, or without this collection.
    """
    root = _open(catalog)
    if isinstance(root, Client) and root.conforms_to(ConformanceClasses.ITEM_SEARCH):
        yield from _api_items(root, collection, bbox, season, where=catalog)
    else:
        yield from _static_items(root, collection, where=catalog)


def _open(catalog: str) -> pystac.Catalog:
    if urlsplit(catalog).scheme in ("http", "https"):
        with _translated(catalog):
            return Client.open(catalog, stac_io=_stac_io())
    path = Path(unquote(urlsplit(catalog).path) if catalog.startswith("file:") else catalog).absolute()
    path = path / "catalog.json" if path.is_dir() else path
    if not path.is_file():
        raise CatalogError("no such file", where=str(path), mend="Check acquisitions.catalog")
    with _translated(str(path)):
        root = pystac.read_file(str(path))
        if not isinstance(root, pystac.Catalog):
            raise pystac.STACTypeError(root.to_dict(), pystac.Catalog)
        return root


def _stac_io() -> StacApiIO:
    retry = Retry(
        total=RETRIES,
        connect=CONNECT_RETRIES,
        backoff_factor=BACKOFF_S,
        status_forcelist=RETRIED_STATUS,
        allowed_methods=None,  # a search is a POST that changes nothing
        raise_on_status=False,
    )
    return StacApiIO(timeout=TIMEOUT_S, max_retries=retry)


def _api_items(
    client: Client, collection: str, bbox: Bbox, season: Season, *, where: str
) -> Iterator[dict[str, Any] | UnreadableItem]:
    with _translated(where):
        known = [found.id for found in client.get_collections()]
    if collection not in known:
        raise _no_collection(collection, known, where)
    with _translated(where):
        search = client.search(
            collections=[collection],
            bbox=bbox,
            datetime=f"{season.start}T00:00:00Z/{season.end}T23:59:59.999999Z",
            limit=PAGE_SIZE,
        )
    documents = search.items_as_dicts()
    while True:
        with _translated(where):
            document = next(documents, None)
        if document is None:
            return
        yield _absolute(document, client)


def _absolute(document: dict[str, Any], client: Client) -> dict[str, Any] | UnreadableItem:
    try:
        return _as_dict(pystac.Item.from_dict(document, root=client))
    except UNREADABLE as error:
        return UnreadableItem(str(document.get("id", "without id")), _one_line(error))


def _static_items(catalog: pystac.Catalog, collection: str, *, where: str) -> Iterator[dict[str, Any] | UnreadableItem]:
    known: list[str] = []
    for holder in _collections(catalog, known, where):
        if holder.id == collection:
            yield from _items_below(holder, where)
    if collection not in known:
        raise _no_collection(collection, known, where)


def _collections(catalog: pystac.Catalog, known: list[str], where: str) -> Iterator[pystac.Collection]:
    if isinstance(catalog, pystac.Collection):
        known.append(catalog.id)
        yield catalog
        return
    with _translated(where):
        children = list(catalog.get_children())
    for child in children:
        yield from _collections(child, known, where)


def _items_below(holder: pystac.Catalog, where: str) -> Iterator[dict[str, Any] | UnreadableItem]:
    for link in holder.get_item_links():
        try:
            item = link.resolve_stac_object(root=holder.get_root()).target
            yield _as_dict(item)
        except UNREADABLE as error:
            yield UnreadableItem(link.get_absolute_href() or str(link.href), _one_line(error))
    with _translated(where):
        children = list(holder.get_children())
    for child in children:
        yield from _items_below(child, where)


def _as_dict(item: object) -> dict[str, Any]:
    if not isinstance(item, pystac.Item):
        raise TypeError("this is no STAC item")
    item.make_asset_hrefs_absolute()
    return dict(item.to_dict(include_self_link=False, transform_hrefs=False))


def _no_collection(collection: str, known: list[str], where: str) -> CatalogError:
    return CatalogError(
        f"no collection {collection!r}",
        where=where,
        mend=f"It has: {', '.join(sorted(known)) or 'none'}; set acquisitions.collection",
    )


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Foreign errors become one CatalogError; pystac-client's remarks on lax catalogues are no news to an operator."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PystacClientWarning)
            yield
    except APIError as error:
        raise CatalogError(
            f"the catalogue cannot be reached or refuses ({_one_line(error)})",
            where=where,
            mend="Check the address and the connection, then run the same command again",
        ) from error
    except UNREADABLE as error:
        raise CatalogError(
            f"this is no STAC catalogue ({_one_line(error)})", where=where, mend="Check acquisitions.catalog"
        ) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
