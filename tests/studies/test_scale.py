"""The studies of scale work at a small size, and say what they claim to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.studies.scale import GIB, watched


@pytest.mark.slow
def test_the_memory_of_a_process_that_is_watched_is_what_it_holds() -> None:
    held = "import sys; data = bytearray(300 << 20); print(len(data), flush=True); sys.stdin.read()"
    with (
        subprocess.Popen([sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child,
        subprocess.Popen([sys.executable, "-c", held.replace("300", "1")], stdin=subprocess.PIPE) as server,
    ):
        assert child.stdout is not None
        child.stdout.readline()
        with watched(child.pid, server.pid) as peak:
            while not peak["all"]:
                np.zeros(1)
        child.communicate(b"")
        server.communicate(b"")
    assert 0.29 * GIB < peak["own"] < 0.4 * GIB
    assert peak["server"] < 0.1 * GIB


@pytest.mark.slow
def test_publishing_is_measured_beside_a_bare_copy(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.studies", "publishing", "--folder", str(tmp_path), "--json"]
    command += ["--parcels", "400", "--repeats", "1"]
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=dict(os.environ))
        rows = {row["way"]: row for row in json.loads(done.stdout)["rows"]}
        assert list(rows) == ["publish", "publish as a worker", "bare COPY", "COPY without references and triggers"]
        assert all(row["parcels"] == 400 and row["rows/s"] > 0 for row in rows.values())
    finally:
        from cropmap.database import embedded

        embedded.stop(tmp_path / "home")
