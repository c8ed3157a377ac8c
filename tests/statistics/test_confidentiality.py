"""What a confidential row loses."""

import numpy as np
import pandas as pd

from cropmap.statistics.confidentiality import HIDDEN, suppress


def test_one_mask_for_all_figures() -> None:
    table = pd.DataFrame({column: [1.0, 2.0] for column in HIDDEN} | {"obs_flag": ["e", "u"], "crop": ["a", "b"]})
    table["basis"] = ["register", "register"]
    hidden = suppress(table, np.array([True, False]))
    assert hidden.loc[0, list(HIDDEN)].isna().all()
    assert (hidden.loc[1, list(HIDDEN)] == 2).all()
    assert hidden["conf_status"].tolist() == ["C", None]
    assert hidden["obs_flag"].tolist() == [None, "u"]
    assert hidden["basis"].tolist() == ["synthetic", "register"]
    assert hidden["crop"].tolist() == ["a", "b"]


def test_a_table_for_internal_use_is_marked_in_every_row() -> None:
    table = pd.DataFrame({column: [1.0, 2.0] for column in HIDDEN} | {"obs_flag": ["e", "u"], "basis": "register"})
    assert suppress(table, np.array([True, False]), others="N")["conf_status"].tolist() == ["C", "N"]
