"""What begins alike goes to one server of a pool, in virtual time."""

from __future__ import annotations

from lm_eval_so.runner.backends.base import asked_replica
from support.replicas import Server, ask, ask_all, pool_of
from support.virtual_time import run


def by_prefix(body: bytes) -> bytes:
    return body.partition(b"|")[0]


def test_the_same_prefix_goes_to_the_same_server() -> None:
    async def main(without: int | None = None) -> dict[int, str | None]:
        servers = [Server() for _ in range(4)]
        if without is not None:
            servers[without].down = True
        pool = pool_of(*servers, prefix_of=by_prefix)
        went: dict[int, str | None] = {}
        for prefix in range(40):
            for question in range(3):
                await ask(pool, b"system %d|%d" % (prefix, question))
                assert went.setdefault(prefix, asked_replica.get()) == asked_replica.get()
        return went

    whole, less = run(main()), run(main(without=0))
    assert set(whole.values()) == {"a", "b", "c", "d"}
    assert {prefix for prefix in whole if whole[prefix] != less[prefix]} == {
        prefix for prefix in whole if whole[prefix] == "a"
    }


def test_one_prefix_for_all_is_spread_once_its_server_has_a_quarter_above_the_mean() -> None:
    servers = [Server() for _ in range(4)]

    async def main() -> None:
        pool = pool_of(*servers, prefix_of=by_prefix)
        await ask_all(2000, 40, lambda _: ask(pool, b"the same|"))

    run(main())
    assert max(server.most for server in servers) <= 13
    assert min(server.most for server in servers) >= 1
