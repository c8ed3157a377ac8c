"""Which figures of a row a confidential cell loses, how such rows are marked, and how far a table may go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from cropmap.contracts.columns import figures
from cropmap.contracts.tables import STATISTIC
from cropmap.disclosure.tables import Mask
from cropmap.schemas import Basis, Confidentiality, Internal
from cropmap.statistics.report import StatisticsReport

MIN_HOLDINGS: Final = 4
MIN_HOLDINGS_NUTS3: Final = 10
DOMINANCE: Final = (2, 0.85)
CONFIDENTIAL: Final = "C"
NOT_FOR_PUBLICATION: Final = "N"
"""CONF_STATUS of SDMX: confidential; not for publication, restricted for internal use"""
STATEMENT: Final[Mapping[Confidentiality | Internal, str]] = {
    Confidentiality.FULL: "primary and secondary suppression over crops x regions; the published table was attacked "
    "and gave no hidden figure away",
    Internal.HOLDINGS_UNKNOWN: "not for publication: no parcel names its holding, so nobody can say how many holdings "
    "are behind a figure; cells are hidden as if every parcel were a holding of its own, and one holding's crop may be "
    "shown",
    Internal.AUDIT_REFUSED: "not for publication: the table did not pass its audit, however much was hidden; hidden "
    "figures may be recovered",
    Confidentiality.PRIMARY: "primary confidentiality only: hidden cells can be recovered by differencing; not for "
    "publication",
    Confidentiality.OFF: "no confidentiality: every figure is shown; for internal use, not for publication",
}
HIDDEN: Final = figures(STATISTIC)


def internal_reasons(report: StatisticsReport) -> tuple[Internal, ...]:
    """Why the table of a run is not for publication; none where it may be published.

    A run of an earlier version says less: there a table without holdings is known by its counts.
    """
    if report.disclosure.mode != Confidentiality.FULL:
        return (Internal.NOT_PROTECTED,)
    if report.disclosure.internal is not None:
        return report.disclosure.internal
    # earlier versions counted every parcel without a holding as a holding of its own
    return (Internal.HOLDINGS_UNKNOWN,) if report.parcels_without_holding else ()


def suppress(table: pd.DataFrame, mask: Mask, *, others: str | None = None) -> pd.DataFrame:
    """The table with every figure of masked rows empty, conf_status "C" and the same basis; rows stay. `others`:
    conf_status of the rows that keep their figures."""
    hidden = table.copy()
    for column in HIDDEN:
        hidden[column] = hidden[column].mask(mask)
    flags = np.array(hidden["obs_flag"], dtype=object)
    flags[mask] = None
    status = np.full(len(table), others, dtype=object)
    status[mask] = CONFIDENTIAL
    hidden["obs_flag"] = pd.Series(flags, index=table.index, dtype=object)
    # that its estimate is its declared area would be one more equation; a stored row has some basis
    hidden["basis"] = hidden["basis"].mask(mask, str(Basis.SYNTHETIC))
    hidden["conf_status"] = pd.Series(status, index=table.index, dtype=object)
    return hidden
