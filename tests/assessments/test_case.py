"""Which declarations are assessed, and between which groups of crops they are scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cropmap.assessments.case import Case, fit_case, prepare
from cropmap.assessments.gates import Limits
from cropmap.schemas import Reason
from tests.assessments.population import CROPS, Scores, legend

EASY = Limits(min_pixels=3, min_observations=1, min_class_parcels=1)
GRASS = {"meadow": "grass", "pasture": "grass"}


def declared(*rows: tuple[str, str | None], **columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=["parcel_id", "crop_code"]).astype(object)
    return frame.assign(area_ha=1.0, pixels=50.0, has_geometry=True, **columns)


def scores(*said: tuple[str, dict[str, float] | None]) -> Scores:
    """Probabilities of the crops that are named, 1e-9 of the others; None where the parcel was never observed."""
    logits = np.full((len(said), len(CROPS)), np.nan, np.float32)
    for row, (_, probabilities) in enumerate(said):
        if probabilities is not None:
            logits[row] = np.log([probabilities.get(crop, 1e-9) for crop in CROPS])
    ids = np.array([parcel for parcel, _ in said], dtype=object)
    return Scores(ids, CROPS, logits, np.full(len(said), 20, dtype=np.int32))


def prepared(
    parcels: pd.DataFrame, said: Scores, groups: dict[str, str] | None = None
) -> tuple[pd.DataFrame, Case, np.ndarray]:
    return prepare(parcels, said, legend(groups), EASY)


def test_scores_are_joined_by_parcel_and_not_by_row() -> None:
    parcels = declared(("a", "CORN"), ("b", "WHEAT"))
    table, case, gate = prepared(parcels, scores(("b", {"wheat": 1.0}), ("x", {"rape": 1.0}), ("a", {"corn": 1.0})))
    assert table["predicted_crop"].tolist() == ["corn", "wheat"]
    assert gate.tolist() == ["", ""]
    assert [case.groups[place] for place in case.declared] == ["corn", "wheat"]
    assert [case.groups[place] for place in case.logits.argmax(axis=1)] == ["corn", "wheat"]


def test_crops_that_are_never_held_apart_are_one_group_with_what_both_have() -> None:
    """.3 for meadow and .4 for pasture are .7 for grass; ln .7 stands in its column."""
    parcels = declared(("a", "MEADOW"), ("b", "CORN"))
    said = {"meadow": 0.3, "pasture": 0.4, "corn": 0.3}
    _, case, _ = prepared(parcels, scores(("a", said), ("b", said)), GRASS)
    assert case.groups == ("barley", "corn", "grass", "rape", "wheat")
    grass = case.groups.index("grass")
    assert case.declared[0] == grass
    assert np.exp(case.logits[:, grass]) == pytest.approx([0.7, 0.7], abs=1e-6)
    assert case.logits[0].argmax() == grass, "though corn is as likely as meadow and less than pasture"


def test_a_parcel_that_was_never_scored_has_no_observation_and_no_prediction() -> None:
    parcels = declared(("a", "CORN"), ("b", "CORN"), ("c", "CORN"))
    table, case, gate = prepared(parcels, scores(("a", {"corn": 1.0}), ("b", None)))
    assert table["n_observations"].tolist() == [20, 0, 0]
    assert table["predicted_crop"].tolist() == ["corn", None, None]
    assert gate.tolist() == ["", Reason.TOO_FEW_OBSERVATIONS, Reason.TOO_FEW_OBSERVATIONS]
    assert case.rows.tolist() == [0]


def test_without_a_model_the_observations_are_not_to_blame() -> None:
    """A season with too few parcels of every crop: its parcels were seen, and no class was learnt."""
    table, case, gate = prepared(declared(("a", "CORN")), scores(("a", None)))
    assert table["n_observations"].tolist() == [20]
    assert gate.tolist() == [Reason.CLASS_TOO_RARE]
    assert len(case.rows) == 0


def test_what_declares_nothing_or_no_crop_is_not_assessed() -> None:
    parcels = declared(("a", None), ("b", "BEE"), ("c", "CORN"))
    table, case, gate = prepared(parcels, scores(*((parcel, {"corn": 1.0}) for parcel in "abc")))
    assert table["parcel_id"].tolist() == ["b", "c"]
    assert gate.tolist() == [Reason.CROP_NOT_IN_LEGEND, ""]
    assert case.rows.tolist() == [1]


def test_a_review_and_a_region_go_along_with_their_row() -> None:
    parcels = declared(
        ("a", "CORN"), ("b", "BEE"), ("c", "CORN"), confirmed=[False, True, True], nuts_id=["FRH02", "FRH01", None]
    )
    _, case, _ = prepared(parcels, scores(*((parcel, {"corn": 1.0}) for parcel in "abc")))
    assert case.rows.tolist() == [0, 2]
    assert case.confirmed.tolist() == [False, True]
    assert case.region.tolist() == [1, 0], "counted from 0 in the order of the names, no region first"


def test_parcels_without_these_columns_are_neither_confirmed_nor_placed() -> None:
    _, case, _ = prepared(declared(("a", "CORN")), scores(("a", {"corn": 1.0})))
    assert case.confirmed.tolist() == [False]
    assert case.region.tolist() == [0]


def test_nothing_to_compare_is_refused_with_its_reason() -> None:
    _, nobody, _ = prepared(declared(("a", "BEE")), scores(("a", {"corn": 1.0})))
    assert fit_case(nobody, seed=0).refusals == ("no assessable parcel",)
    one = Case(
        rows=np.array([0]),
        groups=("corn",),
        logits=np.zeros((1, 1)),
        declared=np.array([0]),
        region=np.array([0]),
        confirmed=np.array([False]),
    )
    found = fit_case(one, seed=0)
    assert found.refusals == ("a model with one class compares nothing",)
    assert found.channel is None
    assert found.evidence.right.tolist() == [1.0], "no doubt is cast on what was not compared"
