"""The benchmark runs, and the peer reads the files that it is given. It says nothing about time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cropmap.bench import train as bench
from cropmap.bench.peer_files import write_peer_files
from cropmap.bench.predict import make_bands
from cropmap.breizhcrops.files import read_breizhcrops
from cropmap.breizhcrops.index import read_class_mapping
from cropmap.schemas import Architecture


def test_every_measure_has_its_row() -> None:
    pytest.importorskip("breizhcrops", reason="the breizhcrops package is not installed")
    rows = bench.run(architectures=[Architecture.TRANSFORMER], batch_size=8, batch_count=1, repeats=1, files=8, steps=4)
    assert [row["what"] for row in rows] == [
        "loader alone, series/s",
        "training, compat transformer, series/s",
        "loader's share of a step, compat transformer",
        "loader's share of a step, our transformer",
    ]
    for side in ("ours", "peer"):
        share = rows[1][side]
        assert isinstance(share, float | int)
        assert share > 0


def test_the_files_for_the_peer_hold_the_series(tmp_path: Path) -> None:
    series, label = make_bands(5, seed=1), np.array([2, 0, 1, 0, 2], np.int16)
    write_peer_files(tmp_path, series, label, count=5)
    data = read_breizhcrops(tmp_path, year=2017, level="L1C", regions=["frh01"], mapping=read_class_mapping(tmp_path))
    assert data.label.tolist() == label.tolist()
    assert data.order == {"frh01": "natural"}
    first = series.reflectance[: series.offsets[1]]
    days, kept = np.unique(series.day_of_year[: series.offsets[1]], return_index=True)  # a day stays once
    np.testing.assert_allclose(data.reflectance[: data.offsets[1]], first[kept], rtol=1e-6)
    assert (data.day[: data.offsets[1]] - data.day[0]).tolist() == (days - days[0]).tolist()
