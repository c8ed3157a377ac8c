"""Which acquisitions a season has: a catalogue in, usable acquisitions and reasons for the others out."""

from __future__ import annotations

import gc
import logging
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, cast

import pyproj
import pystac
import shapely

from cropmap.errors import CatalogError, SceneError
from cropmap.provenance import code_version, value_hash
from cropmap.schemas import QuarantineReason
from cropmap.seasons import Season
from cropmap.sources.catalogs.acquisition import Acquisition, Bbox, UnusableItem
from cropmap.sources.catalogs.footprints import boxes_of, touches
from cropmap.sources.catalogs.item_identity import sensed_at_of, tile_of
from cropmap.sources.catalogs.items import MALFORMED, acquisition_from_item
from cropmap.sources.catalogs.known_items import KnownItems, ListedItem
from cropmap.sources.catalogs.places import CatalogAccess, Places
from cropmap.sources.catalogs.plain_text import kept_address, kept_id, one_line
from cropmap.sources.catalogs.providers import SAFE, built_in, built_ins
from cropmap.sources.catalogs.safe_folder import read_products
from cropmap.sources.catalogs.sensings import Candidate, best_of, rivals
from cropmap.sources.catalogs.stac import read_items, root_of
from cropmap.sources.catalogs.stac_documents import ItemOrNot, UnreadableItem, item_of

log = logging.getLogger(__name__)

MENDED_BY_THE_AGENCY: Final = frozenset(
    [
        QuarantineReason.OFFSET_UNKNOWN,
        QuarantineReason.FORBIDDEN_ADDRESS,
        QuarantineReason.UNSUPPORTED_FORMAT,
        QuarantineReason.MISSING_BAND,
    ]
)
"""reasons for which another catalogue or another key helps where no item can be used at all"""
OF_A_COLLECTION: Final = re.compile(r"(?i)^https?://.*/collections(/|$)")
COLLECTION_NAMED: Final = (
    "This is the address of a collection: end acquisitions.catalog before /collections, and name the collection in "
    "acquisitions.collection"
)


@dataclass(frozen=True)
class CatalogSearch:
    acquisitions: tuple[Acquisition, ...]
    """usable, each part of a pass over a tile once; sorted by sensed_at, item_id"""
    unusable: tuple[UnusableItem, ...]
    """set aside, each with its reason; every item of the window and box is in one of the two"""
    rivals: tuple[Candidate, ...] = ()
    """of both, those of which another one shows the same pass over the same tile"""


@contextmanager
def _program_set_aside() -> Iterator[None]:
    """Within it, circles of garbage are looked for among new objects only.

    Items are so many that Python's collector went through all that the program had loaded again and again, which was a
    third of the time of a search.
    """
    if gc.get_freeze_count():  # the program itself has set it aside, and for longer
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@_program_set_aside()
def find_acquisitions(
    catalog: str,
    *,
    collection: str,
    bbox: Bbox | Sequence[Bbox],
    season: Season,
    access: CatalogAccess | None = None,
    offset_by_baseline: bool = False,
    known: KnownItems | None = None,
    unread: Collection[str] = (),
) -> CatalogSearch:
    """Lists the acquisitions of a season that touch `bbox` (west, south, east, north in degrees), one box or several.

    `catalog` is a path, a file:// URL or an http(s) URL, of a static STAC catalogue or a STAC API; or a folder of
    products (`safe_folder`), whose items are called `collection` whatever its name. `access` says whose it is, what
    is sent to it and what it may point to; by default nothing, and the known providers. `offset_by_baseline` is for
    mirrors of Planetary Computer (`items.acquisition_from_item`). Items of an API that are `known` are not read again;
    those that are `unread` put no other aside (`sensings.best_of`).

    Raises CatalogError: unreachable, not STAC, or without this collection.
    """
    several = [bbox] if bbox and isinstance(bbox[0], int | float) else bbox
    boxes = cast(Sequence[Bbox], several)
    places = _places(root_of(catalog), access or CatalogAccess(), collection)
    rules = _Rules(places, boxes, season, offset_by_baseline)
    unusable: list[UnusableItem] = []
    candidates: list[Candidate] = []
    earlier: set[str] = set()
    if places.is_folder:
        runs: Iterable[Iterable[ItemOrNot | ListedItem | UnusableItem]] = [
            read_products(places, collection=collection, season=season)
        ]
    else:
        if known is not None:
            known.begin(rules.basis())
        runs = read_items(places, collection=collection, boxes=boxes, season=season, known=known)
    for run in runs:
        seen: set[str] = set()
        for listed in run:
            if isinstance(listed, UnusableItem):
                if _is_within(season, listed.sensed_at):
                    unusable.append(listed)
                continue
            name, outcome = rules.read(listed, earlier, seen)
            if outcome is None:
                continue
            if isinstance(outcome, Candidate) or not places.is_folder:
                seen.add(name)  # of a product that is there as a folder and as a zip, one that can be read counts
            if isinstance(outcome, UnusableItem):
                unusable.append(outcome)
                continue
            candidates.append(outcome)
            if known is not None and isinstance(listed, ListedItem):
                known.note(listed, outcome)
        earlier |= seen  # the next box may touch the same tile
    best, redundant = best_of(candidates, unread=unread)
    best.sort(key=lambda a: (a.sensed_at, a.item_id))
    _tell_of_gaps(best, places.catalog)
    return CatalogSearch(
        acquisitions=tuple(best),
        unusable=tuple(sorted((*unusable, *redundant), key=lambda u: (u.item_id, u.reason))),
        rivals=tuple(rivals(candidates)),
    )


