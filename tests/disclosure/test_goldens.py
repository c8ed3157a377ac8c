"""Tables whose intervals, primary cells and exposures were computed elsewhere."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropmap.disclosure import Axis, Figure, Rules, Structure, check, protect
from cropmap.disclosure.audit import feasible_intervals, recoverable, recoverable_from_both
from cropmap.disclosure.pooled import unsafe_lines
from cropmap.disclosure.primary import primary
from cropmap.disclosure.singletons import exposures
from tests.disclosure.tables import figure_of, margins, mask, published

ATTACKS, SMALL = "sdc_golden_attacks.json", "sdc_golden_small.json"


def _read(domain: Path, name: str) -> Any:
    path = domain / name
    if not path.is_file():
        pytest.skip(f"{path} is not at hand")
    return json.loads(path.read_text())


def _agree(structure: Structure, values: Any, suppressed: list[str], intervals: Any, close: float) -> None:
    low, high = feasible_intervals(structure, published(values, mask(structure, suppressed)))
    for name, bounds in intervals.items():
        cell = structure.names.index(name)
        assert (low[cell], high[cell]) == pytest.approx(bounds, abs=close), name


def _small(golden: Any) -> tuple[Structure, Figure]:
    structure = Structure(Axis.tree(golden["crop_tree"]), Axis.tree(golden["region_tree"]))
    areas: dict[str, list[Any]] = {}
    for holding, crop, region, area in golden["contributions_holding_crop_region_ha"]:
        areas.setdefault(f"{crop}/{region}", []).append((holding, area))
    return structure, figure_of(structure, areas)


def test_two_per_line_is_not_enough(domain: Path) -> None:
    golden = _read(domain, ATTACKS)
    case = golden["cases"]["bridge"]
    structure, values = margins(case["values"])
    _agree(structure, values, case["suppressed"], case["intervals"], golden["tolerance"])
    found = recoverable(structure, published(values, mask(structure, case["suppressed"])))
    assert [structure.name(int(cell)) for cell in found] == ["r2/c3"]


@pytest.mark.parametrize("pattern", ["pattern_rectangle", "pattern_three"])
def test_what_a_single_contributor_learns(domain: Path, pattern: str) -> None:
    golden = _read(domain, ATTACKS)
    case = golden["cases"]["singleton"]
    structure, values = margins(case["values"])
    one, expected = set(case["single_contributor"]), case[pattern]
    areas = {
        structure.name(cell): [float(x)] if structure.name(cell) in one else [x / 5] * 5
        for cell, x in enumerate(values)
        if "T" not in structure.name(cell).split("/")
    }
    figure = figure_of(structure, areas)
    hidden = mask(structure, expected["suppressed"])
    _agree(structure, values, expected["suppressed"], expected["outsider"], golden["tolerance"])
    insider = [name for name in expected["suppressed"] if name != "r1/c1"]
    _agree(structure, values, insider, expected["holder_of_r1c1"], golden["tolerance"])
    needed = np.full(structure.cells, 3)
    found = exposures(structure, hidden, figure.contributions, mask(structure, sorted(one)))
    assert [structure.name(exposure.cell) for exposure in found] == expected["exposed"]
    off = Rules(dominance=(1, 1.0))
    assert len(unsafe_lines(structure, hidden, figure.contributions, needed, off)) == expected["pooled_lines_unsafe"]


def test_two_releases_give_away_what_each_hides(domain: Path) -> None:
    golden = _read(domain, ATTACKS)
    case = golden["cases"]["two_releases"]
    structure, values = margins(case["values"])
    tables = []
    for release in ("release1", "release2"):
        _agree(structure, values, case[release], case[f"intervals_{release}"], golden["tolerance"])
        tables.append(published(values, mask(structure, case[release])))
        assert not len(recoverable(structure, tables[-1]))
    both = [name for name in case["release1"] if name in case["release2"]]
    _agree(structure, values, both, case["intervals_both"], golden["tolerance"])
    found = recoverable_from_both(structure, tables[1], tables[0])
    assert [structure.name(int(cell)) for cell in found] == ["r1/c1"]


def test_small_table_has_the_same_primary_cells(domain: Path) -> None:
    golden = _read(domain, SMALL)
    structure, figure = _small(golden)
    for name, cell in golden["cells"].items():
        assert figure.values[structure.names.index(name)] == pytest.approx(cell["x"], abs=1e-6)
    found = primary(figure.contributions, figure.values, np.full(structure.cells, 4), Rules())
    names = [structure.name(int(cell)) for cell in np.flatnonzero(found.mask)]
    assert sorted(names) == sorted(golden["primary"])
    for name, expected in golden["primary"].items():
        cell = structure.names.index(name)
        assert found.reason[cell] == expected["reason"]
        assert (found.upper[cell], found.lower[cell]) == pytest.approx((expected["upl"], expected["lpl"]), abs=1e-3)


@pytest.mark.parametrize(
    "pattern", ["pattern_two_per_line", "pattern_hypercube", "pattern_optimal", "pattern_reference"]
)
def test_small_table_patterns_are_attacked_alike(domain: Path, pattern: str) -> None:
    golden = _read(domain, SMALL)
    structure, figure = _small(golden)
    expected, needed = golden[pattern], np.full(structure.cells, 4)
    hidden = mask(structure, expected["suppressed"])
    _agree(structure, figure.values, expected["suppressed"], expected["intervals"], 1e-4)
    asked = primary(figure.contributions, figure.values, needed, Rules())
    low, high = feasible_intervals(structure, published(figure.values, hidden), np.flatnonzero(asked.mask))
    narrow = asked.mask & ((low > figure.values - asked.lower + 1e-4) | (high < figure.values + asked.upper - 1e-4))
    assert [structure.name(int(cell)) for cell in np.flatnonzero(narrow)] == expected["primary_too_narrow"]
    found = exposures(structure, hidden, figure.contributions, asked.mask)
    assert [structure.name(one.cell) for one in found] == expected["exposed_to_single_contributor"]
    lines = unsafe_lines(structure, hidden, figure.contributions, needed, Rules())
    assert len(lines) == expected["unsafe_pooled_lines"]


def test_small_table_is_protected_by_no_more_cells_than_the_reference(domain: Path) -> None:
    golden = _read(domain, SMALL)
    structure, figure = _small(golden)
    needed, total = np.full(structure.cells, 4), structure.cell("ARA", "XX")
    pattern = protect(structure, [figure], needed, Rules(), never_hidden=[total])
    assert check(structure, [figure], pattern, needed, Rules()).safe
    assert not pattern.hidden[total]
    assert pattern.hidden.sum() <= 1.25 * golden["pattern_reference"]["n_suppressed"]
