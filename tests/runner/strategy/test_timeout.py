from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.errors import APITimeoutError, BackendError, InternalServerError
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest, TestSample
from lm_eval_so.runner.strategy.timeout import InFlight, Timeout
from support import virtual_time
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Send = Callable[[RunRequest], Awaitable[ChatResponse]]


def request() -> RunRequest:
    sample = TestSample(id="s", messages=[{"role": "user", "content": "q"}])
    return request_of(sample, 0, RunConfig(backend="b", model="m"), "key", "trace")


async def answer(_: RunRequest) -> ChatResponse:
    return ChatResponse(text="fine")


async def for_ever(_: RunRequest) -> ChatResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def outage(_: RunRequest) -> ChatResponse:
    raise InternalServerError("down")


async def bug(_: RunRequest) -> ChatResponse:
    raise ValueError("bug")


def ticking(*times: float) -> Callable[[], float]:
    return iter(times).__next__


def test_an_attempt_without_an_answer_ends_after_the_timeout() -> None:
    in_flight, asked = InFlight(), request()
    bounded = Timeout(20, in_flight, clock=virtual_time.now).wrap(for_ever)
    with pytest.raises(APITimeoutError, match=r"^no answer within 20 s$") as raised:
        virtual_time.run(bounded(asked))  # type: ignore[arg-type]
    assert raised.value.retryable
    assert asked.journal.latency_ms == pytest.approx(20_000, abs=200)
    assert len(in_flight) == 0


@pytest.mark.parametrize(
    ("send", "error"),
    [(answer, None), (outage, BackendError), (bug, ValueError)],
    ids=["answer", "failure", "bug"],
)
def test_the_latency_is_measured_however_the_attempt_ends(
    send: Send, error: type[Exception] | None
) -> None:
    asked, in_flight = request(), InFlight()
    bounded = Timeout(60, in_flight, clock=ticking(100.0, 101.2345678)).wrap(send)
    if error is None:
        asyncio.run(bounded(asked))  # type: ignore[arg-type]
    else:
        with pytest.raises(error):
            asyncio.run(bounded(asked))  # type: ignore[arg-type]
    assert asked.journal.latency_ms == 1234.568
    assert (len(in_flight), in_flight.sent) == (0, 1)


def test_the_journal_tells_when_the_request_left_in_utc() -> None:
    asked = request()
    before = datetime.now(UTC)
    asyncio.run(Timeout(60, InFlight()).wrap(answer)(asked))  # type: ignore[arg-type]
    assert asked.journal.started_at is not None
    assert before <= asked.journal.started_at <= datetime.now(UTC)
    assert asked.journal.started_at.utcoffset() == timedelta(0)
    first = asked.journal.first_started_at
    asked.journal.begin()
    asyncio.run(Timeout(60, InFlight()).wrap(answer)(asked))  # type: ignore[arg-type]
    assert asked.journal.first_started_at == first, "the first attempt's"


def test_a_cancelled_attempt_is_cancelled_and_no_timeout() -> None:
    async def main() -> None:
        in_flight = InFlight()
        task = asyncio.ensure_future(Timeout(60, in_flight).wrap(for_ever)(request()))
        await asyncio.sleep(0)
        assert in_flight.tasks == {task}
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert not in_flight.tasks

    asyncio.run(main())


def test_all_that_are_on_the_wire_are_known() -> None:
    async def main() -> None:
        gate, in_flight = asyncio.Event(), InFlight()

        async def send(_: RunRequest) -> ChatResponse:
            await gate.wait()
            return ChatResponse(text="")

        bounded = Timeout(60, in_flight).wrap(send)
        tasks = [asyncio.ensure_future(bounded(request())) for _ in range(7)]
        await asyncio.sleep(0)
        assert in_flight.tasks == set(tasks)
        gate.set()
        await asyncio.gather(*tasks)
        assert (len(in_flight), in_flight.sent) == (0, 7)

    asyncio.run(main())
