"""What a pool knows of one of its replicas, and how good a choice it is."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from lm_eval_so.runner.backends.http.limit_headers import HeaderLimit, read_limits
from lm_eval_so.runner.text.one_line import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lm_eval_so.runner.backends.http.transport import Transport

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0  # seconds between two probes; doubles each time
_FAILURES = 3
"""In a row, after which a replica is out: it fails fast, and would be the least loaded one."""
_SMOOTHING = 1 / 16
_FORGET_S = 3.0
"""Seconds after which a latency counts for 1/e, while nothing is in flight: a replica that was slow
when it started is tried again."""
_POWER = 1.5
_LEAST_LATENCY = 1e-3  # seconds
_BYTES_PER_TOKEN = 4
_LONGEST_REASON = 200  # characters


class Allowance:
    """What is left of a limit that a replica told.

    Args:
        now: Seconds.
    """

    def __init__(self, now: float) -> None:
        self.per_second = self._left = self._most = 0.0
        self._at = now
        self._taken = 0.0  # by everything that was sent

    def take(self, amount: float) -> float:
        """Takes what a request is expected to need; returns a mark to `learn` with."""
        self._taken += amount
        self._left -= amount
        return self._taken

    def learn(self, limit: HeaderLimit, mark: float, now: float) -> None:
        """Follows what the answer to the request with this mark told."""
        self.per_second = limit.per_second
        self._left = limit.remaining - (self._taken - mark)
        self._most = max(self._most, limit.remaining)
        self._at = now

    def left(self, now: float) -> float:
        """Units that may be taken now; below 0 where too much was taken."""
        return min(self._left + (now - self._at) * self.per_second, self._most)


class Replica:
    """One server, or one account of a server.

    Args:
        name: How it is written: its address, without secrets.
        transport: Reaches it.
        clock: Seconds; never goes back.

    Attributes:
        in_flight: Requests that it works on.
        out: Whether it takes no part: it is away, fails, or refuses everything.
        suspicions: Requests that it refused as it would refuse any, while another has them.
    """

    def __init__(self, name: str, transport: Transport, clock: Callable[[], float]) -> None:
        self.name = name
        self.transport = transport
        self.in_flight = 0
        self.out = False
        self.suspicions = 0
        self._clock = clock
        self._latency: float | None = None  # seconds, an EWMA
        self._measured_at = 0.0
        self._failures = 0
        self._out_since = self._probe_at = self._pause = 0.0
        self._probing = False
        self._refused_until = 0.0
        self._most: float = math.inf  # requests at once that it has room for
        self._limits: dict[str, Allowance] = {}

    @property
    def probe_is_due(self) -> bool:
        """Whether it is out, and a request should find out whether it is back."""
        return self.out and not self._probing and self._clock() >= self._probe_at

    @property
    def has_room(self) -> bool:
        """Whether it is in, and nothing tells that it would refuse a request."""
        if self.out or self.in_flight >= self._most:
            return False
        now = self._clock()
        return now >= self._refused_until and all(
            limit.left(now) >= 1 for limit in self._limits.values()
        )

    @property
    def wait(self) -> float:
        """Seconds until it takes requests again, as far as it has said."""
        return max(0.0, self._refused_until - self._clock())

    def load(self, unknown: float = 1.0) -> float:
        """How long a request would take here, to compare: the least is the best choice.

        Requests in flight, times a power of the latency: of replicas that are equally fast, the one
        with the least in flight is the best. With as many in flight as the others, one that takes
        six times as long would cost 44 percent of time. With this power it costs 7, and 11 where
        the fast ones queue what is beyond their share; lower powers cost more of the one, higher
        ones of the other.

        Args:
            unknown: Seconds that stand for a latency that is not known.
        """
        latency = self.latency
        seconds = unknown if latency is None else latency
        return (self.in_flight + 1) * math.pow(seconds, _POWER)

    @property
    def latency(self) -> float | None:
        """Seconds, of late; None before the first answer."""
        if self._latency is None or self.in_flight:
            return self._latency
        idle = self._clock() - self._measured_at
        return max(self._latency * math.exp(-idle / _FORGET_S), _LEAST_LATENCY)

    def begin(self, size: int) -> dict[str, float]:
        """Counts a request of so many bytes that is sent now; returns its marks for `learn`."""
        self._latency = self.latency  # what was forgotten stays so
        self.in_flight += 1
        self._probing = self.out
        taken = {"requests": 1.0, "tokens": size / _BYTES_PER_TOKEN}
        return {unit: limit.take(taken[unit]) for unit, limit in self._limits.items()}

    def end(self) -> None:
        """Counts a request that is not under way any more."""
        self.in_flight -= 1
        self._probing = False

    def works(self, began: float) -> None:
        """Notes that it has answered a request that began then, in whatever way."""
        self._failures = 0
        if self.out and began >= self._out_since:
            _LOG.warning("%s is back after %.1f s", self.name, self._clock() - self._out_since)
            self.out, self._latency = False, None

    def answered(self, seconds: float) -> None:
        """Notes how long it took for a good answer."""
        self._most += 1 / self._most  # one more for each round of answers
        seconds = max(seconds, _LEAST_LATENCY)
        self._latency = self._latency or seconds
        self._latency += _SMOOTHING * (seconds - self._latency)
        self._measured_at = self._clock()

    def learn(self, headers: Mapping[str, str], marks: Mapping[str, float]) -> None:
        """Learns the limits that an answer tells."""
        now = self._clock()
        for unit, limit in read_limits(headers).items():
            allowance = self._limits.get(unit)
            if allowance is None:
                allowance = self._limits[unit] = Allowance(now)
            allowance.learn(limit, marks.get(unit, 0.0), now)

    def limit(self, unit: str) -> HeaderLimit | None:
        """The limit as it told it, with what is left of it; None where it told none."""
        found = self._limits.get(unit)
        if found is None:
            return None
        return HeaderLimit(found.per_second, max(0.0, found.left(self._clock())))

    def refused(self, held: int, wait: float | None) -> None:
        """Notes that it had no room for a request.

        Args:
            held: Requests that were in flight when it began, itself included.
            wait: Seconds that the replica asks for; without them it takes fewer at once.
        """
        if wait:
            self._refused_until = max(self._refused_until, self._clock() + wait)
        else:
            self._most = min(self._most, max(1.0, held - 1.0))

    def failed(self, reason: str) -> None:
        """Notes a failure that may be the request's own; some in a row put it out."""
        self._failures += 1
        if self.out or self._failures >= _FAILURES:
            self.put_out(reason)

    def put_out(self, reason: str) -> None:
        """Takes it out until a probe gets an answer, with growing pauses between two of them."""
        now = self._clock()
        if not self.out:
            self.out, self._out_since, self._pause = True, now, _FIRST_PAUSE
            words = one_line(reason, _LONGEST_REASON)
            _LOG.warning("%s takes no requests for now: %s", self.name, words)
        elif now >= self._probe_at:  # those that were in flight say nothing new
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._probe_at = max(self._probe_at, now + self._pause)
