"""One time that a server is away: who waits for it, who probes and when, and what it gave."""

import asyncio
from collections import deque

from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import Journal
from lm_eval_so.runner.strategy.breaker.away import in_words, looks_away
from lm_eval_so.runner.text.one_line import one_line

_FIRST_PROBE, _LONGEST_PROBE = 0.1, 2.0  # seconds between two probes; doubles each time
_LONGEST_WORDS = 200  # characters of what the server said: a gateway says it with a page


class ProbeQueue:
    """Requests that wait for a server, of which one probes: by turns one that failed, and another.

    A sample may be the cause of its own failure, and then the probe of another finds the server; a
    server may refuse each question once, and then the probe of one that has failed does.
    """

    def __init__(self) -> None:
        self._fresh: deque[asyncio.Future[bool]] = deque()
        self._failed: deque[asyncio.Future[bool]] = deque()
        self._next = self._fresh
        self._taken = False
        self.over = False

    async def turn(self, *, failed: bool) -> bool:
        """Returns True when the caller is to probe, who then calls `pass_on`; False when over."""
        if self.over:
            return False
        if not self._taken:
            self._taken = True
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        (self._failed if failed else self._fresh).append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.pass_on()  # the turn came in the same moment
            raise

    def pass_on(self) -> None:
        """Gives the turn to who comes next."""
        self._taken = False
        for queue in (self._next, self._other(self._next)):
            while queue and not self._taken:
                turn = queue.popleft()
                if not turn.done():
                    self._taken = True
                    self._next = self._other(queue)
                    turn.set_result(True)

    def _other(self, queue: deque[asyncio.Future[bool]]) -> deque[asyncio.Future[bool]]:
        return self._failed if queue is self._fresh else self._fresh

    def end(self) -> None:
        """Lets all go."""
        self.over = True
        for turn in (*self._fresh, *self._failed):
            if not turn.done():
                turn.set_result(False)


class Outage:
    """One time that the server is away.

    Args:
        error: What it gave last.
        began: When it was declared, on the clock of who declared it.
        longest: Seconds that a probe is put off for, at the most.
        declared: Number of the last request before; what it gets is no news of the server.

    Attributes:
        probing: The journal of the sample whose turn it is.
    """

    probing: Journal | None = None

    def __init__(self, error: BackendError, began: float, longest: float, declared: int) -> None:
        self.began = began
        self.declared = declared
        self.queue = ProbeQueue()
        self.next_probe = began
        self._pause = _FIRST_PROBE
        self._seen: dict[str, None] = {}
        self.goes_on(error, began, longest)

    def goes_on(self, error: BackendError, now: float, longest: float) -> None:
        """Notes a failure, and when to probe next; a timeout says nothing new.

        A wait that the server asks for counts up to ``longest``.
        """
        if looks_away(error):
            self.error = error
            self._seen[in_words(error)] = None
        self.next_probe = now + max(self._pause, min(error.retry_after or 0.0, longest))
        self._pause = min(2 * self._pause, _LONGEST_PROBE)

    def sentence(self, waited: float) -> str:
        """What is the matter, in the server's own words."""
        words = one_line(self.error.message, _LONGEST_WORDS)
        if set(self._seen) == {"refused connections"}:
            return words
        seen = " and ".join(self._seen)
        lasting = f" for {waited:g} s" if waited else ""
        return f"the server is away, nothing but {seen}{lasting}: {words}"
