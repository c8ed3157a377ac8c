"""One worker at a time on an agency, and no run that nobody works on is called running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from cropmap.database import work
from cropmap.database.connection import Connection, connect, end_other_sessions
from cropmap.database.runs import begin_run, ensure_season, read_run
from cropmap.database.work import Work
from cropmap.errors import BusyError

NOW = datetime(2018, 7, 1, 6, 30, tzinfo=UTC)
OURS = Work("bretagne", 2018, "season run", "anna@desk (process 7)", NOW)
THEIRS = Work("bretagne", 2018, "observe", "worker@cellar (process 9)", NOW + timedelta(hours=1))
HOLDER = """
import sys, time
from datetime import UTC, datetime
from cropmap.database.connection import connect
from cropmap.database.runs import begin_run, ensure_season
from cropmap.database.work import Work, claim
url, begins = sys.argv[1], sys.argv[2] == "begins"
work = Work("bretagne", 2018, "season run", "anna@desk (process 7)", datetime(2018, 7, 1, 6, 30, tzinfo=UTC))
with claim(url, work, code_version="1"), connect(url) as connection:
    ensure_season(connection, agency="bretagne", season=2018)
    if begins:
        begin_run(connection, run_id="r", agency="bretagne", season=2018, as_of=None, code_version="1",
                  started_at=work.since)
    print("holds", flush=True)
    time.sleep(120)
