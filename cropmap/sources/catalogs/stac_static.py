"""A static STAC catalogue: linked documents, on disk or behind a web server, walked without recursion."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pystac.utils import make_absolute_href

from cropmap.errors import CatalogError
from cropmap.sources.catalogs.stac_documents import (
    UNREADABLE,
    ItemOrNot,
    UnreadableItem,
    item_of,
    links_of,
    no_collection,
    reason_of,
)
from cropmap.sources.catalogs.stac_io import BoundedIO

log = logging.getLogger(__name__)

MAX_DEPTH: Final = 64
"""catalogues within catalogues; by year, month, day and tile there are five"""
MAX_CATALOGS: Final = 100_000
MAX_ITEMS: Final = 1_000_000


@dataclass(frozen=True)
class _Node:
    address: str
    document: Mapping[str, Any]
    depth: int
    wanted: bool
    """whether it is the collection, or lies below it"""


def items(io: BoundedIO, root: Mapping[str, Any], *, collection: str) -> Iterator[ItemOrNot]:
    """Every item of the collection, and of catalogues below it. Raises CatalogError: no such collection, no end."""
    known: list[str] = []
    unread: list[str] = []
    start = io.places.catalog
    waiting, visited, n_items = deque([_Node(start, root, 0, False)]), {start}, 0
    while waiting:
        node = waiting.popleft()
        wanted, is_collection = node.wanted, _is_collection(node.document)
        if is_collection and not wanted:
            known.append(str(node.document.get("id")))
            wanted = node.document.get("id") == collection
        if is_collection and not wanted:
            continue
        for address in _links(node, "item") if wanted else ():
            n_items += 1
            yield _read_item(io, address)
        for address in _links(node, "child"):
            if address in visited:
                continue
            visited.add(address)
            try:
                waiting.append(_Node(address, _child(io, address), _deeper(node, start), wanted))
            except UNREADABLE as error:
                unread.append(f"{address} ({reason_of(error)})")
                if wanted:
                    yield UnreadableItem(address, reason_of(error))
        if len(visited) > MAX_CATALOGS or n_items > MAX_ITEMS:
            raise CatalogError(
                f"the catalogue has more than {MAX_CATALOGS} catalogues or {MAX_ITEMS} items", where=start
            )
    if collection not in known:
        raise no_collection(collection, known, start, unread)
    if unread:
        log.warning("%s: %d linked catalogues cannot be read, the first: %s", start, len(unread), unread[0])


def _is_collection(document: Mapping[str, Any]) -> bool:
    return document.get("type") == "Collection" or ("type" not in document and "extent" in document)  # before 1.0


def _links(node: _Node, relation: str) -> Iterator[str]:
    for link in links_of(node.document, relation):
        try:
            yield make_absolute_href(link["href"], node.address, start_is_dir=False)
        except ValueError:
            yield link["href"]  # no address at all; reading it says so


def _read_item(io: BoundedIO, address: str) -> ItemOrNot:
    try:
        return item_of(io.read_json(address), address)
    except UNREADABLE as error:
        return UnreadableItem(address, reason_of(error))


def _child(io: BoundedIO, address: str) -> Mapping[str, Any]:
    document = io.read_json(address)
    if not isinstance(document, Mapping):
        raise TypeError("it is no JSON object")
    return document


def _deeper(node: _Node, start: str) -> int:
    if node.depth == MAX_DEPTH:
        raise CatalogError(f"the catalogue goes deeper than {MAX_DEPTH} levels", where=start)
    return node.depth + 1
