"""The results of a run in one file, with a ledger of all of its lines in memory."""

from functools import partial
from typing import TYPE_CHECKING, Self

from lm_eval_so.runner.models import Outcome, RunRequest
from lm_eval_so.runner.run.feed import OwedFeed, Questions
from lm_eval_so.runner.run.order import FinalFile
from lm_eval_so.runner.run.prepare import Prepared
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.run.results import Added, Watch
from lm_eval_so.runner.store.directory import RunDirectory

if TYPE_CHECKING:
    from lm_eval_so.runner.engine.cluster import Cluster


class WholeFile:
    """See Results.

    Args:
        prepared: The run.
        recorder: Makes its lines.
    """

    def __init__(self, prepared: Prepared, recorder: Recorder) -> None:
        placed = prepared.placed
        self.directory = RunDirectory(
            prepared.directory, placed.identity, prepared.whole, placed.redactor, placed.asked
        )
        self.cluster: Cluster | None = None
        self.resumed = self.delivered = 0
        self._prepared = prepared
        self._recorder = recorder
        self._final = FinalFile(self.directory)

    def __enter__(self) -> Self:
        self.directory.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self.directory.__exit__(*raised)

    @property
    def has_answers(self) -> bool:
        """See Results."""
        return self.directory.ledger.has_answers

    def begin(self, watch: Watch) -> None:
        """See Results."""
        self._watch = watch
        self.feed = self._new_feed()

    async def has_more(self) -> bool:
        """See Results."""
        return await self.feed.has_more()

    async def deliver(self, request: RunRequest, outcome: Outcome) -> None:
        """See Results."""
        kept = self.directory.add(request.index, self._recorder.record(request, outcome))
        self.delivered += 1
        await self._watch.result(kept)

    def put_in_order(self) -> bool:
        """See Results."""
        passed = self.feed.pass_over()
        if not self._final.losses:
            self.resumed += passed
        if self._final.is_in_order():
            return True
        self.feed = self._new_feed()
        return False

    def added(self) -> Added:
        """See Results."""
        assert self._final.totals is not None  # noqa: S101 - it is in order
        return Added(self._final.totals, self.feed.unasked)

    def _new_feed(self) -> OwedFeed:
        prepared = self._prepared
        return OwedFeed(
            Questions(
                prepared.memory.read(prepared.source.reader, prepared.dataset),
                prepared.requests,
                prepared.selection,
            ),
            self.directory.ledger,
            stopping=self._watch.stopping,
            answered_before=self._answered_before,
        )

    async def _answered_before(self, offset: int) -> None:
        if self._final.losses:  # they have been told already
            return
        self.resumed += 1
        await self._watch.answered_before(partial(self.directory.stored, offset))
