"""What a stage adds to the flags, and what changed between two releases: by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.dissemination.revisions import revisions, with_stage
from cropmap.schemas import ReleaseStage
from tests.dissemination.published import SECRET, hidden, row


def table(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(rows)[list(STATISTIC_COLUMNS)]


BEFORE = table(
    row("FRH0", "C1110", 100.0, ci95_low_ha=90.0, ci95_high_ha=110.0),
    row("FRH0", "C1500", 50.0, ci95_low_ha=49.0, ci95_high_ha=51.0),
    row("FRH01", "C1110", 40.0, ci95_low_ha=None, ci95_high_ha=None),
    row("FRH01", "C1500", 0.0, obs_flag=None, ci95_low_ha=0.0, ci95_high_ha=0.0),
    row("FRH02", "C1110", 60.0),
    hidden("FRH02", "C1500"),
    row("FRH03", "R1000", 5.0),
)
NOW = table(
    row("FRH0", "C1110", 105.0),
    row("FRH0", "C1500", 40.0),
    row("FRH01", "C1110", 40.0),
    row("FRH01", "C1500", 2.0, obs_flag="u"),
    hidden("FRH02", "C1110"),
    row("FRH02", "C1500", 8.0),
    row("FRH04", "R1000", 7.0),
)


def test_every_cell_of_either_release_has_one_state() -> None:
    found = revisions(NOW, BEFORE).table
    found = found.drop(columns=["level", "strucpro", "concept"])
    assert found.astype(object).where(found.notna(), None).to_numpy().tolist() == [
        ["FRH0", "C1110", 100.0, 105.0, 5.0, 0.05, False, "revised"],
        ["FRH0", "C1500", 50.0, 40.0, -10.0, -0.2, True, "revised"],
        ["FRH01", "C1110", 40.0, 40.0, 0.0, 0.0, None, "unchanged"],
        ["FRH01", "C1500", 0.0, 2.0, 2.0, None, True, "revised"],
        ["FRH02", "C1110", None, None, None, None, None, "confidential"],
        ["FRH02", "C1500", None, None, None, None, None, "confidential"],
        ["FRH03", "R1000", 5.0, None, None, None, None, "gone"],
        ["FRH04", "R1000", None, 7.0, None, None, None, "new"],
    ]
    assert str(SECRET) not in found.to_csv()


def test_the_summary_counts_states_and_sizes_revisions_per_level() -> None:
    upper, lower = revisions(NOW, BEFORE).summary()
    assert (upper["level"], upper["revised"], upper["mr_ha"], upper["mar_ha"]) == (2, 2, -2.5, 7.5)
    assert upper["rmar"] == pytest.approx(15 / 145)
    assert upper["outside_interval"] == 0.5
    assert {name: lower[name] for name in ("unchanged", "revised", "new", "gone", "confidential")} == {
        "unchanged": 1,
        "revised": 1,
        "new": 1,
        "gone": 1,
        "confidential": 2,
    }
    assert (lower["mar_ha"], lower["outside_interval"]) == (1.0, 1.0)
    assert lower["rmar"] == pytest.approx(2 / 42)


def test_nothing_to_compare_has_no_size() -> None:
    (only,) = revisions(table(hidden("FRH0", "C1110")), table(hidden("FRH0", "C1110"))).summary()
    assert (only["confidential"], only["mar_ha"], only["rmar"], only["outside_interval"]) == (1, None, None, None)


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (ReleaseStage.FIRST, ["f", "fu", "f", "f", None]),
        (ReleaseStage.PROVISIONAL, ["ep", "up", "p", "fp", None]),
        (ReleaseStage.FINAL, ["e", "u", None, "f", None]),
    ],
)
def test_a_stage_says_what_it_is_in_the_flags(stage: ReleaseStage, expected: list[str | None]) -> None:
    rows = table(
        row("FRH0", "C1110", 1.0, obs_flag="e"),
        row("FRH0", "C1500", 1.0, obs_flag="u"),
        row("FRH0", "G0000", 1.0, obs_flag=None),
        row("FRH0", "R1000", 1.0, obs_flag="f"),
        hidden("FRH01", "C1110"),
    )
    assert with_stage(rows, stage)["obs_flag"].tolist() == expected


def test_what_a_second_final_release_changes_is_revised() -> None:
    flags = with_stage(NOW, ReleaseStage.FINAL, before=BEFORE, before_stage="final")["obs_flag"].tolist()
    assert flags == ["er", "er", "e", "ur", None, "e", "e"]
    assert with_stage(NOW, ReleaseStage.FINAL, before=BEFORE, before_stage="provisional")["obs_flag"].tolist()[0] == "e"
