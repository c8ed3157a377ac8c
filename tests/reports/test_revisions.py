"""What changed since an earlier release: the largest first, and no figure of a cell that is hidden now."""

from __future__ import annotations

from cropmap.reports.revisions import revision_summary
from tests.reports.seasons import SECRETS, areas, revised


def test_rows_of_the_report_with_their_figures() -> None:
    found = revision_summary(revised(), areas())
    assert (found.compared, found.hidden, found.outside, found.not_shown) == (3, 1, 1, 0)
    assert [(row.nuts_id, row.crop) for row in found.rows] == [("FRH0", "C1110"), ("FRH0", "C1500"), ("FRH01", "C1500")]
    wheat, maize, new = found.rows
    assert (wheat.previous_ha, wheat.estimate_ha, wheat.change_ha, wheat.change_share) == (
        "2\u202f500",
        "3\u202f000",
        "+500",
        "+20.0\u202f%",
    )
    assert (maize.change_ha, maize.change_share) == ("\u221250.0", "\u22124.0\u202f%")
    assert (new.previous_ha, new.estimate_ha, new.state) == ("–", "12.3", "new")
    assert not any(secret in repr(found) for secret in SECRETS)
