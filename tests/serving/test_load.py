"""Many at once, clients that do not read, clients that do not ask: the others are served."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import psycopg
import pytest

from cropmap.bench.api import measure
from cropmap.bench.http_load import Connections, at_once
from serving import server
from serving.app import create_app
from serving.settings import ServingSettings
from tests.serving.conftest import Desk, running

LARGE = "/statistics"


@contextmanager
def serving(desk: Desk, **changes: Any) -> Iterator[httpx.Client]:
    settings = ServingSettings(database_url=desk.database_url, store=desk.store.root, **changes)
    with running(create_app(settings), key=desk.key) as client:
        yield client


def asked_at_once(client: httpx.Client, path: str, times: int, *, key: str) -> Counter[int]:
    async def ask() -> Counter[int]:
        connections = Connections("127.0.0.1", client.base_url.port or 80, f"X-API-Key: {key}\r\n")
        answers = await at_once(connections, [path] * times)
        await connections.close()
        return answers.statuses

    return asyncio.run(ask())


def test_far_more_requests_than_connections_are_all_answered(desk: Desk) -> None:
    with serving(desk, pool_size=2) as client:
        assert asked_at_once(client, LARGE, 150, key=desk.key) == {200: 150}


def test_what_is_too_much_is_told_to_come_back(desk: Desk) -> None:
    with serving(desk, pool_size=1, max_requests=5) as client:
        statuses = asked_at_once(client, LARGE, 100, key=desk.key)
        assert set(statuses) == {200, 429}
        assert statuses.total() == 100
        assert client.get(LARGE).status_code == 200


@contextmanager
def one_request_waits(desk: Desk, client: httpx.Client) -> Iterator[None]:
    """A request that has a connection and waits for a lock in the database."""
    with psycopg.connect(desk.database_url) as blocker, psycopg.connect(desk.database_url, autocommit=True) as watcher:
        blocker.execute("LOCK TABLE statistic IN ACCESS EXCLUSIVE MODE")
        url, headers = client.base_url.join(LARGE), {"X-API-Key": desk.key}
        thread = threading.Thread(target=lambda: httpx.get(url, headers=headers, trust_env=False, timeout=60))
        thread.start()
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'cropmap api'"
        while watcher.execute(waiting).fetchone() is None:
            assert thread.is_alive()
            time.sleep(0.01)
        yield
        blocker.rollback()
        thread.join()


def test_a_refusal_for_load_is_a_problem_with_a_time(desk: Desk) -> None:
    with serving(desk, pool_size=1, max_requests=1) as client, one_request_waits(desk, client):
        answer = client.get("/seasons")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


def test_wrong_keys_cost_no_connection(desk: Desk) -> None:
    with serving(desk, pool_size=2) as client, one_request_waits(desk, client):
        assert client.get("/seasons", headers={"X-API-Key": "cropmap_wrong"}).status_code == 401
        assert asked_at_once(client, LARGE, 20, key="cropmap_wrong") == {401: 20}


def test_clients_that_do_not_read_hold_up_nobody(desk: Desk) -> None:
    request = f"GET {LARGE} HTTP/1.1\r\nHost: x\r\nX-API-Key: {desk.key}\r\n\r\n".encode() * 400
    with serving(desk, pool_size=2) as client, ExitStack() as kept:
        for _ in range(8):
            idle = kept.enter_context(socket.socket())
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256)
            idle.connect(("127.0.0.1", client.base_url.port or 80))
            idle.sendall(request)
        time.sleep(1)
        for _ in range(5):
            assert client.get("/seasons", timeout=20).status_code == 200
        assert client.get("/health", timeout=20).status_code == 200


@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n"])
def test_who_sends_no_request_is_cut_off(desk: Desk, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.3)
    with serving(desk) as client, socket.create_connection(("127.0.0.1", client.base_url.port or 80)) as silent:
        silent.settimeout(20)
        silent.sendall(sent)
        assert closed(silent)


def test_who_sends_half_a_request_after_a_whole_one_is_cut_off(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is kept alive has no more patience than a new one, however a request trickles in."""
    monkeypatch.setattr(server, "REQUEST_SECONDS", 1.0)
    with serving(desk) as client, socket.create_connection(("127.0.0.1", client.base_url.port or 80)) as slow:
        slow.settimeout(20)
        slow.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert slow.recv(9) == b"HTTP/1.1 "
        time.sleep(0.2)
        slow.sendall(b"GET /health HTTP/1.1\r\nX-a: ")
        with pytest.raises(OSError):  # noqa: PT011  whichever the system says
            trickle(slow)


def trickle(connection: socket.socket) -> None:
    for _ in range(200):
        connection.sendall(b"a")
        time.sleep(0.1)


def test_who_reads_nothing_is_cut_off(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALLED_SECONDS", 0.5)
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 500
    with serving(desk) as client, socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256)
        idle.connect(("127.0.0.1", client.base_url.port or 80))
        idle.setblocking(False)
        with suppress(BlockingIOError):
            idle.send(request)
        time.sleep(3)
        idle.setblocking(True)
        idle.settimeout(20)
        assert closed(idle)


def closed(client: socket.socket) -> bool:
    """Whether the server ended the connection; reads what it sent before that."""
    try:
        while client.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.slow
def test_the_bench_runs_the_real_server() -> None:
    steady, together, beside = measure(quick=True)
    assert steady["answers"] == "200: 100"
    assert "no answer" not in str(together["answers"])
    assert "no answer" not in str(beside["answers"])
