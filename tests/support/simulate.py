"""A run of the whole stack in virtual time, and what the server saw of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import RunConfig, RunRequest, TestSample
from lm_eval_so.runner.strategy.retry import StoppedError
from lm_eval_so.runner.strategy.stack import Stack
from support import virtual_time
from support.backends import Sends
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lm_eval_so.runner.models import ChatResponse
    from lm_eval_so.runner.strategy.adaptive.controller import Change

CONFIG = RunConfig(backend="b", model="m")


class Server(Protocol):
    async def send(self, request: RunRequest, /) -> ChatResponse: ...


@dataclass
class Seen:
    """What came of a run.

    Attributes:
        in_flight: On average, at the server, over the second half of the samples.
        limits: Requests at once that the controller allowed, as it went on.
        given_up: Why the run was given up.
    """

    sent: int = 0
    refused: int = 0
    ok: int = 0
    failed: int = 0
    owed: int = 0
    span_s: float = 0.0
    in_flight: float = 0.0
    most_in_flight: int = 0
    history: list[Change] = field(default_factory=list)
    given_up: list[Exception] = field(default_factory=list)
    starts_per_s: float | None = None

    @property
    def rate(self) -> float:
        return self.ok / self.span_s

    @property
    def refused_share(self) -> float:
        return self.refused / self.sent


class _Counting:
    """The server's own books."""

    def __init__(self, server: Server, seen: Seen) -> None:
        self._server, self._seen = server, seen
        self._now = self._area = self._at = 0.0
        self._flying = 0

    async def send(self, request: RunRequest) -> ChatResponse:
        self._move(1)
        self._seen.sent += 1
        try:
            return await self._server.send(request)
        except BackendError:
            self._seen.refused += 1
            raise
        finally:
            self._move(-1)

    def area(self) -> tuple[float, float]:
        self._move(0)
        return self._area, self._at

    def _move(self, change: int) -> None:
        now = virtual_time.now()
        self._area += self._flying * (now - self._at)
        self._at = now
        self._flying += change
        self._seen.most_in_flight = max(self._seen.most_in_flight, self._flying)


class _Hosted(Sends):
    hosted = True


def simulate(
    make: Callable[[], Server],
    samples: int,
    *,
    hosted: bool = False,
    **options: Any,  # noqa: ANN401 - those of the runner
) -> Seen:
    """Runs ``samples`` against the server that ``make`` makes, with the default options.

    The timeout is far away: none of the servers forgets a request.
    """
    kind = _Hosted if hosted else Sends
    return virtual_time.run(_simulate(make, samples, kind, {"timeout": 1e6, **options}))


async def _simulate(
    make: Callable[[], Server], samples: int, kind: type[Sends], options: dict[str, Any]
) -> Seen:
    seen = Seen()
    counting = _Counting(make(), seen)
    stack = Stack(
        kind(counting.send),
        RunnerOptions.model_validate(options),
        stopping=lambda: bool(seen.given_up),
        give_up=seen.given_up.append,
        samples=samples,
        clock=asyncio.get_running_loop().time,
        sleep=asyncio.sleep,
    )
    numbers = iter(range(samples))
    half = (0.0, 0.0)

    async def work() -> None:
        nonlocal half
        for number in numbers:
            sample = TestSample(id=f"s{number}", messages=[{"role": "user", "content": "q"}])
            try:
                outcome = await stack.settle(request_of(sample, number, CONFIG, "key", "t"))
            except StoppedError:
                seen.owed += 1
                return
            seen.ok += outcome.response is not None
            seen.failed += outcome.error is not None
            if seen.ok + seen.failed == samples // 2:
                half = counting.area()

    await asyncio.gather(*(work() for _ in range(min(samples, 2 * stack.adaptive.most))))
    area, now = counting.area()
    seen.span_s = now
    seen.in_flight = (area - half[0]) / ((now - half[1]) or 1.0)
    seen.history = stack.adaptive.history
    seen.starts_per_s = stack.start_rate.per_second
    return seen
