"""What one key may send in a minute, and how many places it may take, without harm to another key."""

from __future__ import annotations

import anyio
import httpx

from cropmap.database import keys
from cropmap.database.connection import connect
from cropmap.schemas import AccessRole
from serving.app import create_app
from serving.middleware.admission import Admission
from serving.rates import Rates
from serving.settings import ServingSettings
from tests.serving.conftest import Desk, running
from tests.serving.test_admission import Waiting, asked, status


def test_a_minute_s_worth_passes_and_then_as_many_as_time_gives() -> None:
    now = [100.0]
    rates = Rates(60, monotonic=lambda: now[0])
    assert [rates.take("a") for _ in range(61)] == [*[0.0] * 60, 1.0]
    assert rates.take("b") == 0.0, "another key has tokens of its own"
    now[0] += 0.75
    assert rates.take("a") == 0.25
    now[0] += 0.25
    assert [rates.take("a"), rates.take("a")] == [0.0, 1.0]
    now[0] += 3600
    assert [rates.take("a") for _ in range(61)] == [*[0.0] * 60, 1.0], "tokens are not saved for more than a minute"


def test_without_a_limit_everything_passes() -> None:
    rates = Rates(0)
    assert {rates.take("a") for _ in range(1000)} == {0.0}


def test_one_key_is_told_to_wait_and_another_is_answered(own_desk: Desk) -> None:
    with connect(own_desk.database_url) as connection:
        other = keys.create_key(connection, "other", role=AccessRole.STATISTICIAN, agency="bretagne")
    settings = ServingSettings(database_url=own_desk.database_url, rate_per_minute=3)
    with running(create_app(settings), key=own_desk.key) as client:
        answers = [client.get(path) for path in ("/v1/seasons", "/v1/runs", "/v1/seasons?x=1", "/v1/seasons")]
        assert [answer.status_code for answer in answers] == [200, 403, 400, 429], "a refused request counts too"
        refused = answers[-1]
        assert 0 < int(refused.headers["retry-after"]) <= 20
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["detail"].startswith("this API key has sent too many requests")
        assert client.get("/v1/seasons", headers={"X-API-Key": other}).status_code == 200
        assert client.get("/health").status_code == 200
        assert httpx.get(client.base_url.join("/v1/seasons"), trust_env=False).status_code == 401


def test_one_key_leaves_a_quarter_of_the_places_to_others() -> None:
    async def run() -> list[int]:
        inner = Waiting()
        app = Admission(inner, most=8)
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(lambda: asked(app, key="a"))
            await anyio.wait_all_tasks_blocked()
            greedy = await asked(app, key="a")
            for _ in range(2):
                group.start_soon(lambda: asked(app, key="b"))
            await anyio.wait_all_tasks_blocked()
            waiting = len(inner.methods)
            full = await asked(app, key="c")
            inner.go.set()
        later = await asked(app, key="a")
        return [status(greedy), waiting, status(full), status(later)]

    assert anyio.run(run) == [429, 8, 429, 200]
