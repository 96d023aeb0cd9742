"""Which lines are in the rows of a slot, at one moment."""

from array import array
from bisect import bisect
from collections.abc import Iterator
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
        self._stretches = _stretches(places)
        self._places = places[:] if self._stretches is None else None

    def taken(self, column: "array[Any]", owed: float) -> "array[Any]":
        """The values of the lines, by row.

        Args:
            column: By line.
            owed: Stands where a row has no line.
        """
        none: array[Any] = array(column.typecode, [owed])
        if self._stretches is None:
            padded = none + column
            return array(column.typecode, map(padded.__getitem__, self._places or ()))
        parts: Iterator[array[Any]] = (
            column[place - 1 : place - 1 + rows] if place else none * rows
            for _, place, rows in self._stretches
        )
        found = next(parts, array(column.typecode))
        for part in parts:
            found.extend(part)
        return found

    def within(self, begin: int, end: int) -> Iterator[Stretch]:
        """The stretches of some rows."""
        if self._stretches is None:
            for row, place in enumerate((self._places or array("I"))[begin:end], start=begin):
                yield Stretch(row, place, 1)
            return
        number = max(bisect(self._stretches, (begin, -1)) - 1, 0)
        for row, place, rows in self._stretches[number:]:
            if row >= end:
                return
            first, last = max(row, begin), min(row + rows, end)
            if first < last:
                yield Stretch(first, place and place + first - row, last - first)


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
