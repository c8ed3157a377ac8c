"""Parcels as arrays by region: the joins, and how a class is split where nobody near declared it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cropmap.errors import InputError
from cropmap.statistics.crops import Columns, columns
from cropmap.statistics.population import (
    Population,
    ancestors,
    declared_codes,
    population_of,
    use_shares,
    without_holding,
)
from tests.statistics.population import CROPS, Predicted, legend


def table(*rows: tuple[str, str | None, float, str | None, str | None]) -> pd.DataFrame:
    names = ["parcel_id", "nuts_id", "area_ha", "crop_code", "holding_id"]
    return pd.DataFrame(list(rows), columns=names).astype({"crop_code": object, "holding_id": object})


def predicted(*ids: str, unseen: tuple[str, ...] = ()) -> Predicted:
    probabilities = np.full((len(ids), len(CROPS)), 0.25, np.float32)
    probabilities[np.isin(ids, unseen)] = np.nan
    return Predicted(np.array(ids, dtype=object), CROPS, probabilities)


def joined(parcels: pd.DataFrame, said: Predicted, *, regions: tuple[str, ...] = ()) -> tuple[Population, Columns]:
    cols = columns(legend(), CROPS, declared_codes(parcels))
    return population_of(parcels, said, legend(), cols, regions=regions), cols


def test_parcels_are_sorted_by_region_and_then_by_name() -> None:
    parcels = table(
        ("p3", "FRH02", 3.0, "BTH", "h1"),
        ("p2", "FRH01", 2.0, "BTH", "h2"),
        ("p9", None, 9.0, "BTH", "h1"),  # outside every region: left out
        ("p1", "FRH02", 1.0, "BTH", "h1"),
    )
    population, _ = joined(parcels, predicted("p1", "p2", "p3"), regions=("FRH05",))
    assert population.nuts3 == ("FRH01", "FRH02", "FRH05"), "a region without a parcel is there"
    assert population.parcel_id.tolist() == ["p2", "p1", "p3"]
    assert population.area.tolist() == [2, 1, 3]
    assert population.starts.tolist() == [0, 1, 3, 3]
    assert [population.span(region) for region in range(3)] == [slice(0, 1), slice(1, 3), slice(3, 3)]
    assert population.holding[1] == population.holding[2] != population.holding[0]


def test_a_parcel_is_scored_where_every_class_has_a_probability() -> None:
    parcels = table(*((name, "FRH01", 1.0, "BTH", "h") for name in ("a", "b", "c")))
    population, _ = joined(parcels, predicted("c", "b", unseen=("b",)))
    assert population.row.tolist() == [-1, -1, 0], "a is in no prediction, b was never observed"
    assert population.learnt_from == 1


def test_a_declaration_has_a_column_and_a_class_or_one_of_them_or_none() -> None:
    """Wheat is both; hops has an item of Eurostat's and no class of the model; the last declares nothing."""
    parcels = table(("a", "FRH01", 1.0, "BTH", "h"), ("b", "FRH01", 1.0, "HBL", "h"), ("c", "FRH01", 1.0, None, "h"))
    population, cols = joined(parcels, predicted("a", "b", "c"))
    assert [cols.crops[place] if place >= 0 else None for place in population.column] == ["C1110", "I4000", None]
    assert population.declared.tolist() == [CROPS.index("wheat"), -1, -1]


@pytest.mark.parametrize(
    ("names", "without", "known"),
    [
        (["h1", "h2"], [False, False], True),
        (["h1", None], [False, True], True),
        (["h1", "  "], [False, True], True),  # blanks name nobody
        (["h1", ""], [False, True], True),
        ([None, np.nan], [True, True], False),
    ],
)
def test_who_names_no_holding(names: list[str | None], without: list[bool], known: bool) -> None:
    assert without_holding(pd.Series(names, dtype=object)).tolist() == without
    parcels = table(*((f"p{n}", "FRH01", 1.0, "BTH", name) for n, name in enumerate(names)))
    population, _ = joined(parcels, predicted("p0", "p1"))
    assert (population.holding == -1).tolist() == without
    assert population.holdings_known is known


