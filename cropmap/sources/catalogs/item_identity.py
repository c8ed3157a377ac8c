"""Which sensing a STAC item shows: tile, datatake, datastrip, processing, from whatever its provider calls them.

Pure functions from an item's dictionary. Under which properties a catalogue has them is data (`providers`); the
product's name has most of them too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cropmap.sources.catalogs.providers import GENERIC, ItemFields, built_in

FIRST_YEAR: Final = 2015
"""Sentinel-2A was launched in June 2015: an earlier date is no date of sensing"""

PRODUCT_NAME: Final = re.compile(
    r"(?P<platform>S2[A-D])_MSIL\d[AC]_(?P<datatake>\d{8}T\d{6})(?:_N(?P<baseline>\d{4}))?"
    r"(?:_R(?P<orbit>\d{3}))?(?:_T(?P<tile>\d{2}[A-Z]{3}))?"
)
"""S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454; Planetary Computer leaves N out."""
ANY: Final = built_in(GENERIC).fields
"""the names of every catalogue and tool that is known"""
UNNAMED: Final = "S2"
"""the satellite of an item that names none"""

PRODUCT_END: Final = re.compile(r"_MSIL\d[AC]_\d{8}T\d{6}_.*_(\d{8}T\d{6})(?:\.SAFE)?$")
"""S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_20221005T164454.SAFE: the time of processing. Names before December 2016
end in a time of sensing: S2A_USER_PRD_MSIL2A_PDMC_20160829T133245_R022_V20160829T101032_20160829T101352.SAFE"""
DATATAKE_ID: Final = re.compile(r"G?(?P<platform>S2[A-D])_(?P<datatake>\d{8}T\d{6})_")
"""GS2A_20221005T115411_038058_N04.00: the baseline at its end does not belong to the sensing."""
SATELLITE: Final = re.compile(r"(?<![A-Z])S(?:ENTINEL)?[\s_-]*2[\s_-]*(?P<letter>[A-D])?(?![A-Z0-9])", re.IGNORECASE)
"""sentinel-2a, Sentinel-2A, S2A, SENTINEL-2 A; without the letter any of them"""
NAMED_FIRST: Final = re.compile(r"(?P<platform>S2[A-D])_")
"""how ids of items, granules and datastrips begin"""
TILE_ID_END: Final = re.compile(r"_T(?P<tile>\d{2}[A-Z]{3})(?:_N\d\d\.\d\d)?$")
"""S2A_OPER_MSI_L2A_TL_2APS_20240422T235959_A046145_T13TDE_N05.10"""
TILE: Final = re.compile(r"T?(\d{1,2}[C-HJ-NP-X][A-Z]{2})$")
BASELINE: Final = re.compile(r"[VN]?(?:(\d\d)\.?(\d\d)|0?(\d)(?:\.(\d\d?))?)$", re.IGNORECASE)
"""04.00, N0400, and what a table of numbers makes of it: 4.0; 5.1 is 05.10, and 5.01 would be 05.01"""
DATASTRIP_START: Final = re.compile(r"_S(\d{8}T\d{6})")
"""S2A_OPER_MSI_L2A_DS_2APS_20240601T120000_S20240601T101559_N05.10"""
GRANULE_START: Final = re.compile(r"/GRANULE/L2A_T\d{2}[A-Z]{3}_A\d{6}_(\d{8}T\d{6})/")
"""folder of a granule within a product; its time is the datastrip's start"""
LEVEL: Final = re.compile(r"(?:_MSI|_)L(?P<level>1[ABC]|2A)(?![A-Z0-9])|S2MSI(?P<type>1[ABC]|2A)(?![0-9])")
"""S2B_MSIL1C_20230129T013449_…, S2B_53NMH_20230129_0_L1C; and the type of a product, S2MSI1C"""
PRODUCT_TYPES: Final = ("s2:product_type", "product:type", "sentinel2:product_type", "eo:productType")
TITLE: Final = "title"
ORBIT: Final = re.compile(r"R?0*(\d{1,3})(?:\.0+)?", re.IGNORECASE)
LAST_ORBIT: Final = 143
"""relative orbits of one cycle of ten days"""


def sensed_at_of(item: Mapping[str, Any]) -> datetime | None:
    """Sensing time in UTC; None where the item has none that can be read, or one before Sentinel-2."""
    return _moment(_properties(item).get("datetime") or _properties(item).get("start_datetime"))


def generated_at_of(item: Mapping[str, Any], fields: ItemFields = ANY) -> datetime | None:
    """When the product was processed, in UTC and whole seconds: the end of the product's name, or the fields.

    Two products of one sensing were seen with one `s2:generation_time`; their names distinguish them. Not `created` or
    `updated`: they say when the catalogue wrote the item.
    """
    texts = (*(_properties(item).get(key) for key in fields.product), item.get("id"))
    ends = (PRODUCT_END.search(str(text or "")) for text in texts)
    written = (*(match[1] for match in ends if match), *(_properties(item).get(key) for key in fields.generated))
    moments = (_moment(text) for text in written)
    return next((moment.replace(microsecond=0) for moment in moments if moment), None)


