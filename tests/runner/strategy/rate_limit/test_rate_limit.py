from __future__ import annotations

import asyncio
from itertools import count, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.errors import BackendError, RateLimitError
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest, TestSample
from lm_eval_so.runner.strategy.rate_limit.limiter import RateLimiter
from lm_eval_so.runner.strategy.rate_limit.pauses import Pauses
from lm_eval_so.runner.strategy.rate_limit.strategy import RateLimit
from lm_eval_so.runner.strategy.rate_limit.tokens import TokenEstimate
from support.requests import request_of
from support.stepped_time import Time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from lm_eval_so.runner.backends.base import Send


class Scene:
    """A pace in simulated time; `starts` are measured from the beginning."""

    def __init__(self, rate: float | None) -> None:
        self.time = Time()
        self.began = self.time.now
        self.limiter = RateLimiter(rate, clock=self.time, sleep=self.time.sleep)
        self.starts: list[float] = []

    async def arrive(self, at: float = 0.0) -> None:
        await self.time.sleep(at)
        waited = (await self.limiter.acquire()).waited
        self.starts.append(self.time.now - self.began)
        assert waited == pytest.approx(self.starts[-1] - at)
        assert waited == 0 or self.starts[-1] > at, "a wait is one that slept"

    async def pause(self, at: float, seconds: float) -> None:
        await self.time.sleep(at)
        self.limiter.pause(seconds)

    def run(self, *actions: Coroutine[object, object, object]) -> list[float]:
        self.time.run(*actions)
        return self.starts


@pytest.mark.parametrize(("rate", "number"), [(0.5, 4), (1, 10), (10, 50), (3, 7)], ids=str)
def test_n_starts_at_rate_r_are_spaced_evenly_over_n_minus_1_over_r(
    rate: float, number: int
) -> None:
    scene = Scene(rate)
    starts = scene.run(*[scene.arrive() for _ in range(number)])
    assert starts == pytest.approx([n / rate for n in range(number)], abs=1e-6)


def test_idling_saves_up_no_burst() -> None:
    scene = Scene(2)
    starts = scene.run(scene.arrive(), *[scene.arrive(100) for _ in range(4)])
    assert starts == pytest.approx([0, 100, 100.5, 101, 101.5])


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=20),
    st.sampled_from([0.5, 1, 4]),
)
def test_nobody_starts_too_early_and_nobody_waits_for_nothing(
    tenths: list[int], rate: float
) -> None:
    arrivals = sorted(tenth / 10 for tenth in tenths)
    scene = Scene(rate)
    starts = scene.run(*[scene.arrive(at) for at in arrivals])
    expected, free = [], 0.0
    for at in arrivals:
        expected.append(max(at, free))
        free = expected[-1] + 1 / rate
    assert starts == pytest.approx(expected, abs=1e-6)


def test_without_a_rate_nobody_waits() -> None:
    scene = Scene(None)
    assert scene.run(*[scene.arrive() for _ in range(100)]) == [0] * 100


@pytest.mark.parametrize("rate", [None, 1.0], ids=["no-rate", "rate"])
def test_a_pause_holds_for_all_those_already_waiting_too(rate: float | None) -> None:
    scene = Scene(rate)
    early = [scene.arrive() for _ in range(3)]
    late = [scene.arrive(at) for at in (1.5, 4.0, 9.0)]
    starts = scene.run(*early, scene.pause(0.5, 10), *late)
    before = [start for start in starts if start < 0.5]
    after = [start for start in starts if start >= 0.5]
    assert len(before) == (3 if rate is None else 1)
    assert min(after) == pytest.approx(10.5)
    if rate is not None:
        assert all(b - a >= 1 - 1e-9 for a, b in pairwise(after)), "no burst after the pause"
        assert max(after) == pytest.approx(10.5 + len(after) - 1), "no gap either"


