from __future__ import annotations

import asyncio
from bisect import bisect_left
from itertools import count
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.backends.http.limit_headers import HeaderLimit
from lm_eval_so.runner.engine.coordinator.coordinator import Coordinator, CoordinatorSetup
from lm_eval_so.runner.engine.coordinator.starts import Given, RateLimits, Start
from lm_eval_so.runner.engine.remote.limits import RemoteLimits
from lm_eval_so.runner.strategy.rate_limit.changes import Started
from lm_eval_so.runner.strategy.rate_limit.limiter import RateLimiter
from support import virtual_time
from support.local_port import LocalPort

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Client:
    """A worker's limiter, and those who use it."""

    def __init__(self, coordinator: Coordinator, name: str) -> None:
        clock = virtual_time.now
        self.port = LocalPort(coordinator, name, clock)
        self.limits = RemoteLimits(self.port, clock)
        self.limiter = RateLimiter(limits=self.limits)
        self.started: list[float] = []
        self.held_back = 0  # starts that waited for a limit

    async def use(self, seconds: float, tokens: float = 0.0) -> None:
        grant = await self.limiter.acquire(tokens)
        self.held_back += grant.waited > 0
        self.started.append(virtual_time.now())
        await asyncio.sleep(seconds)


def play(
    limits: RateLimits, workers: int, script: Callable[[list[Client]], Awaitable[None]]
) -> list[Client]:
    """Runs a script in virtual time."""

    async def main() -> list[Client]:
        coordinator = Coordinator(CoordinatorSetup((), limits=limits), virtual_time.now())
        clients = [Client(coordinator, f"w{n}") for n in range(workers)]
        lanes = [asyncio.create_task(one.limits.run()) for one in clients]
        await script(clients)
        for lane in lanes:
            lane.cancel()
        return clients

    return virtual_time.run(main())


async def share(clients: list[Client], requests: int, at_once: int, latency: float) -> None:
    """All clients work through as many requests, each with so many at once."""
    left = iter(range(requests))

    async def work(client: Client) -> None:
        for _ in left:
            await client.use(latency)

    await asyncio.gather(*(work(client) for client in clients for _ in range(at_once)))


def busiest_second(clients: list[Client]) -> int:
    times = sorted(at for one in clients for at in one.started)
    return max(n - bisect_left(times, at - 1.0 + 1e-9) + 1 for n, at in enumerate(times))


@pytest.mark.parametrize(
    ("at_once", "latency", "calls"),
    [
        pytest.param(400, 2.0, 11, id="slow-answers"),
        pytest.param(64, 0.2, 16, id="enough-at-once"),
        pytest.param(40, 0.2, 34, id="hardly-enough-at-once"),
    ],
)
def test_two_workers_use_a_limit_to_the_full_and_never_more(
    at_once: int, latency: float, calls: int
) -> None:
    requests, rate = 3000, 300
    clients = play(
        RateLimits(per_second=rate), 2, lambda all_: share(all_, requests, at_once, latency)
    )
    times = sorted(at for one in clients for at in one.started)
    assert times[-1] <= 1.06 * requests / rate
    assert busiest_second(clients) <= 1.02 * rate
    assert all(one.port.calls["starts"] <= calls * times[-1] for one in clients)


@pytest.mark.parametrize(("at_once", "held_back"), [(4, False), (64, True)])
def test_only_a_limit_that_is_reached_holds_back(at_once: int, held_back: bool) -> None:  # noqa: FBT001 - pytest names it
    """Else `auto` would not grow: it takes a wait for the coordinator for one for the limit."""
    clients = play(
        RateLimits(per_second=300), 2, lambda all_: share(all_, 2000, at_once, latency=0.2)
    )
    share_held_back = sum(one.held_back for one in clients) / 2000
    assert share_held_back > 0.5 if held_back else share_held_back < 0.05


def test_a_worker_with_little_to_do_leaves_the_rest_to_the_others() -> None:
    async def script(clients: list[Client]) -> None:
        one, other = clients
        await asyncio.gather(share([one], 50, 1, 0.1), share([other], 2400, 200, 0.3))

    one, other = play(RateLimits(per_second=300), 2, script)
    assert one.started[-1] <= 50 * (0.1 + 0.25)
    assert other.started[-1] <= 2450 / 300 * 1.06
    assert busiest_second([one, other]) <= 1.02 * 300


def test_nothing_waits_where_there_is_no_limit() -> None:
    (client,) = play(RateLimits(), 1, lambda all_: share(all_, 1000, 10, 0.01))
    assert client.started[-1] <= 1.05 * 1000 * 0.01 / 10
    assert client.port.calls["starts"] <= 10 * client.started[-1]


def test_a_pause_of_one_worker_holds_all_within_a_quarter_of_a_second() -> None:
    async def script(clients: list[Client]) -> None:
        one, other = clients
        work = asyncio.gather(share([one], 20, 1, 0.1), share([other], 200, 2, 0.1))
        await asyncio.sleep(1.0)
        one.limiter.pause(5.0)
        await work

    clients = play(RateLimits(), 2, script)
    times = sorted(at for one in clients for at in one.started)
    assert not [at for at in times if 1.26 < at < 5.99]
    assert times[-1] > 6.0


def test_a_limit_that_one_worker_learns_holds_for_all() -> None:
    async def script(clients: list[Client]) -> None:
        one, other = clients
        await one.use(0.0)
        limit = HeaderLimit(10.0, 0.0)
        one.limits.learn({"requests": limit}, Started(virtual_time.now(), {}))
        await asyncio.gather(share([one], 5, 1, 0.1), share([other], 60, 4, 0.1))

    one, other = play(RateLimits(), 2, script)
    assert one.port.calls["starts"] > 1
    assert len([at for at in other.started if at < 1.0]) > 10
    assert 18 <= len([at for at in other.started if 2.0 <= at < 4.0]) <= 20
    assert other.limiter.per_minute == {"requests": pytest.approx(594)}


def test_what_an_answer_took_less_than_estimated_comes_back() -> None:
    async def script(clients: list[Client]) -> None:
        (client,) = clients
        for _ in range(40):
            grant = await client.limiter.acquire(100.0)
            client.started.append(virtual_time.now())
            client.limiter.correct(grant, 10)

    (client,) = play(RateLimits(tokens_per_minute=6000), 1, script)
    # 100 a second, of which each takes 10: some ten a second, and not one.
    assert client.started[-1] < 12


def test_a_call_that_gets_no_answer_is_made_again() -> None:
    async def script(clients: list[Client]) -> None:
        (client,) = clients
        client.port.cut = True
        work = asyncio.create_task(share([client], 100, 10, 0.01))
        await asyncio.sleep(3.0)
        client.port.cut = False
        await work

    (client,) = play(RateLimits(per_second=50), 1, script)
    assert len(client.started) == 100
    assert 3.0 < client.started[0] < 3.6
    assert client.started[-1] < 3.6 + 2.2


def test_a_start_that_is_due_at_once_is_used_though_time_goes_on_meanwhile() -> None:
    """A clock that stands still between two lines would not tell."""
    ticks = count()
    port = LocalPort(Coordinator(CoordinatorSetup(()), 0.0), "w", lambda: 0.0)
    limits = RemoteLimits(port, lambda: next(ticks) * 1e-6)
    limits._take(Given((Start(1, 0.0, 0.0, {}),)))
    limits._drop_late()
    assert [start.number for start in limits._starts] == [1]