def tile_of(item: Mapping[str, Any], fields: ItemFields = ANY) -> str | None:
    """MGRS tile without the leading T; None where nothing names one."""
    properties = _properties(item)
    parts = ("utm_zone", "latitude_band", "grid_square")
    tile_ids = (TILE_ID_END.search(str(properties.get(key, ""))) for key in fields.tile_id)
    candidates = (
        *(str(properties.get(key) or "").upper().removeprefix("MGRS-") for key in fields.tile),
        *("".join(str(properties.get(f"{prefix}:{part}")) for part in parts) for prefix in ("mgrs", "sentinel")),
        *(match["tile"] for match in product_names(item, fields)),
        *(match["tile"] for match in tile_ids if match),
    )
    matches = (TILE.match(str(candidate).upper()) for candidate in candidates if candidate)
    return next((match[1].zfill(5) for match in matches if match), None)


def baseline_of(item: Mapping[str, Any], fields: ItemFields = ANY) -> str | None:
    """Two digits, dot, two digits."""
    written = (BASELINE.match(str(_properties(item).get(key, "")).strip()) for key in fields.baseline)
    if match := next((match for match in written if match), None):
        return f"{match[1] or match[3].zfill(2)}.{match[2] or (match[4] or '').ljust(2, '0')}"
    baselines = (match["baseline"] for match in product_names(item, fields))
    return next((f"{digits[:2]}.{digits[2:]}" for digits in baselines if digits), None)


def datatake_of(item: Mapping[str, Any], sensed_at: datetime, fields: ItemFields = ANY) -> str:
    """The same text whether the item names its datatake, its product, or only platform and time."""
    properties = _properties(item)
    named = (DATATAKE_ID.match(str(properties.get(key, ""))) for key in fields.datatake)
    match = next((candidate for candidate in named if candidate), None) or next(product_names(item, fields), None)
    if match:
        return f"{match['platform']}_{match['datatake']}"
    return f"{_satellite(item, fields)}_{sensed_at:%Y%m%dT%H%M%S}"


def _satellite(item: Mapping[str, Any], fields: ItemFields) -> str:
    """S2A to S2D by the platform, else by what ids begin with; UNNAMED where nothing says. Other platforms stay."""
    properties = _properties(item)
    platforms = [str(properties.get(key) or "") for key in fields.platform]
    named = [match for text in platforms if (match := SATELLITE.search(text))]
    if letter := next((match["letter"] for match in named if match["letter"]), None):
        return f"S2{letter.upper()}"
    if platforms[0] and not SATELLITE.search(platforms[0]):
        return platforms[0].upper().replace("_", "-")
    ids = (item.get("id"), *(properties.get(key) for key in (*fields.tile_id, *fields.datastrip)))
    begun = (NAMED_FIRST.match(str(text or "")) for text in ids)
    return next((match["platform"] for match in begun if match), UNNAMED)


def datastrip_start_of(item: Mapping[str, Any], fields: ItemFields = ANY) -> datetime | None:
    """Sensing start of the datastrip, by its id or the granule's folder: two parts of a tile have two."""
    named = (DATASTRIP_START.search(str(_properties(item).get(key, ""))) for key in fields.datastrip)
    match = next((candidate for candidate in named if candidate), None)
    if match is None:
        assets = item.get("assets")
        listed = assets.values() if isinstance(assets, Mapping) else ()
        hrefs = (str(asset.get("href")) for asset in listed if isinstance(asset, Mapping))
        match = next((candidate for href in hrefs if (candidate := GRANULE_START.search(href))), None)
    try:
        return datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) if match else None
    except ValueError:
        return None


def relative_orbit_of(item: Mapping[str, Any], fields: ItemFields = ANY) -> int | None:
    """0 to 143; None where neither a field nor the product's name says one that can be read."""
    written = (
        *(_properties(item).get(key) for key in fields.orbit),
        *(match["orbit"] for match in product_names(item, fields)),
    )
    matches = (ORBIT.fullmatch(str(orbit).strip()) for orbit in written if not isinstance(orbit, bool))
    orbits = (int(match[1]) for match in matches if match)
    return next((orbit for orbit in orbits if orbit <= LAST_ORBIT), None)


def cloud_cover_of(item: Mapping[str, Any]) -> float | None:
    """Percent, 0 to 100; None where the item says nothing that can be read."""
    written = _properties(item).get("eo:cloud_cover")
    if isinstance(written, bool) or not isinstance(written, int | float | str):
        return None
    try:
        percent = float(written)
    except (ValueError, OverflowError):
        return None
    return percent if 0 <= percent <= 100 else None  # NaN lies nowhere


def level_of(item: Mapping[str, Any], fields: ItemFields = ANY) -> str | None:
    """1C, 2A and the like, by the product's name, its type and the id; None where nothing says.

    The product's name and type count first, and another than 2A where one of them says so. A title may name the product
    that the item was made of: it counts last.
    """
    properties = _properties(item)
    names = [properties.get(key) for key in (*fields.product, *PRODUCT_TYPES) if key != TITLE]
    for texts in (names, [item.get("id")], [properties.get(TITLE)]):
        found = [match for text in texts if isinstance(text, str) and (match := LEVEL.search(text))]
        levels = sorted(match["level"] or match["type"] for match in found)
        if levels:
            return levels[0]
    return None


def product_names(item: Mapping[str, Any], fields: ItemFields = ANY) -> Iterator[re.Match[str]]:
    for text in (*(_properties(item).get(key) for key in fields.product), item.get("id")):
        match = PRODUCT_NAME.search(str(text or ""))
        if match:
            yield match


def _moment(text: object) -> datetime | None:
    """A time in UTC; None for what is none, or lies before Sentinel-2."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.strip().upper())  # t and z are as good as T and Z
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year >= FIRST_YEAR else None


def _properties(item: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = item.get("properties")
    return properties if isinstance(properties, Mapping) else {}
