"""Which acquisitions a season has: a catalogue in, usable acquisitions and reasons for the others out."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, cast

from cropmap.errors import CatalogError, SceneError
from cropmap.schemas import QuarantineReason
from cropmap.seasons import Season
from cropmap.sources.catalogs.access import CatalogAccess
from cropmap.sources.catalogs.acquisition import Acquisition, Bbox, UnusableItem
from cropmap.sources.catalogs.footprints import boxes_of, touches
from cropmap.sources.catalogs.item_identity import datastrip_start_of, sensed_at_of, tile_of
from cropmap.sources.catalogs.items import MALFORMED, acquisition_from_item, provider_of_item
from cropmap.sources.catalogs.places import Places
from cropmap.sources.catalogs.plain_text import kept_address, kept_id, one_line
from cropmap.sources.catalogs.providers import SAFE, built_in
from cropmap.sources.catalogs.safe_folder import read_products
from cropmap.sources.catalogs.sensings import Candidate, best_of
from cropmap.sources.catalogs.stac import read_items, root_of
from cropmap.sources.catalogs.stac_documents import ItemOrNot, UnreadableItem

MENDED_BY_THE_AGENCY: Final = frozenset(
    [
        QuarantineReason.OFFSET_UNKNOWN,
        QuarantineReason.FORBIDDEN_ADDRESS,
        QuarantineReason.UNSUPPORTED_FORMAT,
        QuarantineReason.MISSING_BAND,
    ]
)
"""reasons for which another catalogue or another key helps where no item can be used at all"""


@dataclass(frozen=True)
class CatalogSearch:
    acquisitions: tuple[Acquisition, ...]
    """usable, each part of a pass over a tile once; sorted by sensed_at, item_id"""
    unusable: tuple[UnusableItem, ...]
    """set aside, each with its reason; every item of the window and box is in one of the two"""


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
) -> CatalogSearch:
    """Lists the acquisitions of a season that touch `bbox` (west, south, east, north in degrees), one box or several.

    `catalog` is a path, a file:// URL or an http(s) URL, of a static STAC catalogue or a STAC API; or a folder of
    products (`safe_folder`), whose items are called `collection` whatever its name. `access` says whose it is, what
    is sent to it and what it may point to; by default nothing, and the known providers. `offset_by_baseline` is for
    mirrors of Planetary Computer (`items.acquisition_from_item`).

    Raises CatalogError: unreachable, not STAC, or without this collection.
    """
    several = [bbox] if bbox and isinstance(bbox[0], int | float) else bbox
    boxes = cast(Sequence[Bbox], several)
    places = _places(root_of(catalog), access or CatalogAccess(), collection)
    unusable: list[UnusableItem] = []
    candidates: list[Candidate] = []
    earlier: set[str] = set()
    if places.is_folder:
        runs: Iterable[Iterable[ItemOrNot | UnusableItem]] = [
            read_products(places, collection=collection, season=season)
        ]
    else:
        runs = read_items(places, collection=collection, boxes=boxes, season=season)
    for run in runs:
        seen: set[str] = set()
        for item in run:
            if isinstance(item, UnusableItem):
                if _is_within(season, item.sensed_at):
                    unusable.append(item)
                continue
            name = kept_address(item.href) if isinstance(item, UnreadableItem) else kept_id(item.get("id"))
            if name in earlier or not (isinstance(item, UnreadableItem) or _inside(item, boxes, season)):
                continue
            outcome = _candidate(item, name, name in seen, places, offset_by_baseline)
            if isinstance(outcome, Candidate) or not places.is_folder:
                seen.add(name)  # of a product that is there as a folder and as a zip, one that can be read counts
            if isinstance(outcome, Candidate):
                candidates.append(outcome)
            else:
                unusable.append(outcome)
        earlier |= seen  # the next box may touch the same tile
    best, redundant = best_of(candidates)
    return CatalogSearch(
        acquisitions=tuple(sorted(best, key=lambda a: (a.sensed_at, a.item_id))),
        unusable=tuple(sorted((*unusable, *redundant), key=lambda u: (u.item_id, u.reason))),
    )


def nothing_usable(search: CatalogSearch, *, season: Season, where: str) -> CatalogError:
    """The error where a search found no usable acquisition: how many items were set aside, and why."""
    window = f"from {season.start} to {season.end} over the parcels"
    if not search.unusable:
        return CatalogError(
            f"the catalogue lists no item {window}",
            where=where,
            mend="Check acquisitions.collection and acquisitions.window",
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
            acquisition = acquisition_from_item(item, places=places, offset_by_baseline=offset_by_baseline)
            return Candidate(acquisition, datastrip_start_of(item, provider_of_item(item, places).fields))
        except SceneError as error:
            reason, detail = error.reason, error.what
    return UnusableItem(name, tile_of(item), sensed_at_of(item), reason, one_line(detail))
