"""One Sentinel-2 acquisition as every other room sees it: where each band lies and what its numbers mean.

Every reader of a catalogue returns it; the readers of pixels need no other metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from cropmap.schemas import QuarantineReason

MAYBE_KNOWN: Final = ("generated_at", "strip_start")
"""times of an acquisition that an item need not state"""

Bbox = tuple[float, float, float, float]
"""west, south, east, north in degrees, EPSG:4326"""


@dataclass(frozen=True)
class BandAsset:
    band: str
    """a name of `schemas.BANDS`, or SCL"""
    href: str
    """absolute path, URL, or member of a zip file (`zipped.archived_address`)"""
    scale: float
    """reflectance = DN * scale + offset; 1 for SCL"""
    offset: float
    """reflectance, effective for the pixels as they are stored: 0 where the provider has applied it; 0 for SCL"""
    nodata: int
    """DN without a measurement; never scaled"""
    resolution_m: int
    """pixel size of this file in metres"""
    checksum: str | None = None
    """multihash of the file, hexadecimal (STAC file extension); None where the item does not say"""
    size: int | None = None
    """bytes of the file; None where the item does not say"""


@dataclass(frozen=True)
class Acquisition:
    item_id: str
    """the provider's identifier, unique in its collection"""
    collection: str
    tile: str
    """MGRS tile without the leading T: 32UPU"""
    sensed_at: datetime
    """UTC, aware"""
    platform: str | None
    """sentinel-2a, None where the item does not say"""
    relative_orbit: int | None
    processing_baseline: str | None
    """two digits, dot, two digits: 05.00; None where the item does not say"""
    datatake: str
    """what distinguishes two sensings: two items of one tile and datatake show the same photons"""
    cloud_cover: float | None
    """percent of the tile, 0 to 100"""
    epsg: int
    """of the tile's grid"""
    bbox: Bbox
    footprint_wkt: str
    """data footprint, EPSG:4326; the bbox as polygon where the item has no geometry"""
    assets: Mapping[str, BandAsset] = field(hash=False)
    """by band: every name of `schemas.BANDS`, and SCL"""
    generated_at: datetime | None = None
    """UTC, when the provider processed the product, to the second; None where the item does not say"""
    strip_start: datetime | None = None
    """UTC, sensing start of the datastrip: two parts of a tile have two; None where nothing names it"""

    @property
    def day(self) -> date:
        """UTC day of sensing."""
        return self.sensed_at.date()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, for a jsonb column or `json.dumps`."""
        moments = {name: getattr(self, name) for name in ("sensed_at", *MAYBE_KNOWN)}
        times = {name: moment.isoformat() if moment else None for name, moment in moments.items()}
        # not asdict, which copies every text: a search writes each acquisition of the season twice
        assets = {band: dict(vars(asset)) for band, asset in self.assets.items()}
        return {**vars(self), **times, "bbox": list(self.bbox), "assets": assets}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Acquisition:
        """The inverse of `to_json`, exactly."""
        west, south, east, north = record["bbox"]
        written = {name: record.get(name) for name in MAYBE_KNOWN}  # a ledger of an earlier version has none
        return cls(
            **{
                **record,
                "sensed_at": datetime.fromisoformat(record["sensed_at"]),
                **{name: datetime.fromisoformat(text) if text else None for name, text in written.items()},
                "bbox": (west, south, east, north),
                "assets": {band: BandAsset(**asset) for band, asset in record["assets"].items()},
            }
        )


@dataclass(frozen=True)
class UnusableItem:
    """An item of the catalogue that was set aside; stored and counted."""

    item_id: str
    tile: str | None
    sensed_at: datetime | None
    reason: QuarantineReason
    detail: str
    """one line: what is wrong, with the asset or field it concerns"""