def test_nobody_at_all_is_not_a_register_without_holdings() -> None:
    population, _ = joined(table(), predicted(), regions=("FRH01",))
    assert population.holdings_known


@pytest.mark.parametrize(
    ("level", "names", "of"),
    [
        (3, ("DE21B", "FRH01", "FRH02", "FRI11"), [1, 2, 0, 3]),
        (2, ("DE21", "FRH0", "FRI1"), [1, 1, 0, 2]),
        (1, ("DE2", "FRH", "FRI"), [1, 1, 0, 2]),
        (0, ("DE", "FR"), [1, 1, 0, 1]),
    ],
)
def test_the_region_of_each_level(level: int, names: tuple[str, ...], of: list[int]) -> None:
    found, index = ancestors(("FRH01", "FRH02", "DE21B", "FRI11"), level=level)
    assert found == names
    assert index.tolist() == of


def test_a_class_is_split_as_it_is_declared_nearest_by() -> None:
    """Corn is grain (MIS, C1500) or green (MIE, G3000), here in ha of each, grain first:

    FRH01 3 + 1, FRH11 0 + 4, FRJ11 0 + 4, DE111 6 + 0, nothing elsewhere. So FRH02 has the shares of FRH0 (3 of 4),
    FRH21 those of FRH (3 of 8), FRI11 those of FR (3 of 12), DE21B those of DE, and AT111 those of all (9 of 18).
    """
    corn = {"FRH01": (3.0, 1.0), "FRH11": (0.0, 4.0), "FRJ11": (0.0, 4.0), "DE111": (6.0, 0.0)}
    uses = [
        (f"{region}-{code}", region, area, code, "h")
        for region, areas in corn.items()
        for code, area in zip(("MIS", "MIE"), areas, strict=True)
        if area
    ]
    elsewhere = [(region, region, 7.0, "BTH", "h") for region in ("FRH02", "FRH21", "FRI11", "DE21B", "AT111")]
    parcels = table(*uses, *elsewhere)
    population, cols = joined(parcels, predicted(*parcels["parcel_id"]))
    shares = use_shares(population, cols)[:, CROPS.index("corn"), cols.crops.index("C1500")]
    assert dict(zip(population.nuts3, shares, strict=True)) == {
        "AT111": 0.5,
        "DE111": 1.0,
        "DE21B": 1.0,
        "FRH01": 0.75,
        "FRH02": 0.75,
        "FRH11": 0.0,
        "FRH21": 0.375,
        "FRI11": 0.25,
        "FRJ11": 0.0,
    }
    assert use_shares(population, cols).sum(axis=2) == pytest.approx(np.ones((9, len(CROPS))))


def test_a_class_that_nobody_declared_goes_evenly_to_its_columns() -> None:
    parcels = table(("a", "FRH01", 3.0, "MIS", "h"), ("b", "FRH01", 0.0, "MIE", "h"), ("c", "FRH01", 1.0, None, "h"))
    parcels.loc[0, "area_ha"] = 0.0  # both uses are known, and neither has an area
    population, cols = joined(parcels, predicted("a", "b", "c"))
    share = use_shares(population, cols)[0, CROPS.index("corn")]
    assert {cols.crops[place]: share[place] for place in np.flatnonzero(share)} == {"C1500": 0.5, "G3000": 0.5}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("a", "FRH0", 1.0, "BTH", "h"), "'FRH0' is not a NUTS-3 code"),
        (("a", "FRH01", np.nan, "BTH", "h"), "a parcel has no area"),
        (("a", "FRH01", np.inf, "BTH", "h"), "a parcel has no area"),
    ],
)
def test_what_cannot_be_joined_is_refused(row: tuple[str, str, float, str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        joined(table(row), predicted("a"))
