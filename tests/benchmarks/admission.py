"""Whether a question is answered, and what is said where it is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from books import RESET

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from behaviour import Behaviour

_NOT_NOW = b'{"error": {"message": "not now"}}'


@dataclass(frozen=True)
class Refusal:
    """What is sent instead of an answer; status `RESET` resets the connection.

    Attributes:
        headers: Whole lines, each with its line end.
    """

    status: int
    headers: str = ""
    body: bytes = _NOT_NOW


@dataclass
class Bucket:
    """A token bucket: ``per_minute`` units flow in evenly, up to ``burst_s`` seconds' worth."""

    per_minute: float
    burst_s: float
    clock: Callable[[], float]
    level: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.level, self.at = self.capacity, self.clock()

    @property
    def capacity(self) -> float:
        return self.per_minute / 60 * self.burst_s

    def refill(self) -> float:
        now = self.clock()
        self.level = min(self.capacity, self.level + (now - self.at) * self.per_minute / 60)
        self.at = now
        return self.level

    def wait_for(self, amount: float) -> float:
        """Seconds until ``amount`` is there; 0 if it is."""
        return max(0.0, (min(amount, self.capacity) - self.refill()) * 60 / self.per_minute)


class Admission:
    """Slots and limits first, chance afterwards: what fails by chance was within the limits."""

    def __init__(
        self, behaviour: Behaviour, clock: Callable[[], float], chance: random.Random
    ) -> None:
        self.behaviour = behaviour
        self.clock = clock
        self.chance = chance
        self.requests = self.bucket(behaviour.requests_per_minute)
        self.tokens = self.bucket(behaviour.tokens_per_minute)

    def bucket(self, per_minute: float) -> Bucket | None:
        return Bucket(per_minute, self.behaviour.burst_s, self.clock) if per_minute else None

    def refusal(self, tokens: int, serving: int, since_first_s: float) -> Refusal | None:
        """None where the question is answered.

        Args:
            tokens: What question and answer come to.
            serving: Questions that are being answered.
            since_first_s: Seconds since the first request.
        """
        if self.is_away(since_first_s):
            return Refusal(self.behaviour.away_status)
        if self.behaviour.slots and serving >= self.behaviour.slots:
            return Refusal(503)
        return self.over_limit(tokens) or self.by_chance()

    def is_away(self, since_first_s: float) -> bool:
        away = self.behaviour.away
        return away is not None and away[0] <= since_first_s < away[1]

    def over_limit(self, tokens: int) -> Refusal | None:
        wants = [(self.requests, 1), (self.tokens, tokens)]
        waits = [bucket.wait_for(amount) for bucket, amount in wants if bucket]
        if any(waits):
            told = f"retry-after-ms: {max(waits) * 1000:.0f}\r\n"
            return Refusal(429, told if self.behaviour.retry_after else "")
        for bucket, amount in wants:
            if bucket:
                bucket.level -= min(amount, bucket.capacity)
        return None

    def by_chance(self) -> Refusal | None:
        behaviour = self.behaviour
        drawn = self.chance.random() - behaviour.error_share
        if drawn < 0:
            seconds = behaviour.error_retry_after_s
            told = "" if seconds is None else f"retry-after: {seconds:g}\r\n"
            return Refusal(self.chance.choice(behaviour.error_statuses), told)
        drawn -= behaviour.garbage_share
        if drawn < 0:
            return Refusal(200, body=b'{"id": "chatcmpl-1", "choices": [{"ind')
        return Refusal(RESET) if drawn < behaviour.reset_share else None

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
