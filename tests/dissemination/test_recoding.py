"""One NUTS version to another: shares by hand, flag b, nothing hidden comes to light."""

from __future__ import annotations

import pandas as pd
import pytest

from cropmap.dissemination.recoding import read_weights, recode
from cropmap.errors import InputError
from tests.dissemination.published import hidden, row

HEAD = "from_version,to_version,from_code,to_code,share\n"
WEIGHTS = f"{HEAD}2021,2024,NL33,NL35,0.25\n2021,2024,NL33,NL36,0.75\n2021,2024,NL31,NL35,1\n2016,2021,HR04,HR02,1\n"


def _weights(text: str = WEIGHTS) -> dict[str, dict[str, float]]:
    found = read_weights(text.encode(), from_version=2021, to_version=2024, where="weights.csv")
    return {code: dict(shares) for code, shares in found.items()}


def test_areas_go_where_the_shares_say_and_add_up() -> None:
    rows = pd.DataFrame(
        [
            row("NL31", "C1110", 100.0, se_ha=8.0),
            row("NL33", "C1110", 400.0, se_ha=4.0, obs_flag="u"),
            row("NL41", "C1110", 7.0),
            row("NL", "C1110", 507.0),
        ]
    )
    out = recode(rows, _weights(), to_version=2024).set_index("nuts_id")
    assert list(out.index) == ["NL", "NL35", "NL36", "NL41"]
    assert out["estimate_ha"].to_dict() == {"NL": 507.0, "NL35": 200.0, "NL36": 300.0, "NL41": 7.0}
    assert (out.loc["NL35", "se_ha"], out.loc["NL35", "cv"]) == (9.0, 9.0 / 200.0)
    assert out["obs_flag"].to_dict() == {"NL": "e", "NL35": "beu", "NL36": "bu", "NL41": "e"}
    assert out["basis"].to_dict()["NL36"] == "synthetic"
    assert out["n_holdings"].isna()["NL35"]
    assert set(out["nuts_version"]) == {2024}


def test_a_region_that_takes_from_a_hidden_cell_is_hidden() -> None:
    rows = pd.DataFrame([hidden("NL31", "C1110"), row("NL33", "C1110", 400.0)])
    out = recode(rows, _weights(), to_version=2024).set_index("nuts_id")
    assert out["conf_status"].fillna("").to_dict() == {"NL35": "C", "NL36": ""}
    assert out.loc["NL35", ["estimate_ha", "declared_ha", "se_ha", "n_parcels", "obs_flag"]].isna().all()
    assert out.loc["NL36", "estimate_ha"] == 300.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "is no table of weights"),
        (f"{HEAD}2016,2021,HR04,HR02,1\n", "has no weights from NUTS 2021 to 2024"),
        (f"{HEAD}2021,2024,NL33,NL35,0.25\n", "shares of NL33 add up to 0.250"),
        (f"{HEAD}2021,2024,NL33,NL35,much\n", "line 2.*'much' is no share"),
        ("share,from_version,to_version,from_code,to_code\n1,2021,2024,NL33\n", "line 2: has no code"),
        (f"{HEAD}2021,2024,NL33,NL31,1\n", "NL31 is no region of NUTS 2024"),
    ],
)
def test_weights_that_do_not_hold_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        _weights(text)


def test_a_region_of_the_old_version_without_weights_is_named() -> None:
    with pytest.raises(InputError, match="PT17 is no region of NUTS 2024"):
        recode(pd.DataFrame([row("PT17", "C1110", 1.0)]), _weights(), to_version=2024)
