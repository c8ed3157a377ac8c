"""Gates: each alone, and their order."""

import numpy as np
import pandas as pd

from cropmap.assessments.gates import Limits, first_gate


def _parcels(**changes: object) -> pd.DataFrame:
    """Four good wheat parcels and one with `changes`."""
    good = {"has_geometry": True, "pixels": 12.0, "n_observations": 20, "crop": "wheat"}
    return pd.DataFrame([good] * 4 + [good | changes])


def _gate(parcels: pd.DataFrame, *, min_class_parcels: int = 4) -> list[str]:
    gates = first_gate(parcels, modelled=["wheat", "corn"], limits=Limits(3, 5, min_class_parcels))
    return list(gates)


def test_each_gate_fires_alone_and_only_for_its_parcel() -> None:
    cases: dict[str, dict[str, object]] = {
        "NO_GEOMETRY": {"has_geometry": False},
        "TOO_SMALL": {"pixels": 2.9},
        "TOO_FEW_OBSERVATIONS": {"n_observations": 4},
        "CROP_NOT_IN_LEGEND": {"crop": None},
        "CLASS_TOO_RARE": {"crop": "corn"},
        "": {"pixels": 3.0, "n_observations": 5},
    }
    for reason, changes in cases.items():
        assert _gate(_parcels(**changes)) == ["", "", "", "", reason], reason


def test_first_gate_in_order_wins() -> None:
    faults = [("has_geometry", False), ("pixels", 1.0), ("n_observations", 0), ("crop", None)]
    order = ["NO_GEOMETRY", "TOO_SMALL", "TOO_FEW_OBSERVATIONS", "CROP_NOT_IN_LEGEND"]
    for first in range(4):
        assert _gate(_parcels(**dict(faults[first:])))[-1] == order[first]


def test_a_crop_that_the_judging_model_never_saw_is_no_question_for_it() -> None:
    parcels = _parcels().assign(not_learnt=[False, False, True, False, False])
    assert _gate(parcels) == ["", "", "CROP_NOT_LEARNT", "", ""]
    assert _gate(parcels.assign(pixels=0.0))[2] == "TOO_SMALL", "the gates before it come first"


def test_a_parcel_of_unknown_size_is_not_called_small() -> None:
    assert _gate(_parcels(pixels=np.nan))[-1] == ""


def test_class_is_counted_over_parcels_that_can_be_used() -> None:
    parcels = _parcels(pixels=0.0)
    assert _gate(parcels, min_class_parcels=5)[:4] == ["CLASS_TOO_RARE"] * 4
    assert _gate(parcels, min_class_parcels=4)[:4] == [""] * 4


def test_class_unknown_to_the_model_is_too_rare_however_many_there_are() -> None:
    parcels = _parcels().assign(crop="hops")
    assert _gate(parcels) == ["CLASS_TOO_RARE"] * 5
