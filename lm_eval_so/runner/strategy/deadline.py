"""A timeout that reads what has arrived before it calls anything late."""

import asyncio
from types import TracebackType
from typing import Self

_LOOK = 0.1
"""Seconds that a deadline is put off when it passes. After a pause of the whole process (Ctrl-Z, a
closed lid, a stopped container) all that became due is run at once, timers and sockets alike, and
an answer takes some turns of the loop from its socket to who waits for it."""
_LATE = 0.1
"""Seconds. A timer that is later than this tells that the loop did not run."""
_LONGEST_LOOK = 5.0
"""Seconds; after a long pause there may be many answers to read."""
_MOST_LOOKS = 5
"""A loop that never runs in time must not put off its deadlines for ever."""


class Deadline:
    """`asyncio.timeout_at`, with a last look at what has arrived.

    Args:
        when: On the clock of the running loop.

    Raises (on leaving):
        TimeoutError: The time is up, and nothing has come.
    """

    def __init__(self, when: float) -> None:
        self._when = when
        self._looks = 0
        self._scope = asyncio.timeout(None)

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_at(self._when, self._passed)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._scope.__aexit__(kind, error, traceback)

    def _passed(self) -> None:
        now = self._loop.time()
        late = now - self._when
        if self._looks and (late <= _LATE or self._looks == _MOST_LOOKS):
            self._scope.reschedule(now)
            return
        self._looks += 1
        self._when = now + _LOOK + min(late, _LONGEST_LOOK)
        self._timer = self._loop.call_at(self._when, self._passed)
