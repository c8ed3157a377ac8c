"""The one module that reads STAC: every item of a collection as a dictionary with absolute hrefs, from a static
catalogue (file or URL) or from an API. Decides nothing about the items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pystac
from pystac.serialization import identify_stac_object_type

from cropmap.errors import CatalogError
from cropmap.seasons import Season
from cropmap.sources.catalogs import stac_api, stac_static
from cropmap.sources.catalogs.acquisition import Bbox
from cropmap.sources.catalogs.known_items import KnownItems, ListedItem
from cropmap.sources.catalogs.places import Places
from cropmap.sources.catalogs.safe_folder import is_folder_of_products
from cropmap.sources.catalogs.stac_documents import ItemOrNot, no_catalog, read_document, translated
from cropmap.sources.catalogs.stac_io import BoundedIO


def read_items(
    places: Places, *, collection: str, boxes: Sequence[Bbox], season: Season, known: KnownItems | None = None
) -> Iterator[Iterator[ItemOrNot | ListedItem]]:
    """Items of the collection in the catalogue's order, one run of them per search: an API is asked once for each box
    and filters by box and season, a static catalogue gives all it has in one run. With `known` items of an API are
    given as they were written.

    Raises CatalogError: unreachable, not STAC, without this collection, or without an end.
    """
    io = BoundedIO(places, known)
    with io.session:
        root = read_document(io, places.catalog)
        with translated(places.catalog):
            kind = identify_stac_object_type(root)
        if kind not in (pystac.STACObjectType.CATALOG, pystac.STACObjectType.COLLECTION):
            raise no_catalog(places.catalog, f"it is {kind or 'something else'}")
        search = stac_api.search_of(root, places.catalog)
        if search is not None:
            yield from stac_api.searches(io, root, search, collection=collection, boxes=boxes, season=season)
        else:
            yield stac_static.items(io, root, collection=collection)


def root_of(catalog: str) -> str:
    """Address or absolute path of a catalogue's root document, or path of a folder of products.

    Raises CatalogError where there is no such file.
    """
    try:
        is_address = urlsplit(catalog).scheme in ("http", "https")
        _ = urlsplit(catalog).port  # raises where it is none
    except ValueError as error:
        raise CatalogError(f"this is no address ({error})", where=catalog, mend="Check acquisitions.catalog") from error
    if is_address:
        return catalog
    path = Path(unquote(urlsplit(catalog).path) if catalog.startswith("file:") else catalog).absolute()
    if path.is_dir():
        folder, path = path, path / "catalog.json"
        if not path.exists() and is_folder_of_products(folder):
            return str(folder)
        if not path.exists():
            raise CatalogError(
                "this folder holds neither a catalog.json nor Sentinel-2 products (.SAFE folders or zip files)",
                where=str(folder),
                mend="Check acquisitions.catalog; products lie in the folder itself or one level below",
            )
    if not path.is_file():
        raise CatalogError("no such file", where=str(path), mend="Check acquisitions.catalog")
    return str(path)
