"""The owed requests of shards: which one is asked next, and when one is sealed."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol

from lm_eval_so.runner.dataset.selection import Selection
from lm_eval_so.runner.dataset.shards import Shard, ShardReader
from lm_eval_so.runner.errors import LostLinesError
from lm_eval_so.runner.models import Outcome, RunRequest
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.run.feed import OwedFeed, Questions
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.run.results import Watch
from lm_eval_so.runner.store.parts.lease import Asked, Lease, Range
from lm_eval_so.runner.store.parts.part import Part

_LOG = logging.getLogger(__name__)
_MOST_LOSSES = 3
"""Times that a part may have lost lines before its disk is not trusted any more."""


class Leases(Protocol):
    """Hands out shards, and seals them."""

    async def next(self) -> tuple[Lease, Part] | None:
        """The next shard to ask; None where there is no more."""

    def seal(self, part: Part, asked: Asked, unasked: int) -> None:
        """Seals a part of which every question has an outcome.

        Args:
            part: It is closed then.
            asked: What is asked of its range.
            unasked: Answers in it to what is not.

        Raises:
            LostLinesError: Its file has lost lines; it stays open.
            StoreError: It cannot be written.
        """


class ShardQuestions(NamedTuple):
    """What the dataset asks, shard by shard.

    Attributes:
        shard_at: The shard that a position is in.
        selection: Of the whole dataset.
    """

    reader: ShardReader
    shard_at: Callable[[int], Shard]
    requests: RequestBuilder
    selection: Selection

    def asked(self, each: Range) -> Asked:
        """What the selection asks of a range."""
        selection = self.selection.part(each.first, each.count)
        return Asked(selection.selected * self.requests.repeats, selection.digest)

    def of(self, lease: Lease) -> Questions:
        """Those of a lease, read lazily."""
        shard = self.shard_at(lease.first)
        samples = self.reader.read(shard, lease.first - shard.first)
        ends_before = lease.range.end < shard.first + shard.count
        return Questions(
            islice(samples, lease.count) if ends_before else samples,
            self.requests,
            self.selection.part(lease.first, lease.count),
        )


@dataclass
class _OpenShard:
    """A shard that is being asked.

    Attributes:
        sent: Requests without an outcome.
        passing: Tasks that look for its next request.
        is_read: There is no further request.
    """

    lease: Lease
    part: Part
    feed: OwedFeed
    asked: Asked
    sent: int = 0
    passing: int = 0
    is_read: bool = False

    @property
    def begun(self) -> int:
        """The first position of which nothing was asked or passed over."""
        return self.lease.end if self.is_read else self.lease.first + self.feed.begun


class ShardFeed:
    """See Feed: requests of one shard after the other; each is sealed when it has all outcomes.

    Args:
        questions: What the dataset asks.
        leases: Hands out the shards.
        recorder: Makes the lines.
        watch: Who is told.

    Attributes:
        delivered: Results so far; ``delivered_ok`` of them are answers.
        unasked: Lines of samples that are not selected, in the shards that were sealed.
    """

    def __init__(
        self, questions: ShardQuestions, leases: Leases, recorder: Recorder, watch: Watch
    ) -> None:
        self._questions, self._leases = questions, leases
        self._recorder, self._watch = recorder, watch
        self._repeats = questions.requests.repeats
        self._turn = asyncio.Lock()
        self._current: _OpenShard | None = None
        self._open: dict[int, _OpenShard] = {}  # by epoch
        self._sent: dict[int, _OpenShard] = {}  # by request
        self._waiting: deque[_OpenShard] = deque()
        self._ahead: RunRequest | None = None
        self._losses = 0
        self.delivered = self.delivered_ok = self.unasked = 0

    async def next(self) -> RunRequest | None:
        """See Feed."""
        if self._watch.stopping():
            return None
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            return ahead
        while not self._watch.stopping():
            shard = self._current or await self._next_shard()
            if shard is None:
                return None
            shard.passing += 1
            try:
                request = await shard.feed.next()
            finally:
                shard.passing -= 1
            if shard.lease.epoch not in self._open:
                continue  # it was lost meanwhile
            if request is not None:
                shard.sent += 1
                self._sent[id(request)] = shard
                return request
            if not self._watch.stopping():
                self._read_to_its_end(shard)
        return None

    async def has_more(self) -> bool:
        """Whether anything is owed."""
        self._ahead = await self.next()
        return self._ahead is not None

    async def deliver(self, request: RunRequest, outcome: Outcome) -> None:
        """See `engine.base.Deliver`. The outcome of a lease that was lost is dropped."""
        shard = self._sent.pop(id(request))
        if shard.lease.epoch not in self._open:
            return
        index = request.index - shard.lease.first * self._repeats
        kept = shard.part.add(index, self._recorder.record(request, outcome))
        self.delivered += 1
        self.delivered_ok += kept.status == "ok"
        await self._watch.result(kept)
        shard.sent -= 1
        self._seal_if_done(shard)

    def finish(self) -> None:
        """Seals what is open, whether all of it has an outcome or not; call it last.

        Raises:
            StoreError: A part cannot be written.
        """
        while self._open:
            shard = next(iter(self._open.values()))
            shard.feed.pass_over()
            try:
                self._seal(shard)
            except LostLinesError:
                shard.part.believe_the_file()
                shard.feed = self._feed_of(shard.lease, shard.part)
                shard.feed.pass_over()
                self._seal(shard)

    def seal_as_it_is(self, lease: Lease, part: Part) -> None:
        """Seals a part that an earlier command has left open, with the lines that are in it."""
        self._open[lease.epoch] = self._opened(lease, part)
        self.finish()

    @property
    def begun(self) -> list[tuple[Lease, int]]:
        """The open leases, each with the first position of which nothing was asked yet."""
        return [(shard.lease, shard.begun) for shard in self._open.values()]

    def end_at(self, epoch: int, position: int) -> int | None:
        """Ends a lease at a position, or where it has got to if that is later.

        Returns:
            The position that it ends at; None where the lease is not open.
        """
        shard = self._open.get(epoch)
        if shard is None:
            return None
        lease = shard.lease
        end = max(min(position, lease.end), shard.begun)
        if end < lease.end:
            shard.feed.end_at(end - lease.first)
            shard.lease = Lease(lease.first, end - lease.first, epoch)
            shard.part.shorten(shard.lease.count)
            shard.asked = self._questions.asked(shard.lease.range)
        return end

    def drop(self, epoch: int) -> Part | None:
        """Gives up a lease; of its requests in flight the outcomes are dropped.

        Returns:
            Its part, for the caller to close; None where the lease is not open.
        """
        shard = self._open.pop(epoch, None)
        if shard is None:
            return None
        if self._current is shard:
            self._current = None
        if shard in self._waiting:
            self._waiting.remove(shard)
        return shard.part

    async def _next_shard(self) -> _OpenShard | None:
        async with self._turn:
            if self._current is not None:
                return self._current
            if not self._waiting:
                found = await self._leases.next()
                if found is None:
                    return self._current
                shard = self._opened(*found)
                self._open[shard.lease.epoch] = shard
                self._waiting.append(shard)
            if self._current is None:  # else one that lost lines goes on meanwhile
                self._current = self._waiting.popleft()
            return self._current

    def _opened(self, lease: Lease, part: Part) -> _OpenShard:
        asked = self._questions.asked(lease.range)
        return _OpenShard(lease, part, self._feed_of(lease, part), asked)

    def _feed_of(self, lease: Lease, part: Part) -> OwedFeed:
        return OwedFeed(
            self._questions.of(lease),
            part.ledger,
            stopping=self._watch.stopping,
            answered_before=partial(self._answered_before, part),
            begins_at=lease.first * self._repeats,
        )

    async def _answered_before(self, part: Part, offset: int) -> None:
        if not self._losses:  # they have been told already
            await self._watch.answered_before(partial(part.stored, offset))

    def _read_to_its_end(self, shard: _OpenShard) -> None:
        shard.is_read = True
        if self._current is shard:
            self._current = None
        self._seal_if_done(shard)

    def _seal_if_done(self, shard: _OpenShard) -> None:
        if not shard.is_read or shard.sent or shard.passing:
            return
        if shard.lease.epoch not in self._open:
            return
        try:
            self._seal(shard)
        except LostLinesError as lost:
            self._losses += 1
            if self._losses > _MOST_LOSSES:
                raise
            _LOG.warning("%s; what is missing is owed again", lost)
            shard.part.believe_the_file()
            shard.feed, shard.is_read = self._feed_of(shard.lease, shard.part), False
            if self._current is None:  # no lease may come before this one is sealed
                self._current = shard
            else:
                self._waiting.append(shard)

    def _seal(self, shard: _OpenShard) -> None:
        self._leases.seal(shard.part, shard.asked, shard.feed.answers_unasked)
        del self._open[shard.lease.epoch]
        self.unasked += shard.feed.unasked
