"""What an earlier release shows and hides, on a table of two crops in two regions and their totals."""

from __future__ import annotations

import numpy as np

from cropmap.disclosure.releases import Earlier
from tests.disclosure.tables import margins, mask

TABLE, _ = margins([[1, 2], [3, 4]])


def names(chosen: np.ndarray) -> list[str]:
    return [name for name, one in zip(TABLE.names, chosen, strict=True) if one]


def test_a_cell_is_hidden_or_published_or_was_not_there() -> None:
    earlier = Earlier.of(TABLE, {("r1", "c1"): True, ("r2", "c1"): False, ("r9", "c1"): True})
    assert names(earlier.hidden) == ["r1/c1"]
    assert names(earlier.published) == ["r2/c1"], "a cell that nobody knows of, such as r1/c2, is neither"


def test_without_an_earlier_release_nothing_is_either() -> None:
    nothing = Earlier.none(TABLE)
    assert not nothing.hidden.any()
    assert not nothing.published.any()
    nothing.hidden[0] = True
    assert not nothing.published[0], "two masks, not one array twice"


def test_of_cells_that_become_one_a_published_one_shows_all() -> None:
    """r1/c1 (hidden) and r2/c1 (published) become node 0: whoever knows the one knows the other. r1/c2 and r2/c2, both
    hidden, become node 1. Everything else becomes node 2, of which nothing is known."""
    earlier = Earlier(mask(TABLE, ["r1/c1", "r1/c2", "r2/c2"]), mask(TABLE, ["r2/c1"]))
    node = np.full(TABLE.cells, 2)
    node[mask(TABLE, ["r1/c1", "r2/c1"])] = 0
    node[mask(TABLE, ["r1/c2", "r2/c2"])] = 1
    merged = earlier.merged(node, cells=3)
    assert merged.published.tolist() == [True, False, False]
    assert merged.hidden.tolist() == [False, True, False]
