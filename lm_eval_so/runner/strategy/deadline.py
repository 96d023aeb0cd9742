"""A timeout that reads what has arrived before it calls anything late."""

import asyncio
from types import TracebackType
from typing import Self

_GRACE = 0.1
"""Seconds that a deadline is put off when it passes. After a pause of the whole process (Ctrl-Z, a
closed lid, a stopped container) timers and sockets all become due at once, and an answer takes some
turns of the loop from its socket to the task that waits for it."""
_LATE = 0.1
"""Seconds. A timer that is later than this shows that the loop did not run."""
_LONGEST_GRACE = 5.0
"""Seconds; after a long pause there may be many answers to read."""
_MOST_EXTENSIONS = 5
"""A loop that is always late must not put off its deadlines for ever."""


class Deadline:
    """`asyncio.timeout_at` that reads what has arrived before it cancels.

    Args:
        when: On the clock of the running loop.

    Raises (on leaving):
        TimeoutError: The time is up, and nothing has arrived.
    """

    def __init__(self, when: float) -> None:
        self._when = when
        self._extensions = 0
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
        if self._extensions and (late <= _LATE or self._extensions == _MOST_EXTENSIONS):
            self._scope.reschedule(now)
            return
        self._extensions += 1
        self._when = now + _GRACE + min(late, _LONGEST_GRACE)
        self._timer = self._loop.call_at(self._when, self._passed)
