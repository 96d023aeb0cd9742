"""The results of a run in parts: no memory grows with them, and a resume costs what is owed."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Self

from lm_eval_so.runner.dataset.shards import ShardReader
from lm_eval_so.runner.models import Outcome, RunRequest, RunResult
from lm_eval_so.runner.run.prepare import Prepared
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.run.results import Added, Watch
from lm_eval_so.runner.run.shard_feed import ShardFeed, ShardQuestions
from lm_eval_so.runner.run.sharding import adopt, shard_of, shards_of
from lm_eval_so.runner.store.line import read_line
from lm_eval_so.runner.store.parts.board import Piece
from lm_eval_so.runner.store.parts.directory import PartsDirectory
from lm_eval_so.runner.store.parts.join import lines_of
from lm_eval_so.runner.store.parts.lease import Asked, Lease, Range
from lm_eval_so.runner.store.parts.part import Part

if TYPE_CHECKING:
    from lm_eval_so.runner.engine.cluster import Cluster

_GB = 10**9


class InParts:
    """See Results.

    Args:
        prepared: The run.
        recorder: Makes its lines.
    """

    def __init__(self, prepared: Prepared, recorder: Recorder) -> None:
        self.cluster: Cluster | None = None
        self._prepared = prepared
        self._recorder = recorder
        self._shards = shards_of(prepared)
        self._reader = ShardReader(prepared.source.reader, prepared.dataset.stamp)
        placed = prepared.placed
        self.directory = PartsDirectory(
            prepared.directory, placed.identity, self._shards, placed.redactor, placed.asked
        )

    def __enter__(self) -> Self:
        adopt(self._prepared, self._shards)
        self.directory.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._reader.close()
        self.directory.__exit__(*raised)

    @property
    def has_answers(self) -> bool:
        """See Results."""
        return self.directory.board.has_answers

    @property
    def resumed(self) -> int:
        """See Results."""
        answers = sum(piece.ok for piece in self.directory.board.pieces())
        return answers - self.feed.delivered_ok

    @property
    def delivered(self) -> int:
        """See Results."""
        return self.feed.delivered

    def begin(self, watch: Watch) -> None:
        """See Results."""
        self._watch = watch
        prepared = self._prepared
        self._questions = ShardQuestions(
            self._reader,
            lambda position: shard_of(self._shards.row_of(position)),
            prepared.requests,
            prepared.selection,
        )
        owed = list(self.directory.board.owed(self._questions.asked))  # before one is sealed
        leases = _LocalLeases(self.directory, iter(owed))
        self.feed = ShardFeed(self._questions, leases, self._recorder, watch)

    async def has_more(self) -> bool:
        """See Results."""
        await self._tell_of_answers()
        return await self.feed.has_more()

    async def deliver(self, request: RunRequest, outcome: Outcome) -> None:
        """See Results."""
        await self.feed.deliver(request, outcome)

    def put_in_order(self) -> bool:
        """See Results: what a stop or a crash has left open is sealed as it is."""
        self.feed.finish()
        for each in self._left_open():
            lease = self.directory.lease(each)
            self.feed.seal_as_it_is(lease, self.directory.open_part(lease))
        limit = round(self._prepared.plan.store.join_limit_gb * _GB)
        self._totals = self.directory.finish(limit)
        return True

    def added(self) -> Added:
        """See Results."""
        unasked = self.feed.unasked
        if not self._prepared.selection.is_whole:
            for piece in self.directory.board.pieces():
                if piece.lines and piece.range.first not in self.directory.sealed:
                    unasked += piece.lines - self._questions.asked(piece.range).questions
        return Added(self._totals, unasked)

    def _left_open(self) -> list[Range]:
        """Ranges whose lines are not in order, or not known to be those that are asked."""
        board = self.directory.board
        ranges = dict.fromkeys(board.unsealed())
        if not self._prepared.selection.is_whole:
            have_lines = {piece.range for piece in board.pieces() if piece.lines}
            owed = board.owed(self._questions.asked)
            ranges |= dict.fromkeys(each for each in owed if each in have_lines)
        return list(ranges)

    async def _tell_of_answers(self) -> None:
        """Tells of the answers in shards that are not opened again."""
        board, repeats = self.directory.board, self._shards.repeats
        done: list[tuple[Piece, int]] = []
        for piece in board.pieces():
            wanted = self._questions.asked(piece.range)
            if wanted.questions and piece.answers(wanted, repeats):
                done.append((piece, wanted.questions))
        if done:
            count = sum(questions for _, questions in done)
            await self._watch.answered_before_many(count, partial(self._read, done))

    def _read(self, done: Sequence[tuple[Piece, int]]) -> Iterator[RunResult]:
        """The selected results of pieces that have an answer to each question."""
        for piece, questions in done:
            wanted = self._selected_ids(piece.range) if piece.lines > questions else None
            for line in lines_of(piece):
                if self._watch.stopping():
                    return
                result = read_line(line, piece.source.path)
                if wanted is None or result.sample_id in wanted:
                    yield result

    def _selected_ids(self, each: Range) -> set[str]:
        samples, _, selection = self._questions.of(Lease(each.first, each.count, 0))
        return {sample.id for at, sample in enumerate(samples) if selection.includes(at)}


class _LocalLeases:
    """See Leases: the ranges that are owed, one after the other.

    Args:
        directory: The run directory.
        owed: The ranges.
    """

    def __init__(self, directory: PartsDirectory, owed: Iterator[Range]) -> None:
        self._directory = directory
        self._owed = owed

    async def next(self) -> tuple[Lease, Part] | None:
        """See Leases."""
        each = next(self._owed, None)
        if each is None:
            return None
        lease = self._directory.lease(each)
        return lease, self._directory.open_part(lease)

    def seal(self, part: Part, asked: Asked, unasked: int) -> None:
        """See Leases."""
        self._directory.seal(part, asked, unasked)
