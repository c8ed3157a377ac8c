"""Which hidden cells are freed, by hand."""

import numpy as np

from cropmap.disclosure import Earlier, Figure, Structure, check, protect
from cropmap.disclosure.audit import untracked
from cropmap.disclosure.search import Search
from cropmap.disclosure.thinning import _Proofs, thinned
from tests.disclosure.tables import RULES, figure_of, margins, mask

INNER = [f"r{row}/c{column}" for row in (1, 2, 3) for column in (1, 2, 3)]
CYCLE = ["r1/c1", "r1/c2", "r2/c1", "r2/c2"]


def _table() -> tuple[Structure, Figure]:
    """r1/c1 has two holdings; the third row and column are the dearest."""
    structure, _ = margins([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    areas = {name: [5.0 if "3" in name else 1.0] * 20 for name in INNER}
    areas["r1/c1"] = [3.0, 2.0]
    return structure, figure_of(structure, areas)


def _thinned(earlier: list[str]) -> list[str]:
    structure, figure = _table()
    nothing = np.zeros(structure.cells, dtype=bool)
    search = Search(
        structure,
        [figure],
        np.full(structure.cells, 4),
        RULES,
        mask(structure, ["T/T"]),
        Earlier(mask(structure, earlier), nothing),
        untracked,
    )
    return [structure.name(int(cell)) for cell in np.flatnonzero(thinned(search, mask(structure, INNER)))]


def test_what_the_sensitive_cell_needs_stays() -> None:
    assert sorted(_thinned([])) == CYCLE


def test_what_an_earlier_release_hid_stays() -> None:
    """r3/c3 cannot be alone in its row or column: it would follow."""
    kept = _thinned(["r3/c3"])
    assert {*CYCLE[:1], "r3/c3"} < set(kept) < set(INNER)
    assert all(sum(name.startswith(row) for name in kept) != 1 for row in ("r1", "r2", "r3"))
    assert all(sum(name.endswith(column) for name in kept) != 1 for column in ("c1", "c2", "c3"))


def test_a_thinned_pattern_is_safe_and_never_dearer() -> None:
    structure, figure = _table()
    needed = np.full(structure.cells, 4)
    full, thin = (protect(structure, [figure], needed, RULES, clean_up=clean) for clean in (False, True))
    assert check(structure, [figure], thin, needed, RULES).safe
    assert figure.values[thin.hidden].sum() <= figure.values[full.hidden].sum()


def test_a_flow_that_goes_further_proves_a_narrower_width() -> None:
    """Only in its own direction, and only as far as it goes."""
    proofs = _Proofs(3)
    for flow in ([2.0, -4.0, 0.0], [1.0, 0.0, -1.0]):
        proofs.add(np.array(flow))
    half = proofs.scaled(0, 1.0)
    assert half is not None
    assert half.tolist() == [1.0, -2.0, 0.0]
    assert proofs.scaled(0, 2.5) is None
    assert proofs.scaled(0, -1.0) is None
    down = proofs.scaled(2, -0.5)
    assert down is not None
    assert down.tolist() == [0.5, 0.0, -0.5]
