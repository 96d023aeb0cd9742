"""Results of several runs joined by question: which line is in which row."""

from array import array
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from lm_eval_so.report.questions import Questions
from lm_eval_so.report.result_columns import STATUS
from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.report.stretches import Stretches

_OK = STATUS["ok"]
_AT_ONCE = 1 << 16  # lines


class Slot(NamedTuple):
    """A place for a result in each row: a run, and one of its repeats."""

    cell: int
    repeat: int


class Rows:
    """Rows are questions; they stand in the order in which the runs' files have them first.

    Of several results of one question and repeat in one file the last counts, but an answer is not
    replaced by a failure, as when a run goes on.

    Attributes:
        slots: A place for each repeat of each run.
        places: For each slot, by row: the number of the line, counted from 1; 0 is owed.
        lines: How many lines of each run are in it.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = list(slots)
        self.places = [array("I") for _ in self.slots]
        self.lines = [0] * (1 + max((slot.cell for slot in self.slots), default=-1))
        self._questions = Questions()
        self._stretches = [Stretches(places) for places in self.places]
        self._same = [0] * len(self.slots)  # rows that are as they were in `_stretches`

    def __len__(self) -> int:
        return len(self.places[0]) if self.places else 0

    def add(self, cell: int, index: RunIndex) -> None:
        """Adds the lines of a run that are not in it yet, and makes room in every slot.

        Args:
            cell: Number of the run.
            index: Of its lines.
        """
        first, last = self.lines[cell], len(index)
        if not self._questions:
            self._questions.make_room(last)
        for begin in range(first, last, _AT_ONCE):
            self._add(cell, index, begin, min(begin + _AT_ONCE, last))
        self.lines[cell] = last
        for places in self.places:
            _lengthen(places, len(self._questions))

    def _add(self, cell: int, index: RunIndex, begin: int, end: int) -> None:
        known = len(self._questions)
        numbers = self._questions.numbers(index.columns["question"][begin:end])
        slots = {own.repeat: slot for slot, own in enumerate(self.slots) if own.cell == cell}
        if len(slots) == 1 and len(self._questions) == known + end - begin:  # each is a new row
            places = self.places[slots[0]]
            _lengthen(places, known)
            places.extend(array("I", range(begin + 1, end + 1)))
            return
        repeats, status = index.columns["repeat"], index.columns["status"]
        for line, row in enumerate(numbers, start=begin):
            slot = slots[repeats[line]]
            places = self.places[slot]
            if row >= len(places):
                _lengthen(places, row + 1)
            before = places[row]
            if not before or status[line] == _OK or status[before - 1] != _OK:
                places[row] = line + 1
                self._same[slot] = min(self._same[slot], row)

    def stretches(self) -> list[Stretches]:
        """The lines of each slot as they are now."""
        for slot, places in enumerate(self.places):
            self._stretches[slot] = self._stretches[slot].later(places, self._same[slot])
            self._same[slot] = len(places)
        return self._stretches[:]

    def only(self, rows: Sequence[int]) -> "Rows":
        """Some of the rows, in their order; nothing can be added to them."""
        chosen = Rows(self.slots)
        chosen.places = [array("I", map(places.__getitem__, rows)) for places in self.places]
        return chosen

    @property
    def sizes(self) -> tuple[int, int]:
        """What `read` has to know of what `write` writes."""
        return len(self), len(self._questions.table)

    def write(self, file: BinaryIO) -> None:
        """Writes what `read` reads, but for slots, lines and sizes."""
        file.writelines((*self.places, self._questions.keys, self._questions.table))

    @classmethod
    def read(
        cls, slots: Sequence[Slot], lines: Sequence[int], sizes: tuple[int, int], file: BinaryIO
    ) -> "Rows":
        """The rows that `write` has written.

        Raises:
            EOFError: The file is shorter.
        """
        found, (rows, table) = cls(slots), sizes
        found.lines = list(lines)
        found._questions.table = array("I")
        for column, count in (
            *((places, rows) for places in found.places),
            (found._questions.keys, rows),
            (found._questions.table, table),
        ):
            column.fromfile(file, count)
        return found


def _lengthen(places: "array[int]", rows: int) -> None:
    places.frombytes(bytes(4 * max(rows - len(places), 0)))
