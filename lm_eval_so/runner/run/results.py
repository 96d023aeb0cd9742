"""The seam between a run and its results: which questions are owed, and where outcomes go."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lm_eval_so.runner.engine.base import Feed
from lm_eval_so.runner.models import Outcome, RunRequest, RunResult
from lm_eval_so.runner.store.held import HeldDirectory
from lm_eval_so.runner.summary.summarise import Totals

if TYPE_CHECKING:
    from lm_eval_so.runner.engine.cluster import Cluster

ReadResult = Callable[[], RunResult]
ReadResults = Callable[[], Iterator[RunResult]]


async def _nobody(*_: object) -> None:
    """Is told."""


class Watch(NamedTuple):
    """Whether the run is stopping, and who is told of results.

    Attributes:
        result: A result is in its file.
        answered_before: A question has its answer from an earlier command; reads it.
        answered_before_many: So many have; reads them, in dataset order.
        counted: So many results of workers are in their files; so many of them are errors.
    """

    stopping: Callable[[], bool]
    result: Callable[[RunResult], Awaitable[None]] = _nobody
    answered_before: Callable[[ReadResult], Awaitable[None]] = _nobody
    answered_before_many: Callable[[int, ReadResults], Awaitable[None]] = _nobody
    counted: Callable[[int, int], Awaitable[None]] = _nobody


class Added(NamedTuple):
    """The results of a run that are in their files.

    Attributes:
        totals: Of all of their lines.
        unasked: Lines of samples that are not selected.
    """

    totals: Totals
    unasked: int


class Results(AbstractContextManager["Results"], Protocol):
    """Holds the run directory while its context lasts.

    Attributes:
        cluster: What an engine needs that hands questions out itself; None where it cannot.
    """

    cluster: "Cluster | None"

    @property
    def directory(self) -> HeldDirectory:
        """Of the run."""

    @property
    def feed(self) -> Feed:
        """The questions that are owed, after `begin`."""

    @property
    def resumed(self) -> int:
        """Answers that were there before this command, as far as is known."""

    @property
    def delivered(self) -> int:
        """Results of this command."""

    @property
    def has_answers(self) -> bool:
        """Whether earlier commands left an answer here."""

    def begin(self, watch: Watch) -> None:
        """Makes the feed; nothing is read yet."""

    async def has_more(self) -> bool:
        """Whether anything is owed."""

    async def deliver(self, request: RunRequest, outcome: Outcome) -> None:
        """See `engine.base.Deliver`."""

    def put_in_order(self) -> bool:
        """Leaves one line for each sample that has an outcome, in dataset order.

        Returns:
            Whether that is so; else the files have lost lines, which `feed` owes again.

        Raises:
            StoreError: They cannot be written, or lose lines again and again.
        """

    def added(self) -> Added:
        """What they add up to, once they are in order."""
