"""Which requests a run still owes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from lm_eval_so.runner.models import RunRequest, TestSample
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.store.ledger import Ledger

_ANSWERED_PER_TURN = 256
"""Samples with an answer that are passed over before the event loop gets a turn."""


class OwedFeed:
    """The requests that are owed, in dataset order; samples with an answer are passed over.

    Args:
        samples: Of the dataset, in order.
        requests: Makes their requests.
        ledger: Knows what is in the results file.
        stopping: Whether the run is stopping, so that there is no more.
        answered_before: Told of each sample that has an answer: where its line starts.
    """

    def __init__(
        self,
        samples: Iterable[TestSample],
        requests: RequestBuilder,
        ledger: Ledger,
        *,
        stopping: Callable[[], bool],
        answered_before: Callable[[int], Awaitable[None]],
    ) -> None:
        repeats = range(requests.repeats)
        self._asked = enumerate((sample, repeat) for sample in samples for repeat in repeats)
        self._requests = requests
        self._ledger = ledger
        self._stopping = stopping
        self._answered_before = answered_before
        self._ahead: RunRequest | None = None
        self._answered = 0

    async def next(self) -> RunRequest | None:
        """See Feed."""
        if self._stopping():
            return None
        if self._ahead is not None:
            request, self._ahead = self._ahead, None
            return request
        while not self._stopping() and (asked := next(self._asked, None)) is not None:
            index, (sample, repeat) = asked
            key = self._requests.key(sample, repeat)
            offset = self._ledger.find(index, sample.id, key)
            if offset is None:
                return self._requests.build(sample, index, repeat, key)
            self._answered += 1
            await self._answered_before(offset)
            if self._answered % _ANSWERED_PER_TURN == 0:
                await asyncio.sleep(0)
        return None

    async def has_more(self) -> bool:
        """Whether anything is owed."""
        self._ahead = await self.next()
        return self._ahead is not None

    def pass_over(self) -> int:
        """Finds the lines of the samples that were not reached, after a stop.

        Returns:
            How many of them have an answer.
        """
        return sum(
            self._ledger.find(index, sample.id, self._requests.key(sample, repeat)) is not None
            for index, (sample, repeat) in self._asked
        )
