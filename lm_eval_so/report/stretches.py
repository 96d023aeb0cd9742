"""Which lines are in the rows of a slot, at one moment."""

from array import array
from bisect import bisect
from collections.abc import Iterator
from operator import attrgetter
from typing import Any, NamedTuple

_FEWEST_ROWS = 8
"""Of a stretch, on average; shorter ones are no gain."""


class Stretch(NamedTuple):
    """Rows one behind the other that have lines one behind the other, or none at all.

    Attributes:
        row: The first one.
        place: Of its line, counted from 1; 0 if these rows have none.
        rows: How many.
    """

    row: int
    place: int
    rows: int


class Stretches:
    """The lines of a slot as they are when this is made.

    Most files have their lines in the order of the rows. So what is taken of them is not taken one
    by one.

    Args:
        places: By row: the number of the line, counted from 1; 0 is owed.

    Attributes:
        is_whole: Whether each row has a line.
    """

    def __init__(self, places: "array[int]") -> None:
        self.is_whole = 0 not in places
        stretches = _stretches(places)
        self._stretches = stretches or []
        self._places = places[:] if stretches is None else None

    def taken(self, column: "array[Any]", rows: range, owed: float) -> "array[Any]":
        """The values of the lines of some rows.

        Args:
            column: By line.
            rows: Whose.
            owed: Stands where a row has no line.
        """
        if self._places is not None:
            places = self._places[rows.start : rows.stop]
            values = [column[place - 1] if place else owed for place in places]
            return array(column.typecode, values)
        none: array[Any] = array(column.typecode, [owed])
        found: array[Any] = array(column.typecode)
        for _, place, count in self.within(rows):
            found += column[place - 1 : place - 1 + count] if place else none * count
        return found

    def within(self, rows: range) -> Iterator[Stretch]:
        """The stretches of some rows."""
        begin, end = rows.start, rows.stop
        if self._places is not None:
            for row, place in enumerate(self._places[begin:end], start=begin):
                yield Stretch(row, place, 1)
            return
        number = max(bisect(self._stretches, begin, key=_row) - 1, 0)
        while number < len(self._stretches) and self._stretches[number].row < end:
            row, place, count = self._stretches[number]
            first, last = max(row, begin), min(row + count, end)
            yield Stretch(first, place and place + first - row, last - first)
            number += 1


_row = attrgetter("row")


def _stretches(places: "array[int]") -> list[Stretch] | None:
    """None if there are too many."""
    found: list[Stretch] = []
    most = 1 + len(places) // _FEWEST_ROWS
    begin, expected, step = 0, -1, 1
    for row, place in enumerate(places):
        if place != expected:
            if row:
                found.append(Stretch(begin, places[begin], row - begin))
            if len(found) == most:
                return None
            begin, expected, step = row, place, 1 if place else 0
        expected += step
    if places:
        found.append(Stretch(begin, places[begin], len(places) - begin))
    return found
