"""What an attempt to observe an acquisition depends on: where it is another, a quarantined one is tried again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from cropmap.provenance import content_hash, rules_hash
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.sources.catalogs.places import local_file

RULES: Final = Path(__file__).parent


def depends_on(acquisition: Acquisition, parcel_set: str) -> str:
    """Hash of the item, of its local files as they lie there, of the parcels, and of the rules of observing."""
    item = json.dumps(acquisition.to_json(), sort_keys=True)
    files = (_state(asset.href) for _, asset in sorted(acquisition.assets.items()))
    return content_hash(item, parcel_set, rules_hash(RULES), *files)


def _state(href: str) -> str:
    """Size and time of a local file or archive; of another nothing is known without asking for it."""
    path = local_file(href)
    if path is None:
        return ""
    try:
        status = path.stat()
    except OSError:
        return "none"
    return f"{status.st_size} {status.st_mtime_ns}"
