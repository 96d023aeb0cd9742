"""Streams of a pool, in virtual time."""

from __future__ import annotations

import pytest

from lm_eval_so.runner.backends.base import asked_replica
from lm_eval_so.runner.errors import APIConnectionError
from support.replicas import Server, pool_of
from support.virtual_time import run


def test_a_stream_is_passed_on_until_somebody_begins_to_answer() -> None:
    full, gone, free = Server(), Server(), Server()
    full.status, gone.down = 503, True

    async def main(seed: int) -> bool:
        async with pool_of(full, gone, free, seed=seed).stream(b"{}", {}) as stream:
            return stream.ok and asked_replica.get() == "c"

    assert all(run(main(seed)) for seed in range(10))


def test_a_stream_that_nobody_answers_tells_the_refusal() -> None:
    one, other = Server(), Server()
    one.status = other.status = 503
    one.body = other.body = b'{"error": "full"}'

    async def main() -> tuple[int, bytes]:
        async with pool_of(one, other).stream(b"{}", {}) as stream:
            whole = await stream.whole()
            return stream.status, whole.body

    assert run(main()) == (503, b'{"error": "full"}')


def test_a_stream_that_breaks_off_is_given_to_nobody_else() -> None:
    servers = [Server(), Server()]

    async def main() -> None:
        async with pool_of(*servers).stream(b"{}", {}):
            raise APIConnectionError("broke off")

    with pytest.raises(APIConnectionError, match="broke off"):
        run(main())
    assert sum(len(server.asked) for server in servers) == 1
