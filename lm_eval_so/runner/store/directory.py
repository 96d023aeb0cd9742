"""One run directory: claimed, resumed, written, and sorted at the end."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.store.files import (
    put_in_place,
    reading,
    remove_abandoned,
    replace_file,
    write_beside,
)
from lm_eval_so.runner.store.held import HeldDirectory
from lm_eval_so.runner.store.ledger import Ledger
from lm_eval_so.runner.store.line import Whole, as_line, read_line
from lm_eval_so.runner.store.metadata import METADATA, read_metadata
from lm_eval_so.runner.store.owner import Asked
from lm_eval_so.runner.store.parts import may_be_in_parts
from lm_eval_so.runner.store.results import RESULTS, ResultsFile, See, scan_lines
from lm_eval_so.runner.store.stored_line import StoredLine, content, stored_line

SUPERSEDED = "superseded_results.jsonl"


class RunDirectory(HeldDirectory):
    """A held directory whose results are in ``run_results.jsonl``, and all of them in a ledger.

    Args:
        count: Samples in the dataset.

    Attributes:
        first_look: Gets the content of each line while the directory is entered, if the last
            command has completed it; None if nobody looks.

    Raises (on entering):
        LmEvalError: As `HeldDirectory`.
    """

    def __init__(
        self,
        path: Path,
        identity: Mapping[str, Any],
        count: int,
        redactor: Redactor,
        asked: Asked | None = None,
    ) -> None:
        super().__init__(path, identity, redactor, asked)
        self.first_look: See | None = None
        self._count = count

    def _open(self, entered: ExitStack) -> None:
        self._results = ResultsFile(self.path / RESULTS)
        entered.callback(self._results.close)
        self.ledger = Ledger(self._all_stored(), self._count)

    def _sync_results(self) -> None:
        self._results.sync()

    def add(self, index: int, result: RunResult) -> RunResult:
        """Writes a result; when this returns, a crash of the process cannot lose it.

        Returns:
            The result as written: an answer that cannot be written as JSON is repaired, or
            becomes an error.

        Raises:
            StoreError: It cannot be written.
        """
        self._lock.check_if_due()
        kept, line = as_line(result, self._redactor)
        offset = self._results.append(line)
        stored = StoredLine(offset, kept.sample_id, kept.request_key, kept.status == "ok")
        self.ledger.add(index, stored)
        return kept

    def stored(self, offset: int) -> RunResult:
        """The result at an offset of the results file."""
        return read_line(self._results.line_at(offset))

    def believe_the_file(self) -> None:
        """Reads the file again: the samples it has an answer for are kept, all others are owed."""
        self.ledger = Ledger(self._results.scan(), self._count)

    def put_in_order(self, see: See = lambda _: None) -> None:
        """Leaves one line per sample that has an outcome, in dataset order; call it last.

        Answers to questions that the dataset no longer asks are kept in another file, in case it
        asks them again.

        Args:
            see: Gets the content of each of these lines.

        Raises:
            LostLinesError: Lines that were written are missing; the file is unchanged.
            StoreError: A new file cannot be written; the old one is unchanged.
        """
        self._settle()
        lines = _seen(self._results.lines_at(self.ledger.places()), see)
        if self.refusal is None and self._results.is_just(self.ledger.places()):
            deque(lines, maxlen=0)
            return
        self._set_leftovers_aside()
        ordered = write_beside(self.results_path, lines)
        if os.name == "nt":
            self._results.close()  # an open file keeps its name there
        self._lock.check()
        put_in_place(ordered, self.results_path)

    def is_as_opened(self) -> bool:
        """Whether there is nothing to put in order: the lines were in order at the first look.

        Nothing has been written since, and each sample that has a line has one, in its place.
        """
        self._settle()
        return self.refusal is None and self._results.is_as_seen(self.ledger.places())

    def _settle(self) -> None:
        self._lock.check()
        self.spent.flush()
        with suppress(StoreError):  # kept in `refusal`; a new file is synced instead
            self._sync()

    def _is_complete(self) -> bool:
        try:
            metadata = read_metadata(self.path)
        except StoreError:  # it is damaged, but not in what tells whose it is
            return False
        return metadata is not None and metadata.state == "complete"

    def _set_leftovers_aside(self) -> None:
        lines = self._results.lines_at(self.ledger.leftovers())
        first = next(lines, None)
        if first is not None:
            replace_file(self.path / SUPERSEDED, (line for line, _ in chain([first], lines)))

    def _all_stored(self) -> Iterator[StoredLine]:
        """The lines that are there, and those set aside, which it takes back.

        Nothing is changed before it is known that this release can read all of them.
        """
        aside = self.path / SUPERSEDED
        is_aside = aside.is_file()
        if is_aside:
            deque(scan_lines(aside), maxlen=0)
        yield from self._results.scan(self.first_look if self._is_complete() else None)
        for name in (RESULTS, METADATA, SUPERSEDED):
            remove_abandoned(self.path / name)
        self._results.mend()
        yield from self._taken_in()
        if is_aside:
            yield from self._taken_back(aside)

    def _taken_in(self) -> Iterator[StoredLine]:
        """The lines of parts, which become lines of the results file."""
        if not may_be_in_parts(self.path):
            return
        from lm_eval_so.runner.store.parts.taken_in import (  # noqa: PLC0415 - of large runs
            has_shards,
            lines_in_parts,
            remove_parts,
        )

        if not has_shards(self.path):
            return
        for line, stored in lines_in_parts(self.path):
            yield stored._replace(offset=self._results.append(line))
        self._results.sync()
        remove_parts(self.path)

    def _taken_back(self, aside: Path) -> Iterator[StoredLine]:
        with reading(aside):
            with aside.open("rb", buffering=1 << 18) as lines:
                for line in lines:
                    offset = self._results.append(line.removesuffix(b"\n"))
                    found = content(line, aside)
                    if found is not None:
                        yield stored_line(offset, found)
            self._results.sync()
            aside.unlink()


def _seen(lines: Iterable[tuple[bytes, Whole]], see: See) -> Iterator[bytes]:
    for line, fields in lines:
        see(fields)
        yield line
