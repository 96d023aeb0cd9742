"""Whatever a server does, the stack's books agree with the server's, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.errors import (
    APIConnectionError,
    BadRequestError,
    EndpointUnreachableError,
    InternalServerError,
    RateLimitError,
)
from lm_eval_so.runner.models import (
    ChatResponse,
    Outcome,
    RunConfig,
    RunRequest,
    TestSample,
    TokenUsage,
)
from lm_eval_so.runner.strategy.retry import StoppedError
from lm_eval_so.runner.strategy.stack import Stack
from support import virtual_time
from support.backends import Sends
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 5.0
ENDS: dict[str, Callable[[], Exception]] = {
    "429": lambda: RateLimitError("slow", status_code=429, retry_after=0.5),
    "500": lambda: InternalServerError("down", status_code=500),
    "503": lambda: InternalServerError("busy", status_code=503, retry_after=1),
    "reset": lambda: APIConnectionError("reset"),
    "refused": lambda: EndpointUnreachableError("nobody"),
    "400": lambda: BadRequestError("no", status_code=400),
    "bug": lambda: ValueError("a bug of the backend's"),
}
STEPS = st.lists(
    st.tuples(st.floats(0, 2 * TIMEOUT), st.sampled_from(["ok"] * len(ENDS) + [*ENDS])),
    min_size=1,
    max_size=40,
)


class Server:
    """Goes through its steps, over and over; then answers."""

    def __init__(self, steps: list[tuple[float, str]]) -> None:
        self.steps = iter(steps * 3)
        self.seen: Counter[str] = Counter()
        self.now = self.most = 0

    async def send(self, request: RunRequest) -> ChatResponse:
        self.seen[request.sample_id] += 1
        seconds, end = next(self.steps, (0.1, "ok"))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.now -= 1
        if end != "ok":
            error = ENDS[end]()
            raise error
        return ChatResponse(text="", tokens=TokenUsage(input=70, output=30, total=100))


def asked(number: int) -> RunRequest:
    sample = TestSample(id=f"s{number}", messages=[{"role": "user", "content": "q"}])
    return request_of(sample, number, RunConfig(backend="b", model="m"), "key", "t")


@settings(max_examples=60)
@given(
    STEPS,
    st.integers(1, 30),
    st.integers(1, 6),
    st.sampled_from([None, 3.0, 100.0]),
    st.sampled_from([None, 6000]),
)
def test_what_is_counted_is_what_the_server_saw(
    steps: list[tuple[float, str]],
    samples: int,
    slots: int,
    rate: float | None,
    tokens: int | None,
) -> None:
    server = Server(steps)
    given_up: list[Exception] = []
    options = RunnerOptions(
        max_concurrency=slots, timeout=TIMEOUT, rate_limit=rate, tokens_per_minute=tokens
    )
    requests = [asked(number) for number in range(samples)]

    async def main() -> tuple[Stack, list[Outcome | BaseException]]:
        stack = Stack(
            Sends(server.send),
            options,
            stopping=lambda: bool(given_up),
            give_up=given_up.append,
            samples=samples,
            clock=virtual_time.now,
        )
        stack.evidence.watch(samples)
        settled = asyncio.gather(*map(stack.settle, requests), return_exceptions=True)
        stack.evidence.no_more()
        return stack, await settled

    stack, outcomes = virtual_time.run(main())
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, StoppedError)
            assert given_up, "a sample stays owed only where the run ends"
        else:
            assert (outcome.response is None) != (outcome.error is None)
    assert server.most <= slots
    assert stack.slots.taken == len(stack.in_flight) == 0
    assert stack.in_flight.sent == server.seen.total()
    assert stack.spending.settled.requests <= server.seen.total(), "a refused connection is free"
    for request in requests:
        latencies = [attempt.latency_ms or 0.0 for attempt in request.journal.attempts]
        assert max(latencies, default=0.0) <= 1000 * TIMEOUT + 200
        assert len(latencies) <= server.seen[request.sample_id]
