"""Progress on a terminal."""

import asyncio
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.observer import Live, Started
from lm_eval_so.runner.progress.tally import Tally
from lm_eval_so.runner.progress.words import duration, number

_INTERVAL = 0.2  # seconds


class BarProgress:
    """A bar with what is done, failed and in flight, the rates, and the time to go."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[now]}", markup=False),
            console=console,
            transient=True,
            auto_refresh=False,  # refreshed by the event loop: no thread beside it
        )

    def started(self, started: Started, live: Callable[[], Live]) -> None:
        """Shows the bar."""
        self._live = live
        self._tally = Tally(started.total)
        self._task = self._progress.add_task(started.title, total=started.total, now="")
        self._progress.start()
        self._refreshing = asyncio.create_task(self._refresh())

    async def result(self, result: RunResult) -> None:
        """Counts."""
        self._tally.add(result)

    async def kept(self, read: Callable[[], RunResult]) -> None:  # noqa: ARG002 - the protocol's
        """Counts."""
        self._tally.keep()

    def ended(self) -> None:
        """Takes the bar away."""
        self._refreshing.cancel()
        self._progress.stop()

    async def _refresh(self) -> None:
        while True:
            self._progress.update(
                self._task, completed=self._tally.done, now=self._now(), refresh=True
            )
            await asyncio.sleep(_INTERVAL)

    def _now(self) -> str:
        tally, live, (results, tokens) = self._tally, self._live(), self._tally.rates()
        flying = f"{live.in_flight} of {live.concurrency} in flight"
        parts = [flying, f"{number(results)}/s", f"{number(tokens)} tok/s"]
        if tally.failed:
            parts.insert(0, f"{tally.failed} failed")
        if live.rate_limit:
            parts.append(f"limit {live.rate_limit:g}/s")
        if live.paused_s:
            parts.append(f"paused {duration(live.paused_s)}")
        return " · ".join([*parts, f"{duration(tally.remaining())} to go"])
