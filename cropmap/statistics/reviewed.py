"""What people found on the parcels of a sample, as arrays beside the population."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cropmap.errors import InputError
from cropmap.statistics.crops import Columns
from cropmap.statistics.population import NONE, Population
from cropmap.statistics.posterior import Floats, Integers


def with_finding(reviews: pd.DataFrame | None) -> pd.DataFrame:
    """Rows (parcel_id, found_code, inclusion_probability) that were visited."""
    if reviews is None:
        return pd.DataFrame({"parcel_id": [], "found_code": [], "inclusion_probability": []}, dtype=object)
    return reviews[reviews["found_code"].notna()]


def match_reviews(visited: pd.DataFrame, population: Population, cols: Columns) -> tuple[Integers, Floats, Floats]:
    """(position in the population, y [n, J + S], π), by position; reviews of parcels outside it are left out."""
    repeated = visited["parcel_id"][visited["parcel_id"].duplicated()]
    if len(repeated):
        raise InputError(f"parcel {repeated.iloc[0]} is reviewed twice", where="reviews", mend="Keep one row of it")
    inclusion = visited["inclusion_probability"].to_numpy(float)
    if not ((inclusion > 0) & (inclusion <= 1)).all():
        raise InputError("an inclusion probability is not in (0, 1]", where="reviews", mend="Keep the sample's column")
    # a parcel that is divided at a border was reviewed in each of its regions
    review = pd.Index(visited["parcel_id"]).get_indexer(population.parcel_id)
    position = np.flatnonzero(review != NONE)
    review = review[position]
    truth = np.zeros((len(review), len(cols.crops)))
    columns_found = [cols.of_code[code] for code in visited["found_code"].to_numpy(object)[review]]
    truth[np.arange(len(review)), columns_found] = 1
    return position, cols.with_sums(truth), inclusion[review]
