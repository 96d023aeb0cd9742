"""Which requests a run still owes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from math import inf
from typing import NamedTuple

from lm_eval_so.runner.dataset.plain import PlainSample, whole
from lm_eval_so.runner.dataset.selection import Selection
from lm_eval_so.runner.models import RunRequest, TestSample
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.store.ledger import Ledger

_PASSED_PER_TURN = 256
"""Questions that are passed over before the event loop gets a turn."""


class Questions(NamedTuple):
    """What the dataset asks.

    Attributes:
        samples: Of the dataset, in order; the whole of one is read when it is asked.
        requests: Makes their requests.
        selection: Which of them are asked.
    """

    samples: Iterable[TestSample | PlainSample]
    requests: RequestBuilder
    selection: Selection


class OwedFeed:
    """The requests that are owed, in dataset order; samples with an answer are passed over.

    So are those that are not selected, whose lines stay in the results file.

    Args:
        questions: What the dataset asks.
        ledger: Knows what is in the results file.
        stopping: Whether the run is stopping, so that there is no more.
        answered_before: Told of each selected sample that has an answer: where its line starts.
        begins_at: Place of the first question among those of the run.

    Attributes:
        unasked: Lines of samples that are not selected, among those passed over so far;
            ``answers_unasked`` of them are answers.
    """

    def __init__(
        self,
        questions: Questions,
        ledger: Ledger,
        *,
        stopping: Callable[[], bool],
        answered_before: Callable[[int], Awaitable[None]],
        begins_at: int = 0,
    ) -> None:
        samples, self._requests, self._selection = questions
        if self._requests.needs_whole_samples:  # which may look at any part of a sample
            samples = map(whole, samples)
        repeats = range(self._requests.repeats)
        asked = enumerate((sample, repeat) for sample in samples for repeat in repeats)
        # Without a line in the file, nothing is to be found behind the last that is selected.
        self._has_lines = not ledger.is_empty
        reads_all = self._has_lines or self._selection.is_whole  # and compares it with its digest
        end = None if reads_all else self._selection.end * len(repeats)
        self._questions = islice(asked, end)
        self._ledger = ledger
        self._stopping = stopping
        self._answered_before = answered_before
        self._begins_at = begins_at
        self._ahead: RunRequest | None = None
        self._passed = self.answers_unasked = self.unasked = 0
        self._taken, self._ends_before = 0, inf

    @property
    def begun(self) -> int:
        """The first sample of which nothing was asked or passed over."""
        return -(-self._taken // self._requests.repeats)

    def end_at(self, sample: int) -> int:
        """Ends before a sample, or before the first that is not begun if that is later.

        Returns:
            The sample that it ends before.
        """
        sample = max(sample, self.begun)
        self._ends_before = sample * self._requests.repeats
        return sample

    async def next(self) -> RunRequest | None:
        """See Feed."""
        if self._stopping():
            return None
        if self._ahead is not None:
            request, self._ahead = self._ahead, None
            return request
        while not self._stopping() and (asked := self._take()) is not None:
            index, (sample, repeat) = asked
            if self._is_selected(index):
                key = self._requests.key(sample, repeat)
                offset = self._ledger.find(index, sample.id, key)
                if offset is None:
                    return self._requests.build(whole(sample), self._begins_at + index, repeat, key)
                await self._answered_before(offset)
            else:
                self._keep(index, sample, repeat)
            self._passed += 1
            if self._passed % _PASSED_PER_TURN == 0:
                await asyncio.sleep(0)
        return None

    async def has_more(self) -> bool:
        """Whether anything is owed."""
        self._ahead = await self.next()
        return self._ahead is not None

    def pass_over(self) -> int:
        """Finds the lines of the samples that were not reached, after a stop.

        Returns:
            Answers that `answered_before` was not told of: theirs, and those of samples that are
            not selected.
        """
        answered = 0
        for index, (sample, repeat) in iter(self._take, None):
            if self._is_selected(index):
                key = self._requests.key(sample, repeat)
                answered += self._ledger.find(index, sample.id, key) is not None
            else:
                self._keep(index, sample, repeat)
        return answered + self.answers_unasked

    def _take(self) -> tuple[int, tuple[TestSample | PlainSample, int]] | None:
        if self._taken >= self._ends_before:
            return None
        asked = next(self._questions, None)
        self._taken += asked is not None
        return asked

    def _is_selected(self, index: int) -> bool:
        return self._selection.includes(index // self._requests.repeats)

    def _keep(self, index: int, sample: TestSample | PlainSample, repeat: int) -> None:
        """Claims the line of a sample that is not selected, so that it stays in the file."""
        if not self._has_lines:
            return
        key = self._requests.key(sample, repeat)
        self.answers_unasked += self._ledger.find(index, sample.id, key) is not None
        self.unasked += self._ledger.has_line(index)
