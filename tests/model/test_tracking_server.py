"""MLflow as a server of its own: it keeps the files, and what does not answer is said at once.

The package `mlflow` is no dependency: CROPMAP_TEST_MLFLOW names its program, or it is in this
environment, or the tests with a server are skipped.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from mlflow.tracking import MlflowClient

from cropmap.errors import ConfigurationError, ModelError
from cropmap.model.registry import call_champion, list_versions, note_decision, register_version
from cropmap.model.tracking import begin_training, require, track_training
from tests.fuzzing import survives

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
FILES = {"manifest.json": b"{}", "fold-0.onnx": b"zero"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """(address, folder that it keeps files in) of a server as `infra/compose.yaml` starts it."""
    program = os.environ.get("CROPMAP_TEST_MLFLOW")
    command = [program] if program else [sys.executable, "-m", "mlflow"]
    if not program and importlib.util.find_spec("flask") is None:
        pytest.skip("MLflow's server is not installed; set CROPMAP_TEST_MLFLOW to its program")
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    arguments = [
        "server",
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination",
        str(folder / "kept"),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("wb") as log:
        started = subprocess.Popen([*command, *arguments], env=os.environ | quiet, cwd=folder, stdout=log, stderr=log)
        try:
            _wait(f"{address}/health", started)
            yield address, folder / "kept"
        finally:
            started.terminate()
            started.wait(60)


def _wait(url: str, started: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert started.poll() is None, "the server did not start"
        try:
            httpx.get(url, timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.5)
        else:
            return
    pytest.fail("the server did not answer within five minutes")


def train(uri: str, key: str, folder: Path) -> tuple[str, str]:
    begin_training(uri, experiment="cropmap/toy", run_key=key, name="toy 2018 lstm", tags={}, artifact_root=str(folder))
    run_id = track_training(
        uri,
        experiment="cropmap/toy",
        run_key=key,
        params={},
        history={"one": [{"step": 0, "loss": 1.0}]},
        metrics={"oa": 0.9},
        files=FILES,
        tags={"season": "2018"},
        artifact_root=str(folder),
        name="toy 2018 lstm",
    )
    version = register_version(uri, name="cropmap-toy-lstm", run_id=run_id, artifact_id=f"artifact of {key}")
    note_decision(uri, version, promoted=True, reason="GAIN", detail="")
    call_champion(uri, version)
    return run_id, version.version


def test_a_server_keeps_the_files_itself(server: tuple[str, Path], tmp_path: Path) -> None:
    uri, kept = server
    run_id, version = train(uri, "k1", tmp_path / "home" / "mlflow")
    assert not (tmp_path / "home").exists(), "nothing stays with the client"
    assert sorted(path.name for path in kept.rglob("*") if path.is_file()) == sorted(FILES)
    client = MlflowClient(uri, uri)
    assert client.get_run(run_id).info.artifact_uri.startswith("mlflow-artifacts:")
    assert {one.path for one in client.list_artifacts(run_id)} == set(FILES)
    assert Path(client.download_artifacts(run_id, "fold-0.onnx", str(tmp_path))).read_bytes() == b"zero"
    source = client.get_model_version("cropmap-toy-lstm", version).source
    assert source is not None
    assert source.startswith("mlflow-artifacts:")


def test_an_experiment_that_an_earlier_version_keeps_with_the_worker_is_left_alone(
    server: tuple[str, Path], tmp_path: Path
) -> None:
    uri, kept = server
    folder = tmp_path / "home" / "mlflow"
    MlflowClient(uri, uri).create_experiment("cropmap/before", f"file://{folder}")
    run_id = track_training(
        uri,
        experiment="cropmap/before",
        run_key="k2",
        params={},
        history={},
        metrics={},
        files=FILES,
        tags={},
        artifact_root=str(folder),
    )
    client = MlflowClient(uri, uri)
    assert client.get_experiment(client.get_run(run_id).info.experiment_id).name == "cropmap/before (2)"
    assert not folder.exists()
    assert [path for path in kept.rglob("manifest.json") if run_id in str(path)]


def test_what_people_delete_on_a_server_stops_nothing(server: tuple[str, Path], tmp_path: Path) -> None:
    uri, _ = server
    run_id, version = train(uri, "k3", tmp_path)
    client = MlflowClient(uri, uri)
    client.delete_run(run_id)
    known = {v.registered.version: v for v in list_versions(uri, name="cropmap-toy-lstm")}
    assert known[version].run_key == "k3"
    note_decision(uri, known[version].registered, promoted=False, reason="ROLLED_BACK", detail="tidied")
    assert train(uri, "k3", tmp_path)[0] != run_id
    experiment = client.get_experiment_by_name("cropmap/toy")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    again, _ = train(uri, "k4", tmp_path)
    assert client.get_experiment(client.get_run(again).info.experiment_id).name == "cropmap/toy (2)"
    client.delete_model_version("cropmap-toy-lstm", version)
    call_champion(uri, known[version].registered)


@pytest.mark.slow
def test_a_server_that_takes_connections_and_says_nothing_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        said: list[BaseException] = []

        def ask() -> None:
            try:
                require(f"http://ops:s3cretword@127.0.0.1:{silent.getsockname()[1]}")
            except BaseException as error:
                said.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(60)  # a bound against hangs
        assert not asking.is_alive()
    assert isinstance(said[0], ConfigurationError)
    assert "s3cretword" not in str(said[0])


@pytest.mark.parametrize(
    "uri",
    [
        "http://ops:s3cretword@127.0.0.1:9",
        "postgresql+psycopg://ops:s3cretword@127.0.0.1:9/mlflow",
        "http://ops:s3cretword@[::1",
        "http://ops:s3cretword@127.0.0.1:port",
    ],
)
def test_where_nobody_listens_one_line_says_so(uri: str) -> None:
    for ask in (lambda: require(uri), lambda: list_versions(uri, name="cropmap-toy-lstm")):
        with pytest.raises((ConfigurationError, ModelError), match="Check MLFLOW_TRACKING_URI") as caught:
            ask()
        assert "s3cretword" not in str(caught.value)
        assert "\n" not in str(caught.value)


ANSWERS = {
    "a page": b"<html>sign in</html>",
    "nothing": b"",
    "an object": b"{}",
    "a list": b"[]",
    "no text": b"\xff\xfe",
    "deep": b"[" * 50_000,
    "another shape": b'{"experiments": "x", "experiment": {"experiment_id": 5, "name": {"a": 1}}}',
    "another experiment": b'{"experiment": {"experiment_id": "1", "name": "other", "lifecycle_stage": "deleted"}}',
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.slow
def test_a_server_that_is_no_mlflow_is_named_in_one_line(answer: str, tmp_path: Path) -> None:
    """Also one that answers everything alike, such as a proxy: it was asked for a next experiment without end."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(ANSWERS[answer])))
            self.end_headers()
            self.wfile.write(ANSWERS[answer])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        answering = threading.Thread(target=server.serve_forever, daemon=True)
        answering.start()
        uri = f"http://127.0.0.1:{server.server_port}"
        try:
            said = survives(
                lambda: begin_training(
                    uri, experiment="cropmap/toy", run_key="k", name="n", tags={}, artifact_root=str(tmp_path)
                ),
                answer,
                names=uri,
            )
            survives(lambda: require(uri), answer)
            survives(lambda: list_versions(uri, name="cropmap-toy-lstm"), answer)
        finally:
            server.shutdown()
            answering.join()
    assert said
