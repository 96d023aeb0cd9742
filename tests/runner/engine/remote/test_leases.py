"""The leases of one worker, over a coordinator in the same loop; parts are on disk."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from lm_eval_so.runner.engine.coordinator.coordinator import Coordinator, CoordinatorSetup
from lm_eval_so.runner.engine.coordinator.leases import Held
from lm_eval_so.runner.engine.coordinator.shards import owed
from lm_eval_so.runner.engine.remote.leases import RemoteLeases
from lm_eval_so.runner.models import ChatResponse, Outcome
from lm_eval_so.runner.store.parts.lease import Lease
from support import virtual_time
from support.local_port import LocalPort
from support.sharded import Sharded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from lm_eval_so.runner.errors import StoreError
    from lm_eval_so.runner.run.shard_feed import ShardFeed

ANSWER = Outcome(response=ChatResponse(text="fine", status_code=200))


class Scene:
    """What a worker has, without its strategies."""

    def __init__(self, folder: Path, samples: int, size: int) -> None:
        self.sharded = Sharded(folder, samples, size)
        setup = CoordinatorSetup(owed(samples, size))
        self.coordinator = Coordinator(setup, virtual_time.now())
        self.port = LocalPort(self.coordinator, "w", virtual_time.now)
        self.news: list[str] = []
        self.leases = RemoteLeases(self.port, self.sharded, self)
        self.feed: ShardFeed = self.sharded.feed(self.leases)

    def left(self) -> int:
        return sum(lease.end - begun for lease, begun in self.feed.begun)

    def idle(self) -> None:
        self.news.append("idle")

    def busy(self) -> None:
        self.news.append("busy")

    def fail(self, fault: StoreError) -> None:
        raise fault

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        lanes = [asyncio.create_task(one) for one in (self.leases.fetch(), self.leases.tell())]
        yield
        for lane in lanes:
            lane.cancel()

    async def answer(self, count: int) -> None:
        for _ in range(count):
            request = await self.feed.next()
            assert request is not None
            await self.feed.deliver(request, ANSWER)


def test_the_next_lease_is_there_before_the_present_one_ends(tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path, 30, 10)
        async with scene.running():
            await scene.answer(1)
            await asyncio.sleep(1.0)
            assert scene.leases.ahead == Lease(10, 10, 2)
            assert scene.leases.held() == [Held(2, 10)]
            assert scene.news == ["idle", "busy"]  # before the first came, and never again
            began = virtual_time.now()
            await scene.answer(29)
            assert virtual_time.now() - began < 0.01
            assert await scene.feed.next() is None
            assert scene.coordinator.finished

    virtual_time.run(main())


def test_nothing_is_sealed_of_a_lease_that_was_lost_unknowingly(tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path, 20, 10)
        async with scene.running():
            await scene.answer(9)
            await asyncio.sleep(1.0)
            scene.coordinator.gone("w")
            assert scene.coordinator.lease("other", virtual_time.now()).lease == Lease(0, 10, 3)
            await scene.answer(2)
            await scene.leases.all_told()
        assert scene.sharded.results() == []
        assert not scene.coordinator.finished

    virtual_time.run(main())


def test_a_lease_that_is_done_is_held_until_the_coordinator_knows(tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path, 20, 10)
        async with scene.running():
            await scene.answer(9)
            await asyncio.sleep(1.0)
            scene.port.cut = True
            await scene.answer(2)
            await asyncio.sleep(3.0)
            assert Held(1, 10) in scene.leases.held()
            assert scene.sharded.results() == []
            scene.port.cut = False
            await scene.leases.all_told()
            assert Held(1, 10) not in scene.leases.held()
            assert scene.sharded.results() == [f"s{n}" for n in range(10)]

    virtual_time.run(main())


def test_the_next_lease_can_end_early_or_be_lost_before_it_begins(tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path, 40, 10)
        async with scene.running():
            await scene.answer(1)
            await asyncio.sleep(1.0)
            assert scene.leases.end_at(2, 14) == 14
            assert scene.leases.ahead == Lease(10, 4, 2)
            assert scene.leases.end_at(1, 14) is None
            assert scene.leases.end_at(2, 10) == 10  # nothing is left of it
            await asyncio.sleep(1.0)
            assert scene.leases.ahead == Lease(20, 10, 3)
            scene.leases.lose(3)
            await asyncio.sleep(1.0)
            assert scene.leases.ahead == Lease(30, 10, 4)

    virtual_time.run(main())