"""


def _status(connection: Connection, run_id: str) -> tuple[str, str | None]:
    run = read_run(connection, run_id)
    assert run is not None
    return run.status, run.detail


def _begin(connection: Connection) -> None:
    ensure_season(connection, agency="bretagne", season=2018)
    begin_run(
        connection, run_id="r", agency="bretagne", season=2018, as_of=None, code_version="1", started_at=OURS.since
    )


def test_a_second_worker_is_told_at_once_who_works_and_since_when(database_url: str) -> None:
    with work.claim(database_url, OURS, code_version="1"):
        with (
            pytest.raises(BusyError, match=r"season run 2018 by anna@desk \(process 7\) since 2018-07-01 06:30 UTC"),
            work.claim(database_url, THEIRS, code_version="1"),
        ):
            pytest.fail("two work at once")
        with connect(database_url) as connection:
            assert work.at_work(connection, "bretagne") == OURS
    with work.claim(database_url, THEIRS, code_version="1"), connect(database_url) as connection:
        assert work.at_work(connection, "bretagne") == THEIRS


def test_another_agency_is_another_matter(database_url: str) -> None:
    other = Work("normandie", 2018, "observe", "x@y (process 1)", NOW)
    with work.claim(database_url, OURS, code_version="1"), work.claim(database_url, other, code_version="1"):
        pass


def test_who_waits_gets_its_turn(database_url: str) -> None:
    seen: list[str] = []

    def wait() -> None:
        with work.claim(database_url, THEIRS, code_version="1", wait=True):
            seen.append("theirs")

    with work.claim(database_url, OURS, code_version="1"):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.5)
        seen.append("ours")
    thread.join(timeout=60)
    assert seen == ["ours", "theirs"]


@pytest.mark.parametrize("begins", [True, False])
def test_what_a_killed_worker_left_is_closed_by_the_next(
    database_url: str, connection: Connection, begins: bool
) -> None:
    command = [sys.executable, "-c", HOLDER, database_url, "begins" if begins else "not yet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "holds"
        assert work.close_abandoned(connection, "bretagne", at=NOW, code_version="1") == []
        os.kill(holder.pid, signal.SIGKILL)
    until = time.monotonic() + 30
    while work.at_work(connection, "bretagne") and time.monotonic() < until:
        time.sleep(0.05)
    closed = work.close_abandoned(connection, "bretagne", at=NOW + timedelta(hours=2), code_version="1")
    assert closed == ["r" if begins else "bretagne-2018-unplanned"]
    status, detail = _status(connection, closed[0])
    assert status == "interrupted"
    assert "nobody works on it any more" in (detail or "")
    assert work.close_abandoned(connection, "bretagne", at=NOW, code_version="1") == []


def test_a_run_from_before_there_were_claims_is_closed_too(database_url: str, connection: Connection) -> None:
    _begin(connection)
    with work.claim(database_url, THEIRS, code_version="1") as left_behind:
        assert left_behind == ["r"]
    assert _status(connection, "r")[0] == "interrupted"


def test_an_interrupted_run_says_so_and_begins_again(database_url: str, connection: Connection) -> None:
    with work.claim(database_url, OURS, code_version="1"):
        _begin(connection)
        work.interrupt_work(connection, OURS, detail="interrupted (SIGTERM)", at=NOW, code_version="1")
    assert _status(connection, "r") == ("interrupted", "interrupted (SIGTERM)")
    with work.claim(database_url, THEIRS, code_version="1") as left_behind:
        assert left_behind == []
        _begin(connection)
        assert _status(connection, "r")[0] == "running"


def test_an_interruption_is_noted_while_a_transaction_of_ours_holds_the_run(
    database_url: str, connection: Connection
) -> None:
    ours = {"application_name": "this test"}  # the fixtures' sessions are of this process too
    with (
        work.claim(database_url, OURS, code_version="1"),
        connect(database_url, **ours) as publishing,
        connect(database_url, **ours) as duty,
    ):
        _begin(duty)
        publishing.execute("BEGIN")
        publishing.execute("SELECT FROM run FOR UPDATE")
        end_other_sessions(duty)
        duty.execute("SET lock_timeout = '30s'")
        work.interrupt_work(duty, OURS, detail="interrupted (SIGINT)", at=NOW, code_version="1")
        assert _status(connection, "r") == ("interrupted", "interrupted (SIGINT)")
        assert work.at_work(connection, "bretagne") == OURS, "the claim stays"
        with pytest.raises(psycopg.OperationalError):
            publishing.execute("COMMIT")


@pytest.mark.parametrize("killed", [True, False])
def test_work_that_is_stopped_after_it_has_published_stays_published(
    database_url: str, connection: Connection, killed: bool
) -> None:
    with work.claim(database_url, OURS, code_version="1"):
        _begin(connection)
        connection.execute("UPDATE run SET status = 'published', finished_at = %s", (NOW,))
        if killed:
            assert work.close_left_behind(connection, "bretagne", at=NOW, code_version="1") == []
        else:
            work.interrupt_work(connection, OURS, detail="interrupted (SIGINT)", at=NOW, code_version="1")
    runs = connection.execute("SELECT run_id, status FROM run").fetchall()
    assert runs == [("r", "published")]
    assert connection.execute("SELECT FROM work WHERE ended_at IS NULL").rowcount == 0


def test_work_that_is_interrupted_before_it_is_planned_stands_in_the_run_log(
    database_url: str, connection: Connection
) -> None:
    with work.claim(database_url, OURS, code_version="1"):
        work.interrupt_work(connection, OURS, detail="interrupted (SIGINT)", at=NOW, code_version="1")
    assert _status(connection, "bretagne-2018-unplanned") == ("interrupted", "season run: interrupted (SIGINT)")


def test_what_a_unit_writes_under_a_claim_is_written_before_the_next_claim(database_url: str) -> None:
    """A worker of a cluster outlives the command that it works for: what it writes is never mixed with a later one."""
    order: list[str] = []
    with connect(database_url) as worker:
        holder = work.claim(database_url, OURS, code_version="1")
        holder.__enter__()
        assert work.is_claimed(worker, OURS)
        assert not work.is_claimed(worker, THEIRS), "nor in a copy of this database, nor in another"

        def next_claim() -> None:
            with work.claim(database_url, THEIRS, code_version="1"):
                order.append("the next command")

        waits = threading.Thread(target=next_claim)
        with work.held_claim(worker, OURS):
            release = threading.Thread(target=holder.__exit__, args=[None, None, None])
            release.start()
            waits.start()
            time.sleep(0.5)
            order.append("the unit")
        release.join()
        waits.join()
        assert order == ["the unit", "the next command"]
        with (
            pytest.raises(BusyError, match="the command that this unit was for has ended"),
            work.held_claim(worker, OURS),
        ):
            order.append("never")
    assert order[2:] == []
