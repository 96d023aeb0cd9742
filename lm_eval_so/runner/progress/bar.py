"""Progress on a terminal."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from rich.console import Console
from rich.live import Live as Screen
from rich.text import Text

from lm_eval_so.runner.engine.base import Live
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.progress.line import status_line
from lm_eval_so.runner.progress.tally import Tally
from lm_eval_so.runner.run.observer import Started

_INTERVAL = 0.2  # seconds


class BarProgress:
    """One line that shows the progress; log lines go above it, and it is removed at the end."""

    def __init__(
        self, console: Console, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._console = console
        self._sleep = sleep

    def started(self, started: Started, live: Callable[[], Live]) -> None:
        """Shows the line."""
        self._live = live
        self._title = started.title
        self._tally = Tally(started.total)
        self._screen = Screen(
            console=self._console,
            transient=True,
            auto_refresh=False,  # the event loop refreshes it: no extra thread
            get_renderable=self._line,
        )
        self._screen.start()
        self._console.show_cursor()  # a shell needs it after Ctrl-Z
        self._refreshing = asyncio.create_task(self._refresh())

    async def result(self, result: RunResult) -> None:
        """Counts."""
        self._tally.add(result)

    async def answered_before(self, read: Callable[[], RunResult]) -> None:  # noqa: ARG002 - the protocol's
        """Counts."""
        self._tally.keep()

    async def answered_before_many(
        self,
        count: int,
        read: Callable[[], Iterator[RunResult]],  # noqa: ARG002 - the protocol's
    ) -> None:
        """Counts."""
        self._tally.keep(count)

    async def counted(self, delivered: int, failed: int) -> None:
        """Counts."""
        self._tally.count(delivered, failed)

    def ended(self) -> None:
        """Removes the line."""
        self._refreshing.cancel()
        self._screen.stop()

    async def _refresh(self) -> None:
        while True:
            self._screen.refresh()
            await self._sleep(_INTERVAL)

    def _line(self) -> Text:
        return status_line(
            self._tally,
            self._live(),
            self._title,
            self._console.width,
            ascii_only=self._console.options.ascii_only,
        )
