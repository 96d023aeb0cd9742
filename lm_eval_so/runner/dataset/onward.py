"""Datasets that can only be read from their beginning, read range by range."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from lm_eval_so.runner.dataset.base import Pass, Reader, Record


class Onward:
    """Opens a dataset at positions; as long as they rise, all of it is read once.

    A pass is kept open behind the record that was read last, for the next range.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._kept: _Open | None = None

    @contextmanager
    def opened(self, first: int) -> Iterator[Pass]:
        """Opens the dataset at the record with this position, from 0."""
        found = self._taken(first)
        with ExitStack() as stack:
            stack.push(found.stack)
            yield found.reading._replace(records=found.records(first))
            if self._kept is None:
                stack.pop_all()
                self._kept = found

    def close(self) -> None:
        """Closes the pass that is kept."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.stack.close()

    def _taken(self, first: int) -> "_Open":
        """The pass that is kept, if it is not behind the position yet; else a new one."""
        if self._kept is None or self._kept.position > first:
            self.close()
            return _Open(self._reader)
        kept, self._kept = self._kept, None
        return kept


class _Open:
    """A pass, and how many records of it were read."""

    def __init__(self, reader: Reader) -> None:
        self.stack = ExitStack()
        self.reading = self.stack.enter_context(reader.opened())
        self.position = 0

    def records(self, first: int) -> Iterator[Record]:
        for record in self.reading.records:
            self.position += 1
            if self.position > first:
                yield record
