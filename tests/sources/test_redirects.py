"""A host that sends the reader of a raster on: to other hosts, and not to this machine or its network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cropmap.errors import SceneError
from cropmap.observations.raster import read_grid
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.redirects import check_redirects
from tests.data.make_hostile import Host, listening


class Sending(BaseHTTPRequestHandler):
    """`/to/<address>` sends there, `/here/<path>` to a path of its own; anything else is not there."""

    def do_GET(self) -> None:
        target = {"/to/": self.path[4:], "/her": self.path[5:]}.get(self.path[:4])
        self.send_response(302 if target else 404)
        if target:
            self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def canary() -> Iterator[Host]:
    with listening() as found:
        yield found


@pytest.fixture
def sending(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Sending) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_reader_is_not_sent_to_a_private_host(sending: str, canary: Host) -> None:
    for path in (f"/to/{canary.url}/x.tif", f"/here/to/{canary.url}/x.tif"):
        with pytest.raises(SceneError, match=r"sends on to 127\.0\.0\.1:\d+, which a catalogue may not do") as caught:
            read_grid(f"{sending}{path}")
        assert caught.value.reason is QuarantineReason.FORBIDDEN_ADDRESS
        assert "\n" not in str(caught.value)
    assert not canary.calls


@pytest.mark.parametrize(
    "target",
    [
        "http://[::1]:9/x.tif",
        "http://2130706433/x.tif",
        "http://0x7f.1/x.tif",
        "http://localhost./x.tif",
        "http://[::ffff:127.0.0.1]/x.tif",
        "http://169.254.169.254/x.tif",
        "http://10.1.2.3/x.tif",
        "file:///etc/x.tif",
        "http://u:secret@127.0.0.1:9/x.tif",
        "//127.0.0.1:9/x.tif",
        "ftp://example.org/x.tif",
        "http://[bad/x.tif",
        r"http://127.0.0.1\.example.org/x.tif",
        r"http://127.0.0.1\@cloudferro.com/x.tif",
    ],
)
@pytest.mark.slow
def test_addresses_that_lead_inside_or_nowhere(sending: str, target: str) -> None:
    with pytest.raises(SceneError, match="which a catalogue may not do") as caught:
        check_redirects(f"{sending}/to/{target}")
    assert "secret" not in str(caught.value).rpartition("sends on to ")[2]


def test_a_path_of_the_same_host_may_be_sent_to_and_no_circle(sending: str) -> None:
    check_redirects(f"{sending}/here/x.tif")
    with pytest.raises(SceneError, match="sends on more than 10 times"):
        check_redirects(f"{sending}{'/here' * 12}/x.tif")


def test_what_is_no_address_of_the_web_is_not_asked() -> None:
    for href in ("/srv/x.tif", "file:///srv/x.tif", "s3://eodata/x.jp2", "http://127.0.0.1:1/x.tif"):
        check_redirects(href)
