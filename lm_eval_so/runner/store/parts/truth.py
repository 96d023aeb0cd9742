"""Where the lines of a run directory in parts are: for each range, the file that counts.

Its sealed part if there is one; else the newest part with a line; else its slice of
``run_results.jsonl``, where ``joined.json`` is of that file; else nothing.
"""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.runner.store.parts import PARTS, SHARDS
from lm_eval_so.runner.store.parts.layout import (
    JOINED,
    Marker,
    ShardsFile,
    marker_of,
    part_name,
    part_of,
    read_joined,
    read_marker,
    read_shards,
)
from lm_eval_so.runner.store.results import RESULTS

_BLOCK = 1 << 16


class Segment(NamedTuple):
    """Lines of a run that follow each other in a file.

    Attributes:
        start, end: Bytes of the file.
        inode: Of the file; 0 where the system does not tell.
        lines, ok: How many, and those with an answer, where that is known: of what is sealed there
            is one line for each question.
    """

    path: Path
    start: int
    end: int
    inode: int = 0
    lines: int | None = None
    ok: int | None = None


class ResultsStamp(NamedTuple):
    """What changes when the lines of a run do.

    Attributes:
        inode: Of ``run_results.jsonl``; of parts a digest of all of them.
        modified_ns: When something was written last.
        size: Bytes; of parts not less than their lines have.
    """

    inode: int
    modified_ns: int
    size: int


class Listing(NamedTuple):
    """What is in ``parts/`` at one moment.

    Attributes:
        parts: By first position: epoch, size and inode of each part that has a line.
        sealed: First positions that have a marker.
    """

    parts: dict[int, dict[int, tuple[int, int]]]
    sealed: list[int]
    stamp: ResultsStamp


class _Range(NamedTuple):
    """Positions from first to end, and where their lines are."""

    first: int
    end: int
    segment: Segment


def is_in_parts(run_dir: Path) -> bool:
    """Whether the lines of a run are in parts. Of an ordinary directory one look at the disk.

    Raises:
        OSError: The directory cannot be read.
    """
    return next(_entries(run_dir), None) is not None and (run_dir / SHARDS).is_file()


def listing(run_dir: Path) -> Listing | None:
    """What is in ``parts/`` now; None of a directory that is not in parts.

    Raises:
        OSError: The directory cannot be read.
    """
    parts: dict[int, dict[int, tuple[int, int]]] = {}
    sealed: list[int] = []
    states: list[tuple[str, int, int]] = []
    for entry in _entries(run_dir):
        with suppress(FileNotFoundError):  # gone meanwhile
            found = entry.stat()
            states.append((entry.name, found.st_size, found.st_mtime_ns))
            if (part := part_of(entry.name)) is None:
                sealed.extend(first for first in (marker_of(entry.name),) if first is not None)
            elif found.st_size:
                parts.setdefault(part[0], {})[part[1]] = found.st_size, found.st_ino
    if not states or not (run_dir / SHARDS).is_file():
        return None
    return Listing(parts, sorted(sealed), _stamp(run_dir, states))


def segments_of(run_dir: Path, found: Listing) -> list[Segment]:
    """Where the lines are, in dataset order.

    Reads each marker, of what is not sealed the last bytes.

    Raises:
        OSError: A file cannot be read.
        NewerVersionError: A newer release wrote one.
        StoreError: One is damaged.
    """
    shards = read_shards(run_dir)
    if shards is None:
        return []
    sealed = list(_sealed(run_dir, found))
    unsealed = _unsealed(run_dir, found, shards, sealed)
    above = sorted([*sealed, *unsealed], key=lambda one: one.first)
    slices = _apart(_joined(run_dir), above)
    ranges = sorted([*above, *slices], key=lambda one: one.first)
    return [one.segment for one in ranges]


def _entries(run_dir: Path) -> Iterator[os.DirEntry[str]]:
    """The parts and markers; a link is none of ours."""
    try:
        with os.scandir(run_dir / PARTS) as entries:
            for entry in entries:
                is_ours = part_of(entry.name) is not None or marker_of(entry.name) is not None
                if is_ours and entry.is_file(follow_symlinks=False):
                    yield entry
    except (FileNotFoundError, NotADirectoryError):
        return


