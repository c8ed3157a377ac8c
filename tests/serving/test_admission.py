"""How many requests are let in at once, and how answers are sent: against the ASGI interface, without a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio import Event
from starlette.types import Message, Receive, Scope, Send

from serving.middleware.admission import HEADERS, PIECE_BYTES, Admission

PATIENCE_S = 5.0
"""every answer here comes at once, or never"""


class Waiting:
    """An application whose answers wait until they are let go."""

    def __init__(self, body: bytes = b"answer") -> None:
        self.body, self.methods = body, list[str]()
        self.go = Event()

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        self.methods.append(scope["method"])
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.body})


async def asked(app: Admission, *, method: str = "GET", reader: Send | None = None, key: str = "") -> list[Message]:
    """The messages of the answer; TimeoutError where it does not come."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)
        if reader is not None:
            await reader(message)

    with anyio.fail_after(PATIENCE_S):
        headers = [(b"x-api-key", key.encode())]
        await app({"type": "http", "method": method, "path": "/x", "headers": headers}, receive, send)
    return sent


def status(messages: list[Message]) -> int:
    return int(messages[0]["status"])


def header(messages: list[Message], name: str) -> str | None:
    return {key.decode(): value.decode() for key, value in messages[0]["headers"]}.get(name)


def test_one_more_than_the_limit_is_refused_at_once() -> None:
    async def run() -> list[list[Message]]:
        inner = Waiting()
        app = Admission(inner, most=2)
        answers: list[list[Message]] = [[], [], []]

        async def one(place: int) -> None:
            answers[place] = await asked(app)

        async with anyio.create_task_group() as group:
            group.start_soon(one, 0)
            group.start_soon(one, 1)
            await anyio.wait_all_tasks_blocked()
            await one(2)  # comes back although nobody was let go
            inner.go.set()
        answers.append(await asked(app))
        return answers

    first, second, refused, later = anyio.run(run)
    assert [status(each) for each in (first, second, refused, later)] == [200, 200, 429, 200]
    assert header(refused, "retry-after") == "1"
    assert header(refused, "cache-control") == header(first, "cache-control") == "no-store"


def test_a_request_whose_answer_is_sent_no_longer_counts() -> None:
    """The reader of the first answer takes its time: the request is worked on no more, and another is let in."""

    async def run() -> int:
        inner = Waiting()
        inner.go.set()
        app = Admission(inner, most=1)
        reads = Event()

        async def slow(message: Message) -> None:
            if message["type"] == "http.response.body":
                await reads.wait()

        async with anyio.create_task_group() as group:
            group.start_soon(lambda: asked(app, reader=slow))
            await anyio.wait_all_tasks_blocked()
            second = await asked(app)
            reads.set()
        return status(second)

    assert anyio.run(run) == 200


@pytest.mark.parametrize(("unread", "expected"), [(10, 429), (11, 200)])
def test_answers_that_nobody_takes_keep_others_out(unread: int, expected: int) -> None:
    """Ten bytes wait for their reader: at the limit one more request is refused."""

    async def run() -> int:
        inner = Waiting(b"x" * 10)
        inner.go.set()
        app = Admission(inner, most=5, unread_bytes=unread)
        reads = Event()

        async def slow(message: Message) -> None:
            if message["type"] == "http.response.body":
                await reads.wait()

        async with anyio.create_task_group() as group:
            group.start_soon(lambda: asked(app, reader=slow))
            await anyio.wait_all_tasks_blocked()
            second = await asked(app)
            reads.set()
        after = await asked(app)
        assert status(after) == 200, "what was taken is counted no more"
        return status(second)

    assert anyio.run(run) == expected


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        (0, [0]),
        (1, [1]),
        (PIECE_BYTES, [PIECE_BYTES]),
        (PIECE_BYTES + 1, [PIECE_BYTES, 1]),
        (2 * PIECE_BYTES + 5, [PIECE_BYTES, PIECE_BYTES, 5]),
    ],
)
def test_an_answer_goes_out_in_pieces(size: int, pieces: list[int]) -> None:
    async def run() -> list[Message]:
        inner = Waiting(b"x" * size)
        inner.go.set()
        return await asked(Admission(inner, most=1))

    _, *bodies = anyio.run(run)
    assert [len(each["body"]) for each in bodies] == pieces
    assert [each["more_body"] for each in bodies] == [*[True] * (len(pieces) - 1), False]


def test_every_answer_has_the_headers_and_head_is_asked_as_get() -> None:
    async def run() -> tuple[list[Message], list[str]]:
        inner = Waiting()
        inner.go.set()
        return await asked(Admission(inner, most=1), method="HEAD"), inner.methods

    sent, methods = anyio.run(run)
    assert methods == ["GET"]
    assert {name: header(sent, name.lower()) for name in HEADERS} == HEADERS


def test_a_failing_application_frees_its_place() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    async def run() -> int:
        app = Admission(failing, most=1)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="broken"):
                await asked(app)
        return 3

    assert anyio.run(run) == 3


def test_what_is_no_request_passes() -> None:
    """The lifespan of the application is one long call: counted, it would take a place for good."""
    seen: list[str] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Message:
        return {"type": "none"}

    send: Callable[..., Any] = nothing
    anyio.run(lambda: Admission(inner, most=0)({"type": "lifespan"}, nothing, send))
    assert seen == ["lifespan"]
