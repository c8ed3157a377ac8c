"""A Prefect server that cannot start says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from cropmap.errors import CropmapError
from flows.server import ensure_server
from flows.server_process import __file__ as server_process


def test_a_server_that_cannot_start_names_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "uvicorn.py"
    broken.write_text("import a_package_that_is_not_there\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    home = tmp_path / "deep" / "prefect"  # Prefect makes the last folder alone
    # another test of this process may have a server of its own
    with temporary_settings({PREFECT_API_URL: None, PREFECT_HOME: home}), pytest.raises(CropmapError) as caught:
        ensure_server(tmp_path / "logs")
    assert "ModuleNotFoundError: No module named 'a_package_that_is_not_there'" in str(caught.value)
    assert home.is_dir()


def test_a_server_whose_folder_cannot_be_made_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / "prefect"
    with temporary_settings({PREFECT_API_URL: None, PREFECT_HOME: home}), pytest.raises(CropmapError) as caught:
        ensure_server(tmp_path / "logs")
    assert str(home) in str(caught.value)
    assert "Set PREFECT_HOME" in str(caught.value)


def test_an_error_of_the_server_ends_it_as_an_error(tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("import time; time.sleep(0.2); raise OSError('no room')\n")
    with subprocess.Popen(
        [sys.executable, server_process, "127.0.0.1", "1"],
        env={"PYTHONPATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert process.returncode == 1
    assert said.strip().splitlines()[-1] == "OSError: no room"
