"""Documents of a STAC catalogue: one read, one item of it, and the error where that fails."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pystac
from pystac_client.exceptions import APIError

from cropmap.errors import CatalogError
from cropmap.sources.catalogs.places import ForbiddenAddressError
from cropmap.sources.catalogs.plain_items import plain_item
from cropmap.sources.catalogs.plain_text import kept_id, one_line
from cropmap.sources.catalogs.sign_in.renewed import NoEntryError
from cropmap.sources.catalogs.stac_io import BoundedIO

UNREADABLE: Final = (
    pystac.STACError,
    pystac.STACTypeError,
    pystac.RequiredPropertyMissing,
    APIError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""what pystac lets through for a document that is missing, no JSON, or JSON of something else"""


@dataclass(frozen=True)
class UnreadableItem:
    href: str
    detail: str


ItemOrNot = dict[str, Any] | UnreadableItem


def read_document(io: BoundedIO, address: str) -> dict[str, Any]:
    with translated(io.places.catalog):
        document = io.read_json(address)
    if not isinstance(document, dict):
        raise no_catalog(io.places.catalog, "it is no JSON object")
    return document


def links_of(document: Mapping[str, Any], relation: str) -> Iterator[Mapping[str, Any]]:
    """Links of a document by relation, those that have an address."""
    links = document.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, Mapping) and link.get("rel") == relation and isinstance(link.get("href"), str):
            yield link


def item_of(document: Any, address: str | None = None) -> ItemOrNot:
    """A document as an item with absolute hrefs, in the newest version of STAC; `address` is where it was read. The
    document itself is used up: a copy of every item would double the time of a search."""
    plain = plain_item(document) if address is None else None
    return plain if plain is not None else read_by_pystac(document, address)


def read_by_pystac(document: Any, address: str | None) -> ItemOrNot:
    """As `item_of`, of any document: mended where pystac can, or what is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on deprecated fields are no news to an operator
            item = pystac.Item.from_dict(document, href=address, preserve_dict=False)
            item.make_asset_hrefs_absolute()
            return dict(item.to_dict(include_self_link=False, transform_hrefs=False))
    except UNREADABLE as error:
        name = document.get("id") if isinstance(document, Mapping) else None
        return UnreadableItem(address or kept_id(name or document), reason_of(error))


def no_collection(collection: str, known: Sequence[str], where: str, unread: Sequence[str] = ()) -> CatalogError:
    missing = f"; {len(unread)} linked documents could not be read, the first: {unread[0]}" if unread else ""
    shown = ", ".join(one_line(name, 60) for name in sorted(set(known))[:50]) or "none"
    return CatalogError(
        f"no collection {collection!r}{missing}", where=where, mend=f"It has: {shown}; set acquisitions.collection"
    )


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Foreign errors become one CatalogError."""
    try:
        yield
    except ForbiddenAddressError as error:
        raise CatalogError(f"the catalogue leads elsewhere: {error}", where=where) from error
    except NoEntryError as error:
        raise CatalogError(str(error), where=where, mend=error.mend) from error
    except APIError as error:
        raise CatalogError(
            f"the catalogue cannot be reached or refuses ({reason_of(error)})", where=where, mend=_mend(error)
        ) from error
    except UNREADABLE as error:
        raise no_catalog(where, reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested without end"
    return one_line(error, 200) or type(error).__name__


def _mend(error: APIError) -> str:
    status = getattr(error, "status_code", None)
    if status in (401, 403):
        return "It wants a header, such as a token: set CROPMAP_CATALOG_HEADERS; or it turns away who asks too often"
    if status == 429:
        return "It is asked too often: wait, then run the same command again"
    return "Check the address and the connection, then run the same command again"


def no_catalog(where: str, why: str) -> CatalogError:
    return CatalogError(f"this is no STAC catalogue ({why})", where=where, mend="Check acquisitions.catalog")
