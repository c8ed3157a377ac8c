from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from cropmap.contracts.tables import OBSERVATION_SCHEMA
from cropmap.errors import ConfigurationError
from cropmap.observations.files import read_observations
from cropmap.schemas import REFLECTANCE_NODATA
from cropmap.simulation.direct import DirectSummary, simulate_observations
from cropmap.store import Store

ARGUMENTS: Final[dict[str, Any]] = {"agency": "scale", "parcels": 60, "seed": 3, "dates": 6}


@pytest.fixture
def summary(store: Store, tmp_path: Path) -> DirectSummary:
    return simulate_observations(store, tmp_path / "out", **ARGUMENTS)


def test_files_have_the_layout_of_observations(store: Store, summary: DirectSummary) -> None:
    names = store.names("observations/scale/2018")
    assert len(names) == summary.acquisitions == 12
    for name in names:
        table = store.read_table(name)
        assert table.schema.equals(OBSERVATION_SCHEMA)
        ids = table["parcel_id"].to_pylist()
        assert ids == sorted(ids)
        assert table.schema.metadata[b"simulation"] == b"true"
    table = read_observations(store, names)
    assert len(table) == 60 * 6  # every parcel has one home tile


def test_hidden_parcels_have_no_reflectance(store: Store, summary: DirectSummary) -> None:
    table = read_observations(store, store.names("observations/scale/2018"))
    hidden = table["clear_pixels"].to_numpy() == 0
    assert 0 < hidden.mean() < 1
    assert (table["B08"].to_numpy()[hidden] == REFLECTANCE_NODATA).all()
    seen = table["B08"].to_numpy()[~hidden]
    assert (seen > 0).all()
    assert (table["clear_pixels"].to_numpy() <= table["total_pixels"].to_numpy()).all()


def test_declarations_and_truth_are_about_the_same_parcels(summary: DirectSummary) -> None:
    declared, truth = gpd.read_parquet(summary.declarations), pd.read_parquet(summary.truth)
    assert declared["parcel_id"].tolist() == truth["parcel_id"].tolist()
    assert truth["wrong"].sum() == summary.wrong_declarations == 2
    assert declared.crs.to_epsg() == 4326
    assert np.allclose(truth["area_ha"], declared.to_crs(3035).area / 1e4, rtol=1e-4)


def test_it_goes_on_where_it_stopped(store: Store, summary: DirectSummary, tmp_path: Path) -> None:
    names = store.names("observations/scale/2018")
    kept = {name: store.read_bytes(name) for name in names}
    store.remove(names[4])
    marker = tmp_path / "out" / "simulation.json"
    marker.write_text(marker.read_text().split('"figures"')[0] + '"figures": null}')
    assert simulate_observations(store, tmp_path / "out", **ARGUMENTS) == summary
    assert {name: store.read_bytes(name) for name in names} == kept


def test_other_arguments_are_refused(store: Store, summary: DirectSummary, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="another simulation"):
        simulate_observations(store, tmp_path / "out", **{**ARGUMENTS, "parcels": 61})
