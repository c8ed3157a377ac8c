"""Plausibility: what matches, what stands out and why, on figures that a reader can check by hand and on real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cropmap.dissemination import formats
from cropmap.dissemination.compare import ComparedFigure, Comparison, compare
from cropmap.dissemination.compare_figure import draw
from cropmap.dissemination.long_form import COLUMNS, LongForm, long_form
from cropmap.errors import InputError
from cropmap.schemas import LeftOut
from tests.dissemination.published import hidden, row


def eurostat(*figures: tuple[Any, ...]) -> LongForm:
    """(geo, crops, year, value[, flag[, strucpro]])"""
    rows = []
    for geo, crops, year, value, *more in figures:
        flag, measure = [*more, "", "AR_THS_HA"][:2] if len(more) < 2 else more
        measure = measure or "AR_THS_HA"
        status = "C" if flag == "C" else ""
        rows.append(["A", crops, measure, geo, str(year), value, "" if status else flag, status])
    return LongForm(pd.DataFrame(rows, columns=list(COLUMNS)))


def ours(*rows: dict[str, Any]) -> LongForm:
    return long_form(pd.DataFrame(list(rows)), nuts_version=2024)


def narrow(nuts_id: str, crop: str, ths_ha: float, **changes: Any) -> dict[str, Any]:
    """An estimate of so many 1000 ha with an interval of one per cent."""
    area = ths_ha * 1000
    return row(nuts_id, crop, area, se_ha=area / 200, ci95_low_ha=area * 0.99, ci95_high_ha=area * 1.01, **changes)


def only(comparison: Comparison) -> ComparedFigure:
    (found,) = comparison.rows
    return found


def test_a_figure_stands_beside_the_year_and_the_year_before() -> None:
    found = only(
        compare(
            ours(narrow("FRH0", "C1110", 300.0)),
            eurostat(("FRH0", "C1110", 2017, 250.0), ("FRH0", "C1110", 2018, 280.0, "p")),
        )
    )
    assert (found["ours"], found["eurostat"], found["flags"], found["strucpro"]) == (300.0, 280.0, "p", "AR_THS_HA")
    assert found["ratio"] == pytest.approx(300 / 280)
    assert (found["last_year"], found["last"], found["change"]) == (2017, 250.0, 1.2)
    assert (found["se"], found["outlier"]) == (1.5, "")


@pytest.mark.parametrize(
    ("area", "theirs", "outlier"),
    [(100.0, 79.0, "RATIO"), (100.0, 81.0, ""), (79.0, 100.0, "RATIO"), (0.12, 0.08, ""), (0.0, 3.0, "RATIO")],
)
def test_a_ratio_stands_out_beyond_a_quarter_and_beyond_rounding(area: float, theirs: float, outlier: str) -> None:
    found = only(compare(ours(narrow("FRH0", "C1110", area)), eurostat(("FRH0", "C1110", 2018, theirs))))
    assert found["outlier"] == outlier


def test_an_interval_that_holds_eurostats_figure_is_no_contradiction() -> None:
    wide = row("FRH0", "C1110", 100_000.0, se_ha=30_000.0, ci95_low_ha=40_000.0, ci95_high_ha=160_000.0)
    assert only(compare(ours(wide), eurostat(("FRH0", "C1110", 2018, 60.0))))["outlier"] == ""
    assert only(compare(ours(wide), eurostat(("FRH0", "C1110", 2018, 39.0))))["outlier"] == "RATIO"


SERIES = [
    ("FRH0", "R1000", year, value)
    for year, value in zip(range(2012, 2018), [10, 10.5, 10, 10.5, 10, 10.5], strict=True)
]


def test_a_step_that_the_series_never_made_stands_out() -> None:
    # yearly steps of ln(1.05) = 0.049: usual = 1.4826 x 0.049 = 0.072, three of them a factor of 1.24
    assert only(compare(ours(narrow("FRH0", "R1000", 13.2)), eurostat(*SERIES)))["outlier"] == "SERIES"
    assert only(compare(ours(narrow("FRH0", "R1000", 12.9)), eurostat(*SERIES)))["outlier"] == ""
    # two years later twice the variance is usual
    later = narrow("FRH0", "R1000", 13.2, season=2019)
    assert only(compare(ours(later), eurostat(*SERIES)))["outlier"] == ""


def test_a_break_ends_the_series_that_a_step_is_held_against() -> None:
    broken = [*SERIES[:4], ("FRH0", "R1000", 2016, 10.0, "b"), SERIES[5]]
    assert only(compare(ours(narrow("FRH0", "R1000", 20.0)), eurostat(*broken)))["outlier"] == ""
    this_year = eurostat(*SERIES, ("FRH0", "R1000", 2018, 20.0, "b"))
    assert only(compare(ours(narrow("FRH0", "R1000", 20.0)), this_year))["outlier"] == ""


def test_one_region_that_leaves_the_others_stands_out() -> None:
    names = ["FRH0", "FRI1", "FRI2", "FRI3", "FRF1", "FRF2"]
    areas = dict(zip(names, [90.0, 91.0, 89.0, 90.0, 90.0, 100.0], strict=True))  # a register without small farms
    table = compare(
        ours(*(narrow(geo, "C1110", area) for geo, area in areas.items())),
        eurostat(*((geo, "C1110", 2018, 100.0) for geo in names)),
    )
    assert {one["geo"]: one["outlier"] for one in table.rows} == dict.fromkeys(names, "") | {"FRF2": ""}
    # ln(120 / 90) = 0.29 is more than three times the floor of 0.05; the ratio 1.2 alone is none
    areas["FRF2"] = 120.0
    table = compare(
        ours(*(narrow(geo, "C1110", area) for geo, area in areas.items())),
        eurostat(*((geo, "C1110", 2018, 100.0) for geo in names)),
    )
    assert {one["geo"] for one in table.outliers} == {"FRF2"}
    assert table.rows[0]["outlier"] == "REGION"


def test_main_area_stands_in_where_eurostat_has_no_other() -> None:
    found = only(
        compare(
            ours(narrow("FRH0", "C1110", 10.0)),
            eurostat(("FRH0", "C1110", 2018, 10.0, "", "MAR_THS_HA"), ("FRH0", "C1110", 2001, 9.0)),
        )
    )
    assert (found["strucpro"], found["eurostat"], found["last"]) == ("MAR_THS_HA", 10.0, None)


def test_what_cannot_be_compared_is_counted_by_name() -> None:
    table = compare(
        ours(
            narrow("FRH0", "C1110", 1.0),
            narrow("FRH01", "C1110", 1.0),
            narrow("FRH0", "C1500", 1.0),
            narrow("FRH0", "R1000", 1.0),
            narrow("FRH0", "C1300", 1.0),
            hidden("FRH0", "C1210"),
            row("FRH0", "local:other", 5.0),
        ),
        eurostat(
            ("FRH0", "C1110", 2018, 1.0), ("FRH0", "R1000", 2018, float("nan"), "C"), ("FRH0", "C1300", 2020, 1.0)
        ),
    )
    assert len(table.rows) == 1
    assert table.left_out == {
        LeftOut.NO_ITEM_OF_ITS_OWN: {"local:other": 1},
        LeftOut.HIDDEN_HERE: {"FRH0 C1210": 1},
        LeftOut.REGION_NOT_IN_FILE: {"FRH01 C1110": 1},
        LeftOut.CROP_NOT_IN_FILE: {"FRH0 C1500": 1},
        LeftOut.HIDDEN_THERE: {"FRH0 R1000": 1},
        LeftOut.NO_VALUE: {"FRH0 C1300": 1},
    }


def test_nothing_in_common_is_an_error_that_counts_why() -> None:
    with pytest.raises(InputError, match=r"no figure matches.*REGION_NOT_IN_FILE: 1"):
        compare(ours(narrow("FRH0", "C1110", 1.0)), eurostat(("BE25", "C1110", 2018, 1.0)))


@pytest.mark.slow
def test_pictures_are_whole_and_always_the_same() -> None:
    table = compare(ours(narrow("FRH0", "R1000", 20.0)), eurostat(*SERIES, ("FRH0", "R1000", 2018, 10.0, "b")))
    svg = draw(table, kind="svg")
    assert svg.rstrip().endswith(b"</svg>")
    assert draw(table, kind="svg") == svg


@pytest.mark.shared_data
@pytest.mark.slow
def test_doubled_areas_are_found_among_real_ones(shared_data: Path) -> None:
    """Eurostat's own figures of 2019 as ours: nothing contradicts itself; then every seventh is doubled."""
    data = (shared_data / "eurostat" / "estat_apro_cpshr.tsv.gz").read_bytes()
    geo = {"FRH0", "FRK2", "FRE1", "FRF2", "FRI1", "FRB0", "BE24", "BE25"}
    bulk = formats.read(data, name="bulk", geo=geo)
    table = bulk.table[(bulk.table["TIME_PERIOD"] == "2019") & (bulk.table["strucpro"] == "AR_THS_HA")]
    same = table[table["OBS_VALUE"] > 1].reset_index(drop=True)
    honest = compare(LongForm(same), bulk)
    assert len(honest.rows) == len(same) > 100
    assert {one["ratio"] for one in honest.rows} == {1.0}
    assert not any("RATIO" in one["outlier"] for one in honest.rows)
    doubled = same.assign(OBS_VALUE=same["OBS_VALUE"].where(same.index % 7 != 0, same["OBS_VALUE"] * 2))
    found = {(one["geo"], one["crops"]) for one in compare(LongForm(doubled), bulk).rows if "RATIO" in one["outlier"]}
    assert found == {(one["geo"], one["crops"]) for one in same[same.index % 7 == 0].to_dict("records")}
