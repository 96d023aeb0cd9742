"""Whether the server is away for all workers, and who of them probes it."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from lm_eval_so.runner.strategy.breaker.away import LEAST_ROUND

_QUIET_S = 3.0  # seconds without an answer anywhere, after which a few workers speak for all
_FIRST_PROBE, _LONGEST_PROBE = 0.1, 2.0  # seconds between two probes; doubles each time
_TURN_S = 3.0  # seconds in which one whose turn it is has asked; then anybody probes
_PROBE_LASTS_S = 10.0  # seconds after which another one probes too


class Away(Enum):
    """What a worker does while a server may be away."""

    GO = "send"
    HOLD = "send nothing, and ask again with the next heartbeat"
    PROBE = "send one request"
    LEAVE = "others are answered: give back the leases and end"


class Order(NamedTuple):
    """What a worker is told.

    Attributes:
        away: What to do.
        in_s: Seconds until then; for a probe.
    """

    away: Away = Away.GO
    in_s: float = 0.0


@dataclass(slots=True)
class _Report:
    """A worker that got nothing but signs of a server that is away.

    Attributes:
        since: When it first said so.
        said_at: When it last said so.
        pause: Seconds until its own next probe.
    """

    since: float
    said_at: float
    pause: float = _FIRST_PROBE


@dataclass(slots=True)
class _Shared:
    """An outage that holds everybody.

    Attributes:
        since: When it was declared.
        next_probe: When to probe next.
        pause: Seconds between two probes.
        prober: Who probes.
        asked_at: When it was asked to.
        failed_next: Whether the next to probe is one that has failed before.
    """

    since: float
    next_probe: float
    pause: float = _FIRST_PROBE
    prober: str | None = None
    asked_at: float = -math.inf
    failed_next: bool = False


class Outages:
    """Tells an outage of the server from one of a worker's own way to it.

    Each worker finds an outage by the rules of `OutageGuard`, and reports it. Several that report
    while nobody is answered speak for all: everybody is held, and one at a time probes, one that
    has failed and one that has not in turns. Others that report probe alone; where their neighbours
    are answered all the time, they have to leave.

    Args:
        wait: Seconds that a server may be away.
    """

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._reports: dict[str, _Report] = {}
        self._shared: _Shared | None = None
        self._answered_at = -math.inf
        self._words = ""
        self._workers = 1

    @property
    def declared(self) -> bool:
        """Whether everybody is held."""
        return self._shared is not None

    def report(self, worker: str, words: str, now: float, *, workers: int) -> None:
        """A worker found an outage, or its probe failed.

        Args:
            worker: Who says so.
            words: What the server gave, in a sentence.
            now: Seconds.
            workers: That are alive and have work.
        """
        self._words, self._workers = words, workers
        report = self._reports.setdefault(worker, _Report(now, now))
        if report.said_at < now:
            report.pause = min(2 * report.pause, _LONGEST_PROBE)
        report.said_at = now
        shared = self._shared
        if shared is None:
            if self._speak_for_all(now, workers):
                self._shared = _Shared(now, next_probe=now + _FIRST_PROBE)
        elif shared.prober == worker:
            shared.pause = min(2 * shared.pause, _LONGEST_PROBE)
            shared.prober, shared.next_probe = None, now + shared.pause

    def answered(self, worker: str, now: float, *, left_s: float) -> None:
        """A worker got a sign of life.

        Args:
            worker: Who got it.
            now: Seconds.
            left_s: Seconds since the request left that got it. A server that is being shut down
                finishes what it has, so one that left before an outage does not end it.
        """
        report = self._reports.get(worker)
        if report is not None and now - left_s >= report.said_at:
            del self._reports[worker]
        self._answered_at = max(self._answered_at, now)
        if self._shared is not None and now - left_s >= self._shared.since:
            self._shared = None
            self._reports.clear()

    def order(self, worker: str, now: float, *, quiet_until: float = 0.0) -> Order:
        """What a worker is to do.

        Args:
            worker: Who asks.
            now: Seconds.
            quiet_until: A pause that the server asked for; nobody probes before.
        """
        if self._shared is not None:
            return self._probe(self._shared, worker, max(now, quiet_until), now)
        report = self._reports.get(worker)
        if report is None:
            return Order()
        if now - report.since >= self._wait and self._answered_at > report.since:
            return Order(Away.LEAVE)
        return Order(Away.PROBE, max(0.0, report.said_at + report.pause - now))

    def given_up(self, now: float) -> str | None:
        """The sentence to end the run with, where nobody was answered for too long."""
        shared = self._shared
        if shared is not None and now - shared.since >= self._wait:
            return self._words
        return None

    def gone(self, worker: str) -> None:
        """A worker has left, and so has its word."""
        self._reports.pop(worker, None)
        self._workers -= 1
        if self._shared is not None and self._shared.prober == worker:
            self._shared.prober = None

    def _speak_for_all(self, now: float, workers: int) -> bool:
        recent = sum(one.said_at > self._answered_at for one in self._reports.values())
        if recent >= workers:
            return True
        return recent >= LEAST_ROUND and now - self._answered_at >= _QUIET_S

    def _probe(self, shared: _Shared, worker: str, earliest: float, now: float) -> Order:
        if shared.prober == worker:
            return Order(Away.PROBE, max(0.0, max(earliest, shared.next_probe) - now))
        if shared.prober is not None and now - shared.asked_at < _PROBE_LASTS_S + shared.pause:
            return Order(Away.HOLD)
        others = len(self._reports) if shared.failed_next else self._workers - len(self._reports)
        waits_for_them = others > 0 and now < shared.next_probe + _TURN_S
        if (worker in self._reports) != shared.failed_next and waits_for_them:
            return Order(Away.HOLD)
        shared.prober, shared.asked_at = worker, now
        shared.failed_next = worker not in self._reports
        return Order(Away.PROBE, max(0.0, max(earliest, shared.next_probe) - now))
