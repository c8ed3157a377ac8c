"""Who contributes to which published cell: parcels and holdings, once in each sum they belong to."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cropmap.disclosure import Contributions
from cropmap.statistics.contributors import Contributors
from cropmap.statistics.crops import Columns, columns
from cropmap.statistics.population import declared_codes, population_of
from cropmap.statistics.totals import totals
from tests.statistics.population import CROPS, Predicted, legend

Row = tuple[str, str, float, str | None, str | None]
LIKELY = {"corn": 0, "meadow": 1, "misc": 2, "wheat": 3}


def contributors(*rows: tuple[Row, str]) -> tuple[Contributors, Columns, tuple[str, ...]]:
    """Each parcel with the class that the model takes it for, nearly for certain."""
    names = ["parcel_id", "nuts_id", "area_ha", "crop_code", "holding_id"]
    parcels = pd.DataFrame([row for row, _ in rows], columns=names).astype({"crop_code": object, "holding_id": object})
    probabilities = np.full((len(rows), len(CROPS)), 0.001, np.float32)
    probabilities[np.arange(len(rows)), [LIKELY[crop] for _, crop in rows]] = 0.997
    cols = columns(legend(), CROPS, declared_codes(parcels) | {"MIE", "MIS", "BTH", "PPH"})
    said = Predicted(parcels["parcel_id"].to_numpy(object), CROPS, probabilities)
    population = population_of(parcels, said, legend(), cols, regions=())
    sums = totals(population, probabilities, cols, reviewed=np.empty(0, dtype=np.intp))
    return Contributors.of(population, sums, cols), cols, population.nuts3


def cells(part: Contributions, cols: Columns, regions: tuple[str, ...]) -> dict[str, list[float]]:
    """crop/region -> what each holding (or parcel) has there, in ha."""
    found: dict[str, list[float]] = {}
    for cell, area in zip(part.cell, part.area, strict=True):
        region, crop = divmod(int(cell), len(cols.names))
        found.setdefault(f"{cols.names[crop]}/{regions[region]}", []).append(float(area))
    return found


def test_two_parcels_of_one_holding_are_two_parcels_and_one_holding() -> None:
    found, cols, regions = contributors(
        (("a", "FRH01", 2.0, "BTH", "h1"), "wheat"),
        (("b", "FRH01", 3.0, "BTH", "h1"), "wheat"),
        (("c", "FRH01", 5.0, "BTH", "h2"), "wheat"),
    )
    assert cells(found.located, cols, regions) == {"C1110/FRH01": [2, 3, 5]}
    assert cells(found.assigned, cols, regions) == {"C1110/FRH01": [5, 5]}
    assert found.parcels[cols.names.index("C1110")] == 3


def test_a_use_of_corn_is_also_in_the_sum_of_both() -> None:
    found, cols, regions = contributors(
        (("a", "FRH01", 2.0, "MIE", "h1"), "corn"), (("b", "FRH01", 3.0, "MIS", "h2"), "corn")
    )
    assert cells(found.declared, cols, regions) == {"C1500/FRH01": [3], "G3000/FRH01": [2], "C1500+G3000/FRH01": [2, 3]}


def test_an_undeclared_parcel_is_assigned_to_what_it_looks_like_and_declares_nothing() -> None:
    found, cols, regions = contributors(
        (("a", "FRH01", 2.0, None, "h1"), "meadow"), (("b", "FRH01", 3.0, "BTH", "h2"), "wheat")
    )
    assert cells(found.assigned, cols, regions) == {"C1110/FRH01": [3], "J0000/FRH01": [2]}
    assert cells(found.declared, cols, regions) == {"C1110/FRH01": [3]}


def test_a_declaration_counts_where_it_is_declared_and_is_mapped_where_it_looks() -> None:
    found, cols, regions = contributors(
        (("a", "FRH01", 2.0, "BTH", "h1"), "meadow"), (("b", "FRH01", 3.0, "PPH", "h2"), "meadow")
    )
    assert cells(found.declared, cols, regions) == {"C1110/FRH01": [2], "J0000/FRH01": [3]}
    assert cells(found.mapped, cols, regions) == {"J0000/FRH01": [2, 3]}


def test_one_level_up_a_holding_of_two_regions_counts_once() -> None:
    found, cols, _ = contributors(
        (("a", "FRH01", 2.0, "BTH", "h1"), "wheat"),
        (("b", "FRH02", 3.0, "BTH", "h1"), "wheat"),
        (("c", "FRH02", 4.0, "BTH", "h2"), "wheat"),
    )
    above = found.above(np.array([0, 0]), parents=1)
    assert cells(above.assigned, cols, ("FRH0",)) == {"C1110/FRH0": [5, 4]}
    assert cells(above.located, cols, ("FRH0",)) == {"C1110/FRH0": [2, 3, 4]}
    assert above.cells == len(cols.names)


def test_where_no_parcel_names_its_holding_each_is_one_of_its_own() -> None:
    found, cols, regions = contributors(
        (("a", "FRH01", 2.0, "BTH", None), "wheat"), (("b", "FRH01", 3.0, "BTH", None), "wheat")
    )
    assert not found.holdings_known
    assert cells(found.assigned, cols, regions) == {"C1110/FRH01": [2, 3]}
