from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.engine.base import EngineSetup, Stop
from lm_eval_so.runner.engine.sync import SyncEngine
from lm_eval_so.runner.errors import BadRequestError, InternalServerError, StoreError
from lm_eval_so.runner.models import (
    ChatResponse,
    Outcome,
    RunConfig,
    RunRequest,
    RunResult,
    TestSample,
)
from lm_eval_so.runner.run.recorder import Recorder
from support.backends import Sends
from support.requests import FeedOf, request_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Send = Callable[[RunRequest], Awaitable[ChatResponse]]

CONFIG = RunConfig(backend="b", model="m")


class Scene:
    """An engine with everything around it in memory."""

    def __init__(self, send: Send, *, workers: int = 4, **options: float) -> None:
        self.send = send
        self.workers = workers
        self.options = RunnerOptions.model_validate({"max_concurrency": workers, **options})
        self.read = 0
        self.sent: list[str] = []
        self.delivered: list[RunResult] = []
        self.recorder = Recorder("d", [CONFIG])

    def items(self, count: int) -> Iterator[RunRequest]:
        for number in range(count):
            self.read += 1
            sample = TestSample(id=f"s{number}", messages=[{"role": "user", "content": "q"}])
            yield request_of(sample, number, CONFIG, "key", "trace")

    async def _send(self, request: RunRequest) -> ChatResponse:
        self.sent.append(request.sample_id)
        return await self.send(request)

    async def deliver(self, request: RunRequest, outcome: Outcome) -> None:
        self.delivered.append(self.recorder.record(request, outcome))

    async def go(
        self,
        count: int,
        *,
        drain_timeout: float = 30,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> Stop:
        self.stop = Stop()
        setup = EngineSetup(
            backend=Sends(self._send),
            options=self.options.model_copy(update={"drain_timeout": drain_timeout}),
            stop=self.stop,
        )
        engine = SyncEngine(setup, workers=self.workers)

        async def running() -> None:
            async with engine:
                await engine.run(FeedOf(self.items(count), self.stop), self.deliver)

        await asyncio.wait_for(asyncio.gather(running(), *([meanwhile()] if meanwhile else [])), 10)
        assert len(asyncio.all_tasks()) == 1, "nothing is left running"
        return self.stop

    @property
    def ids(self) -> list[str]:
        return [result.sample_id for result in self.delivered]


async def at_once(_: RunRequest) -> ChatResponse:
    return ChatResponse(text="fine")


def test_everything_owed_is_delivered() -> None:
    scene = Scene(at_once)
    stop = asyncio.run(scene.go(50))
    assert not stop
    assert sorted(scene.ids) == sorted(f"s{n}" for n in range(50))


def test_a_failed_sample_is_delivered_like_any_other() -> None:
    async def send(request: RunRequest) -> ChatResponse:
        if request.sample_id == "s3":
            raise BadRequestError("no", status_code=400)
        return ChatResponse(text="fine")

    scene = Scene(send)
    assert not asyncio.run(scene.go(10))
    (failed,) = [result for result in scene.delivered if result.status != "ok"]
    assert failed.sample_id == "s3"
    assert len(scene.delivered) == 10


def test_samples_are_read_only_as_far_as_there_are_workers() -> None:
    ahead = 0

    async def send(_: RunRequest) -> ChatResponse:
        nonlocal ahead
        ahead = max(ahead, scene.read - len(scene.delivered))
        await asyncio.sleep(0)
        return ChatResponse(text="fine")

    scene = Scene(send, workers=4)
    asyncio.run(scene.go(300))
    assert ahead <= 4
    assert len(scene.delivered) == 300


def test_there_is_a_task_per_worker_and_none_per_sample() -> None:
    most = 0

    async def send(_: RunRequest) -> ChatResponse:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()))
        await asyncio.sleep(0)
        return ChatResponse(text="fine")

    asyncio.run(Scene(send, workers=6).go(1000))
    assert 6 < most <= 6 + 4


@pytest.mark.parametrize("fault", [ValueError("bug"), KeyError("k")], ids=repr)
def test_a_fault_in_the_backend_costs_the_sample_that_met_it(fault: Exception) -> None:
    async def send(request: RunRequest) -> ChatResponse:
        if request.sample_id == "s2":
            raise fault
        return ChatResponse(text="fine")

    scene = Scene(send, workers=4)
    stop = asyncio.run(scene.go(50))
    assert stop.reason is None
    assert sorted(scene.ids) == sorted(f"s{n}" for n in range(50))