def _tell_of_gaps(found: Sequence[Acquisition], where: str) -> None:
    """Of facts that no pixel needs: an item whose cloud cover or orbit cannot be read is used all the same."""
    gaps = {
        "cloud cover": sum(acquisition.cloud_cover is None for acquisition in found),
        "relative orbit": sum(acquisition.relative_orbit is None for acquisition in found),
    }
    if any(gaps.values()):
        counts = " and ".join(f"{n} say no {name}" for name, n in gaps.items() if n)
        log.info("%s: of %d acquisitions %s that can be read", where, len(found), counts)


def nothing_usable(search: CatalogSearch, *, season: Season, where: str) -> CatalogError:
    """The error where a search found no usable acquisition: how many items were set aside, and why."""
    window = f"from {season.start} to {season.end} over the parcels"
    if season.end < season.start:
        return CatalogError(
            f"no acquisition is of {season.end} or earlier: the window begins on {season.start}",
            where="--as-of",
            mend="Name a day within acquisitions.window",
        )
    if not search.unusable:
        return CatalogError(
            f"the catalogue lists no item {window}",
            where=where,
            mend=COLLECTION_NAMED
            if OF_A_COLLECTION.search(where)
            else "Check --season, acquisitions.collection and acquisitions.window",
        )
    counts = Counter(item.reason for item in search.unusable)
    first = counts.most_common(1)[0][0]
    example = next(item for item in search.unusable if item.reason == first)
    reasons = ", ".join(f"{reason} {n}" for reason, n in counts.most_common())
    return CatalogError(
        f"none of {len(search.unusable)} items {window} can be used: {reasons}; "
        f"{one_line(example.item_id, 80)}: {example.detail}",
        where=where,
        mend=first.mend
        if first in MENDED_BY_THE_AGENCY
        else "The reason of each item is kept with the season's acquisitions",
    )


def _places(root: str, access: CatalogAccess, collection: str) -> Places:
    """With the provider by the agency's word, or by what the catalogue is."""
    places = Places(root, access, collection=collection)
    if access.provider is None and places.is_folder:
        return replace(places, access=replace(access, provider=built_in(SAFE)))
    return places


@dataclass(frozen=True)
class _Rules:
    """What decides how an item is read, beside the item and the files of this machine that it names."""

    places: Places
    boxes: Sequence[Bbox]
    season: Season
    offset_by_baseline: bool

    def basis(self) -> str:
        """Another text where an item may be read otherwise: with the versions of what reads it."""
        access = self.places.access
        providers = [access.provider, *built_ins()]
        about = {
            "code": code_version(),
            "libraries": [
                sys.version,
                shapely.__version__,
                shapely.geos_version,
                pyproj.__version__,
                pystac.__version__,
            ],
            "catalog": [self.places.catalog, self.places.collection, self.places.is_folder],
            "places": [list(access.trusted), access.folders and list(access.folders)],
            "providers": [provider and provider.model_dump(mode="json") for provider in providers],
            "search": [self.boxes, self.season.start, self.season.end, self.offset_by_baseline],
        }
        return value_hash(about, length=32)

    def read(
        self, listed: ItemOrNot | ListedItem, earlier: Collection[str], seen: Collection[str]
    ) -> tuple[str, Candidate | UnusableItem | None]:
        """Its name, and what was read; None where it is no item of this search, or one of an `earlier` run."""
        if isinstance(listed, ListedItem):
            if listed.known is not None and listed.id in earlier:
                return listed.id, None
            if listed.known is not None and listed.id not in seen and self._has_files(listed.known.acquisition):
                return listed.id, listed.known
            listed = item_of(listed.read())
        if isinstance(listed, UnreadableItem):
            name = kept_address(listed.href)
        else:
            name = kept_id(listed.get("id"))
            if not _inside(listed, self.boxes, self.season):
                return name, None
        if name in earlier:
            return name, None
        return name, _candidate(listed, name, name in seen, self.places, self.offset_by_baseline)

    def _has_files(self, acquisition: Acquisition) -> bool:
        return all(self.places.has_raster(asset.href) for asset in acquisition.assets.values())


def _inside(item: Mapping[str, Any], boxes: Sequence[Bbox], season: Season) -> bool:
    """Whether the item lies in window and boxes; one without date or extent does, so that it is counted."""
    if not _is_within(season, sensed_at_of(item)):
        return False
    try:
        extent = boxes_of(item)
    except MALFORMED:
        return True
    return not extent or touches(extent, boxes)


def _is_within(season: Season, sensed_at: datetime | None) -> bool:
    return sensed_at is None or season.start <= sensed_at.date() <= season.end


def _candidate(
    item: Mapping[str, Any] | UnreadableItem, name: str, is_known: bool, places: Places, offset_by_baseline: bool
) -> Candidate | UnusableItem:
    if isinstance(item, UnreadableItem):
        detail = one_line(f"the item cannot be read: {item.detail}")
        return UnusableItem(name, None, None, QuarantineReason.INCOMPLETE_METADATA, detail)
    if is_known:
        reason, detail = QuarantineReason.DUPLICATE, "the catalogue lists this item twice"
    else:
        try:
            return Candidate(acquisition_from_item(item, places=places, offset_by_baseline=offset_by_baseline))
        except SceneError as error:
            reason, detail = error.reason, error.what
    return UnusableItem(name, tile_of(item), sensed_at_of(item), reason, one_line(detail))
