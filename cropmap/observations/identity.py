"""What determines the numbers of an observation file: which pixels, and how they become reflectance.

A provider may replace a product under its old name, and may rewrite an item without touching a pixel. Where it gives
checksums of its files, they decide. Where not, the time of processing does, and else what is left: baseline, sizes and
places of the files. What a file does not say of itself (it was made by an earlier version) contradicts nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from cropmap.provenance import content_hash
from cropmap.schemas import BANDS
from cropmap.sources.catalogs.acquisition import Acquisition

FILES: Final = (*BANDS, "SCL")
ALGORITHM: Final = 4
"""hexadecimal digits of a multihash that say how it was made: 1220 is SHA-256; others cannot be compared"""


def pixel_metadata(acquisition: Acquisition) -> dict[str, str]:
    """What an observation file says of where its numbers come from; JSON by band, or text, "" where not known."""
    assets = {band: acquisition.assets[band] for band in FILES if band in acquisition.assets}
    checksums = {b: a.checksum[:ALGORITHM] + content_hash(a.checksum) for b, a in assets.items() if a.checksum}
    places = json.dumps({band: _place(asset.href) for band, asset in assets.items()}, sort_keys=True)
    return {
        "processing_baseline": acquisition.processing_baseline or "",
        "offset": json.dumps({band: assets[band].offset for band in BANDS if band in assets}),
        "scale": json.dumps({band: assets[band].scale for band in BANDS if band in assets}),
        "nodata": json.dumps({band: asset.nodata for band, asset in assets.items()}),
        "checksum": json.dumps(checksums),
        "size": json.dumps({band: asset.size for band, asset in assets.items() if asset.size is not None}),
        "generated_at": acquisition.generated_at.isoformat() if acquisition.generated_at else "",
        "places": content_hash(places),
    }


def same_pixels(kept: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether numbers that were made of `kept` are those that `wanted` would give (both `pixel_metadata`)."""
    if any(_differ(kept, wanted, key) for key in ("offset", "scale", "nodata")):
        return False
    before, now = _by_band(kept, "checksum"), _by_band(wanted, "checksum")
    both = [b for b in before.keys() & now.keys() if before[b][:ALGORITHM] == now[b][:ALGORITHM]]
    if any(before[band] != now[band] for band in both):
        return False
    if both and len(both) == len(FILES):
        return True
    if _unlike(kept, wanted, "processing_baseline") or _differ(kept, wanted, "size"):
        return False
    if kept.get("generated_at") and wanted.get("generated_at"):
        return kept["generated_at"] == wanted["generated_at"]
    return not _unlike(kept, wanted, "places")


def pixel_key(acquisition: Acquisition) -> str:
    """Hash of `pixel_metadata`: another one where the numbers may be others."""
    return content_hash(json.dumps(pixel_metadata(acquisition), sort_keys=True))


def _place(href: str) -> str:
    """Without what signs an address for an hour."""
    return href if "://" not in href else urlsplit(href)._replace(query="", fragment="").geturl()


def _by_band(metadata: Mapping[str, str], key: str) -> Mapping[str, Any]:
    return dict(json.loads(metadata.get(key) or "{}"))


def _differ(kept: Mapping[str, str], wanted: Mapping[str, str], key: str) -> bool:
    """Whether a band that both state has another value."""
    before, now = _by_band(kept, key), _by_band(wanted, key)
    return any(before[band] != now[band] for band in before.keys() & now.keys())


def _unlike(kept: Mapping[str, str], wanted: Mapping[str, str], key: str) -> bool:
    return bool(kept.get(key) and wanted.get(key)) and kept[key] != wanted[key]
