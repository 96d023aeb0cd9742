from __future__ import annotations

import asyncio

import pytest

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.engine.coordinator.concurrency import Bounds
from lm_eval_so.runner.engine.remote.concurrency import UnderWay, follow
from lm_eval_so.runner.engine.sync import workers_for
from lm_eval_so.runner.models import ChatResponse, Outcome, RunConfig, RunRequest, TestSample
from lm_eval_so.runner.strategy.stack import Stack
from support import virtual_time
from support.backends import Sends
from support.requests import request_of

OUTCOME = Outcome(response=ChatResponse(text="fine"))


def requests(count: int) -> list[RunRequest]:
    config = RunConfig(backend="b", model="m")
    samples = [
        TestSample(id=f"s{n}", messages=[{"role": "user", "content": "q"}]) for n in range(count)
    ]
    return [request_of(one, n, config, "key", "t") for n, one in enumerate(samples)]


class Scene:
    """A stack whose requests take a second each."""

    def __init__(self, **options: object) -> None:
        self.at_once = 0
        self.stack = Stack(
            Sends(self._send),
            RunnerOptions.model_validate(options),
            stopping=lambda: False,
            give_up=lambda _: None,
            clock=virtual_time.now,
        )

    async def _send(self, _: RunRequest) -> ChatResponse:
        self.at_once += 1
        await asyncio.sleep(1.0)
        self.at_once -= 1
        return ChatResponse(text="fine", status_code=200)


@pytest.mark.parametrize("concurrency", ["auto", 16])
def test_a_share_shrinks_and_grows_while_requests_are_under_way(concurrency: object) -> None:
    async def main() -> None:
        scene = Scene(max_concurrency=concurrency)
        follow(scene.stack, Bounds(8, 8, 8))
        work = [asyncio.create_task(scene.stack.settle(one)) for one in requests(200)]
        seen = []
        for bounds in (Bounds(3, 3, 3), Bounds(0, 0, 0), Bounds(16, 16, 16)):
            await asyncio.sleep(0.5)
            seen.append(scene.at_once)
            follow(scene.stack, bounds)
            await asyncio.sleep(2.5)
            seen.append(scene.at_once)
        assert seen == [8, 3, 3, 0, 0, 16]
        for task in work:
            task.cancel()

    virtual_time.run(main())


def test_auto_goes_on_where_it_was_when_only_its_bounds_change() -> None:
    async def main() -> None:
        scene = Scene()
        follow(scene.stack, Bounds(8, 1, 256))
        await asyncio.gather(*map(scene.stack.settle, requests(100)))
        grown = scene.stack.slots.limit
        assert grown > 8
        follow(scene.stack, Bounds(4, 1, 128))
        assert scene.stack.slots.limit == grown
        follow(scene.stack, Bounds(4, 1, 12))
        assert scene.stack.slots.limit == 12

    virtual_time.run(main())


def test_no_more_is_begun_than_can_soon_be_sent() -> None:
    async def main() -> None:
        scene = Scene(max_concurrency=500)
        follow(scene.stack, Bounds(20, 20, 20))
        left = requests(200)
        delivered: list[RunRequest] = []

        class Feed:
            async def next(self) -> RunRequest | None:
                return left.pop() if left else None

        async def deliver(request: RunRequest, _: Outcome) -> None:
            delivered.append(request)

        way = UnderWay(Feed(), deliver, scene.stack, lambda: False)
        asking = [asyncio.create_task(way.next()) for _ in range(100)]
        await asyncio.sleep(0)
        begun = [request for task in asking if task.done() and (request := task.result())]
        assert len(begun) == workers_for(20)
        for request in begun[:5]:
            await way.deliver(request, OUTCOME)
        await asyncio.sleep(0)
        assert sum(task.done() for task in asking) == workers_for(20) + 5
        follow(scene.stack, Bounds(40, 40, 40))
        way.look()
        await asyncio.sleep(0)
        assert sum(task.done() for task in asking) == workers_for(40) + 5
        for task in asking:
            task.cancel()

    virtual_time.run(main())


def test_nobody_waits_for_a_turn_once_the_run_stops() -> None:
    """What was begun and then cancelled is never delivered."""

    async def main() -> None:
        scene = Scene(max_concurrency=500)
        follow(scene.stack, Bounds(20, 20, 20))
        stops = False
        left = requests(200)

        class Feed:
            async def next(self) -> RunRequest | None:
                return left.pop() if left and not stops else None

        async def deliver(_: RunRequest, __: Outcome) -> None:
            pass

        way = UnderWay(Feed(), deliver, scene.stack, lambda: stops)
        begun = [await way.next() for _ in range(workers_for(20))]
        waiting = [asyncio.create_task(way.next()) for _ in range(10)]
        await asyncio.sleep(0)
        stops = True
        assert begun[0] is not None
        await way.deliver(begun[0], OUTCOME)
        async with asyncio.timeout(1):
            assert await asyncio.gather(*waiting, way.next()) == [None] * 11

    virtual_time.run(main())
