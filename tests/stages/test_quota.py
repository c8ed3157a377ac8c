"""A provider's quota counts what all runs of an installation read in its period."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cropmap.database.bytes_read import add_bytes_read, bytes_read
from cropmap.database.connection import connect
from cropmap.sources.catalogs.providers import Provider, in_use
from cropmap.sources.catalogs.sign_in.pace import Used, used_of
from cropmap.stages.context import SeasonContext
from cropmap.stages.ingest import note_bytes_read
from tests.data.sign_in_services import provider
from tests.stages.conftest import NOON, open_context

TB = 1e12


@pytest.fixture
def context(environment: None, tiny_inputs: Path, tmp_path: Path) -> SeasonContext:
    return open_context(tiny_inputs, tmp_path)


@pytest.fixture
def rationed() -> Iterator[Provider]:
    one = provider("rationed", hosts=["rationed.example.org"], limits={"quota": {"bytes": 12 * TB, "days": 30}})
    in_use.use(one)
    used_of.cache_clear()
    yield one
    used_of.cache_clear()


def begun(context: SeasonContext, of: Provider, at: datetime) -> Used:
    """What another process knows of the quota that begins then."""
    used_of.cache_clear()
    note_bytes_read(context, at=at, begins=True)
    return used_of(of)


def test_bytes_of_earlier_runs_count_until_their_day_is_out_of_the_period(
    context: SeasonContext, rationed: Provider
) -> None:
    first = begun(context, rationed, NOON)
    first.spend(7 * TB)
    assert not first.is_used_up
    note_bytes_read(context, at=NOON)
    second = begun(context, rationed, NOON + timedelta(days=20))
    second.spend(6 * TB)
    assert second.is_used_up
    note_bytes_read(context, at=NOON + timedelta(days=20))
    assert begun(context, rationed, NOON + timedelta(days=29)).is_used_up
    assert not begun(context, rationed, NOON + timedelta(days=30)).is_used_up


def test_a_process_that_lasts_longer_than_the_period(context: SeasonContext, rationed: Provider) -> None:
    used = begun(context, rationed, NOON)
    assert not used.spend(12 * TB)
    assert used.spend(1 * TB), "this is said once"
    note_bytes_read(context, at=NOON)
    assert not used.spend(1 * TB)
    note_bytes_read(context, at=NOON + timedelta(days=31))
    assert not used.is_used_up
    assert used.spend(12 * TB), "and again when a new period is used up"


def test_what_others_read_meanwhile_counts(context: SeasonContext, rationed: Provider) -> None:
    used = begun(context, rationed, NOON)
    used.spend(5 * TB)
    with context.connect() as connection:
        add_bytes_read(connection, rationed.name, day=NOON.date(), n_bytes=8 * TB)
    assert not used.is_used_up
    note_bytes_read(context, at=NOON)
    assert used.is_used_up


def test_no_byte_is_noted_twice_or_lost(context: SeasonContext, rationed: Provider) -> None:
    used = begun(context, rationed, NOON)
    for _ in range(3):
        used.spend(1 * TB)
        note_bytes_read(context, at=NOON)
        note_bytes_read(context, at=NOON)
    used.spend(1 * TB)
    away = replace(context, database_url="postgresql://cropmap@127.0.0.1:1/cropmap")
    note_bytes_read(away, at=NOON)
    assert used.unnoted == 1 * TB, "the next note has it"
    note_bytes_read(context, at=NOON)
    with context.connect() as connection:
        assert bytes_read(connection, rationed.name, until=NOON.date(), days=30) == 4 * TB
        assert bytes_read(connection, "cdse", until=NOON.date(), days=30) == 0


def test_threads_that_note_at_once_note_each_byte_once(context: SeasonContext, rationed: Provider) -> None:
    used = begun(context, rationed, NOON)
    used.spend(1 * TB)
    with context.connect() as connection, ThreadPoolExecutor(4) as pool:
        with connection.transaction():  # which holds up who notes
            add_bytes_read(connection, rationed.name, day=NOON.date(), n_bytes=0)
            noting = [pool.submit(note_bytes_read, context, at=NOON) for _ in range(4)]
            time.sleep(1)
        for each in noting:
            each.result()
        assert bytes_read(connection, rationed.name, until=NOON.date(), days=30) == 1 * TB
    assert used.unnoted == 0


def test_who_runs_seasons_may_note_and_nobody_else(database_url: str) -> None:
    with connect(database_url) as connection:
        connection.execute("SET ROLE cropmap_writer")
        add_bytes_read(connection, "cdse", day=NOON.date(), n_bytes=1.0)
        add_bytes_read(connection, "cdse", day=NOON.date(), n_bytes=2.0)
        assert bytes_read(connection, "cdse", until=NOON.date(), days=1) == 3.0
        for role, statement in (
            ("cropmap_writer", "DELETE FROM bytes_read"),
            ("cropmap_server", "TABLE bytes_read"),
            ("cropmap_reader", "TABLE bytes_read"),
            ("cropmap_controller", "TABLE bytes_read"),
        ):
            connection.execute(f"RESET ROLE; SET ROLE {role}".encode())
            with pytest.raises(Exception, match="permission denied"):
                connection.execute(statement.encode())
