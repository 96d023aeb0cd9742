"""What of the runs' lines stands in the columns of a page."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lm_eval_so.report.rows import Rows
from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.report.stretches import Stretches

NO_ANSWER = 0xFFFF
_AT_ONCE = 1 << 16  # rows


class Taker:
    """Takes values of the runs' columns into columns of the page.

    It gives the same after the runs and the rows have got more: columns are only added to.

    Args:
        indexes: Of the runs, by number.
        rows: Which line is in which row.
    """

    def __init__(self, indexes: Sequence[RunIndex], rows: Rows) -> None:
        self._columns = [index.columns for index in indexes]
        self._ids = [index.ids for index in indexes]
        self._rows = len(rows)
        self._slots = [
            (slot.cell, Stretches(places))
            for slot, places in zip(rows.slots, rows.places, strict=True)
        ]

    def results(self, name: str, owed: float) -> Iterator["array[Any]"]:
        """A column of all results, slot by slot.

        Args:
            name: Of the runs' column.
            owed: Stands where there is no result.
        """
        for cell, lines in self._slots:
            yield lines.taken(self._columns[cell][name], owed)

    def of_cell(self, cell: int, name: str) -> Iterator["array[Any]"]:
        """`results` of one run; 0 stands where there is none."""
        for own, lines in self._slots:
            if own == cell:
                yield lines.taken(self._columns[cell][name], 0)

    def translated(self, name: str, tables: Sequence[Sequence[int]]) -> Iterator["array[int]"]:
        """`results` with other numbers for the same things; 0 stays 0.

        Args:
            name: Of the runs' column.
            tables: For each run, by its own number: the other one.
        """
        for (cell, _), column in zip(self._slots, self.results(name, 0), strict=True):
            yield _translated(column, tables[cell])

    def shifted(self, name: str, by: Sequence[float]) -> Iterator["array[float]"]:
        """`results` with a number added for each run."""
        for (cell, _), column in zip(self._slots, self.results(name, float("nan")), strict=True):
            yield array("f", [value + by[cell] for value in column]) if by[cell] else column

    def of_rows(
        self, columns: Sequence["array[int]"], tables: Sequence[Sequence[int]]
    ) -> Iterator["array[int]"]:
        """A column of the rows, `translated`: of the first slot that has a result.

        Args:
            columns: For each run, line by line.
            tables: For each run, by its own number: the one of the page.
        """
        found = array(columns[0].typecode, [0]) * self._rows
        for cell, lines in reversed(self._slots):
            own = _translated(lines.taken(columns[cell], 0), tables[cell])
            if not lines.is_whole:
                there = lines.taken(self._columns[cell]["status"], 0)
                pairs = zip(own, found, there, strict=True)
                own = array(own.typecode, [one if is_it else two for one, two, is_it in pairs])
            found = own
        yield found

    def ids(self) -> Iterator[bytes]:
        """The sample ids of the rows as JSON, with commas between them, in pieces of some rows."""
        return self._ids_within(0, 0, self._rows)

    def _ids_within(self, slot: int, begin: int, end: int) -> Iterator[bytes]:
        """Where a slot has no result, the next one has."""
        if slot == len(self._slots):
            return
        cell, lines = self._slots[slot]
        ids, ends = self._ids[cell], self._columns[cell]["id_end"]
        for row, place, rows in lines.within(begin, end):
            if not place:
                yield from self._ids_within(slot + 1, row, row + rows)
                continue
            for first in range(place - 1, place - 1 + rows, _AT_ONCE):
                last = min(first + _AT_ONCE, place - 1 + rows)
                yield bytes(ids[ends[first - 1] if first else 0 : ends[last - 1] - 1])

    def answers(self) -> Iterable["array[int]"]:
        """For each slot, by row: the number of its answer among the different ones of the row."""
        digests = self.results("answer", 0)
        return map(_single, digests) if len(self._slots) == 1 else _numbered([*digests])


def _translated(column: "array[int]", numbers: Sequence[int]) -> "array[int]":
    if all(number == position for position, number in enumerate(numbers)):
        return column
    return array(column.typecode, map(numbers.__getitem__, column))


def _single(digests: "array[int]") -> "array[int]":
    found = array("H")
    for first in range(0, len(digests), _AT_ONCE):
        found.extend(
            array("H", [0 if digest else NO_ANSWER for digest in digests[first : first + _AT_ONCE]])
        )
    return found


def _numbered(digests: Sequence["array[int]"]) -> list["array[int]"]:
    numbers = [array("H") for _ in digests]
    appends = [column.append for column in numbers]
    for row in zip(*digests, strict=True):
        known: dict[int, int] = {}
        for append, digest in zip(appends, row, strict=True):
            append(known.setdefault(digest, len(known)) if digest else NO_ANSWER)
    return numbers
