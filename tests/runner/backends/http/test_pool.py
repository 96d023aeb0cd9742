"""Who is asked, and who is asked instead: in virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from lm_eval_so.runner.backends.base import asked_replica
from lm_eval_so.runner.backends.http.error_response import from_status
from lm_eval_so.runner.backends.http.limit_headers import HeaderLimit, read_limits
from lm_eval_so.runner.errors import (
    APIConnectionError,
    EndpointUnreachableError,
    RateLimitError,
)
from support.replicas import Server, ask, ask_all, pool_of
from support.virtual_time import now, run


def limits(limit: int, remaining: int) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(remaining),
    }


def test_equal_servers_get_equal_shares_and_equal_numbers_at_once() -> None:
    servers = [Server() for _ in range(3)]

    async def main() -> None:
        pool = pool_of(*servers)
        await ask_all(600, 12, lambda _: ask(pool))

    run(main())
    assert [server.answered for server in servers] == [200, 200, 200]
    assert [server.most for server in servers] == [4, 4, 4]


@pytest.mark.parametrize("seed", [1, 2])
def test_chance_decides_between_equals_as_the_seed_says(seed: int) -> None:
    async def main() -> str:
        pool = pool_of(*(Server() for _ in range(3)), seed=seed)
        chosen = []
        for _ in range(40):
            pool._replicas[0]._latency = pool._replicas[1]._latency = pool._replicas[2]._latency = 1
            await ask(pool)
            chosen.append(asked_replica.get())
        return "".join(map(str, chosen))

    first = run(main())
    assert first == run(main())
    assert set(first) == {"a", "b", "c"}


@pytest.mark.parametrize("slots", [16, 1 << 30], ids=["of-16-slots", "of-any-number"])
def test_a_slow_server_does_not_dictate_the_pace(slots: int) -> None:
    """50, 50 and 300 ms, 48 in flight: close to the best that any choice could reach."""
    servers = [Server(0.05, slots=slots), Server(0.05, slots=slots), Server(0.3, slots=slots)]

    async def main() -> float:
        pool = pool_of(*servers)
        return await ask_all(3000, 48, lambda _: ask(pool))

    took = run(main())
    fast = 48 if slots > 48 else 32
    best = 3000 / (fast / 0.05 + (48 - fast) / 0.3)
    assert took <= 1.15 * best


def test_a_server_that_was_slow_at_first_is_tried_again() -> None:
    slow, other = Server(20), Server(0.05)

    async def main() -> None:
        pool = pool_of(slow, other)
        await ask_all(2, 2, lambda _: ask(pool))
        slow.latency = 0.05
        await ask_all(4000, 4, lambda _: ask(pool))

    run(main())
    assert slow.answered > 500


def test_a_refused_connection_is_the_next_ones_request() -> None:
    gone, there = Server(), Server()
    gone.down = True

    async def main() -> int:
        pool, again = pool_of(gone, there), list[None]()
        for _ in range(20):
            assert (await ask(pool, resent=lambda: again.append(None))).ok
        return len(again)

    assert run(main()) == 0
    assert (len(there.asked), len(gone.asked) >= 1) == (20, True)


def test_a_server_that_is_away_is_probed_with_growing_pauses_and_is_back() -> None:
    gone, there = Server(), Server()
    gone.down = True

    async def main() -> list[float]:
        pool = pool_of(gone, there)
        while now() < 120:
            await ask(pool)
        tried = [*gone.asked]
        gone.down = False
        await ask_all(2000, 2, lambda _: ask(pool))
        return tried

    tried = run(main())
    pauses = [round(after - before, 6) for before, after in pairwise(tried)]
    assert len(tried) < 15
    assert pauses == sorted(pauses)
    assert 20 < pauses[-1] <= 60
    assert gone.answered > 500


def test_where_all_are_away_everyone_is_tried_and_one_error_says_so() -> None:
    servers = [Server() for _ in range(3)]
    for server in servers:
        server.down = True

    async def main() -> None:
        pool = pool_of(*servers)
        for times in (1, 2):
            with pytest.raises(EndpointUnreachableError, match="none of the 3 servers takes"):
                await ask(pool)
            assert [len(server.asked) for server in servers] == [times] * 3
        servers[2].down = False
        assert (await ask(pool)).ok

    run(main())


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_server_without_room_is_passed_over_while_another_has_some(status: int) -> None:
    full, free = Server(), Server()
    full.status, full.headers = status, {"retry-after": "5"}

    async def main() -> list[None]:
        pool, again = pool_of(full, free), list[None]()
        while now() < 4:
            assert (await ask(pool, resent=lambda: again.append(None))).ok
        return again

    assert len(run(main())) == len(full.asked) == 1


def test_where_none_has_room_the_shortest_wait_is_the_pools() -> None:
    first, second = Server(), Server()
    first.status = second.status = 429
    first.headers, second.headers = {"retry-after": "60"}, {"retry-after": "2"}

    async def main() -> Any:  # noqa: ANN401 - an error
        return from_status(*await ask(pool_of(first, second)))

    error = run(main())
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 2
    assert (len(first.asked), len(second.asked)) == (1, 1)


def test_a_server_that_takes_few_at_once_is_given_few() -> None:
    """503 beyond four at once, without a word on how long to wait."""
    small, large = Server(), Server()

    async def ask_small(*arguments: Any) -> Any:  # noqa: ANN401 - as Server.post
        small.status = 200 if small._busy < 4 else 503
        return await Server.post(small, *arguments)

    small.post = ask_small  # type: ignore[method-assign]

    async def main() -> list[None]:
        pool, again = pool_of(small, large), list[None]()
        await ask_all(4000, 40, lambda _: ask(pool, resent=lambda: again.append(None)))
        return again

    refused = run(main())
    assert small.answered > 250
    assert len(refused) < 0.05 * 4000


def test_the_limits_of_all_are_what_the_run_learns() -> None:
    one, two = Server(), Server()
    one.headers, two.headers = limits(600, 599), limits(60, 50)

    async def main() -> list[Any]:
        pool = pool_of(one, two)
        return [read_limits((await ask(pool)).headers) for _ in range(12)]

    told = run(main())
    assert told[0] == {}  # one of them has not said anything yet
    found = told[-1]["requests"]
    assert isinstance(found, HeaderLimit)
    assert found.per_second == 11
    assert 640 < found.remaining <= 649


def test_an_account_whose_allowance_is_spent_gets_nothing() -> None:
    spent, other = Server(), Server()
    spent.headers = limits(60, 0)

    async def main() -> None:
        pool = pool_of(spent, other)
        await ask_all(190, 2, lambda _: ask(pool))

    run(main())
    assert 1 <= len(spent.asked) <= 8  # one a second comes back


def test_a_refusal_of_the_request_itself_is_asked_once() -> None:
    servers = [Server() for _ in range(2)]
    for server in servers:
        server.status = 400

    async def main() -> int:
        return (await ask(pool_of(*servers))).status

    assert run(main()) == 400
    assert sum(len(server.asked) for server in servers) == 1


@pytest.mark.parametrize("how", ["500", "reset"])
def test_a_server_that_fails_at_once_does_not_draw_all_requests(how: str) -> None:
    broken, well = Server(), Server()
    broken.status, broken.breaks = (500, False) if how == "500" else (200, True)

    async def main() -> list[object]:
        pool, found = pool_of(broken, well), list[object]()

        async def one(_: int) -> None:
            try:
                found.append((await ask(pool)).status)
            except APIConnectionError as error:
                found.append(error)

        await ask_all(1000, 8, one)
        return found

    found = run(main())
    assert 3 <= len(broken.asked) < 20
    assert found.count(200) >= 980


def test_a_server_that_hangs_is_out_after_three_timeouts() -> None:
    hangs, well = Server(1e9), Server()

    async def main() -> list[str | None]:
        pool, late = pool_of(hangs, well), list[str | None]()

        async def one(_: int) -> None:
            try:
                async with asyncio.timeout(1):
                    await ask(pool)
            except TimeoutError:
                late.append(asked_replica.get())

        await ask_all(1000, 8, one)
        return late

    late = run(main())
    assert set(late) == {"a"}
    assert len(late) < 12


def test_with_one_request_at_a_time_each_server_is_tried() -> None:
    servers = [Server() for _ in range(4)]

    async def main() -> None:
        pool = pool_of(*servers)
        await ask_all(40, 1, lambda _: ask(pool))

    run(main())
    assert min(len(server.asked) for server in servers) >= 5
