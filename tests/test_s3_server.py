"""The S3 server of the tests enforces what a real one does."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.s3_server import OWNER, READER, STRANGER, S3Server, running, sockets_of


def test_objects_are_kept_by_key(s3_server: S3Server, s3_bucket: str) -> None:
    with s3_server.client().open_output_stream(f"{s3_bucket}/a/b.txt") as sink:
        sink.write(b"whole")
    with s3_server.client(READER).open_input_stream(f"{s3_bucket}/a/b.txt") as source:
        assert source.read() == b"whole"


def test_wrong_signatures_and_strangers_are_refused(s3_server: S3Server, s3_bucket: str) -> None:
    with s3_server.client().open_output_stream(f"{s3_bucket}/a/b.txt") as sink:
        sink.write(b"whole")
    forged = dataclasses.replace(OWNER, secret_access_key="another")
    for keys in (forged, STRANGER):
        with pytest.raises(OSError, match=r"ACCESS_DENIED|SIGNATURE_DOES_NOT_MATCH|403"):
            s3_server.client(keys).open_input_stream(f"{s3_bucket}/a/b.txt")
    with (
        pytest.raises(OSError, match=r"ACCESS_DENIED|403"),
        s3_server.client(READER).open_output_stream(f"{s3_bucket}/a/c.txt") as sink,
    ):
        sink.write(b"whole")


def test_it_ends_with_a_killed_test_process_and_the_next_one_removes_what_it_left(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\nfrom tests.s3_server import running\n"
        f"with running(Path({str(tmp_path)!r})) as server:\n    print(server.endpoint, flush=True)\n"
        "    import time; time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port), 1).close()
        process.kill()
    assert _is_gone(port), "the server is still there"
    (killed,) = tmp_path.iterdir()
    assert sockets_of(killed)
    with running(tmp_path):
        (mine,) = tmp_path.iterdir()
        assert mine != killed
        assert sockets_of(killed) == []
    assert list(tmp_path.iterdir()) == sockets_of(mine) == []


def _is_gone(port: int) -> bool:
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return True
        time.sleep(0.1)
    return False