def test_a_fault_in_delivery_ends_the_run() -> None:
    fault = StoreError("disk full")

    class Full(Scene):
        async def deliver(self, request: RunRequest, outcome: Outcome) -> None:
            if len(self.delivered) == 10:
                raise fault
            await super().deliver(request, outcome)

    scene = Full(at_once)
    stop = asyncio.run(scene.go(1000))
    assert stop.reason is fault
    assert len(scene.delivered) == 10
    assert len(scene.sent) < 20


def test_a_fault_in_the_dataset_ends_the_run() -> None:
    class Torn(Scene):
        def items(self, count: int) -> Iterator[RunRequest]:
            yield from super().items(count)
            raise OSError("gone")

    scene = Torn(at_once)
    stop = asyncio.run(scene.go(10))
    assert isinstance(stop.reason, OSError)
    assert sorted(scene.ids) == sorted(f"s{n}" for n in range(10))


def test_a_stop_sends_nothing_more_and_waits_for_what_is_in_flight() -> None:
    gate = asyncio.Event()

    async def send(_: RunRequest) -> ChatResponse:
        await gate.wait()
        return ChatResponse(text="fine")

    scene = Scene(send, workers=8, max_concurrency=4)

    async def meanwhile() -> None:
        while len(scene.sent) < 4:
            await asyncio.sleep(0)
        scene.stop.request(KeyboardInterrupt())
        for _ in range(20):
            await asyncio.sleep(0)
        assert scene.delivered == []
        gate.set()

    stop = asyncio.run(scene.go(1000, meanwhile=meanwhile))
    assert isinstance(stop.reason, KeyboardInterrupt)
    assert scene.sent == ["s0", "s1", "s2", "s3"]
    assert sorted(scene.ids) == scene.sent


def test_an_answer_that_came_with_the_stop_is_delivered() -> None:
    async def send(_: RunRequest) -> ChatResponse:
        if len(scene.sent) == 8:
            scene.stop.request(KeyboardInterrupt())
        return ChatResponse(text="fine")

    scene = Scene(send, workers=8)
    asyncio.run(scene.go(1000))
    assert sorted(scene.ids) == sorted(scene.sent)
    assert len(scene.sent) >= 8


def test_a_sample_that_backs_off_at_the_stop_stays_owed() -> None:
    async def send(_: RunRequest) -> ChatResponse:
        raise InternalServerError("down", retry_after=3600)

    scene = Scene(send, workers=3)

    async def meanwhile() -> None:
        while not scene.sent:
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)
        scene.stop.request(KeyboardInterrupt())

    asyncio.run(scene.go(100, meanwhile=meanwhile))
    assert scene.delivered == []


async def for_ever(_: RunRequest) -> ChatResponse:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    ("drain_timeout", "at_once"), [(0.05, False), (30, True), (0, False)], ids=str
)
def test_a_stop_waits_no_longer_than_it_should(drain_timeout: float, *, at_once: bool) -> None:
    scene = Scene(for_ever, workers=3)

    async def meanwhile() -> None:
        while len(scene.sent) < 3:
            await asyncio.sleep(0)
        scene.stop.request(KeyboardInterrupt(), at_once=at_once)

    asyncio.run(scene.go(10, drain_timeout=drain_timeout, meanwhile=meanwhile))
    assert len(scene.sent) == 3
    assert scene.delivered == []


def test_a_second_request_ends_the_waiting() -> None:
    scene = Scene(for_ever, workers=3)

    async def meanwhile() -> None:
        while len(scene.sent) < 3:
            await asyncio.sleep(0)
        scene.stop.request(KeyboardInterrupt())
        await asyncio.sleep(0.02)
        scene.stop.request(ValueError(), at_once=True)

    stop = asyncio.run(scene.go(10, meanwhile=meanwhile))
    assert isinstance(stop.reason, KeyboardInterrupt), "the first reason holds"


def test_a_cancelled_run_gives_up_everything() -> None:
    scene = Scene(for_ever, workers=3)

    async def main() -> None:
        task = asyncio.ensure_future(scene.go(10))
        while len(scene.sent) < 3:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_an_empty_iterator_is_a_run_that_is_done() -> None:
    scene = Scene(at_once)
    assert not asyncio.run(scene.go(0))
    assert scene.delivered == []
