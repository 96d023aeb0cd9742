"""What a directory in parts has, and what it owes, over any set of leases."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lm_eval_so.runner.store.parts import layout
from lm_eval_so.runner.store.parts.board import Board
from lm_eval_so.runner.store.parts.lease import Asked, Range
from lm_eval_so.runner.store.results import RESULTS

SIZE, SHARDS = 6, 3
"""Samples of a shard, and shards."""


@dataclass(frozen=True)
class Written:
    """Lines of a range: of a lease, or of a slice of the results file, whose epoch is 0."""

    range: Range
    epoch: int
    ok: int
    sealed: bool

    def has(self, position: int) -> bool:
        return self.range.first <= position < self.range.end


def ranges() -> st.SearchStrategy[Range]:
    """Of one shard, or a piece of it."""

    def within(shard: int, first: int, count: int) -> Range:
        return Range(shard * SIZE + first, min(count, SIZE - first))

    places, counts = st.integers(0, SIZE - 1), st.integers(1, SIZE)
    return st.builds(within, st.integers(0, SHARDS - 1), places, counts)


@st.composite
def leases(draw: st.DrawFn) -> list[Written]:
    """In the order of their epochs; nobody asks again what has all of its answers."""
    drawn = draw(st.lists(st.tuples(ranges(), st.booleans(), st.booleans()), max_size=12))
    return [
        Written(each, epoch, each.count if all_ok else each.count - 1, sealed)
        for epoch, (each, all_ok, sealed) in enumerate(drawn, start=1)
    ]


def slices() -> st.SearchStrategy[list[Written]]:
    """Of whole shards, in order."""
    shards = st.sets(st.integers(0, SHARDS - 1)).map(sorted)

    def kept(shard: int) -> Written:
        return Written(Range(shard * SIZE, SIZE), 0, SIZE - shard % 2, sealed=True)

    return shards.map(lambda numbers: list(map(kept, numbers)))


def marker(written: Written) -> layout.Marker:
    each = written.range
    return layout.Marker(
        first=each.first,
        count=each.count,
        epoch=written.epoch,
        bytes=each.count,
        sha256="",
        lines=each.count,
        ok=written.ok,
        owed=each.count - written.ok,
    )


def write(run_dir: Path, written: Written) -> None:
    """The part of a lease, and its marker: a byte stands for each line."""
    each, folder = written.range, run_dir / layout.PARTS
    folder.mkdir(exist_ok=True)
    (folder / layout.part_name(each.first, written.epoch)).write_bytes(b"x" * each.count)
    if written.sealed:
        (folder / layout.marker_name(each.first)).write_bytes(marker(written).to_json())


def write_slices(run_dir: Path, kept: list[Written]) -> None:
    path, rows, end = run_dir / RESULTS, [], 0
    for one in kept:
        end += one.range.count
        row = layout.JoinedRow(
            one.range.first, one.range.count, end, one.range.count, one.ok, owed=SIZE - one.ok
        )
        rows.append(row)
    path.write_bytes(b"x" * end)
    found = path.stat()
    joined = layout.JoinedFile(
        size=found.st_size,
        modified_ns=found.st_mtime_ns,
        inode=found.st_ino,
        shards=tuple(rows),
    )
    (run_dir / layout.JOINED).write_bytes(joined.to_json())


CUT = layout.ShardsFile(
    dataset_sha256="",
    stamp=None,
    recipe="",
    repeats=1,
    samples=SIZE * SHARDS,
    shards=tuple(layout.ShardRow(n * SIZE, SIZE, "") for n in range(SHARDS)),
)


def all_of(each: Range) -> Asked:
    return Asked(each.count, None)


@given(leases(), slices())
@settings(max_examples=60)
def test_what_is_owed_and_what_has_all_answers_make_up_the_dataset(
    written: list[Written], kept: list[Written]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        write_slices(Path(name), kept)
        for one in written:
            write(Path(name), one)
        board = Board(Path(name), CUT)
        pieces, owed = list(board.pieces()), list(board.owed(all_of))
    answered = [piece.range for piece in pieces if piece.ok == piece.range.count]
    found = sorted([*owed, *answered], key=lambda each: each.first)
    positions = [at for each in found for at in range(each.first, each.end)]
    assert positions == list(range(SIZE * SHARDS))
    for before, after in pairwise(pieces):
        assert before.range.end <= after.range.first


@given(leases(), slices())
@settings(max_examples=60)
def test_no_line_is_forgotten(written: list[Written], kept: list[Written]) -> None:
    """It is in the piece of its range, or in an older file than that; else it is a source."""
    with tempfile.TemporaryDirectory() as name:
        run_dir = Path(name)
        write_slices(run_dir, kept)
        for one in written:
            write(run_dir, one)
        board = Board(run_dir, CUT)
        pieces, open_ranges = list(board.pieces()), list(board.unsealed())
    for one in [*written, *kept]:
        path = run_dir / layout.PARTS / layout.part_name(one.range.first, one.epoch)
        path = path if one.epoch else run_dir / RESULTS
        for at in range(one.range.first, one.range.end):
            newest = max((p.epoch for p in pieces if p.range.meets(Range(at, 1))), default=-1)
            if newest < one.epoch:
                (own,) = (each for each in open_ranges if each.meets(Range(at, 1)))
                assert path in {source.path for source in board.sources(own)}


@example(
    [
        Written(Range(3, 1), 5, 0, sealed=True),
        Written(Range(2, 2), 6, 1, sealed=True),
        Written(Range(2, 1), 7, 0, sealed=True),  # whose marker has the name of the one before
    ],
    [],
)
@given(leases(), slices())
@settings(max_examples=60)
def test_what_is_told_of_seals_is_what_the_next_command_reads(
    written: list[Written], kept: list[Written]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        run_dir = Path(name)
        write_slices(run_dir, kept)
        told = Board(run_dir, CUT)
        for one in written:
            if one.sealed:
                write(run_dir, one)
                told.seal(marker(one))
        read = Board(run_dir, CUT)
        assert list(told.pieces()) == list(read.pieces())
        assert list(told.owed(all_of)) == list(read.owed(all_of))
        assert list(told.unsealed()) == list(read.unsealed())
        for each in told.owed(all_of):
            assert told.sources(each) == read.sources(each)


def test_an_empty_range_of_a_selection_is_not_owed(tmp_path: Path) -> None:
    board = Board(tmp_path, CUT)
    only = Range(SIZE, SIZE)
    asked = {only: Asked(2, "digest")}
    assert list(board.owed(lambda each: asked.get(each, Asked(0, "none")))) == [only]


def test_a_part_whose_file_is_shorter_or_longer_than_its_marker_says_is_not_sealed(
    tmp_path: Path,
) -> None:
    for first, size in ((0, SIZE - 1), (SIZE, SIZE + 1), (2 * SIZE, SIZE)):
        written = Written(Range(first, SIZE), 1 + first, SIZE, sealed=True)
        write(tmp_path, written)
        part = tmp_path / layout.PARTS / layout.part_name(first, written.epoch)
        part.write_bytes(b"x" * size)
    board = Board(tmp_path, CUT)
    assert list(board.unsealed()) == [Range(0, SIZE), Range(SIZE, SIZE)]
    assert board.last_epoch == 1 + 2 * SIZE
