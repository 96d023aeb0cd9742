"""Limits that many workers share through the coordinator, which gives starts for a moment."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import NamedTuple

from lm_eval_so.runner.backends.http.limit_headers import HeaderLimit
from lm_eval_so.runner.engine.coordinator.starts import LATE_S, Asked, Given, Learned
from lm_eval_so.runner.engine.remote.port import AGAIN_S, Port, UnreachableError
from lm_eval_so.runner.strategy.rate_limit.changes import Started
from lm_eval_so.runner.strategy.rate_limit.limits import Limits, Want
from lm_eval_so.runner.strategy.rate_limit.schedule import Slot

_EARLY_S = 0.07
"""Seconds before the last start at hand at which the next ones are fetched; a call takes less."""
_APART_S = 0.03
"""Seconds between two calls. Requests that come meanwhile ask together: a start that is asked for
in advance and comes too early is lost to everybody."""
_SOON_S = 0.001  # seconds until one looks again whose call is on its way
_AT_ONCE_S = 0.005  # seconds; a first start that is due so soon was held back by no limit


class _Start(NamedTuple):
    number: int
    due: float  # on this worker's clock
    tokens: float
    marks: Mapping[str, float]
    held_back: bool


class RemoteLimits(Limits):
    """Starts at hand, and what the coordinator is to be told with the next call.

    One call at a time is on its way, made by `run`.

    Args:
        port: To the coordinator.
        clock: Seconds; never goes back.
    """

    def __init__(self, port: Port, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._port = port
        self._starts: deque[_Start] = deque()
        self._per_minute: dict[str, float] = {}
        self._paused_until = self._free_until = self._ask_at = self._called_at = -math.inf
        self._wants: Collection[Want] = ()
        self._wanted, self._answered = asyncio.Event(), asyncio.Event()
        self._unused: list[int] = []
        self._unused_tokens = self._pause_s = 0.0
        self._learned: dict[frozenset[str], tuple[Mapping[str, HeaderLimit], Started]] = {}

    @property
    def paused_until(self) -> float:
        return self._paused_until

    @property
    def per_minute(self) -> dict[str, float]:
        return self._per_minute

    @property
    def counts_tokens(self) -> bool:
        return "tokens" in self._per_minute

    def configure(self, unit: str, limit: float | None) -> None:
        """The coordinator has the limit; here it tells that tokens count from the beginning."""
        if limit is not None:
            self._per_minute[unit] = limit

    def correct(self, unused: float) -> None:
        self._unused_tokens += unused

    def learn(self, found: Mapping[str, HeaderLimit], started: Started) -> None:
        """Keeps what the answer to the latest start gave: it replaces what earlier ones gave."""
        units = frozenset(found)
        known = self._learned.get(units)
        if known is None or known[1].began <= started.began:
            self._learned[units] = (found, started)

    def pause(self, until: float) -> None:
        """Tells the coordinator at once."""
        if until > self._paused_until:
            self._paused_until = until
            self._pause_s = until - self.clock()
            self._wanted.set()

    def paused(self, seconds: float) -> None:
        """Notes a pause that the coordinator knows of; one of 0 s would drop what is due now."""
        if seconds > 0:
            self._paused_until = max(self._paused_until, self.clock() + seconds)

    async def prepare(self, wants: Collection[Want], _interval: float) -> bool:
        self._wants = wants
        self._drop_late()
        if not self._has_to_ask(len(wants)):
            return False
        self._wanted.set()
        if self._starts or self.clock() < self._free_until:
            return False
        self._answered.clear()
        await self._answered.wait()
        return True

    def wait(self, _want: Want) -> float:
        self._drop_late()
        now = self.clock()
        if self._starts:
            due = self._starts[0].due
        elif now < self._free_until:
            due = self._paused_until
        else:
            due = max(self._ask_at, now + _SOON_S)
        return max(0.0, due - now)

    def start(self, want: Want, _interval: float) -> Slot:
        now = self.clock()
        if not self._starts:
            if self._has_to_ask(1):
                self._wanted.set()  # before the time is over in which everything may start
            return Slot(now, now, want.amounts, {})
        start = self._starts.popleft()
        self.held_back = start.held_back
        self._unused_tokens += start.tokens - want.amounts["tokens"]
        return Slot(start.due, start.due, want.amounts, start.marks)

    async def run(self) -> None:
        """Makes the calls, until it is cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._ask()
            self._answered.set()

    async def _ask(self) -> None:
        self._called_at = self.clock()
        asked = self._asked()
        unused, self._unused = self._unused, []
        learned, self._learned = self._learned, {}
        self._unused_tokens = self._pause_s = 0.0
        try:
            given = await self._port.starts(asked)
        except UnreachableError:
            self._unused = unused + self._unused
            self._learned = learned | self._learned
            self._unused_tokens += asked.unused_tokens
            self._pause_s = max(self._pause_s, asked.pause_s)
            self._ask_at = self.clock() + AGAIN_S
        else:
            self._take(given)

    def _asked(self) -> Asked:
        now = self.clock()
        wanted = [want.amounts["tokens"] for want in islice(self._wants, len(self._starts), None)]
        if not wanted and self._is_free(now):
            wanted = [0.0]
        return Asked(
            wanted,
            tuple(self._unused),
            self._unused_tokens,
            tuple(
                Learned(found, started.marks, now - started.began)
                for found, started in self._learned.values()
            ),
            self._pause_s,
        )

    def _take(self, given: Given) -> None:
        now = self.clock()
        # Where the first may leave at once, no limit has held anybody back so far.
        held_back = bool(given.starts) and given.starts[0].in_s > _AT_ONCE_S
        self._starts.extend(
            _Start(one.number, now + one.in_s, one.tokens, one.marks, held_back)
            for one in given.starts
        )
        self._free_until = now + given.free_for_s if given.free_for_s else -math.inf
        self._ask_at = max(now + given.ask_again_s, self._called_at + _APART_S)
        self._per_minute = dict(given.per_minute)
        self.paused(given.paused_s)

    def _has_to_ask(self, waiting: int) -> bool:
        now = self.clock()
        if self._is_free(now):
            return now > self._free_until - _EARLY_S
        if now < self._ask_at or waiting <= len(self._starts):
            return False
        return not self._starts or self._starts[-1].due < now + _EARLY_S

    def _is_free(self, now: float) -> bool:
        return now < self._free_until

    def _drop_late(self) -> None:
        """Gives back starts that are late or fall into a pause."""
        begins = max(self.clock() - LATE_S, self._paused_until)
        while self._starts and self._starts[0].due < begins:
            start = self._starts.popleft()
            self._unused.append(start.number)
