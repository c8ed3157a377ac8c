"""Units of work on a Dask cluster: the same rows as without one, whatever dies."""

from __future__ import annotations

import pytest

from flows.ingest import ingest
from tests.flows.conftest import Season


def test_workers_observe_what_threads_observe(season: Season, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_DASK", "local:2")
    counts = ingest(season.request)["acquisitions"]
    assert counts["observed"] == counts["found"]
