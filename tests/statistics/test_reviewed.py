"""What inspectors found, beside the population."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cropmap.errors import InputError
from cropmap.statistics.crops import Columns, columns
from cropmap.statistics.population import Population, declared_codes, population_of
from cropmap.statistics.reviewed import match_reviews, with_finding
from tests.statistics.population import CROPS, Predicted, legend


def visited(*rows: tuple[str, str | None, float]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["parcel_id", "found_code", "inclusion_probability"]).astype(
        {"found_code": object}
    )


def people_of(*places: tuple[str, str]) -> tuple[Population, Columns]:
    """Parcels by name and region: wheat, and corn of two uses, so that the published crops have a sum."""
    codes = ["BTH", "MIE", "MIS"]
    parcels = pd.DataFrame(
        [(name, region, 1.0, codes[n % 3], "h") for n, (name, region) in enumerate(places)],
        columns=["parcel_id", "nuts_id", "area_ha", "crop_code", "holding_id"],
    )
    ids = np.array(list(dict.fromkeys(name for name, _ in places)), dtype=object)
    cols = columns(legend(), CROPS, declared_codes(parcels) | set(codes))
    said = Predicted(ids, CROPS, np.full((len(ids), len(CROPS)), 0.25, np.float32))
    return population_of(parcels, said, legend(), cols, regions=()), cols


def test_only_what_was_visited_counts() -> None:
    rows = with_finding(visited(("a", "BTH", 0.5), ("b", None, 0.5)))
    assert rows["parcel_id"].tolist() == ["a"]
    assert with_finding(None).empty
    assert set(with_finding(None)) == {"parcel_id", "found_code", "inclusion_probability"}


def test_a_finding_is_one_crop_and_its_sums_at_the_parcels_place() -> None:
    population, cols = people_of(("a", "FRH01"), ("b", "FRH01"), ("c", "FRH01"))
    position, truth, inclusion = match_reviews(visited(("c", "MIS", 0.2), ("b", "BTH", 0.4)), population, cols)
    assert position.tolist() == [1, 2], "by place, in whatever order they were reviewed"
    assert inclusion.tolist() == [0.4, 0.2]
    named = [{cols.names[j] for j in np.flatnonzero(row)} for row in truth]
    assert named == [{"C1110"}, {"C1500", "C1500+G3000"}]


def test_a_parcel_at_a_border_was_reviewed_in_each_of_its_regions() -> None:
    population, cols = people_of(("a", "FRH01"), ("a", "FRH02"), ("b", "FRH02"))
    position, _, inclusion = match_reviews(visited(("a", "BTH", 0.5)), population, cols)
    assert population.parcel_id[position].tolist() == ["a", "a"]
    assert population.region[position].tolist() == [0, 1]
    assert inclusion.tolist() == [0.5, 0.5]


def test_reviews_of_other_parcels_are_left_out() -> None:
    population, cols = people_of(("a", "FRH01"))
    position, truth, _ = match_reviews(visited(("z", "BTH", 0.5)), population, cols)
    assert len(position) == 0
    assert truth.shape == (0, len(cols.names))


@pytest.mark.parametrize("probability", [0.0, -0.1, 1.0001, np.nan])
def test_a_probability_is_above_zero_and_at_most_one(probability: float) -> None:
    population, cols = people_of(("a", "FRH01"))
    assert match_reviews(visited(("a", "BTH", 1.0)), population, cols)[2].tolist() == [1.0]
    with pytest.raises(InputError, match=r"not in \(0, 1\]"):
        match_reviews(visited(("a", "BTH", probability)), population, cols)


def test_a_parcel_is_reviewed_once() -> None:
    population, cols = people_of(("a", "FRH01"))
    with pytest.raises(InputError, match="parcel a is reviewed twice"):
        match_reviews(visited(("a", "BTH", 0.5), ("a", "MIE", 0.5)), population, cols)
