"""One outage: who waits for the server, who probes and when, and what the server gave."""

import asyncio
from collections import deque

from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import Journal
from lm_eval_so.runner.strategy.breaker.away import describe, looks_away
from lm_eval_so.runner.text.one_line import one_line

_FIRST_PROBE, _LONGEST_PROBE = 0.1, 2.0  # seconds between two probes; doubles each time
_LONGEST_WORDS = 200  # characters of what the server said: a gateway says it with a page


class ProbeQueue:
    """Requests that wait for a server, of which one at a time probes it.

    One that failed and one that did not take turns. A sample may be the cause of its own failure,
    and then the probe of another finds the server. A server may refuse each question once, and then
    the probe of one that has failed does.

    Attributes:
        closed: The outage is over.
    """

    def __init__(self) -> None:
        self._fresh: deque[asyncio.Future[bool]] = deque()
        self._failed: deque[asyncio.Future[bool]] = deque()
        self._next = self._fresh
        self._probing = False
        self.closed = False

    async def acquire(self, *, failed: bool) -> bool:
        """Waits; returns True for the caller to probe and then `release`, False once closed."""
        if self.closed:
            return False
        if not self._probing:
            self._probing = True
            return True
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        (self._failed if failed else self._fresh).append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.result():
                self.release()  # it was to probe at the same moment
            raise

    def release(self) -> None:
        """Lets the next one probe."""
        self._probing = False
        for queue in (self._next, self._other(self._next)):
            while queue and not self._probing:
                waiter = queue.popleft()
                if not waiter.done():
                    self._probing = True
                    self._next = self._other(queue)
                    waiter.set_result(True)

    def _other(self, queue: deque[asyncio.Future[bool]]) -> deque[asyncio.Future[bool]]:
        return self._failed if queue is self._fresh else self._fresh

    def close(self) -> None:
        """Lets all go."""
        self.closed = True
        for waiter in (*self._fresh, *self._failed):
            if not waiter.done():
                waiter.set_result(False)


class Outage:
    """A time during which the server is away.

    Args:
        error: What the server gave last.
        began: When the outage was declared, in seconds on the guard's clock.
        longest: Seconds that a probe is put off for, at the most.
        declared: Number of the last request that left before; its answer does not end the outage.

    Attributes:
        probing: The journal of the sample that probes now.
        next_probe: When to probe next.
        has_news: A failure was noted since the last look at this.
    """

    probing: Journal | None = None
    has_news = False

    def __init__(self, error: BackendError, began: float, longest: float, declared: int) -> None:
        self.began = began
        self.declared = declared
        self.queue = ProbeQueue()
        self.next_probe = began
        self._pause = _FIRST_PROBE
        self._seen: dict[str, None] = {}
        self.note(error, began, longest)

    def note(self, error: BackendError, now: float, longest: float) -> None:
        """Notes a failure and plans the next probe; a timeout says nothing new about the server.

        A wait that the server asks for counts up to ``longest``.
        """
        self.has_news = True
        if looks_away(error):
            self.error = error
            self._seen[describe(error)] = None
        self.next_probe = now + max(self._pause, min(error.retry_after or 0.0, longest))
        self._pause = min(2 * self._pause, _LONGEST_PROBE)

    def sentence(self, waited: float) -> str:
        """What is wrong, with the server's own words."""
        words = one_line(self.error.message, _LONGEST_WORDS)
        if set(self._seen) == {"refused connections"}:
            return words
        seen = " and ".join(self._seen)
        lasting = f" for {waited:g} s" if waited else ""
        return f"the server is away, nothing but {seen}{lasting}: {words}"
