"""Folds of a season: however they are made, holdings and neighbours of judged parcels do not train their model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import make_folds, written_assignment
from cropmap.stages.open_season import OpenSeason
from tests.stages.conftest import NO_MODEL, open_context

NEAR_M = 20_000


def test_written_folds_keep_neighbours_apart_as_those_by_region_do(
    observed: SeasonContext, tiny_inputs: Path, tmp_path: Path
) -> None:
    data = OpenSeason(observed).data
    parcels = data.parcels
    rows = [f"{p},{region}" for p, region in zip(parcels["parcel_id"], parcels["nuts_id"], strict=True)]
    (tmp_path / "folds.csv").write_text("\n".join(["parcel_id,fold", *rows]))
    label = np.zeros(len(parcels), np.int16)

    def made(**folds: object) -> tuple[list[int], list[list[bool]]]:
        section = {"folds": {"neighbour_distance_m": NEAR_M, **folds}}
        context = open_context(tiny_inputs, tmp_path, model=section, **NO_MODEL)
        found = make_folds(context, parcels, data.outlines, label, written_assignment(context))
        return found.fold.tolist(), found.excluded.tolist()

    by_region = made(by="region")
    assert any(map(any, by_region[1]))
    assert made(by="file", file=str(tmp_path / "folds.csv")) == by_region
