"""What becomes of each parcel of a region: its verdict, its column, and the cell that it is added to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import numpy as np
import pandas as pd
import pytest

from cropmap.statistics.crops import Columns, columns
from cropmap.statistics.population import Population, declared_codes, population_of
from cropmap.statistics.totals import VERDICTS, Totals, totals
from tests.statistics.population import CROPS, Predicted, legend

Row = tuple[str, str, float, str | None]
"""parcel, region, ha, declared code"""
CERTAIN = {crop: np.where(np.array(CROPS) == crop, 0.9997, 0.0001) for crop in CROPS}


def added(*rows: tuple[Row, np.ndarray | None], reviewed: tuple[int, ...] = ()) -> tuple[Totals, Columns, Population]:
    """Each parcel with its probabilities; None where it was never observed."""
    parcels = pd.DataFrame([row for row, _ in rows], columns=["parcel_id", "nuts_id", "area_ha", "crop_code"])
    parcels = parcels.assign(holding_id="h").astype({"crop_code": object})
    nothing = np.full(len(CROPS), np.nan)
    probabilities = np.array([nothing if said is None else said for _, said in rows], dtype=np.float32)
    cols = columns(legend(), CROPS, declared_codes(parcels))
    said = Predicted(parcels["parcel_id"].to_numpy(object), CROPS, probabilities)
    population = population_of(parcels, said, legend(), cols, regions=())
    return totals(population, probabilities, cols, reviewed=np.array(reviewed, dtype=np.intp)), cols, population


def verdicts(found: Totals) -> list[str]:
    return [VERDICTS[place] for place in found.verdict]


def test_every_parcel_falls_into_one_of_five_cells() -> None:
    wheat = [((f"w{n}", "FRH01", 1.0, "BTH"), CERTAIN["wheat"]) for n in range(20)]
    meadow = [((f"x{n}", "FRH01", 1.0, "PPH"), CERTAIN["meadow"]) for n in range(20)]
    found, _, population = added(
        *wheat,
        *meadow,
        (("y1", "FRH01", 1.0, "BTH"), CERTAIN["meadow"]),  # declared wheat, certainly meadow
        (("y2", "FRH01", 1.0, None), CERTAIN["wheat"]),  # declared nothing
        (("y3", "FRH01", 1.0, "BTH"), None),  # never observed
        (("y4", "FRH01", 1.0, "HBL"), CERTAIN["wheat"]),  # hops: no class of the model
        (("y5", "FRH01", 1.0, None), None),  # neither
    )
    of = dict(zip(population.parcel_id, verdicts(found), strict=True))
    assert {of[f"w{n}"] for n in range(20)} | {of[f"x{n}"] for n in range(20)} == {"confirmed"}
    assert [of[f"y{n}"] for n in range(1, 6)] == [
        "conflict",
        "undeclared",
        "declared_only",
        "declared_only",
        "undeclared",
    ]
    assert found.cells.area.sum() == pytest.approx(45), "nothing is dropped"
    assert dict(zip(VERDICTS, found.cells.area[0], strict=True)) == pytest.approx(
        {"confirmed": 40, "agrees": 0, "conflict": 1, "undeclared": 2, "declared_only": 2}
    )


def test_an_agreement_is_confirmed_where_it_is_nearly_certain() -> None:
    """Half declare each crop, and the classifier's .9 and .1 give each its count already, so that raking changes
    nothing. q = .9 x .97 / (.9 x .97 + .1 x .03) = .9966 is above .995; with .8 and .2 it is .9923, and below."""
    for sure, expected in ((0.9, "confirmed"), (0.8, "agrees")):
        probabilities = {crop: np.full(4, 1e-7) for crop in ("wheat", "meadow")}
        for crop, other in (("wheat", "meadow"), ("meadow", "wheat")):
            probabilities[crop][[CROPS.index(crop), CROPS.index(other)]] = sure, 1 - sure
        found, _, _ = added(
            *(((f"w{n}", "FRH01", 1.0, "BTH"), probabilities["wheat"]) for n in range(10)),
            *(((f"x{n}", "FRH01", 1.0, "PPH"), probabilities["meadow"]) for n in range(10)),
        )
        assert set(verdicts(found)) == {expected}
        assert found.raked.all()


def test_a_declaration_that_cannot_be_judged_stands_as_it_is() -> None:
    """With the variance of one that is wrong with probability ε = .03: .03 x .97 of its area."""
    found, cols, _ = added((("a", "FRH01", 4.0, "BTH"), None))
    wheat, alone = cols.names.index("C1110"), VERDICTS.index("declared_only")
    assert found.cells.synthetic[0, alone, wheat] == pytest.approx(4.0)
    assert found.cells.variance[0, alone, wheat] == pytest.approx(4.0 * 0.03 * 0.97)
    assert found.cells.chance[0, alone, wheat] == pytest.approx(4.0**2 * 0.03 * 0.97)
    assert found.mapped.sum() == 0, "what was never seen is on no map"


def test_what_is_neither_seen_nor_declared_is_shared_as_its_region_declares() -> None:
    """3 ha of wheat and 1 ha of meadow are declared: 2 ha more are 1.5 and 0.5."""
    found, cols, _ = added(
        (("a", "FRH01", 3.0, "BTH"), None), (("b", "FRH01", 1.0, "PPH"), None), (("c", "FRH01", 2.0, None), None)
    )
    undeclared = found.cells.synthetic[0, VERDICTS.index("undeclared")]
    named = {cols.names[place]: undeclared[place] for place in np.flatnonzero(undeclared)}
    assert named == pytest.approx({"C1110": 1.5, "J0000": 0.5})
    assert cols.names[found.assigned[2]] == "C1110", "the likeliest"


def test_regions_do_not_share_their_declarations() -> None:
    found, cols, _ = added(
        (("a", "FRH01", 3.0, "BTH"), None), (("b", "FRH02", 1.0, "PPH"), None), (("c", "FRH02", 2.0, None), None)
    )
    assert cols.names[found.assigned[2]] == "J0000"
    assert found.declared[:, [cols.names.index(crop) for crop in ("C1110", "J0000")]].tolist() == [[3, 0], [0, 1]]


def test_the_map_goes_by_the_likeliest_class_and_splits_uses_as_declared() -> None:
    """Corn is declared as 3 ha of grain and 1 ha of green maize. A parcel of 2 ha that declares wheat and looks like
    corn is 1.5 ha of grain on the map; one that declares green maize and looks like corn is green maize."""
    found, cols, population = added(
        (("a", "FRH01", 3.0, "MIS"), CERTAIN["corn"]),
        (("b", "FRH01", 1.0, "MIE"), CERTAIN["corn"]),
        (("c", "FRH01", 2.0, "BTH"), CERTAIN["corn"]),
    )
    mapped = dict(zip(cols.names, found.mapped[0], strict=True))
    assert mapped["C1500"] == pytest.approx(3 + 1.5)
    assert mapped["G3000"] == pytest.approx(1 + 0.5)
    assert mapped["C1500+G3000"] == pytest.approx(6)
    parcel, column, area = found.mapped_parts
    parts = {(population.parcel_id[p], cols.names[j]): ha for p, j, ha in zip(parcel, column, area, strict=True)}
    assert parts == pytest.approx({("a", "C1500"): 3, ("b", "G3000"): 1, ("c", "C1500"): 1.5, ("c", "G3000"): 0.5})


def test_cells_that_hold_a_review_are_those_that_have_strata() -> None:
    """One review of wheat in FRH01: the strata are those of its verdict alone, and of its region alone."""
    rows = [
        (("a", "FRH01", 1.0, "BTH"), CERTAIN["wheat"]),
        (("b", "FRH01", 2.0, "PPH"), CERTAIN["meadow"]),
        (("c", "FRH01", 4.0, "BTH"), None),
        (("d", "FRH02", 8.0, "BTH"), CERTAIN["wheat"]),
    ]
    found, _, _ = added(*rows, reviewed=(0,))
    assert verdicts(found)[0] == verdicts(found)[1]
    assert found.strata.region.tolist() == [0, 0]
    assert {VERDICTS[place] for place in found.strata.verdict} == {verdicts(found)[0]}
    assert sorted(found.strata.area.tolist()) == [1, 2]
    assert found.strata.area[found.reviewed_stratum].tolist() == [1]
    nothing, _, _ = added(*rows)
    assert len(nothing.strata.area) == len(nothing.reviewed_stratum) == 0


def test_a_review_may_find_what_no_posterior_allowed() -> None:
    """Only wheat is declared and never seen: no other crop has a variance, and a review that finds one would be
    impossible. It gets that of a wrong declaration, ε / J of the area."""
    row = (("a", "FRH01", 4.0, "BTH"), None)
    before, cols, _ = added(row)
    after, _, _ = added(row, reviewed=(0,))
    other, alone = cols.names.index("J0000"), VERDICTS.index("declared_only")
    assert before.cells.variance[0, alone, other] == 0
    assert after.cells.variance[0, alone, other] == pytest.approx(0.03 / len(cols.crops) * 4.0)
    wheat = cols.names.index("C1110")
    assert after.cells.variance[0, alone, wheat] == before.cells.variance[0, alone, wheat]


def test_a_region_is_added_up_in_parts_as_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, draw = ("BTH", "PPH", "MIS", "MIE", "HBL", None), np.random.default_rng(5)
    rows = [
        ((f"p{n:02}", f"FRH0{1 + n // 30}", float(draw.uniform(0.5, 9)), codes[draw.integers(len(codes))]), said)
        for n in range(45)
        for said in (None if draw.random() < 0.2 else draw.dirichlet(np.ones(len(CROPS))),)
    ]
    reviewed = (0, 7, 8, 29, 31, 44)
    whole, _, _ = added(*rows, reviewed=reviewed)
    monkeypatch.setattr("cropmap.statistics.totals.PART", 7)
    parts, _, _ = added(*rows, reviewed=reviewed)
    assert len(whole.strata.area) > len(set(whole.strata.verdict.tolist())) > 1

    def figures(found: Totals) -> Iterator[np.ndarray]:
        for value in (getattr(found, column.name) for column in fields(found)):
            yield from value if isinstance(value, tuple) else vars(value).values() if is_dataclass(value) else [value]

    for one, other in zip(figures(whole), figures(parts), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-11, atol=1e-13)
