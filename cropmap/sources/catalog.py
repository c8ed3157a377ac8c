"""Which acquisitions a season has: a STAC catalogue in, usable acquisitions and reasons for the others out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cropmap.errors import SceneError
from cropmap.schemas import QuarantineReason
from cropmap.seasons import Season
from cropmap.sources.acquisition import Acquisition, Bbox, UnusableItem
from cropmap.sources.items import acquisition_from_item, datastrip_of, sensed_at_of, tile_of
from cropmap.sources.stac import UnreadableItem, read_items


@dataclass(frozen=True)
class CatalogSearch:
    acquisitions: tuple[Acquisition, ...]
    """usable, one per tile, datatake and datastrip; sorted by sensed_at, item_id"""
    unusable: tuple[UnusableItem, ...]
    """set aside, each with its reason; every item of the window and box is in one of the two"""


@dataclass(frozen=True)
class _Candidate:
    acquisition: Acquisition
    datastrip: str | None

    @property
    def rank(self) -> tuple[str, str]:
        """Higher is better: baseline, then the id, which ends in a counter or the production time."""
        return self.acquisition.processing_baseline or "", self.acquisition.item_id


def find_acquisitions(catalog: str, *, collection: str, bbox: Bbox, season: Season) -> CatalogSearch:
    """Lists the acquisitions of a season that touch `bbox` (west, south, east, north in degrees).

    `catalog` is a path, a file:// URL or an http(s) URL, of a static STAC catalogue or a STAC API.

    Raises CatalogError: unreachable, not STAC, or without this collection.
    """
    unusable: list[UnusableItem] = []
    candidates: list[_Candidate] = []
    seen: set[str] = set()
    for item in read_items(catalog, collection=collection, bbox=bbox, season=season):
        if isinstance(item, UnreadableItem):
            detail = f"the item cannot be read: {item.detail}"
            unusable.append(UnusableItem(item.href, None, None, QuarantineReason.INCOMPLETE_METADATA, detail))
        elif _inside(item, bbox, season):
            outcome = _candidate(item, seen)
            if isinstance(outcome, _Candidate):
                candidates.append(outcome)
            else:
                unusable.append(outcome)
    best, redundant = _best(candidates)
    return CatalogSearch(
        acquisitions=tuple(sorted(best, key=lambda a: (a.sensed_at, a.item_id))),
        unusable=tuple(sorted((*unusable, *redundant), key=lambda u: (u.item_id, u.reason))),
    )


def _inside(item: Mapping[str, Any], bbox: Bbox, season: Season) -> bool:
    """Whether the item lies in window and box; one without date or extent does, so that it is counted."""
    sensed_at, extent = sensed_at_of(item), item.get("bbox")
    in_window = sensed_at is None or season.start <= sensed_at.date() <= season.end
    return in_window and (extent is None or _touches(extent, bbox))


def _touches(extent: Sequence[float], bbox: Bbox) -> bool:
    west, south, east, north = extent if len(extent) == 4 else (*extent[:2], *extent[3:5])  # 3-D: heights between
    return west <= bbox[2] and east >= bbox[0] and south <= bbox[3] and north >= bbox[1]


def _candidate(item: Mapping[str, Any], seen: set[str]) -> _Candidate | UnusableItem:
    def unusable(reason: QuarantineReason, detail: str) -> UnusableItem:
        return UnusableItem(item["id"], tile_of(item), sensed_at_of(item), reason, detail)

    if item["id"] in seen:
        return unusable(QuarantineReason.DUPLICATE, "the catalogue lists this item twice")
    seen.add(item["id"])
    try:
        return _Candidate(acquisition_from_item(item), datastrip_of(item))
    except SceneError as error:
        return unusable(error.reason, error.what)


def _best(candidates: Iterable[_Candidate]) -> tuple[list[Acquisition], list[UnusableItem]]:
    """Of one tile and datatake the highest baseline wins; under it, each datastrip counts once.

    Two datastrips of one datatake show different parts of the tile, so both stay.
    """
    sensings: dict[tuple[str, str], list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        sensings[candidate.acquisition.tile, candidate.acquisition.datatake].append(candidate)
    best: list[Acquisition] = []
    redundant: list[UnusableItem] = []
    for sensing in sensings.values():
        ranked = sorted(sensing, key=lambda c: c.rank, reverse=True)
        strips: set[str | None] = set()
        for candidate in ranked:
            acquisition = candidate.acquisition
            if acquisition.processing_baseline != ranked[0].acquisition.processing_baseline:
                redundant.append(_beaten(acquisition, ranked[0].acquisition, QuarantineReason.SUPERSEDED))
            elif candidate.datastrip in strips:
                redundant.append(_beaten(acquisition, ranked[0].acquisition, QuarantineReason.DUPLICATE))
            else:
                strips.add(candidate.datastrip)
                best.append(acquisition)
    return best, redundant


def _beaten(acquisition: Acquisition, winner: Acquisition, reason: QuarantineReason) -> UnusableItem:
    detail = f"{winner.item_id} shows the same sensing under baseline {winner.processing_baseline or 'not given'}"
    return UnusableItem(acquisition.item_id, acquisition.tile, acquisition.sensed_at, reason, detail)
