"""Items of an API that are in such order that pystac would change nothing of what is read of them.

pystac copies an item and makes objects of all its assets and links, most of which nobody reads: that was nearly half of
what a search of a season cost. An item of today's versions of STAC, complete and with absolute addresses throughout, is
taken as it came. Any other goes through pystac, which mends it or says what is wrong with it. So this may refuse an
item too many, and must never take one that pystac refuses or changes in a field that is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from itertools import chain
from typing import Any, Final

VERSIONS: Final = ("1.0.0", "1.1.0")
MIGRATED: Final = "/classification/v1.0.0/"
"""part of the name of an extension whose migration stumbles over more than is worth checking"""
PROJECTION: Final = "https://stac-extensions.github.io/projection/"
DEEPEST: Final = 16
"""levels of a document; pystac gives up some hundreds deep"""

_CONTAINERS: Final = (dict, list)
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:[0-5]\d)", re.ASCII)
_WEB: Final = re.compile(r"(?:https?|s3|gs)://[!-Z^_a-~]+")
"""printable signs without the brackets of an IPv6 address and the backslash of Windows"""
_FILE: Final = re.compile(r"/(?!/)[!-Z^_a-~]*")


def plain_item(document: Any) -> dict[str, Any] | None:
    """The document as an item, as `stac_documents.item_of` gives it for an API; None where pystac has to read it.

    The document is changed where it is taken, and only there.
    """
    if not (isinstance(document, dict) and _is_item(document) and _is_shallow(document)):
        return None
    properties, assets = document["properties"], document["assets"]
    if any(extension.startswith(PROJECTION) for extension in document.get("stac_extensions") or ()):
        for holder in (properties, *assets.values()):
            _name_code(holder)
    document["links"] = [link for link in document["links"] if link["rel"] != "self"]
    return document


def _is_item(document: Mapping[str, Any]) -> bool:
    """Whether everything is there, and what it should be, that pystac reads of an item or an item's reader needs."""
    properties, assets, links = (document.get(name) for name in ("properties", "assets", "links"))
    return (
        document.get("type") == "Feature"
        and document.get("stac_version") in VERSIONS
        and _filled(document.get("id"), str)
        and _filled(document.get("collection"), str)
        and _are_extensions(document.get("stac_extensions"))
        and _filled(document.get("geometry"), dict)
        and _filled(document.get("bbox"), list)
        and isinstance(properties, dict)
        and _is_stored(properties)
        and _is_moment(properties.get("datetime"))
        and "item_assets" not in document
        and isinstance(links, list)
        and all(map(_is_link, links))
        and isinstance(assets, dict)
        and _are_assets(assets, may_be_files=not any(link["rel"] == "self" for link in links))
    )


def _filled(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and bool(value)


def _are_extensions(names: Any) -> bool:
    """Short names of extensions are of versions before 1.0: they are migrated."""
    return names is None or (
        isinstance(names, list)
        and all(isinstance(name, str) and name.startswith("https://") and MIGRATED not in name for name in names)
    )


def _is_moment(text: Any) -> bool:
    if not isinstance(text, str) or not _MOMENT.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_link(link: Any) -> bool:
    return (
        isinstance(link, dict)
        and isinstance(link.get("rel"), str)
        and isinstance(href := link.get("href"), str)
        and _WEB.fullmatch(href) is not None
    )


def _are_assets(assets: Mapping[str, Any], *, may_be_files: bool) -> bool:
    """Whether their addresses are absolute; a path is, where no address of the item says otherwise."""
    for asset in assets.values():
        href = asset.get("href") if isinstance(asset, dict) else None
        if not isinstance(href, str) or not (_WEB.fullmatch(href) or (may_be_files and _FILE.fullmatch(href))):
            return False
        if not _is_stored(asset):
            return False
    return True


def _is_stored(holder: Mapping[str, Any]) -> bool:
    """Whether the migration of the storage extension, which Earth Search names, gets over what is said of it."""
    platform, region = holder.get("storage:platform"), holder.get("storage:region")
    return (
        (platform is None or isinstance(platform, str))
        and (region is None or isinstance(region, str))
        and not isinstance(holder.get("storage:requester_pays"), _CONTAINERS)
    )


def _is_shallow(document: Mapping[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        nodes = chain.from_iterable(node.values() if isinstance(node, dict) else node for node in level)
        level = [node for node in nodes if isinstance(node, _CONTAINERS)]
        if not level:
            return True
    return False


def _name_code(holder: dict[str, Any]) -> None:
    """`proj:epsg` became `proj:code` in version 2 of the extension."""
    epsg = holder.pop("proj:epsg", None)
    if epsg and holder.get("proj:code") is None:
        holder["proj:code"] = f"EPSG:{epsg}"
