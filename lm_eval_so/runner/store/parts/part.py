"""A part: the lines of one lease, which nobody else writes."""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import orjson

from lm_eval_so.runner.host.private import make_directory, open_own
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.store.files import (
    put_in_place,
    reading,
    replace_file,
    sync_name,
    unwritable,
    write_beside,
)
from lm_eval_so.runner.store.ledger import Ledger
from lm_eval_so.runner.store.line import Whole, as_line, read_line
from lm_eval_so.runner.store.parts import PARTS
from lm_eval_so.runner.store.parts.layout import Marker, marker_name, part_name
from lm_eval_so.runner.store.parts.lease import Asked, Lease
from lm_eval_so.runner.store.results import ResultsFile
from lm_eval_so.runner.store.stored_line import StoredLine, content, stored_line
from lm_eval_so.runner.summary.summarise import Totals


class Source(NamedTuple):
    """Bytes of a file that may hold lines of a range, from ``start`` up to ``end``."""

    path: Path
    start: int = 0
    end: int | None = None


class Part:
    """The lines of one lease, and which of its questions they answer.

    Questions are numbered within the lease, from 0: by sample, then by repeat.

    Args:
        run_dir: The run directory.
        lease: Nobody else has one of this range and epoch.
        repeats: Times that each sample is asked.
        redactor: Removes secrets from every line.

    Attributes:
        ledger: Of the questions.

    Raises:
        StoreError: It cannot be written, or is there already.
    """

    def __init__(self, run_dir: Path, lease: Lease, repeats: int, redactor: Redactor) -> None:
        self.lease = lease
        self._repeats = repeats
        self._redactor = redactor
        self._folder = run_dir / PARTS
        path = self._folder / part_name(lease.first, lease.epoch)
        try:
            make_directory(self._folder)
            os.close(open_own(path, os.O_WRONLY | os.O_EXCL))
        except OSError as error:
            raise unwritable(path, error) from error
        self._results = ResultsFile(path)
        self._is_named = False  # on the disk
        self.ledger = Ledger((), self._questions)

    @property
    def _questions(self) -> int:
        return self.lease.count * self._repeats

    def shorten(self, count: int) -> None:
        """Ends the lease earlier; of what lies beyond, nothing was looked up or written."""
        self.lease = Lease(self.lease.first, count, self.lease.epoch)

    def take_over(self, sources: Iterable[Source]) -> None:
        """Copies the whole lines of earlier writers; of each question an answer, or the last.

        Args:
            sources: Of the same range or around it, the oldest first. Lines of others do no harm.

        Raises:
            StoreError: They cannot be read, or the part cannot be written.
        """
        found: dict[tuple[str, str], tuple[bytes, bool]] = {}
        for source in sources:
            for line, stored in whole_lines(source):
                question = stored.sample_id, stored.request_key
                if stored.ok or not found.get(question, (b"", False))[1]:
                    found[question] = line, stored.ok
        for line, _ in found.values():
            self._results.append(line)
        self.believe_the_file()

    def add(self, index: int, result: RunResult) -> RunResult:
        """Writes the result of a question; see `RunDirectory.add`."""
        kept, line = as_line(result, self._redactor)
        offset = self._results.append(line)
        stored = StoredLine(offset, kept.sample_id, kept.request_key, kept.status == "ok")
        self.ledger.add(index, stored)
        return kept

    def stored(self, offset: int) -> RunResult:
        """The result at an offset."""
        return read_line(self._results.line_at(offset))

    def believe_the_file(self) -> None:
        """Reads the file again: questions that it has an answer for are kept, all others owed."""
        self.ledger = Ledger(self._results.scan(), self._questions)

    def sync(self) -> None:
        """Makes the lines survive a power cut; raises a StoreError where the disk refuses."""
        self._results.sync()
        if not self._is_named:
            sync_name(self._folder)
            sync_name(self._results.path)
            self._is_named = True

    def put_in_order(self, asked: Asked, unasked: int) -> Marker | None:
        """Leaves one line for each question that has one, in order, and closes the part.

        All of its questions must have been looked up in `ledger`.

        Args:
            asked: What is asked of the range.
            unasked: Answers to what is not.

        Returns:
            What seals it, once `seal` has written it; None where no question has a line, and the
            file is removed.

        Raises:
            LostLinesError: Lines that were written are missing; the part stays open.
            StoreError: It cannot be written.
        """
        if next(self.ledger.places(), None) is None:
            self.close()
            with suppress(OSError):  # it does no harm
                self._results.path.unlink(missing_ok=True)
            return None
        self._results.sync()
        sums = _Sums(self.lease.first)
        lines = sums.over(self._results.lines_at(self.ledger.places()))
        if self._results.is_just(self.ledger.places()):
            deque(lines, maxlen=0)
            self.close()
        else:
            ordered = write_beside(self._results.path, lines)
            self.close()
            put_in_place(ordered, self._results.path)
        return sums.marker(self.lease, asked, unasked)

    def close(self) -> None:
        """Closes the file; what was written stays for the next holder of the range."""
        self._results.close()


def seal(run_dir: Path, marker: Marker) -> None:
    """Writes the marker of a part that is in order; only who holds its lease may do so.

    Raises:
        StoreError: It cannot be written.
    """
    replace_file(run_dir / PARTS / marker_name(marker.first), [marker.to_json()])


class _Sums:
    """What a marker says of the lines that go by."""

    def __init__(self, first: int) -> None:
        self._totals = Totals(first)
        self._digest = hashlib.sha256()
        self._bytes = self._lines = self._ok = 0

    def over(self, lines: Iterable[tuple[bytes, Whole]]) -> Iterator[bytes]:
        """The lines, which are counted as they go by."""
        for line, fields in lines:
            self._totals.add(fields)
            self._digest.update(line)
            self._bytes += len(line)
            self._lines += 1
            self._ok += fields["status"] == "ok"
            yield line

    def marker(self, lease: Lease, asked: Asked, unasked: int) -> Marker:
        return Marker(
            first=lease.first,
            count=lease.count,
            epoch=lease.epoch,
            bytes=self._bytes,
            sha256=self._digest.hexdigest(),
            lines=self._lines,
            ok=self._ok,
            asked=asked.digest,
            owed=asked.questions - (self._ok - unasked),
            totals=msgspec.Raw(orjson.dumps(self._totals.state())),
        )


def whole_lines(source: Source) -> Iterator[tuple[bytes, StoredLine]]:
    """Whole lines without their newlines; damaged ones are passed over, as is a missing file.

    Raises:
        NewerVersionError: A newer release wrote one of them.
        StoreError: The file cannot be read.
    """
    with reading(source.path):
        try:
            file = source.path.open("rb", buffering=1 << 18)
        except FileNotFoundError:
            return
        with file:
            file.seek(source.start)
            offset = source.start
            for line in file:
                if source.end is not None and offset >= source.end:
                    return
                found = content(line, source.path)
                if found is not None:
                    yield line.removesuffix(b"\n"), stored_line(offset, found)
                offset += len(line)
