"""Who watches a run: a progress bar, a log, a stream of results, a tracker."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from lm_eval_so.runner.engine.base import Live
from lm_eval_so.runner.models import RunResult, Value


class Started(Value):
    """What is known when a run begins.

    Attributes:
        total: Results that the run asks for.
        whole: Results of the whole dataset; more than ``total`` where samples are selected.
        directory: Has its ``run_metadata.json``.
    """

    title: str
    total: int
    whole: int
    directory: Path


class Observer(Protocol):
    """Told of a run as it goes on. A slow observer slows the run: its answers are awaited."""

    def started(self, started: Started, live: Callable[[], Live]) -> None:
        """The run begins; ``live`` tells at any time what goes on."""

    async def result(self, result: RunResult) -> None:
        """A result is in the file."""

    async def answered_before(self, read: Callable[[], RunResult]) -> None:
        """A sample has its answer from an earlier run; ``read`` gives it."""

    async def answered_before_many(
        self, count: int, read: Callable[[], Iterator[RunResult]]
    ) -> None:
        """So many samples have theirs, in files that are not looked into; ``read`` gives them."""

    async def counted(self, delivered: int, failed: int) -> None:
        """So many results of workers are in their files; so many of them are errors."""

    def ended(self) -> None:
        """Nothing more comes."""


class NullObserver:
    """An observer that looks away; the base of those that look at some of it."""

    def started(self, started: Started, live: Callable[[], Live]) -> None:
        """See Observer."""

    async def result(self, result: RunResult) -> None:
        """See Observer."""

    async def answered_before(self, read: Callable[[], RunResult]) -> None:
        """See Observer."""

    async def answered_before_many(
        self, count: int, read: Callable[[], Iterator[RunResult]]
    ) -> None:
        """See Observer."""

    async def counted(self, delivered: int, failed: int) -> None:
        """See Observer."""

    def ended(self) -> None:
        """See Observer."""
