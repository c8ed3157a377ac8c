"""Repeated messages: one a minute, with the number of those that were left out."""

from __future__ import annotations

import logging

import pytest

from serving.logs import Sparse


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def said(sparse: Sparse, template: str, *arguments: object) -> str | None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, template, arguments, None)
    return record.getMessage() if sparse.filter(record) else None


def test_the_second_within_a_minute_is_left_out(clock: Clock) -> None:
    sparse = Sparse(monotonic=clock)
    assert said(sparse, "wrong key from %s", "a") == "wrong key from a"
    clock.now += 59.9
    assert said(sparse, "wrong key from %s", "b") is None, "its arguments do not make it another message"
    assert said(sparse, "database away") == "database away", "another template is another message"
    clock.now += 0.1
    assert said(sparse, "wrong key from %s", "c") == "wrong key from c (1 more like it since the last one)"


def test_the_count_begins_anew_after_each(clock: Clock) -> None:
    sparse = Sparse(every_seconds=10, monotonic=clock)
    for _ in range(4):
        said(sparse, "x")
    clock.now += 10
    assert said(sparse, "x") == "x (3 more like it since the last one)"
    clock.now += 10
    assert said(sparse, "x") == "x"


def test_a_message_with_a_per_cent_sign_is_shown_as_it_is(clock: Clock) -> None:
    sparse = Sparse(every_seconds=1, monotonic=clock)
    said(sparse, "at %s", "100 %")
    said(sparse, "at %s", "100 %")
    clock.now += 1
    assert said(sparse, "at %s", "100 %d") == "at 100 %d (1 more like it since the last one)"
