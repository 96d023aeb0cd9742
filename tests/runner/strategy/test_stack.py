from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.errors import InternalServerError, RateLimitError
from lm_eval_so.runner.models import ChatResponse, Outcome, RunConfig, RunRequest, TestSample
from lm_eval_so.runner.strategy.retry import Retry, StoppedError, as_outcome
from lm_eval_so.runner.strategy.stack import Stack
from support import virtual_time
from support.backends import Sends
from support.requests import request_of
from support.slots import fixed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Send = Callable[[RunRequest], Awaitable[ChatResponse]]


def stack_of(
    send: Callable[[RunRequest], Awaitable[ChatResponse]],
    *,
    stopping: bool = False,
    clock: Callable[[], float] = time.monotonic,
    **options: float,
) -> Stack:
    given_up: list[Exception] = []
    return Stack(
        Sends(send),
        RunnerOptions.model_validate(options),
        stopping=lambda: stopping,
        give_up=given_up.append,
        clock=clock,
    )


def requests(number: int) -> list[RunRequest]:
    config = RunConfig(backend="b", model="m")
    samples = [
        TestSample(id=f"s{n}", messages=[{"role": "user", "content": "q"}]) for n in range(number)
    ]
    return [request_of(sample, n, config, "key", "t") for n, sample in enumerate(samples)]


def settled(send: Send, asked: list[RunRequest], **options: float) -> list[Outcome]:
    """In virtual time: nothing here waits, and nothing depends on the machine."""

    async def main() -> list[Outcome]:
        stack = stack_of(send, clock=virtual_time.now, **options)
        return await asyncio.gather(*map(stack.settle, asked))

    return virtual_time.run(main())


async def takes_a_while(_: RunRequest) -> ChatResponse:
    await asyncio.sleep(0.05)
    return ChatResponse(text="")


async def at_once(_: RunRequest) -> ChatResponse:
    return ChatResponse(text="")


def test_waiting_for_a_slot_is_no_latency_and_no_timeout() -> None:
    asked = requests(6)
    outcomes = settled(takes_a_while, asked, max_concurrency=1, timeout=0.2)
    assert all(outcome.response for outcome in outcomes)
    assert [one.journal.number for one in asked] == [1] * 6
    latencies = [one.journal.latency_ms or 0 for one in asked]
    assert latencies == [50] * 6
    assert asked[-1].journal.waited_ms["slot"] > 240


def test_waiting_for_the_pace_is_no_latency_and_no_timeout() -> None:
    asked = requests(4)
    outcomes = settled(at_once, asked, rate_limit=10, timeout=0.09)
    assert all(outcome.response for outcome in outcomes)
    assert [one.journal.number for one in asked] == [1] * 4
    assert asked[-1].journal.waited_ms["rate_limit"] >= 250
    assert all((one.journal.latency_ms or 0) < 90 for one in asked)


def test_each_attempt_has_a_timeout_of_its_own() -> None:
    async def send(asked: RunRequest) -> ChatResponse:
        await asyncio.sleep(0.07 if asked.attempt == 3 else 60)
        return ChatResponse(text="at last")

    (asked,) = requests(1)
    (outcome,) = settled(send, [asked], timeout=0.1, max_retries=2, backoff_initial=0)
    assert outcome.response == ChatResponse(text="at last")
    assert asked.journal.number == 3
    assert asked.journal.latency_ms is not None
    assert asked.journal.latency_ms == 70


def test_attempts_used_up_by_timeouts_are_a_timeout() -> None:
    async def send(_: RunRequest) -> ChatResponse:
        await asyncio.Event().wait()
        raise AssertionError

    (outcome,) = settled(send, requests(1), timeout=0.02, max_retries=1, backoff_initial=0)
    assert outcome.timed_out
    assert outcome.error is not None
    assert outcome.error.error_type == "APITimeoutError"


def test_who_backs_off_holds_no_slot() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def sleep(_: float) -> None:
            await gate.wait()

        async def send(asked: RunRequest) -> ChatResponse:
            if asked.sample_id == "s0" and asked.attempt == 1:
                raise InternalServerError("down")
            return ChatResponse(text="")

        limited, slots = fixed(send, 1)
        retry = as_outcome(Retry(RunnerOptions(), sleep=sleep).wrap(limited))
        slow, *others = requests(5)
        task = asyncio.ensure_future(retry(slow))
        done = await asyncio.wait_for(asyncio.gather(*map(retry, others)), 5)
        assert all(outcome.response for outcome in done)
        assert not task.done()
        assert slots.taken == 0
        gate.set()
        assert (await task).response is not None

    asyncio.run(main())


def test_a_retry_goes_out_once_its_wait_is_over_ahead_of_first_attempts() -> None:
    order: list[tuple[str, int]] = []

    async def send(asked: RunRequest) -> ChatResponse:
        order.append((asked.sample_id, asked.attempt))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if asked.sample_id == "s0" and asked.attempt < 3:
            raise InternalServerError("down")
        return ChatResponse(text="")

    async def main() -> None:
        async def sleep(_: float) -> None:
            return None

        retry = as_outcome(Retry(RunnerOptions(), sleep=sleep).wrap(fixed(send, 1)[0]))
        await asyncio.gather(*map(retry, requests(5)))

    asyncio.run(main())
    first = [("s0", 1), ("s1", 1), ("s0", 2), ("s2", 1), ("s0", 3)]
    assert order == [*first, ("s3", 1), ("s4", 1)]


def test_retry_after_to_one_holds_back_the_others() -> None:
    starts: dict[tuple[str, int], float] = {}

    async def send(asked: RunRequest) -> ChatResponse:
        starts[asked.sample_id, asked.attempt] = asyncio.get_running_loop().time()
        if asked.sample_id == "s0" and asked.attempt == 1:
            raise RateLimitError("slow", status_code=429, retry_after=0.2)
        return ChatResponse(text="")

    settled(send, requests(4), max_concurrency=1)
    first = starts.pop(("s0", 1))
    assert set(starts) == {("s0", 2), ("s1", 1), ("s2", 1), ("s3", 1)}
    assert min(starts.values()) - first >= 0.19


def test_a_stack_that_is_stopping_tries_nothing_again() -> None:
    sent = 0

    async def send(_: RunRequest) -> ChatResponse:
        nonlocal sent
        sent += 1
        raise InternalServerError("down")

    async def main() -> None:
        stack = stack_of(send, stopping=True)
        (asked,) = requests(1)
        with pytest.raises(StoppedError):
            await stack.settle(asked)
        assert stack.slots.taken == 0
        assert len(stack.in_flight) == 0

    asyncio.run(main())
    assert sent == 1


def test_the_stack_counts_every_request_that_left() -> None:
    async def send(asked: RunRequest) -> ChatResponse:
        if asked.attempt == 1 and asked.index % 2:  # all of them would be an outage
            raise InternalServerError("down")
        return ChatResponse(text="")

    async def main() -> int:
        stack = stack_of(send, backoff_initial=0)
        await asyncio.gather(*map(stack.settle, requests(10)))
        return stack.in_flight.sent

    assert asyncio.run(main()) == 15
