"""What grows in simulated Brittany: national codes, their class shares and their year, as a table.

Dates are days of the year in the middle of the region (0 is 31 December before the season's year, so a crop sown in
autumn begins below zero); covers are shares of the ground. Spectra are in `phenology`. The figures are plausible
for Brittany, not measured there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Cycle:
    """One growth cycle: logistic green-up, logistic senescence, harvest."""

    green_up: float
    """day of half the cover"""
    senescence: float
    """day when half the green has turned dry"""
    harvest: float
    """day when what stands is taken away and stubble remains"""
    cover: float
    pace: float = 11.0
    """days: scale of the green-up's logistic"""


@dataclass(frozen=True)
class Sward:
    """Green all year, cut or grazed."""

    winter: float
    """cover in winter"""
    summer: float
    """cover in the growing season before a cut"""
    cuts: float
    """mean number of cuts"""
    depth: float
    """share of the cover that a cut takes"""
    first_cut: float = 140.0
    drought: float = 0.22
    """share that dries up in high summer"""


@dataclass(frozen=True)
class Variety:
    """One national code of a class."""

    code: str
    crop: str
    """key of CLASS_COUNTS"""
    weight: float
    """share within the class"""
    canopy: str
    """key of phenology.CANOPIES"""
    cycles: tuple[Cycle, ...] = ()
    sward: Sward | None = None
    flowering: float | None = None
    """day of full (yellow) flower"""
    catch_before: float = 0.0
    """probability of a winter catch crop before"""
    catch_after: float = 0.0
    date_spread: float = 7.0
    """standard deviation of a parcel's shift in days"""
    cover_spread: float = 0.10
    """standard deviation of the cover between parcels"""


CLASS_COUNTS: Final = {
    "barley": 4982,
    "common wheat": 13850,
    "corn": 25059,
    "fodder": 3449,
    "fallow": 3863,
    "miscellaneous": 12499,
    "orchards": 391,
    "other cereals": 4645,
    "permanent meadows": 20966,
    "protein crops": 498,
    "rapeseed": 2664,
    "temporary meadows": 29977,
    "vegetables": 3114,
}
"""Parcels per class in FRH04 (BreizhCrops talk, 13 classes)."""
CROPS: Final = tuple(CLASS_COUNTS)

REGION_FACTORS: Final = {
    "FRH01": {"vegetables": 1.3, "corn": 1.1, "common wheat": 1.15, "permanent meadows": 0.8, "rapeseed": 1.2},
    "FRH02": {"vegetables": 1.8, "barley": 1.4, "temporary meadows": 1.1, "common wheat": 0.8, "fallow": 1.2},
    "FRH03": {"common wheat": 1.2, "corn": 1.1, "temporary meadows": 0.9, "orchards": 2.0, "other cereals": 0.8},
    "FRH04": {},
}
"""How a class's share in a region differs from the table's."""

_GRAIN = Cycle(78, 168, 201, 0.93)
_TILLERS = Cycle(-35, 130, 160, 0.28, 14.0)

