"""Primary rules by hand."""

import numpy as np
import pandas as pd

from cropmap.statistics.confidentiality import HIDDEN, Contributions, sensitive, suppress


def _contributions(cells: list[list[float]]) -> Contributions:
    """One list of holdings' areas per cell."""
    cell = np.repeat(np.arange(len(cells)), [len(areas) for areas in cells])
    return Contributions.of(cell, np.arange(len(cell)), np.array([area for areas in cells for area in areas]))


def test_threshold_counts_holdings() -> None:
    cells = [[1.0, 1, 1], [1, 1, 1, 1], []]
    mask = sensitive(_contributions(cells), cells=3, min_holdings=4, dominance=(2, 0.85))
    assert list(mask) == [True, False, False]


def test_dominance_of_the_two_largest() -> None:
    cells = [[50.0, 1, 36, 7, 6], [50.0, 1, 34, 8, 7]]  # 86 % and 84 % of 100
    mask = sensitive(_contributions(cells), cells=2, min_holdings=4, dominance=(2, 0.85))
    assert list(mask) == [True, False]
    assert not sensitive(_contributions(cells), cells=2, min_holdings=4, dominance=(1, 0.6)).any()


def test_parcels_of_one_holding_are_one_contribution() -> None:
    holding = np.array([7, 7, 7, 9])
    parts = Contributions.of(np.array([0, 0, 1, 0]), holding, np.array([1.0, 2.0, 4.0, 8.0]))
    assert parts.cell.tolist() == [0, 0, 1]
    assert parts.holding.tolist() == [7, 9, 7]
    assert parts.area.tolist() == [3.0, 8.0, 4.0]
    assert parts.holdings(3).tolist() == [2, 1, 0]


def test_one_mask_for_all_figures() -> None:
    table = pd.DataFrame({column: [1.0, 2.0] for column in HIDDEN} | {"obs_flag": ["e", "u"], "crop": ["a", "b"]})
    hidden = suppress(table, np.array([True, False]))
    assert hidden.loc[0, list(HIDDEN)].isna().all()
    assert (hidden.loc[1, list(HIDDEN)] == 2).all()
    assert hidden["conf_status"].tolist() == ["C", None]
    assert hidden["obs_flag"].tolist() == [None, "u"]
    assert hidden["crop"].tolist() == ["a", "b"]