@pytest.mark.parametrize(
    "pauses", [[(0, 5), (1, 20)], [(0, 21), (1, 1)], [(0, 21), (20, 0.5)]], ids=str
)
def test_the_longest_pause_wins(pauses: list[tuple[float, float]]) -> None:
    scene = Scene(None)
    starts = scene.run(*[scene.pause(*pause) for pause in pauses], scene.arrive(1.5))
    assert starts == pytest.approx([21])


def test_a_pause_that_grows_while_one_waits_is_waited_for_to_its_end() -> None:
    scene = Scene(None)
    starts = scene.run(scene.pause(0, 5), scene.arrive(1), scene.pause(4, 10))
    assert starts == pytest.approx([14])


def test_what_is_left_of_a_pause_is_told() -> None:
    scene = Scene(None)
    assert scene.limiter.paused_s == 0
    scene.limiter.pause(5)
    assert scene.limiter.paused_s == 5
    scene.time.now += 3
    assert scene.limiter.paused_s == pytest.approx(2)
    scene.time.now += 3
    assert scene.limiter.paused_s == 0


def test_one_that_wakes_late_does_not_delay_all_that_follow() -> None:
    scene = Scene(100)

    async def oversleep(seconds: float) -> None:
        await scene.time.sleep(seconds + 0.004)

    scene.limiter = RateLimiter(100, clock=scene.time, sleep=oversleep)
    starts = scene.run(*[scene.arrive() for _ in range(200)])
    assert starts[-1] == pytest.approx(1.99, abs=0.01)


def test_after_a_standstill_what_was_missed_is_not_caught_up() -> None:
    scene = Scene(100)

    async def stand_still() -> None:
        await scene.time.sleep(1)
        scene.time.now += 5

    starts = scene.run(*[scene.arrive() for _ in range(200)], stand_still())
    assert max(starts) == pytest.approx(1.99 + 5 - 0.1, abs=0.02)


@pytest.mark.parametrize("rate", [None, 5.0], ids=["no-rate", "rate"])
def test_who_does_not_sleep_has_waited_exactly_nothing(rate: float | None) -> None:
    ticks = count()
    limiter = RateLimiter(rate, clock=lambda: next(ticks) * 1e-6)
    assert asyncio.run(limiter.acquire()).waited == 0.0


def request() -> RunRequest:
    sample = TestSample(id="s", messages=[{"role": "user", "content": "q"}])
    return request_of(sample, 0, RunConfig(backend="b", model="m"), "key", "trace")


def failing(error: BackendError | None) -> Callable[[RunRequest], Awaitable[ChatResponse]]:
    async def send(_: RunRequest) -> ChatResponse:
        if error is not None:
            raise error
        return ChatResponse(text="")

    return send


def limited(send: Callable[[RunRequest], Awaitable[ChatResponse]], limiter: RateLimiter) -> Send:
    return RateLimit(limiter, Pauses(limiter, 600, lambda _: None), TokenEstimate({})).wrap(send)


@pytest.mark.parametrize(
    ("asked", "paused"), [(3.0, 3.0), (0.0, 0.0), (None, 0.0)], ids=["asked", "zero", "not-asked"]
)
def test_what_the_server_asks_of_one_pauses_everybody(asked: float | None, paused: float) -> None:
    scene = Scene(None)
    refusal = RateLimitError("slow", status_code=429, retry_after=asked)
    send = limited(failing(refusal), scene.limiter)

    async def one() -> None:
        with pytest.raises(RateLimitError):
            await send(request())

    scene.run(one())
    assert scene.limiter.paused_s == paused
    assert scene.run(scene.arrive()) == [paused]


def test_the_journal_tells_the_wait_and_only_a_wait() -> None:
    scene = Scene(2)
    send = limited(failing(None), scene.limiter)
    requests = [request() for _ in range(3)]
    scene.run(*[send(one) for one in requests])  # type: ignore[arg-type]
    waits = [one.journal.waited_ms for one in requests]
    assert waits == [{}, {"rate_limit": 500}, {"rate_limit": 1000}]
