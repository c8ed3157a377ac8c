"""Released tables: one mask, modes, marks, releases of one season, and an audit that starts from the table alone."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest

from cropmap.errors import DisclosureError
from cropmap.schemas import Confidentiality
from cropmap.statistics.areas import estimate_areas
from cropmap.statistics.confidentiality import HIDDEN
from cropmap.statistics.hiding import EarlierRelease
from cropmap.statistics.release import audit
from cropmap.statistics.report import StatisticsReport
from tests.statistics.population import Predicted, legend, simulate

REGIONS = ("FRH01", "FRH02", "FRH03", "FRI11", "FRI12")


def _season(seed: int = 10) -> tuple[pd.DataFrame, Predicted]:
    """Few holdings with misc in some regions, many of everything else."""
    frame, predicted, _ = simulate(parcels=900, seed=seed, regions=REGIONS)
    rare = frame["nuts_id"].isin(["FRH01", "FRI12"]) & (frame["crop_code"] == "DIV")
    frame.loc[rare & (frame.index % 2 > 0), "crop_code"] = "PPH"
    return frame, predicted


_estimated = partial(estimate_areas, legend=legend(), min_holdings_nuts3=6)


@pytest.mark.slow
def test_a_table_for_publication_hides_more_and_survives_its_audit() -> None:
    frame, predicted = _season()
    full = _estimated(frame, predicted)
    primary = _estimated(frame, predicted, confidentiality=Confidentiality.PRIMARY)
    hidden, sensitive = (one.table["conf_status"] == "C" for one in (full, primary))
    assert (hidden | ~sensitive).all()
    assert hidden.sum() > sensitive.sum() > 0
    assert full.table.loc[hidden, list(HIDDEN)].isna().all(axis=None)
    assert full.table.loc[~hidden, ["estimate_ha", "declared_ha", "mapped_ha", "n_parcels"]].notna().all(axis=None)
    disclosure = full.report.disclosure
    assert disclosure.mode == "full"
    assert disclosure.min_holdings == 4
    assert disclosure.min_holdings_nuts3 == 6
    assert disclosure.primary_cells == sensitive.sum() == sum(disclosure.primary_by_rule.values())
    assert disclosure.secondary_cells == hidden.sum() - sensitive.sum()
    assert disclosure.as_json()["audit"] == {
        "recoverable": 0,
        "narrow": 0,
        "unsafe_lines": 0,
        "exposed": 0,
        "intervals_solved": True,
    }
    rules = ["mode", "min_holdings", "min_holdings_nuts3", "dominance", "p_percent", "earlier_release"]
    assert list(primary.report.disclosure.as_json()) == [*rules, "primary_cells"]
    assert list(disclosure.as_json()) == [
        *rules,
        "primary_cells",
        "primary_by_rule",
        "secondary_cells",
        "already_published",
        "weakened",
        "known_to_one",
        "audit",
        "widened",
        "internal",
    ]
    assert StatisticsReport.read(json.loads(json.dumps(full.report.as_json())), where="a test") == full.report
    with pytest.raises(DisclosureError, match="hidden cells can be recovered"):
        audit(primary.table, primary.report.sum_members)


def test_tables_for_internal_use_are_marked_in_every_row() -> None:
    frame, predicted = _season()
    primary = _estimated(frame, predicted, confidentiality=Confidentiality.PRIMARY)
    off = _estimated(frame, predicted, confidentiality=Confidentiality.OFF)
    assert set(primary.table["conf_status"]) == {"C", "N"}
    assert set(off.table["conf_status"]) == {"N"}
    assert off.table["estimate_ha"].notna().all()
    for one in (primary, off):
        assert "not for publication" in one.report.confidentiality
    assert off.report.disclosure.mode == "off"


@pytest.mark.slow
def test_one_figure_shown_by_mistake_is_found_by_the_audit() -> None:
    """The audit reads nothing but the table: every hidden row that is filled in again must be noticed, or be one that
    tells nothing of the others."""
    frame, predicted = _season()
    full = _estimated(frame, predicted)
    off = _estimated(frame, predicted, confidentiality=Confidentiality.OFF)
    caught = 0
    for row in np.flatnonzero(full.table["conf_status"] == "C"):
        leaky = full.table.copy()
        leaky.loc[row, list(HIDDEN)] = off.table.loc[row, list(HIDDEN)]
        try:
            audit(leaky, full.report.sum_members)
        except DisclosureError:
            caught += 1
    assert caught > 0


@pytest.mark.slow
def test_the_next_release_keeps_what_the_first_hid() -> None:
    frame, predicted = _season()
    first = _estimated(frame, predicted)
    hidden = first.table["conf_status"] == "C"
    later = frame.copy()
    later["area_ha"] = later["area_ha"] * 1.01
    earlier = EarlierRelease("agency-2018-first", first.table)
    second = _estimated(later, predicted, earlier=earlier)
    assert ((second.table["conf_status"] == "C") | ~hidden).all()
    assert second.report.disclosure.earlier_release == "agency-2018-first"
    audit(second.table, second.report.sum_members, earlier=earlier, known=second.report.disclosure.already_published)


@pytest.mark.slow
def test_a_figure_that_the_first_release_showed_is_listed() -> None:
    """The first release asked for three holdings at NUTS-3, the next asks for six."""
    frame, predicted = _season()
    first = estimate_areas(frame, predicted, legend(), min_holdings=3, min_holdings_nuts3=3)
    second = _estimated(frame, predicted, earlier=EarlierRelease("first", first.table))
    listed = second.report.disclosure.already_published
    assert listed
    names = first.table["crop"] + "/" + first.table["nuts_id"]
    assert first.table["conf_status"][names.isin(listed)].isna().all()
    assert set(second.table["conf_status"][names.isin(listed)]) == {"C"}
