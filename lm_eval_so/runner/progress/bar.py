"""Progress on a terminal."""

import asyncio
from collections.abc import Awaitable, Callable

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
    """A line with what is done and to be done; log lines go above it, and it leaves no trace."""

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
            auto_refresh=False,  # refreshed by the event loop: no thread beside it
            get_renderable=self._line,
        )
        self._screen.start()
        self._console.show_cursor()  # a shell that gets the terminal back by Ctrl-Z needs it
        self._refreshing = asyncio.create_task(self._refresh())

    async def result(self, result: RunResult) -> None:
        """Counts."""
        self._tally.add(result)

    async def answered_before(self, read: Callable[[], RunResult]) -> None:  # noqa: ARG002 - the protocol's
        """Counts."""
        self._tally.keep()

    def ended(self) -> None:
        """Takes the line away."""
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
