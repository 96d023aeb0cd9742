from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.config.schema import AutoConcurrency
from lm_eval_so.runner.errors import (
    APIConnectionError,
    APITimeoutError,
    BackendError,
    BadRequestError,
    EndpointUnreachableError,
    InternalServerError,
    RateLimitError,
)
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest, TestSample
from lm_eval_so.runner.strategy.adaptive.controller import Adaptive
from lm_eval_so.runner.strategy.concurrency import Concurrency, Slots
from support.requests import request_of
from support.slots import fixed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def request(name: str = "s", *, attempt: int = 1) -> RunRequest:
    sample = TestSample(id=name, messages=[{"role": "user", "content": "q"}])
    asked = request_of(sample, 0, RunConfig(backend="b", model="m"), "key", "trace")
    return replace(asked, attempt=attempt)


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


Job = tuple[int, int, str]  # turns until it comes, turns it takes, how it ends
JOBS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 5), st.sampled_from(["ok", "raise", "cancel"])),
    max_size=20,
)


@given(st.integers(1, 4), JOBS)
def test_never_more_at_once_than_allowed_and_no_slot_is_lost(limit: int, jobs: list[Job]) -> None:
    ended: Counter[str] = Counter()
    most = now = 0

    async def send(asked: RunRequest) -> ChatResponse:
        nonlocal most, now
        _, takes, end = jobs[int(asked.sample_id)]
        now += 1
        most = max(most, now)
        try:
            await turns(takes)
        finally:
            now -= 1
        if end == "raise":
            raise InternalServerError("no")
        return ChatResponse(text="")

    limited, slots = fixed(send, limit)

    async def one(number: int) -> None:
        comes, takes, end = jobs[number]
        await turns(comes)
        task = asyncio.ensure_future(limited(request(str(number), attempt=1 + number % 2)))
        if end == "cancel":
            await turns(takes + number % 3)
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            ended[type(task.exception()).__name__] += 1

    async def main() -> None:
        await asyncio.gather(*[one(number) for number in range(len(jobs))])
        assert slots.taken == 0
        await asyncio.wait_for(
            asyncio.gather(*[slots.acquire(retry=False) for _ in range(limit)]), 1
        )

    asyncio.run(main())
    assert most <= limit
    assert ended["InternalServerError"] == sum(end == "raise" for _, _, end in jobs)


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_all_slots_are_used(limit: int) -> None:
    inside = 0
    full = asyncio.Event()

    async def send(_: RunRequest) -> ChatResponse:
        nonlocal inside
        inside += 1
        if inside == limit:
            full.set()
        await full.wait()
        return ChatResponse(text="")

    async def main() -> None:
        limited, _ = fixed(send, limit)
        await asyncio.wait_for(asyncio.gather(*[limited(request()) for _ in range(limit)]), 5)

    asyncio.run(main())
    assert inside == limit


def served(order: list[RunRequest]) -> list[str]:
    """Who gets the one slot, when all wait for it in this order."""
    seen: list[str] = []
    gate = asyncio.Event()

    async def send(asked: RunRequest) -> ChatResponse:
        await gate.wait()
        seen.append(asked.sample_id)
        return ChatResponse(text="")

    async def main() -> None:
        limited, _ = fixed(send, 1)
        tasks = [asyncio.ensure_future(limited(asked)) for asked in order]
        await turns(3)
        gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    return seen


def test_those_who_wait_are_served_in_order() -> None:
    assert served([request(name) for name in "abcde"]) == list("abcde")


def test_a_retry_goes_before_first_attempts_and_retries_among_themselves_in_order() -> None:
    first = [request(name) for name in "abc"]
    again = [request(name, attempt=number) for number, name in enumerate("xyz", start=2)]
    assert served([*first, *again]) == ["a", "x", "y", "z", "b", "c"]


def waiting(slots: Slots, number: int) -> list[asyncio.Future[int]]:
    return [asyncio.ensure_future(slots.acquire(retry=False)) for _ in range(number)]


async def _cancelled_in_the_queue(slots: Slots) -> None:
    one, other = waiting(slots, 2)
    await turns(2)
    one.cancel()
    await turns(2)
    assert one.cancelled()
    slots.release()
    await asyncio.wait_for(other, 1)


async def _cancelled_once_the_slot_was_handed_over(slots: Slots) -> None:
    one, other = waiting(slots, 2)
    await turns(2)
    slots.release()
    one.cancel()
    await asyncio.wait_for(other, 1)
    assert one.cancelled()


async def _cancelled_just_before_a_slot_is_freed(slots: Slots) -> None:
    one, other = waiting(slots, 2)
    await turns(2)
    one.cancel()
    slots.release()
    await asyncio.wait_for(other, 1)
    await asyncio.wait([one])
    assert one.cancelled(), one.exception()


