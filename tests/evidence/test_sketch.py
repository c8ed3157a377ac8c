"""What is said of the map sketch: how many neighbours, of which crops, in which colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cropmap.evidence.sheet import Outline, Sheet, Sketch
from cropmap.evidence.sketch import caption, describe
from tests.evidence.sheets import SQUARE, sheet


def among(*crops: str | None) -> Sheet:
    others = tuple(Outline((np.add(SQUARE, (200.0 * place, 0.0)),), crop, False) for place, crop in enumerate(crops, 1))
    return sheet(sketch=Sketch((Outline((SQUARE,), "corn", True), *others), 449.6, 32630))


@pytest.mark.parametrize(
    ("crops", "said"),
    [
        ((), "among 0 neighbours within 450 m, declared: -."),
        (("wheat",), "among 1 neighbours within 450 m, declared: 1 wheat."),
        # most frequent first, then by name; what has no class is counted too
        (("wheat", "rape", "corn", "wheat", None), "declared: 2 wheat, 1 corn, 1 no class, 1 rape."),
    ],
)
def test_neighbours_are_counted_without_the_parcel_itself(crops: tuple[str | None, ...], said: str) -> None:
    assert describe(among(*crops)).endswith(said)


def test_orange_is_named_where_another_crop_is_predicted() -> None:
    said = caption(sheet())
    assert "Blue: declared corn; orange: permanent meadows; grey: other crops." in said
    assert "EPSG:32630" in said
    plain = sheet()
    same = replace(plain, judged=replace(plain.judged, predicted_crop="corn"))
    assert "orange" not in caption(same)
