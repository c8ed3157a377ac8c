"""Land whose holding is not known: the rules take the worst of what is possible."""

import numpy as np

from cropmap.disclosure import Contributions, Rules
from cropmap.disclosure.contributions import UNKNOWN


def _parts(*rows: tuple[int, int, float]) -> Contributions:
    cell, holding, area = (np.array(column) for column in zip(*rows, strict=True))
    return Contributions.of(cell, holding, area.astype(float))


def test_unknown_land_adds_no_holding_where_others_are_named() -> None:
    parts = _parts((0, 1, 2.0), (0, 2, 3.0), (0, UNKNOWN, 4.0), (0, UNKNOWN, 1.0), (1, UNKNOWN, 1.0), (2, 5, 1.0))
    assert parts.holdings(4).tolist() == [2, 1, 1, 0]


def test_unknown_land_is_the_largest_holding_s() -> None:
    largest = _parts((0, 1, 2.0), (0, 2, 3.0), (0, 3, 1.0), (0, UNKNOWN, 4.0), (1, UNKNOWN, 6.0)).largest(2, n=2)
    assert largest.total.tolist() == [10, 6]
    assert largest.first.tolist() == [3 + 4, 6]
    assert largest.second.tolist() == [2, 0]
    assert largest.top.tolist() == [3 + 2 + 4, 6]


def test_no_way_to_deal_unknown_land_out_is_worse_than_what_the_rules_assume() -> None:
    """Every parcel without a holding is given to every holding, and to one of its own: where any of these tables is
    sensitive, so is the one with unknown land."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        known = [(0, int(rng.integers(0, 4)), float(rng.uniform(1, 9))) for _ in range(rng.integers(1, 7))]
        area = float(rng.uniform(0.1, 20))
        rules, needed = Rules((2, 0.85), p_percent=10.0), np.array([rng.integers(1, 5)])
        strict = rules.sensitive(_parts(*known, (0, UNKNOWN, area)), needed)[0]
        dealt = [rules.sensitive(_parts(*known, (0, holding, area)), needed)[0] for holding in range(5)]
        assert strict >= max(dealt)


def test_the_only_named_holding_of_a_cell_may_be_alone_in_it() -> None:
    parts = _parts((0, 1, 2.0), (0, UNKNOWN, 3.0), (1, 1, 1.0), (1, 2, 1.0), (2, UNKNOWN, 1.0))
    cell, holding = parts.sole
    assert list(zip(cell.tolist(), holding.tolist(), strict=True)) == [(0, 1), (2, UNKNOWN)]
