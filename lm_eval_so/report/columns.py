"""What of the runs' lines stands in the columns of a page."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from lm_eval_so.report.rows import Rows
from lm_eval_so.report.run_index import RunIndex

NO_ANSWER = 0xFFFF
_AT_ONCE = 1 << 16  # rows


class Taker:
    """Takes values of the runs' columns into columns of the page, some rows at once.

    It gives the same after the runs and the rows have got more: columns are only added to.

    Args:
        indexes: Of the runs, by number.
        rows: Which line is in which row.
        at_once: Rows of each array but the last of a slot; None takes all.
    """

    def __init__(
        self, indexes: Sequence[RunIndex], rows: Rows, at_once: int | None = _AT_ONCE
    ) -> None:
        self._columns = [index.columns for index in indexes]
        self._ids = [index.ids for index in indexes]
        self._rows = range(len(rows))
        self._at_once = at_once or len(rows) or 1
        self._slots = [
            (slot.cell, lines) for slot, lines in zip(rows.slots, rows.stretches(), strict=True)
        ]

    def results(self, name: str, owed: float) -> Iterator["array[Any]"]:
        """A column of all results, slot by slot.

        Args:
            name: Of the runs' column.
            owed: Stands where there is no result.
        """
        for slot, _ in enumerate(self._slots):
            yield from self._of_slot(slot, name, owed)

    def of_cell(self, cell: int, name: str) -> Iterator["array[Any]"]:
        """`results` of one run; 0 stands where there is none."""
        for slot, (own, _) in enumerate(self._slots):
            if own == cell:
                yield from self._of_slot(slot, name, 0)

    def translated(self, name: str, tables: Sequence[Sequence[int]]) -> Iterator["array[int]"]:
        """`results` with other numbers for the same things; 0 stays 0.

        Args:
            name: Of the runs' column.
            tables: For each run, by its own number: the other one.
        """
        for slot, (cell, _) in enumerate(self._slots):
            for column in self._of_slot(slot, name, 0):
                yield _translated(column, tables[cell])

    def shifted(self, name: str, by: Sequence[float]) -> Iterator["array[float]"]:
        """`results` with a number added for each run."""
        for slot, (cell, _) in enumerate(self._slots):
            for column in self._of_slot(slot, name, float("nan")):
                yield array("f", [value + by[cell] for value in column]) if by[cell] else column

    def of_rows(
        self, columns: Sequence["array[int]"], tables: Sequence[Sequence[int]]
    ) -> Iterator["array[int]"]:
        """A column of the rows, `translated`: of the first slot that has a result.

        Args:
            columns: For each run, line by line.
            tables: For each run, by its own number: the one of the page.
        """
        for rows in self._parts():
            found = array(columns[0].typecode, [0]) * len(rows)
            for cell, lines in reversed(self._slots):
                own = _translated(lines.taken(columns[cell], rows, 0), tables[cell])
                if not lines.is_whole:
                    there = lines.taken(self._columns[cell]["status"], rows, 0)
                    pairs = zip(own, found, there, strict=True)
                    own = array(own.typecode, [one if is_it else two for one, two, is_it in pairs])
                found = own
            yield found

    def answers(self) -> Iterable["array[int]"]:
        """For each slot, by row: the number of its answer among the different ones of the row."""
        if len(self._slots) == 1:
            return map(_single, self._of_slot(0, "answer", 0))
        return _numbered(
            [
                lines.taken(self._columns[cell]["answer"], self._rows, 0)
                for cell, lines in self._slots
            ]
        )

    def ids(self) -> Iterator[bytes]:
        """The sample ids of the rows as JSON, with commas between them, in pieces of some rows."""
        return chain.from_iterable(self._ids_of(0, rows) for rows in self._parts())

    def _ids_of(self, slot: int, some: range) -> Iterator[bytes]:
        """Where a slot has no result, the next one has."""
        if slot == len(self._slots):
            return
        cell, lines = self._slots[slot]
        ids, ends = self._ids[cell], self._columns[cell]["id_end"]
        for row, place, count in lines.within(some):
            if place:
                begin = ends[place - 2] if place > 1 else 0
                yield bytes(ids[begin : ends[place - 2 + count] - 1])
            else:
                yield from self._ids_of(slot + 1, range(row, row + count))

    def _of_slot(self, slot: int, name: str, owed: float) -> Iterator["array[Any]"]:
        cell, lines = self._slots[slot]
        column = self._columns[cell][name]
        return (lines.taken(column, rows, owed) for rows in self._parts())

    def _parts(self) -> Iterator[range]:
        """All rows, some at once."""
        return (
            self._rows[first : first + self._at_once]
            for first in range(0, len(self._rows), self._at_once)
        )


def _translated(column: "array[int]", numbers: Sequence[int]) -> "array[int]":
    if all(number == position for position, number in enumerate(numbers)):
        return column
    return array(column.typecode, map(numbers.__getitem__, column))


def _single(digests: "array[int]") -> "array[int]":
    return array("H", [0 if digest else NO_ANSWER for digest in digests])


def _numbered(digests: Sequence["array[int]"]) -> list["array[int]"]:
    numbers = [array("H") for _ in digests]
    appends = [column.append for column in numbers]
    for row in zip(*digests, strict=True):
        known: dict[int, int] = {}
        for append, digest in zip(appends, row, strict=True):
            append(known.setdefault(digest, len(known)) if digest else NO_ANSWER)
    return numbers
