"""The rate of starts that refusals teach, on a clock that only sleeping moves."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.errors import InternalServerError, RateLimitError
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest, TestSample
from lm_eval_so.runner.strategy.rate_limit.start_rate import StartRate
from support import virtual_time
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Callable


class Scene:
    """A rate in virtual time, and a server that says whom it takes."""

    def __init__(self, takes: Callable[[float], bool], status: int = 429) -> None:
        self.takes = takes
        self.status = status
        self.starts: list[float] = []
        self.refused = 0
        self.waits: list[dict[str, float]] = []

    def run(self, number: int, *, taught: float | None, usual: float = 0.0) -> StartRate:
        async def main() -> StartRate:
            loop = asyncio.get_running_loop()
            rate = StartRate(clock=loop.time, sleep=asyncio.sleep)
            if taught is not None:
                rate.teach(taught, usual)
            send = rate.wrap(self._send)

            async def one(index: int) -> None:
                sample = TestSample(id=f"s{index}", messages=[{"role": "user", "content": "q"}])
                request = request_of(sample, index, RunConfig(backend="b", model="m"), "k", "t")
                try:
                    await send(request)
                except (RateLimitError, InternalServerError):
                    self.refused += 1
                self.waits.append(request.journal.waited_ms)

            await asyncio.gather(*(one(index) for index in range(number)))
            return rate

        return virtual_time.run(main())

    async def _send(self, _: RunRequest) -> ChatResponse:
        now = asyncio.get_running_loop().time()
        self.starts.append(now)
        await asyncio.sleep(0.001)
        if self.takes(now):
            return virtual_time.ANSWER
        raise virtual_time.refusal(self.status)


class Leaky:
    """Takes a request ``per_second``, and none before its time."""

    def __init__(self, per_second: float) -> None:
        self.interval = 1 / per_second
        self.last = -1.0

    def __call__(self, now: float) -> bool:
        if now - self.last < self.interval - 1e-9:
            return False
        self.last = now
        return True


def test_nothing_is_held_back_until_refusals_have_taught_a_rate() -> None:
    scene = Scene(lambda _: True)
    rate = scene.run(50, taught=None)
    assert scene.starts == [0.0] * 50
    assert rate.per_second is None
    assert scene.waits == [{}] * 50


def test_starts_are_spaced_evenly_and_the_waits_are_told() -> None:
    scene = Scene(lambda _: True)
    scene.run(20, taught=10)
    gaps = [later - earlier for earlier, later in pairwise(scene.starts)]
    assert max(gaps) <= 0.1 + 1e-9
    assert min(gaps) > 0.03, "it goes up while nothing is refused"
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(gaps))
    assert scene.waits[0] == {}
    assert all(waited["rate_limit"] > 0 for waited in scene.waits[1:])


@pytest.mark.parametrize("status", [429, 503, 529])
@pytest.mark.parametrize(
    ("taught", "most"),
    [(2.0, 1.2), (10.0, 1.1), (19.0, 1.1), (200.0, 1.1)],
    ids=["far-too-low", "too-low", "right", "too-high"],
)
def test_it_settles_where_few_are_refused(taught: float, most: float, status: int) -> None:
    scene = Scene(Leaky(20), status)
    rate = scene.run(2000, taught=taught)
    assert rate.per_second == pytest.approx(20, rel=0.1)
    assert scene.refused / 2000 < 0.06
    assert scene.starts[-1] < most * 2000 / 20


def test_a_share_that_is_refused_anyway_does_not_take_it_down() -> None:
    chance = random.Random(1)
    scene = Scene(lambda _: chance.random() >= 0.1)
    rate = scene.run(3000, taught=50, usual=0.1)
    assert (rate.per_second or 1e9) > 40


def test_a_change_holds_for_those_who_wait_already() -> None:
    scene = Scene(lambda now: now > 1)
    scene.run(40, taught=20)
    early = [start for start in scene.starts if start < 1]
    assert len(early) < 15


def test_a_rate_without_bounds_is_none() -> None:
    scene = Scene(lambda _: True)
    rate = scene.run(3000, taught=5000)
    assert rate.per_second is None


def test_it_never_falls_to_nothing() -> None:
    scene = Scene(lambda _: False)
    rate = scene.run(50, taught=1)
    assert rate.per_second is not None
    assert rate.per_second >= 0.1


def test_who_is_cancelled_while_waiting_holds_up_nobody() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        rate = StartRate(clock=loop.time, sleep=asyncio.sleep)
        rate.teach(1, 0.0)
        await rate.wait()
        waiting = [asyncio.ensure_future(rate.wait()) for _ in range(3)]
        await asyncio.sleep(0.1)
        waiting[0].cancel()
        await asyncio.gather(*waiting[1:])
        return loop.time()

    assert virtual_time.run(main()) == pytest.approx(2.0)
