"""Maps and bars: shares of the surface by hand, hatching where a cell is hidden, and no trace of what is hidden."""

from __future__ import annotations

import pandas as pd
import pytest
from shapely import box
from shapely.geometry import MultiPolygon

from cropmap.reports.areas import crop_areas
from cropmap.reports.bars import bars
from cropmap.reports.maps import crop_map, outlines
from cropmap.reports.scale import COLOURS, scale
from tests.dissemination.published import hidden, row
from tests.reports.seasons import ITEMS, NAMES, SECRETS, areas, squares


@pytest.mark.parametrize(
    ("largest", "step"), [(10.0, 2.0), (12.35, 2.5), (5.0, 1.0), (0.07, 0.02), (99.0, 20.0), (0.0, 1.0)]
)
def test_a_scale_has_round_steps_that_reach_the_largest_value(largest: float, step: float) -> None:
    found = scale([0.0, largest])
    assert found.step == pytest.approx(step)
    assert [colour for colour, _, _ in found.classes] == list(COLOURS)
    end = found.classes[-1][2]
    assert end is not None
    assert end >= largest


def test_values_fall_into_the_class_that_they_open() -> None:
    found = scale([10.0])
    assert [found.colour(value) for value in (0.0, 1.99, 2.0, 9.9, 10.0)] == [
        COLOURS[0],
        COLOURS[0],
        COLOURS[1],
        COLOURS[4],
        COLOURS[4],
    ]


def test_one_extreme_among_many_does_not_leave_the_map_one_colour() -> None:
    found = scale([*range(1, 20), 1_000.0])
    # nine tenths of the values lie at 18.1 or below
    assert (found.step, found.open_end) == (5.0, True)
    assert found.classes[-1] == (COLOURS[4], 20.0, None)
    assert found.colour(1_000.0) == COLOURS[4]


def test_a_map_shows_shares_of_the_surface_and_hatches_what_is_hidden() -> None:
    found = areas()
    sheet = outlines(squares())
    assert [round(region.surface_km2, 6) for region in sheet.regions] == [100.0, 100.0, 100.0]
    wheat = crop_map(found.crops[0], found, sheet, number=3)
    # 1,234.56 and 500 of 10,000 ha: 12.35 and 5 %, in classes of 2.5 %
    assert wheat.legend == ((COLOURS[2], "5\u20137.5"), (COLOURS[4], "10\u201312.5"))
    assert (wheat.has_hidden, wheat.has_none) == (True, False)
    assert wheat.svg.count('fill="url(#hatch-3)"') == 1
    assert "FRH01 Côtes-d&#x27;Armor: 1\u202f235 ha, 12.35\u202f% of the surface" in wheat.svg
    assert "FRH03 Ille-et-Vilaine: confidential" in wheat.svg
    assert "from 5.00\u202f% in FRH02 to 12.35\u202f% in FRH01; 1 confidential" in wheat.svg
    assert not any(secret in wheat.svg for secret in SECRETS)
    maize = crop_map(found.crops[2], found, sheet, number=4)
    assert (maize.has_hidden, maize.has_none) == (True, True)


@pytest.mark.parametrize("secret_ha", [0.5, 9_999.0])
def test_a_hidden_figure_changes_nothing_that_is_drawn(secret_ha: float) -> None:
    def drawn(figure: float) -> str:
        rows = pd.DataFrame([row("FRH0", "C1110", 100.0), row("FRH01", "C1110", 60.0), hidden("FRH02", "C1110")])
        rows.loc[2, ["declared_ha", "estimate_ha", "ci95_high_ha"]] = figure
        one = crop_areas(rows, head="FRH0", names=NAMES, items=ITEMS, sums={})
        return crop_map(one.crops[0], one, outlines(squares()), number=1).svg + bars(one, most=5)[0].svg

    assert drawn(secret_ha) == drawn(777.77)


def test_small_islands_are_left_out_and_shared_edges_stay() -> None:
    regions = squares()
    speck = box(4.005e6, 3.02e6, 4.0051e6, 3.0201e6)
    regions.loc[0, "geometry"] = MultiPolygon([regions.geometry[0], speck])
    first, second, _ = outlines(regions).regions
    assert first.path.count("M") == 1
    assert first.surface_km2 == pytest.approx(100.01)
    corners = [set(region.path.strip("MZ").split("L")) for region in (first, second)]
    assert len(corners[0] & corners[1]) == 2


def test_bars_start_at_zero_and_leave_hidden_crops_out() -> None:
    found = bars(areas(), most=2)
    assert [bar.crop.code for bar in found] == ["C1110", "C1500"]
    # the longest is the wheat's upper end, 3,100 ha: maize is declared on 1,200
    assert f'width="{1_200 / 3_100 * 100:.3f}"' in found[1].svg
    assert 'aria-label="Common wheat &amp; spelt: declared 3\u202f000 ha, estimated 3\u202f000 ha"' in found[0].svg
