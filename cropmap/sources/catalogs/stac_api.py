"""A STAC API: whether it has the collection, and its items page by page. Asks nothing that a season does not need."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import quote, urljoin

from pystac_client import ItemSearch
from pystac_client.exceptions import APIError

from cropmap.errors import CatalogError
from cropmap.seasons import Season
from cropmap.sources.catalogs.acquisition import Bbox
from cropmap.sources.catalogs.known_items import ListedItem
from cropmap.sources.catalogs.places import ForbiddenAddressError
from cropmap.sources.catalogs.plain_text import one_line
from cropmap.sources.catalogs.stac_documents import UNREADABLE, ItemOrNot, item_of, links_of, no_collection, translated
from cropmap.sources.catalogs.stac_io import BoundedIO

log = logging.getLogger(__name__)

PAGE_SIZE: Final = 100
ITEM_SEARCH: Final = "item-search"
NO_POST: Final = (400, 403, 404, 405, 406, 411, 415, 422, 501)
"""answers to a search by POST after which it is tried by GET"""
MAX_COLLECTION_PAGES: Final = 100
MAX_REPEATED_PAGES: Final = 3
"""In a row. Items that come in between two pages move the others, and a short page may then hold nothing new."""
ITEMS_PER_CELL_AND_DAY: Final = 12
"""Tiles that touch one square degree, times passes a day, times processings: more is no catalogue of Sentinel-2."""
LEAST_MAX_ITEMS: Final = 10_000

Days = tuple[date, date]
"""first and last day, both within"""


def search_of(root: Mapping[str, Any], address: str) -> tuple[str, bool] | None:
    """Where an API is searched, and whether it takes POST by its own word; None for a static catalogue."""
    links = list(links_of(root, "search"))
    conforms = root.get("conformsTo")
    classes = conforms if isinstance(conforms, list) else []
    if not links and not any(ITEM_SEARCH in str(conformance) for conformance in classes):
        return None
    methods = {str(link.get("method") or "").upper() for link in links}
    href = next((link["href"] for link in links), "search")
    with translated(address):
        return urljoin(address.rstrip("/") + "/", href), methods != {"GET"}


def searches(
    io: BoundedIO,
    root: Mapping[str, Any],
    search: tuple[str, bool],
    *,
    collection: str,
    boxes: Sequence[Bbox],
    season: Season,
) -> Iterator[Iterator[ItemOrNot | ListedItem]]:
    """One run of items for each box. Raises CatalogError as `read_items` does."""
    _check_collection(io, root, collection)
    for box in boxes:
        yield _items(io, search, collection, box, season)


def _check_collection(io: BoundedIO, root: Mapping[str, Any], collection: str) -> None:
    """Raises CatalogError where the API says that it lacks the collection. One that says nothing is searched anyway.

    Collections of no concern may be as invalid as they like.
    """
    where = io.places.catalog
    href = next((link["href"] for link in links_of(root, "data")), "collections")
    with translated(where):
        address: str | None = urljoin(where.rstrip("/") + "/", href)
    try:
        document = io.read_json(f"{str(address).rstrip('/')}/{quote(collection, safe='')}")
        if isinstance(document, Mapping) and document.get("id") == collection:
            return
    except UNREADABLE as error:
        if getattr(error, "status_code", None) in (401, 403):
            with translated(where):
                raise
    known: list[str] = []
    for _ in range(MAX_COLLECTION_PAGES):
        if address is None:
            break
        try:
            page = io.read_json(address)
        except ForbiddenAddressError:
            break
        except UNREADABLE:
            return
        listed = page.get("collections") if isinstance(page, Mapping) else None
        if not isinstance(listed, list):
            return
        names = [
            str(entry["id"]) for entry in listed if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)
        ]
        if collection in names:
            return
        following = next((link["href"] for link in links_of(page, "next")), None)
        with translated(where):
            address = urljoin(address, following) if following and set(names) - set(known) else None
        known += names
    raise no_collection(collection, known, where)


def _items(
    io: BoundedIO, search: tuple[str, bool], collection: str, box: Bbox, season: Season
) -> Iterator[ItemOrNot | ListedItem]:
    """Items of one box. Where a search gives fewer than it counts, as without the link to a next page, its window is
    searched again in halves, if what these count is as much together."""
    run = _Search(io, search, collection, box, most=_max_items(box, season))
    whole = season.start, season.end
    counted = yield from run.items(whole)
    short = [(whole, counted)] if counted > run.n_read else []
    complete = True
    while short:
        window, n_counted = short.pop()
        halves = []
        for half in _halves(window):
            n_before = run.n_read
            n_half = yield from run.items(half, only_new=True)
            halves.append((half, n_half, run.n_read - n_before))
        if sum(n_half for _, n_half, _ in halves) == n_counted:
            short += [(half, n_half) for half, n_half, n_given in halves if n_half > n_given]
        else:
            complete = False
    if not complete:
        log.warning("%s: the search counts %d items and gives %d", io.places.catalog, counted, len(run.seen))
    if run.foreign:
        log.warning(
            "%s: the search also gives items of other collections than %s, which are left out: %s",
            io.places.catalog,
            collection,
            ", ".join(f"{one_line(name, 60)} {n}" for name, n in run.foreign.most_common(5)),
        )


def _halves(window: Days) -> list[Days]:
    """A day has none."""
    first, last = window
    middle = first + (last - first) // 2
    return [(first, middle), (middle + timedelta(days=1), last)] if first < last else []


@dataclass
class _Search:
    """The searches of one box."""

    io: BoundedIO
    search: tuple[str, bool]
    collection: str
    box: Bbox
    most: int
    seen: set[str] = field(default_factory=set)
    """ids of the items that were given"""
    foreign: Counter[str] = field(default_factory=Counter)
    """items of other collections, by collection"""
    n_read: int = 0

    def items(self, window: Days, *, only_new: bool = False) -> Generator[ItemOrNot | ListedItem, None, int]:
        """Items of some days; returns how many the search counts, 0 where it does not say."""
        where, n_matched, repeated, own, given = self.io.places.catalog, 0, 0, set[str](), set[str]()
        for number, page in enumerate(_pages(self.io, self.search, self.collection, self.box, window), 1):
            features = [] if page.get("features", 0) is None else page.get("features")  # null: an empty list
            n_matched = _matched(page) or n_matched
            if not isinstance(features, list):
                raise CatalogError(f"page {number} of the search has no list of features", where=where)
            names = [_name_of(listed) for listed in features]
            repeated = repeated + 1 if names and {*names} <= own else 0
            if repeated > MAX_REPEATED_PAGES and any(links_of(page, "next")):
                raise CatalogError(
                    f"page {number} of the search repeats earlier ones: its pages have no end", where=where
                )
            own |= {*names}
            self.n_read += len(features)
            if self.n_read > self.most:
                raise CatalogError(
                    f"the search gives more than {self.most} items, which no catalogue of Sentinel-2 has there",
                    where=where,
                )
            for name, feature in zip(names, features, strict=True):
                if (other := _collection_of(feature)) not in (None, self.collection):
                    self.foreign[str(other)] += 1
                    continue
                given.add(name)
                if not (only_new and name in self.seen):
                    yield feature if isinstance(feature, ListedItem) else item_of(feature)
        self.seen |= given
        return n_matched


def _name_of(listed: Any) -> str:
    if isinstance(listed, ListedItem):
        return listed.id
    return str(listed.get("id") if isinstance(listed, Mapping) else listed)


def _collection_of(listed: Any) -> object:
    """As an item names it; None where it names none, which STAC allows, and for what is no item."""
    if isinstance(listed, ListedItem) and listed.known is not None:
        return listed.known.acquisition.collection or None
    document = listed.document if isinstance(listed, ListedItem) else listed
    return document.get("collection") if isinstance(document, Mapping) else None


def _matched(page: Mapping[str, Any]) -> int:
    """How many items a search has by its own word; 0 where it does not say."""
    context = page.get("context")
    counts = (page.get("numberMatched"), context.get("matched") if isinstance(context, Mapping) else None)
    return next((count for count in counts if isinstance(count, int)), 0)


def _pages(
    io: BoundedIO, search: tuple[str, bool], collection: str, box: Bbox, window: Days
) -> Iterator[Mapping[str, Any]]:
    """The answers to one search, by POST, or by GET where the API does not take that."""
    address, posts = search
    first: APIError | None = None
    for method in ("POST", "GET") if posts else ("GET",):
        asked = ItemSearch(
            address,
            method=method,
            stac_io=io,
            collections=[collection],
            bbox=box,
            limit=PAGE_SIZE,
            datetime=f"{window[0]}T00:00:00Z/{window[1]}T23:59:59.999999Z",
        )
        pages = io.get_pages(asked.url, method, asked.get_parameters())
        try:
            page = _following(pages, io.places.catalog)
        except CatalogError as error:
            cause = error.__cause__
            if method == "POST" and isinstance(cause, APIError) and getattr(cause, "status_code", None) in NO_POST:
                first = cause
                continue
            if first is not None:
                with translated(io.places.catalog):
                    raise first from error
            raise
        while page is not None:
            yield page
            page = _following(pages, io.places.catalog)
        return


def _following(pages: Iterator[Mapping[str, Any]], where: str) -> Mapping[str, Any] | None:
    with translated(where):
        return next(pages, None)


def _max_items(box: Bbox, season: Season) -> int:
    west, south, east, north = box
    cells = (math.ceil(east - west) + 2) * (math.ceil(north - south) + 2)
    days = (season.end - season.start).days + 1
    return max(LEAST_MAX_ITEMS, cells * days * ITEMS_PER_CELL_AND_DAY)
