"""A key, an account or a model that one server of a pool refuses, in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from support.replicas import Server, ask, ask_all, pool_of
from support.virtual_time import run


@pytest.mark.parametrize(("latency", "at_once"), [(0.05, 4), (5.0, 64)])
@pytest.mark.parametrize("status", [401, 402, 404])
def test_a_wrong_key_of_one_is_passed_over_and_put_out(
    status: int, latency: float, at_once: int
) -> None:
    wrong, right = Server(), Server(latency)
    wrong.status = status

    async def main() -> None:
        pool = pool_of(wrong, right)
        await ask_all(600, at_once, lambda _: ask_ok(pool))

    async def ask_ok(pool: Any) -> None:  # noqa: ANN401 - a Pool
        assert (await ask(pool)).ok

    run(main())
    assert len(right.asked) == 600
    assert len(wrong.asked) < 15


def test_a_wrong_key_everywhere_is_told_after_one_try_each() -> None:
    servers = [Server() for _ in range(3)]
    for server in servers:
        server.status = 401

    async def main() -> int:
        return (await ask(pool_of(*servers))).status

    assert run(main()) == 401
    assert [len(server.asked) for server in servers] == [1, 1, 1]


@pytest.mark.parametrize("how", ["refused-by-all", "cancelled"])
def test_who_refused_a_request_that_nobody_answered_is_asked_as_before(how: str) -> None:
    one, other = Server(), Server(5.0)
    one.status, other.status = 404, 404 if how == "refused-by-all" else 200

    async def main() -> int:
        pool = pool_of(one, other)
        for _ in range(4):
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await ask(pool)
        refused = len(one.asked)
        one.status, other.status = 200, 200
        await ask_all(100, 4, lambda _: ask(pool))
        return refused

    assert run(main()) > 0
    assert one.answered > 80


def test_a_refusal_that_may_pass_is_told_before_one_that_never_will() -> None:
    busy, wrong = Server(), Server()
    busy.status, wrong.status = 429, 401

    async def main(seed: int) -> int:
        return (await ask(pool_of(busy, wrong, seed=seed))).status

    assert {run(main(seed)) for seed in range(6)} == {429}


def test_a_wait_is_not_shortened_by_a_server_that_refuses_everybody() -> None:
    busy, wrong = Server(), Server()
    busy.status, wrong.status = 429, 401
    busy.headers = {"retry-after": "20"}

    async def main(seed: int) -> float:
        answer = await ask(pool_of(busy, wrong, seed=seed))
        assert answer.status == 429
        return float(answer.headers["retry-after-ms"]) / 1000

    assert {round(run(main(seed))) for seed in range(6)} == {20}
