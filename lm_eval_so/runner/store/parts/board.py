"""What of a run in parts is there, and which ranges are owed."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lm_eval_so.runner.store.parts import PARTS
from lm_eval_so.runner.store.parts.layout import (
    Marker,
    ShardsFile,
    find_parts,
    part_name,
    read_joined,
    read_marker,
)
from lm_eval_so.runner.store.parts.lease import Asked, Range
from lm_eval_so.runner.store.parts.part import Source
from lm_eval_so.runner.store.results import RESULTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A range whose lines follow each other in dataset order.

    Attributes:
        source: Where they are.
        lines: So many; ``ok`` of them have an answer.
        asked: Digest of the selection that was asked; None if all was.
        owed: Questions of that selection without an answer.
        epoch: Of a part, whose marker has its totals too; 0 of a slice of the results file.
    """

    range: Range
    source: Source
    lines: int
    ok: int
    asked: str | None = None
    owed: int = 0
    epoch: int = 0

    def answers(self, wanted: Asked, repeats: int) -> bool:
        """Whether it has an answer to all that is wanted of its range."""
        if self.ok == self.range.count * repeats:
            return True
        return self.asked == wanted.digest and not self.owed


@dataclass(slots=True)
class _Shard:
    """What there is of a shard; all of it lies within its range."""

    range: Range
    parts: dict[int, Piece] = field(default_factory=dict)
    slices: list[Piece] = field(default_factory=list)
    files: dict[Path, int] = field(default_factory=dict)
    """All parts, with their epochs."""
    markers: dict[int, Piece] = field(default_factory=dict)
    """The newest of each first position, which is all that a marker's name tells."""

    def seal(self, piece: Piece) -> None:
        """Puts a part in the place of older ones that it meets.

        One that had to give way to the last marker of this name is in force again, as for those who
        read the directory now.
        """
        self.files[piece.source.path] = piece.epoch
        self.markers[piece.range.first] = piece
        self.parts = {}
        for each in sorted(self.markers.values(), key=lambda each: each.epoch):
            for first, older in list(self.parts.items()):
                if older.range.meets(each.range):
                    del self.parts[first]
            self.parts[each.range.first] = each

    @property
    def unsealed(self) -> list[tuple[int, Path]]:
        """Epoch and file of each part that no piece is."""
        sealed = {piece.source.path for piece in self.parts.values()}
        return [(epoch, path) for path, epoch in self.files.items() if path not in sealed]

    def pieces(self) -> list[Piece]:
        """The parts, and the slices that no part touches, in order."""
        parts = list(self.parts.values())
        whole = [
            each for each in self.slices if not any(each.range.meets(part.range) for part in parts)
        ]
        return sorted([*whole, *parts], key=lambda each: each.range.first)

    def ranges(self) -> Iterator[tuple[Range, Piece | None]]:
        """The range of each piece, and each gap between them."""
        begin = self.range.first
        for piece in self.pieces():
            if piece.range.first > begin:
                yield Range(begin, piece.range.first - begin), None
            yield piece.range, piece
            begin = piece.range.end
        if begin < self.range.end:
            yield Range(begin, self.range.end - begin), None

    def sources(self, wanted: Range) -> list[Source]:
        """Where lines of a range may be, the oldest first."""
        pieces = [*self.slices, *self.parts.values()]
        found = [(piece.epoch, piece.source) for piece in pieces if piece.range.meets(wanted)]
        found += [(epoch, Source(path)) for epoch, path in self.unsealed]
        return [source for _, source in sorted(found, key=lambda each: each[0])]


