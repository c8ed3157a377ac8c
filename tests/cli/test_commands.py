"""The command line as a person meets it: exit codes, one-line errors, answers on stdout."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cropmap.cli import run
from cropmap.errors import ConfigurationError
from cropmap.terminal import say, write_out

ROOT = Path(__file__).parents[2]
CROPMAP = Path(sys.executable).with_name("cropmap")


@pytest.fixture
def inputs(simulated_inputs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(simulated_inputs, tmp_path / "inputs"))


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CROPMAP_DATABASE_URL", database_url)
    monkeypatch.delenv("CROPMAP_DATA", raising=False)


def _fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Exit code 2, nothing on stdout, and one line on stderr, which is returned."""
    code = run(list(arguments))
    out, err = capsys.readouterr()
    assert code == 2, err
    assert out == ""
    line = err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert "Traceback" not in err
    return line


def test_help_is_fast_and_names_every_command_of_the_readme() -> None:
    started = time.monotonic()
    said = subprocess.run([CROPMAP, "--help"], capture_output=True, text=True, check=True).stdout
    assert time.monotonic() - started < 30  # a hang, not a speed: speed is what the next test is about
    shown = "".join(re.findall(r"```(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    for command in re.findall(r"^cropmap ([a-z-]+)", shown, re.MULTILINE):
        assert command in said


def _imported_by(statements: str) -> set[str]:
    script = f"import sys; {statements}; print(*sys.modules, file=sys.stderr)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr
    return {
        name
        for name in ("torch", "mlflow", "prefect", "rasterio", "geopandas", "dask", "distributed")
        if f" {name} " in said
    }


def test_light_commands_import_no_heavy_package() -> None:
    assert _imported_by("from cropmap.cli import run; run(['--help'])") == set()


def test_a_season_that_trains_nothing_imports_no_torch() -> None:
    assert not {"torch", "dask", "distributed"} & _imported_by("import flows.season")


def test_declarations_load_answers_with_counts(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["declarations", "load", str(inputs / "agency.yaml"), "--season", "2018", "--json"]
    assert run(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["rows"], answer["accepted"], answer["rejected"]) == (60, 60, 0)
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["unchanged"] == 60


def test_a_simulation_without_scenes_leaves_observations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "direct"
    assert run(["simulate", "--direct", "--out", str(out), "--parcels", "60", "--seed", "2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    files = list((out / "store" / "observations").rglob("*.parquet"))
    assert len(files) == answer["acquisitions"] > 0
    assert (out / "inputs" / "declarations.parquet").is_file()


def test_an_unknown_key_is_named(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = inputs / "agency.yaml"
    path.write_text(path.read_text() + "colour: blue\n")
    line = _fails(capsys, "declarations", "load", str(path), "--season", "2018")
    assert "colour: unknown key" in line


def test_an_empty_declarations_file_is_said_to_be_empty(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inputs / "none.csv").write_text("parcel_id,crop_code,wkt\n")
    path = inputs / "agency.yaml"
    path.write_text(re.sub(r"path: .*", "path: none.csv\n  wkt_column: wkt\n  crs: EPSG:4326", path.read_text()))
    path.write_text(re.sub(r"columns: .*", "columns: {parcel_id: parcel_id, crop_code: crop_code}", path.read_text()))
    line = _fails(capsys, "declarations", "load", str(path), "--season", "2018")
    assert "none.csv" in line


def test_a_stage_before_its_time_says_which_comes_first(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = _fails(capsys, "predict", str(inputs / "agency.yaml"), "--season", "2018")
    assert "cropmap observe" in line


def test_what_is_not_published_cannot_be_exported(capsys: pytest.CaptureFixture[str]) -> None:
    assert "not published" in _fails(capsys, "flags", "export", "--agency", "nobody", "--season", "2018")
    assert "nothing is published" in _fails(capsys, "stats", "export", "--nuts", "FRH0", "--season", "2018")


def test_a_database_that_is_away_is_one_line(
    inputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROPMAP_DATABASE_URL", "postgresql://somebody:topsecret@127.0.0.1:9/cropmap")
    code = run(["declarations", "load", str(inputs / "agency.yaml"), "--season", "2018"])
    err = capsys.readouterr().err
    assert code == 1
    assert "does not answer" in err
    assert "topsecret" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CROPMAP_THREADS", "none"), ("CROPMAP_DATABASE_URL", "mysql://x"), ("CROPMAP_STORE", "gopher://x")],
)
def test_a_bad_setting_is_named(
    variable: str, value: str, inputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert variable in _fails(capsys, "declarations", "load", str(inputs / "agency.yaml"), "--season", "2018")


def test_a_figure_that_does_not_exist_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    say({"check": {"precision": float("nan"), "recall": [0.5, float("inf")]}}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"check": {"precision": None, "recall": [0.5, None]}}
    say({"precision": float("nan")}, as_json=False)
    assert capsys.readouterr().out.split() == ["precision", "-"]


def test_secrets_are_masked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_DATABASE_URL", "postgresql://somebody:topsecret@db/cropmap")
    assert run(["settings"]) == 0
    out = capsys.readouterr().out
    assert "topsecret" not in out
    assert "***" in out


def test_the_database_commands(capsys: pytest.CaptureFixture[str], database_url: str) -> None:
    assert run(["db", "url"]) == 0
    assert capsys.readouterr().out.strip() == database_url
    assert run(["db", "status", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) >= {"0001_tables", "0002_views"}
    assert run(["db", "upgrade"]) == 0


def test_the_doctor_finds_this_installation_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    assert "FAILED" not in capsys.readouterr().out


@pytest.mark.parametrize("command", [["stats", "structure"], ["evaluate", "none.yaml", "--season", "2018"]])
@pytest.mark.parametrize(
    ("out", "said"),
    [
        (".", "error: .: is a folder. Name a file in it"),
        ("", "error: .: is a folder. Name a file in it"),
        ("file/x.csv", "error: file/x.csv: cannot be written: file is a file. Name a folder"),
    ],
)
def test_a_file_to_write_that_cannot_be_one_is_refused_first(
    command: list[str], out: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert _fails(capsys, *command, "--out", out) == said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_dash_is_stdout(tmp_path: Path) -> None:
    said = subprocess.run([CROPMAP, "stats", "structure", "-o", "-"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("<?xml")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_command_reads_is_not_written_over(tmp_path: Path) -> None:
    read = tmp_path / "agency.yaml"
    read.write_text("agency: a")
    (tmp_path / "other").symlink_to(read)
    for out in (read, tmp_path / "other"):
        with pytest.raises(ConfigurationError, match="is a file that this command reads"):
            write_out(b"table", out, read=[None, read])
    assert read.read_text() == "agency: a"
    write_out(b"table", tmp_path / "new.csv", read=[None, read])
    assert (tmp_path / "new.csv").read_bytes() == b"table"


@pytest.mark.parametrize("port", ["0", "-1", "65536"])
def test_a_port_that_is_none_starts_nothing(port: str, tmp_path: Path) -> None:
    said = subprocess.run([CROPMAP, "mlflow", "--port", port], capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert "Invalid value for '--port'" in said.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_named_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = _fails(capsys, "serve", "--port", str(port))
    assert said.startswith(f"error: 127.0.0.1:{port}: cannot listen here (Address already in use). Give another --port")


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("no host", "there is no such address"),
        ("a..b", "there is no such address"),
        ("203.0.113.7", "Cannot assign requested address"),
    ],
)
def test_an_address_of_no_machine_of_ours_is_named(host: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _fails(capsys, "serve", "--host", host).startswith(f"error: {host}:8000: cannot listen here ({why}). Give")