@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(_cancelled_in_the_queue, id="in-the-queue"),
        pytest.param(_cancelled_once_the_slot_was_handed_over, id="just-handed-over"),
        pytest.param(_cancelled_just_before_a_slot_is_freed, id="just-before-one-is-freed"),
    ],
)
def test_who_is_cancelled_while_waiting_ends_cancelled_and_keeps_no_slot(
    scene: Callable[[Slots], Awaitable[None]],
) -> None:
    async def main() -> None:
        slots = Slots(1)
        await slots.acquire(retry=False)
        await scene(slots)
        slots.release()
        assert slots.taken == 0

    asyncio.run(main())


def test_the_journal_tells_the_wait_for_a_slot() -> None:
    now = 5.0

    def clock() -> float:
        return now

    async def main() -> list[dict[str, float]]:
        async def send(_: RunRequest) -> ChatResponse:
            return ChatResponse(text="")

        limited, slots = fixed(send, 1, clock=clock)
        await slots.acquire(retry=False)
        asked = [request(), request()]
        tasks = [asyncio.ensure_future(limited(one)) for one in asked]
        await turns(2)
        nonlocal now
        now += 1.25
        slots.release()
        await asyncio.gather(*tasks)
        return [one.journal.waited_ms for one in asked]

    assert asyncio.run(main()) == [{"slot": 1250}, {"slot": 1250}]


def test_who_waits_is_told_how_many_slots_were_taken_when_it_got_one() -> None:
    async def main() -> list[int]:
        slots = Slots(2)
        held = [await slots.acquire(retry=False) for _ in range(2)]
        others = waiting(slots, 2)
        await turns(2)
        slots.limit = 3
        slots.release()
        return [*held, *await asyncio.gather(*others)]

    assert asyncio.run(main()) == [1, 2, 2, 3]


def refused(error: BackendError, *, answers: int = 0, others: bool = False) -> bool:
    """Whether the server is taken to have had no room for a request that failed like this."""

    async def main() -> None:
        async def send(asked: RunRequest) -> ChatResponse:
            await asyncio.sleep(0)
            if asked.sample_id == "refused":
                raise error
            await asyncio.sleep(0.01 if asked.sample_id == "other" else 0)
            return ChatResponse(text="")

        limited, _ = fixed(send, 8)
        for _ in range(answers):
            await limited(request("answered"))
        slow = [asyncio.ensure_future(limited(request("other")))] if others else []
        await turns(2)
        with pytest.raises(type(error)):
            await limited(request("refused"))
        await asyncio.gather(*slow)

    asyncio.run(main())
    return error.for_room


@pytest.mark.parametrize("status", [503, 529])
@pytest.mark.parametrize(
    ("answers", "others", "for_room"),
    [(0, False, False), (1, False, True), (0, True, True)],
    ids=["alone", "others-are-answered", "others-are-under-way"],
)
def test_a_503_is_for_want_of_room_while_others_are_answered(
    status: int, answers: int, *, others: bool, for_room: bool
) -> None:
    error = InternalServerError("busy", status_code=status)
    assert refused(error, answers=answers, others=others) is for_room


@pytest.mark.parametrize(
    ("error", "for_room"),
    [
        (RateLimitError("too many", status_code=429), True),
        (EndpointUnreachableError("refused"), True),
        (APIConnectionError("reset"), False),
        (APITimeoutError("late"), False),
        (InternalServerError("a bug", status_code=500), False),
        (BadRequestError("no", status_code=400), False),
    ],
    ids=lambda value: value.error_type if isinstance(value, BackendError) else "",
)
def test_what_is_held_against_a_sample(error: BackendError, *, for_room: bool) -> None:
    assert refused(error, answers=1) is for_room


def test_resets_are_for_want_of_room_when_they_come_in_a_burst() -> None:
    async def main() -> list[bool]:
        inside, errors = 0, []

        async def send(_: RunRequest) -> ChatResponse:
            nonlocal inside
            if inside >= 8:
                await asyncio.sleep(0.001)
                raise APIConnectionError("reset")
            inside += 1
            await asyncio.sleep(0.002)
            inside -= 1
            return ChatResponse(text="")

        adaptive = Adaptive(AutoConcurrency(max=64), 64)
        limited = Concurrency(Slots(64), adaptive).wrap(send)

        async def one() -> None:
            try:
                await limited(request())
            except APIConnectionError as error:
                errors.append(error.for_room)

        await asyncio.gather(*(one() for _ in range(8)))
        await asyncio.gather(*(one() for _ in range(64)))
        return errors

    held_against = [for_room for for_room in asyncio.run(main()) if not for_room]
    assert len(held_against) < 10