def _stamp(run_dir: Path, states: list[tuple[str, int, int]]) -> ResultsStamp:
    for name in (RESULTS, JOINED, SHARDS):
        with suppress(OSError):
            found = (run_dir / name).stat()
            states.append((f"{name} {found.st_ino}", found.st_size, found.st_mtime_ns))
    states.sort()
    digest = hashlib.blake2b(repr(states).encode(), digest_size=7).digest()
    sizes, times = zip(*((size, time) for _, size, time in states), strict=True)
    return ResultsStamp(int.from_bytes(digest), max(times), sum(sizes))


def _sealed(run_dir: Path, found: Listing) -> Iterator[_Range]:
    """Ranges whose part is there as its marker says; of two that overlap, the newer."""
    kept: list[Marker] = []
    for first in found.sealed:
        marker = read_marker(run_dir, first)
        size, _ = found.parts.get(first, {}).get(marker.epoch, (0, 0)) if marker else (0, 0)
        if marker is None or marker.first != first or size < marker.bytes:
            continue
        while kept and kept[-1].first + kept[-1].count > first and kept[-1].epoch < marker.epoch:
            kept.pop()
        if not kept or kept[-1].first + kept[-1].count <= first:
            kept.append(marker)
    for one in kept:
        inode = found.parts.get(one.first, {}).get(one.epoch, (0, 0))[1]
        path = run_dir / PARTS / one.part
        segment = Segment(path, 0, one.bytes, inode, one.lines, one.ok)
        yield _Range(one.first, one.first + one.count, segment)


def _unsealed(
    run_dir: Path, found: Listing, shards: ShardsFile, sealed: list[_Range]
) -> Iterator[_Range]:
    """The newest part that begins at each position that is not sealed.

    How far its lease goes stands nowhere: at most to where the next begins, or the shard ends.
    """
    firsts = [first for first in sorted(found.parts) if not _is_within(first, sealed)]
    begins = sorted({*firsts, *(one.first for one in sealed)})
    ends = [row.first + row.count for row in shards.shards]
    for first in firsts:
        segment = _newest(run_dir, first, found.parts[first])
        if segment is not None:
            limits = [_above(first, begins), _above(first, ends)]
            stop = min((limit for limit in limits if limit is not None), default=first + 1)
            yield _Range(first, stop, segment)


def _newest(run_dir: Path, first: int, parts: dict[int, tuple[int, int]]) -> Segment | None:
    """The lines of the newest part that has any; a new holder's may not have begun."""
    for epoch in sorted(parts, reverse=True):
        path = run_dir / PARTS / part_name(first, epoch)
        if end := _end_of_lines(path):
            return Segment(path, 0, end, parts[epoch][1])
    return None


def _joined(run_dir: Path) -> list[_Range]:
    """The slices of ``run_results.jsonl``; none if that is another file by now."""
    path, joined = run_dir / RESULTS, read_joined(run_dir)
    try:
        state = path.stat()
    except FileNotFoundError:
        return []
    if joined is None or not joined.is_of(state):
        return []
    ends = pairwise([0, *(row.end for row in joined.shards)])
    return [
        _Range(
            row.first,
            row.first + row.count,
            Segment(path, start, end, state.st_ino, row.lines, row.ok),
        )
        for row, (start, end) in zip(joined.shards, ends, strict=True)
    ]


def _apart(ranges: Iterable[_Range], from_: list[_Range]) -> Iterator[_Range]:
    """Those that have no position in common with ``from_``, which are in order."""
    ends = [one.end for one in from_]
    for each in ranges:
        at = bisect_right(ends, each.first)
        if at == len(from_) or from_[at].first >= each.end:
            yield each


def _is_within(position: int, ranges: list[_Range]) -> bool:
    at = bisect_right(ranges, position, key=lambda one: one.first) - 1
    return at >= 0 and position < ranges[at].end


def _above(position: int, sorted_positions: list[int]) -> int | None:
    """The first that is greater."""
    at = bisect_right(sorted_positions, position)
    return sorted_positions[at] if at < len(sorted_positions) else None


def _end_of_lines(path: Path) -> int:
    """The byte behind the last newline: a line that is torn, or being written, does not count."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            if newline := file.read(end - start).rfind(b"\n") + 1:
                return start + newline
            end = start
    return 0