class Board:
    """Reads the directory once; what is sealed later is told to it.

    Args:
        run_dir: The run directory.
        shards: How its dataset is cut.
        position: Looks at the shard of this position alone.

    Attributes:
        joined: Of the results file, where that was joined of parts.
        last_epoch: The highest of all leases so far.

    Raises:
        NewerVersionError: A newer release wrote a file.
        StoreError: A file cannot be read, or is damaged.
    """

    def __init__(self, run_dir: Path, shards: ShardsFile, position: int | None = None) -> None:
        self._folder = run_dir / PARTS
        self._repeats = shards.repeats
        rows = shards.shards
        if position is not None:
            rows = (shards.row_of(position),)
        self._shards = [_Shard(Range(row.first, row.count)) for row in rows]
        self._firsts = [row.first for row in rows]
        self._all = Range.between(rows[0].first, rows[-1].first + rows[-1].count)
        self.joined = read_joined(run_dir)
        self._read_slices(run_dir / RESULTS)
        self.last_epoch = 0
        self._read_parts(run_dir)

    def seal(self, marker: Marker) -> None:
        """Notes that a part is sealed, in the place of older ones that it meets.

        These count as parts without a marker then: one may have lines beyond the new one's range.
        """
        self._shard_at(marker.first).seal(self._piece(marker))

    def pieces(self) -> Iterator[Piece]:
        """All pieces, in dataset order."""
        for shard in self._shards:
            yield from shard.pieces()

    @property
    def has_answers(self) -> bool:
        """Whether there may be an answer: parts without a marker are not looked into."""
        return any(shard.unsealed for shard in self._shards) or any(
            piece.ok for piece in self.pieces()
        )

    @property
    def has_parts(self) -> bool:
        """Whether there is anything that the results file does not have."""
        return any(shard.parts or shard.unsealed for shard in self._shards)

    def owed(self, asked: Callable[[Range], Asked]) -> Iterator[Range]:
        """The ranges with a question that has no answer, in dataset order.

        Args:
            asked: What is asked of a range.
        """
        for shard in self._shards:
            for each, piece in shard.ranges():
                wanted = asked(each)
                if wanted.questions and not (piece and piece.answers(wanted, self._repeats)):
                    yield each

    def unsealed(self) -> Iterator[Range]:
        """The ranges of which there may be lines that no piece has.

        A part without a marker may have some: how far it goes is not known, to the end of its shard
        at most. So may a slice between parts.
        """
        for shard in self._shards:
            newest = max((epoch for epoch, _ in shard.unsealed), default=0)
            for each, piece in shard.ranges():
                if piece.epoch < newest if piece else shard.sources(each):
                    yield each

    def sources(self, wanted: Range) -> list[Source]:
        """Where lines of a range may be, the oldest first."""
        return self._shard_at(wanted.first).sources(wanted)

    def _shard_at(self, position: int) -> _Shard:
        return self._shards[bisect_right(self._firsts, position) - 1]

    def _is_mine(self, position: int) -> bool:
        return self._all.first <= position < self._all.end

    def _piece(self, marker: Marker) -> Piece:
        """The part of a marker, without its totals: they are kilobytes."""
        return Piece(
            range=Range(marker.first, marker.count),
            source=Source(self._folder / marker.part, 0, marker.bytes),
            lines=marker.lines,
            ok=marker.ok,
            asked=marker.asked,
            owed=marker.owed,
            epoch=marker.epoch,
        )

    def _read_slices(self, results: Path) -> None:
        begin = 0
        for row in self.joined.shards if self.joined else ():
            piece = Piece(
                range=Range(row.first, row.count),
                source=Source(results, begin, row.end),
                lines=row.lines,
                ok=row.ok,
                asked=row.asked,
                owed=row.owed,
            )
            if self._is_mine(row.first):
                self._shard_at(row.first).slices.append(piece)
            begin = row.end

    def _read_parts(self, run_dir: Path) -> None:
        found = find_parts(run_dir)
        if found is None:
            return
        for first, epochs in found.epochs.items():
            if not self._is_mine(first):
                continue
            self.last_epoch = max(self.last_epoch, *epochs)
            files = {self._folder / part_name(first, epoch): epoch for epoch in epochs}
            self._shard_at(first).files |= files
        markers = (read_marker(run_dir, first) for first in found.sealed if self._is_mine(first))
        pieces = [self._piece(each) for each in markers if each and self._is_whole(each)]
        for piece in sorted(pieces, key=lambda each: each.epoch):
            self._shard_at(piece.range.first).seal(piece)

    def _is_whole(self, marker: Marker) -> bool:
        """Whether its part is there, in its size."""
        try:
            return (self._folder / marker.part).stat().st_size == marker.bytes
        except OSError:
            return False
