"""The parts of a run become its results file."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec
import orjson

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.host.private import open_own
from lm_eval_so.runner.store.files import (
    name_beside,
    put_in_place,
    reading,
    remove_abandoned,
    replace_file,
    sync_file,
    unwritable,
)
from lm_eval_so.runner.store.line import read_whole
from lm_eval_so.runner.store.parts import PARTS, SHARDS
from lm_eval_so.runner.store.parts.board import Piece
from lm_eval_so.runner.store.parts.layout import (
    JOINED,
    JOINED_NEXT,
    JoinedFile,
    JoinedRow,
    read_marker,
)
from lm_eval_so.runner.store.parts.lease import Range
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.summary.summarise import Totals

_BLOCK = 1 << 20
_REMOVED = f"{PARTS}.removed"


def size_of(pieces: Iterable[Piece]) -> int:
    """Bytes of their lines."""
    return sum((piece.source.end or 0) - piece.source.start for piece in pieces)


def totals_of(run_dir: Path, pieces: Iterable[Piece]) -> Totals:
    """What the lines of pieces add up to, in dataset order: those of a part by its marker.

    Raises:
        StoreError: A file cannot be read.
    """
    totals = Totals()
    for piece in pieces:
        totals.merge(_totals(run_dir, piece))
    return totals


def kept_totals(text: msgspec.Raw) -> Totals | None:
    """The totals in a marker or in ``joined.json``; None of those of another release."""
    try:
        return Totals.of_state(msgspec.json.decode(text))
    except ValueError:
        return None


def join(run_dir: Path, pieces: Sequence[Piece], totals: Totals) -> None:
    """Makes ``run_results.jsonl`` of the pieces, and removes the parts.

    A kill at any moment leaves either the old state or the new one.

    Args:
        run_dir: The run directory, which is held.
        pieces: All, in dataset order.
        totals: Of them.

    Raises:
        StoreError: The file cannot be written; the parts are as they were.
    """
    path = run_dir / RESULTS
    joined = _written(path, pieces)
    rows, end = [], 0
    for piece in pieces:
        end += size_of([piece])
        first, count = piece.range.first, piece.range.count
        rows.append(JoinedRow(first, count, end, piece.lines, piece.ok, piece.asked, piece.owed))
    replace_file(run_dir / JOINED_NEXT, [_record(joined, rows, totals)])
    put_in_place(joined, path)
    put_in_place(run_dir / JOINED_NEXT, run_dir / JOINED)
    remove_folder(run_dir)


def note_joined(run_dir: Path, ranges: Iterable[tuple[Range, int, int]], totals: Totals) -> None:
    """Writes ``joined.json`` for a results file that is in dataset order.

    Args:
        run_dir: The run directory, which is held.
        ranges: All of the dataset, in order, each with its questions and its lines.
        totals: Of them.

    Raises:
        StoreError: A file cannot be read or written.
    """
    path, rows, end = run_dir / RESULTS, [], 0
    with reading(path), path.open("rb", buffering=_BLOCK) as file:
        for each, questions, lines in ranges:
            ok = 0
            for line in islice(file, lines):
                end += len(line)
                ok += read_whole(line, path)["status"] == "ok"
            owed = questions - ok
            rows.append(JoinedRow(each.first, each.count, end, lines, ok, owed=owed))
    replace_file(run_dir / JOINED, [_record(path, rows, totals)])


def _record(results: Path, rows: Iterable[JoinedRow], totals: Totals) -> bytes:
    found = results.stat()
    return JoinedFile(
        size=found.st_size,
        modified_ns=found.st_mtime_ns,
        inode=found.st_ino,
        shards=tuple(rows),
        totals=msgspec.Raw(orjson.dumps(totals.state())),
    ).to_json()


def remove_folder(run_dir: Path) -> None:
    """Removes the folder of parts, whose lines are elsewhere; what stays goes the next time.

    It gets another name first: with some of its files, old parts could pass for the newest.
    """
    remove_abandoned_folder(run_dir)
    with suppress(OSError):
        (run_dir / PARTS).rename(run_dir / _REMOVED)
    remove_abandoned_folder(run_dir)


def remove_abandoned_folder(run_dir: Path) -> None:
    """Removes what a process has left that was killed in `remove_folder`."""
    shutil.rmtree(run_dir / _REMOVED, ignore_errors=True)


def copy_range(source: int, start: int, end: int, target: int) -> None:
    """Appends bytes of one open file to another; the system copies them, where it can.

    Args:
        source: A descriptor.
        start: Byte of it.
        end: The byte behind the last.
        target: A descriptor.

    Raises:
        OSError: The disk refuses, or the source is shorter.
    """
    while start < end:
        copied = _copied(source, start, end - start, target)
        if not copied:
            raise OSError(errno.EIO, "the file is shorter than it was")
        start += copied


def _copied(source: int, start: int, count: int, target: int) -> int:
    """The bytes that one call has copied; 0 at the end of the source."""
    with suppress(OSError, AttributeError):  # not on this system, or not between these files
        if copied := os.copy_file_range(source, target, count, offset_src=start):
            return copied
    return os.write(target, os.pread(source, min(count, _BLOCK), start))


def _written(path: Path, pieces: Iterable[Piece]) -> Path:
    """A file beside ``path`` with all lines, synced."""
    temporary = name_beside(path)
    try:
        remove_abandoned(path)
        temporary.unlink(missing_ok=True)
        target = open_own(temporary, os.O_WRONLY | os.O_TRUNC)
        try:
            for piece in pieces:
                source = os.open(piece.source.path, os.O_RDONLY)
                try:
                    copy_range(source, piece.source.start, piece.source.end or 0, target)
                finally:
                    os.close(source)
            sync_file(target, path)
        finally:
            os.close(target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise
    return temporary


def _totals(run_dir: Path, piece: Piece) -> Totals:
    marker = read_marker(run_dir, piece.range.first) if piece.epoch else None
    kept = kept_totals(marker.totals) if marker and marker.epoch == piece.epoch else None
    return _counted(piece) if kept is None else kept


def _counted(piece: Piece) -> Totals:
    totals = Totals(piece.range.first)
    for line in lines_of(piece):
        try:
            totals.add(read_whole(line, piece.source.path))
        except ValueError as error:
            raise StoreError(
                f"{piece.source.path} is damaged; remove {SHARDS} from its run directory and run "
                "the same command again"
            ) from error
    return totals


def lines_of(piece: Piece) -> Iterator[bytes]:
    """The lines of a piece, in dataset order, each with its newline.

    Raises:
        StoreError: The file cannot be read.
    """
    source, offset = piece.source, piece.source.start
    with reading(source.path), source.path.open("rb", buffering=_BLOCK) as file:
        file.seek(offset)
        while offset < (source.end or 0) and (line := file.readline()):
            yield line
            offset += len(line)
