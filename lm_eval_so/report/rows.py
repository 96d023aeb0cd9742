"""Results of several runs joined by question: which line is in which row."""

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lm_eval_so.report.result_columns import STATUS
from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.runner.hash_index import HashIndex

_OK = STATUS["ok"]


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
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = list(slots)
        self.places = [array("I") for _ in self.slots]
        self._numbers = {slot: number for number, slot in enumerate(self.slots)}
        self._rows = HashIndex()

    def __len__(self) -> int:
        return len(self.places[0]) if self.places else 0

    def add(self, cell: int, index: RunIndex, first: int) -> None:
        """Adds the lines of a run from one on, and makes room in every slot.

        Args:
            cell: Number of the run.
            index: Of its lines.
            first: The first line that is new, from 0.
        """
        questions, repeats = index.columns["question"], index.columns["repeat"]
        status, row_of = index.columns["status"], self._rows.put
        slots: dict[int, array[int]] = {
            slot.repeat: places
            for slot, places in zip(self.slots, self.places, strict=True)
            if slot.cell == cell
        }
        for line in range(first, len(index)):
            row = row_of(questions[line], 0)
            places = slots[repeats[line]]
            if row >= len(places):
                places.frombytes(bytes(4 * (row + 1 - len(places))))
            before = places[row]
            if not before or status[line] == _OK or status[before - 1] != _OK:
                places[row] = line + 1
        for places in self.places:
            places.frombytes(bytes(4 * (len(self._rows) - len(places))))

    def only(self, rows: Sequence[int]) -> "Rows":
        """Some of the rows, in their order."""
        chosen = Rows(self.slots)
        chosen.places = [array("I", map(places.__getitem__, rows)) for places in self.places]
        return chosen

    def of_row(self, row: int) -> Iterator[tuple[Slot, int]]:
        """Slots of a row that have a result, and its line, from 0."""
        for slot, places in zip(self.slots, self.places, strict=True):
            if places[row]:
                yield slot, places[row] - 1
