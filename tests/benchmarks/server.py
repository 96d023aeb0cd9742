"""A fake provider in a process of its own, with as little work per request as a server can do.

Its behaviour is JSON on the command line; its first line on stdout is its port, and it ends with
its stdin. ``GET /stats`` gives what it has seen as JSON.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import math
import random
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

from lm_eval_so.runner import event_loop

if TYPE_CHECKING:
    from collections.abc import Callable

_HEAD_END = b"\r\n\r\n"
_EARLY_S = 0.002


@dataclass
class Bucket:
    """A token bucket: ``per_minute`` units flow in evenly, up to ``burst_s`` seconds' worth."""

    per_minute: float
    burst_s: float
    level: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.level, self.at = self.capacity, time.monotonic()

    @property
    def capacity(self) -> float:
        return self.per_minute / 60 * self.burst_s

    def refill(self) -> float:
        now = time.monotonic()
        self.level = min(self.capacity, self.level + (now - self.at) * self.per_minute / 60)
        self.at = now
        return self.level

    def wait_for(self, amount: float) -> float:
        """Seconds until ``amount`` is there; 0 if it is."""
        return max(0.0, (min(amount, self.capacity) - self.refill()) * 60 / self.per_minute)


@dataclass
class Behaviour:
    """What the server does.

    Attributes:
        latency_s: Median seconds before an answer.
        sigma: Spread of the log-normal latency.
        slots: Requests in progress beyond which 503 is answered; 0 for any number.
        requests_per_minute, tokens_per_minute: Limits beyond which 429 is answered; 0 for none.
        burst_s: Seconds' worth of a limit that may come at once.
        headers: Whether answers tell the limits.
    """

    latency_s: float = 0.0
    sigma: float = 0.0
    slots: int = 0
    requests_per_minute: float = 0.0
    tokens_per_minute: float = 0.0
    burst_s: float = 1.0
    headers: bool = True


class ExactTimers:
    """Calls that are late by microseconds: an event loop's own timers are by up to 1 ms.

    The last milliseconds are spun away, for which the server has a core of its own.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.spinning = False

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        at = time.monotonic() + seconds
        heapq.heappush(self.due, (at, next(self.order), call))
        self.loop.call_later(max(0.0, seconds - _EARLY_S), self.wake)

    def wake(self) -> None:
        if not self.spinning:
            self.spinning = True
            self.spin()

    def spin(self) -> None:
        if self.due and self.due[0][0] <= time.monotonic():
            heapq.heappop(self.due)[2]()  # one a turn, so that requests are read between answers
        self.spinning = bool(self.due) and self.due[0][0] - time.monotonic() < 2 * _EARLY_S
        if self.spinning:
            self.loop.call_soon(self.spin)


class Provider:
    """The state that all connections share."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.requests = self.bucket(behaviour.requests_per_minute)
        self.tokens = self.bucket(behaviour.tokens_per_minute)
        self.busy = 0
        self.count = 0
        self.tokens_answered = 0
        self.statuses: dict[int, int] = {}
        self.first = self.last = 0.0
        self.chance = random.Random(7)
        self.timers = ExactTimers()

    def bucket(self, per_minute: float) -> Bucket | None:
        return Bucket(per_minute, self.behaviour.burst_s) if per_minute else None

    def admit(self, tokens: int) -> tuple[int, float]:
        """The status, and the seconds to wait where it is refused."""
        if self.behaviour.slots and self.busy >= self.behaviour.slots:
            return 503, 0.0
        wants = [(self.requests, 1), (self.tokens, tokens)]
        waits = [bucket.wait_for(amount) for bucket, amount in wants if bucket]
        if any(waits):
            return 429, max(waits)
        for bucket, amount in wants:
            if bucket:
                bucket.level -= min(amount, bucket.capacity)
        return 200, 0.0

    def latency(self) -> float:
        behaviour = self.behaviour
        if not behaviour.sigma:
            return behaviour.latency_s
        return behaviour.latency_s * math.exp(self.chance.gauss(0, behaviour.sigma))

    def limit_headers(self) -> str:
        if not self.behaviour.headers:
            return ""
        lines = ""
        for name, bucket in (("requests", self.requests), ("tokens", self.tokens)):
            if bucket:
                level = bucket.refill()
                reset = (bucket.capacity - level) * 60 / bucket.per_minute
                lines += (
                    f"x-ratelimit-limit-{name}: {bucket.per_minute:.0f}\r\n"
                    f"x-ratelimit-remaining-{name}: {level:.0f}\r\n"
                    f"x-ratelimit-reset-{name}: {reset:.3f}s\r\n"
                )
        return lines

    def stats(self) -> bytes:
        return json.dumps(
            {
                "requests": self.count,
                "tokens": self.tokens_answered,
                "statuses": self.statuses,
                "span_s": self.last - self.first,
            }
        ).encode()


class Connection(asyncio.Protocol):
    """HTTP/1.1 without anything that the benchmarks do not need."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.data += data
        end = self.data.find(_HEAD_END)
        if end < 0:
            return
        if self.data.startswith(b"GET"):
            self.data = b""
            self.write(200, self.provider.stats())
            return
        head = self.data[:end].lower()
        at = head.index(b"content-length:") + 15
        length = int(head[at:].split(b"\r\n", 1)[0])
        body = self.data[end + 4 :]
        if len(body) >= length:
            self.data = b""
            self.answer(body)

    def answer(self, body: bytes) -> None:
        provider = self.provider
        now = time.monotonic()
        provider.first = provider.first or now
        provider.count += 1
        prompt = len(body) // 4
        status, wait = provider.admit(prompt + 16)
        provider.statuses[status] = provider.statuses.get(status, 0) + 1
        if status != 200:
            extra = f"retry-after-ms: {wait * 1000:.0f}\r\n" if status == 429 else ""
            provider.last = now
            self.write(status, b'{"error": {"message": "not now"}}', extra)
            return
        provider.tokens_answered += prompt + 16
        usage = f'{{"prompt_tokens":{prompt},"completion_tokens":16,"total_tokens":{prompt + 16}}}'
        answer = (
            b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"fake",'
            b'"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant",'
            b'"content":"The answer is four, as you will have thought yourself."}}],"usage":'
            + usage.encode()
            + b"}"
        )
        seconds = provider.latency()
        if not seconds:
            provider.last = now
            self.write(200, answer)
            return
        provider.busy += 1
        provider.timers.call_later(seconds, partial(self.finish, answer))

    def finish(self, answer: bytes) -> None:
        self.provider.busy -= 1
        self.provider.last = time.monotonic()
        self.write(200, answer)

    def write(self, status: int, body: bytes, extra: str = "") -> None:
        head = (
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n{self.provider.limit_headers()}{extra}\r\n"
        )
        self.transport.write(head.encode() + body)


async def main() -> None:
    provider = Provider(Behaviour(**json.loads(sys.argv[1])))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(provider), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the caller reads it
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    event_loop.run(main())