VARIETIES: Final = (
    Variety(
        "ORH", "barley", 0.75, "cereal", (Cycle(58, 146, 178, 0.93), Cycle(-42, 110, 150, 0.44, 14.0)), catch_after=0.55
    ),
    Variety("ORP", "barley", 0.25, "cereal", (Cycle(108, 178, 206, 0.88),), catch_before=0.35, catch_after=0.45),
    Variety("BTH", "common wheat", 0.97, "wheat", (_GRAIN, _TILLERS), catch_after=0.5),
    Variety("BTP", "common wheat", 0.03, "wheat", (Cycle(105, 185, 214, 0.86),), catch_before=0.3, catch_after=0.4),
    Variety(
        "MIE", "corn", 0.62, "corn", (Cycle(170, 262, 258, 0.93),), catch_before=0.6, catch_after=0.4, date_spread=9
    ),
    Variety(
        "MIS", "corn", 0.38, "corn", (Cycle(166, 262, 296, 0.93),), catch_before=0.5, catch_after=0.15, date_spread=9
    ),
    Variety("LUZ", "fodder", 0.2, "legume", sward=Sward(0.40, 0.92, 3.4, 0.75, 136), date_spread=10),
    Variety(
        "TRE", "fodder", 0.15, "legume", sward=Sward(0.50, 0.88, 2.8, 0.68, 132), date_spread=10, cover_spread=0.12
    ),
    Variety(
        "MLG", "fodder", 0.35, "clover", sward=Sward(0.50, 0.88, 2.9, 0.70, 134), date_spread=10, cover_spread=0.12
    ),
    Variety("CPL", "fodder", 0.2, "cereal", (Cycle(80, 166, 172, 0.92), _TILLERS), catch_after=0.6, date_spread=12),
    Variety("CHF", "fodder", 0.1, "vegetable", (Cycle(196, 370, 385, 0.85),), catch_before=0.5, date_spread=16),
    Variety(
        "J5M", "fallow", 0.6, "rough", sward=Sward(0.46, 0.74, 0.9, 0.55, 170, 0.38), date_spread=16, cover_spread=0.18
    ),
    Variety(
        "J6S", "fallow", 0.3, "rough", sward=Sward(0.50, 0.72, 0.5, 0.45, 190, 0.42), date_spread=14, cover_spread=0.14
    ),
    Variety("JNO", "fallow", 0.1, "rough", (Cycle(150, 230, 270, 0.35),), date_spread=30, cover_spread=0.15),
    Variety(
        "BTA",
        "miscellaneous",
        0.36,
        "strip",
        sward=Sward(0.56, 0.78, 0.7, 0.5, 168, 0.24),
        date_spread=12,
        cover_spread=0.12,
    ),
    Variety(
        "SNE",
        "miscellaneous",
        0.22,
        "shrub",
        sward=Sward(0.45, 0.76, 0.2, 0.4, 200, 0.28),
        date_spread=18,
        cover_spread=0.18,
    ),
    Variety(
        "BFS",
        "miscellaneous",
        0.18,
        "shrub",
        sward=Sward(0.50, 0.86, 0.4, 0.4, 180, 0.18),
        date_spread=14,
        cover_spread=0.14,
    ),
    Variety(
        "ACA",
        "miscellaneous",
        0.16,
        "vegetable",
        (Cycle(150, 235, 262, 0.7),),
        catch_before=0.4,
        date_spread=26,
        cover_spread=0.2,
    ),
    Variety("MCT", "miscellaneous", 0.08, "corn", (Cycle(152, 305, 80, 0.9), Cycle(152, 305, 400, 0.9)), date_spread=9),
    Variety("VRG", "orchards", 0.8, "shrub", sward=Sward(0.48, 0.84, 1.6, 0.18, 130, 0.12), date_spread=8),
    Variety("PFR", "orchards", 0.2, "shrub", sward=Sward(0.38, 0.72, 0.3, 0.2, 200, 0.12), date_spread=10),
    Variety(
        "TTH",
        "other cereals",
        0.55,
        "triticale",
        (Cycle(68, 179, 215, 0.92), Cycle(-42, 120, 160, 0.42, 14.0)),
        catch_after=0.5,
    ),
    Variety(
        "AVH",
        "other cereals",
        0.2,
        "oats",
        (Cycle(82, 172, 204, 0.9), Cycle(-25, 120, 160, 0.3, 14.0)),
        catch_after=0.5,
    ),
    Variety("AVP", "other cereals", 0.1, "oats", (Cycle(112, 184, 214, 0.86),), catch_before=0.35, catch_after=0.4),
    Variety("SRS", "other cereals", 0.15, "buckwheat", (Cycle(176, 245, 262, 0.85),), catch_before=0.5),
    Variety(
        "PPH",
        "permanent meadows",
        1.0,
        "pasture",
        sward=Sward(0.62, 0.81, 1.2, 0.38, 150, 0.29),
        date_spread=12,
        cover_spread=0.10,
    ),
    Variety("PPR", "protein crops", 0.45, "legume", (Cycle(106, 172, 194, 0.85),), catch_before=0.35, catch_after=0.4),
    Variety("FVL", "protein crops", 0.35, "legume", (Cycle(100, 186, 220, 0.88),), catch_before=0.3, catch_after=0.3),
    Variety("PHI", "protein crops", 0.2, "legume", (Cycle(78, 160, 184, 0.85),), catch_after=0.4),
    Variety(
        "CZH",
        "rapeseed",
        1.0,
        "rapeseed",
        (Cycle(52, 160, 190, 0.95), Cycle(-85, 100, 150, 0.6, 16.0)),
        flowering=106.0,
        catch_after=0.35,
        date_spread=6,
    ),
    Variety(
        "PTR",
        "temporary meadows",
        0.7,
        "meadow",
        sward=Sward(0.61, 0.85, 1.8, 0.49, 143, 0.25),
        date_spread=12,
        cover_spread=0.10,
    ),
    Variety(
        "RGA",
        "temporary meadows",
        0.3,
        "ryegrass",
        sward=Sward(0.61, 0.87, 2.2, 0.54, 138, 0.22),
        date_spread=12,
        cover_spread=0.10,
    ),
    Variety(
        "PTC",
        "vegetables",
        0.3,
        "vegetable",
        (Cycle(146, 222, 246, 0.9),),
        catch_before=0.4,
        catch_after=0.4,
        date_spread=16,
    ),
    Variety(
        "HAR",
        "vegetables",
        0.25,
        "vegetable",
        (Cycle(186, 236, 240, 0.85), Cycle(90, 150, 155, 0.6)),
        catch_before=0.2,
        catch_after=0.3,
        date_spread=16,
    ),
    Variety(
        "EPI", "vegetables", 0.2, "vegetable", (Cycle(92, 150, 140, 0.8), Cycle(232, 310, 290, 0.8)), date_spread=18
    ),
    Variety(
        "CHU", "vegetables", 0.15, "vegetable", (Cycle(215, 370, 340, 0.85), Cycle(-60, 60, 70, 0.8)), date_spread=20
    ),
    Variety("ART", "vegetables", 0.1, "vegetable", sward=Sward(0.35, 0.72, 1.0, 0.7, 220, 0.25), date_spread=18),
)

PLAUSIBLE_ERRORS: Final = (
    ("permanent meadows", "temporary meadows"),
    ("corn", "temporary meadows"),
    ("common wheat", "barley"),
)
"""(true, declared): what declarations are wrong about more often than by chance."""
