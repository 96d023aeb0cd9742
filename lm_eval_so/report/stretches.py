"""Which lines are in the rows of a slot, at one moment."""

from array import array
from bisect import bisect
from collections.abc import Iterable, Iterator
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
        known: Those of the first rows.

    Attributes:
        is_whole: Whether each row has a line.
    """

    def __init__(self, places: "array[int]", known: Iterable[Stretch] = ()) -> None:
        stretches = _stretches(places, [*known])
        self._stretches = stretches or []
        self._places = places[:] if stretches is None else None
        self.is_whole = 0 not in (self._places or map(_place, self._stretches))

    def later(self, places: "array[int]", same: int) -> "Stretches":
        """The stretches of a later moment.

        Args:
            places: As they are then.
            same: So many rows have the line that they have now.
        """
        return Stretches(places, self.within(range(same)) if self._places is None else ())

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


_row, _place = attrgetter("row"), attrgetter("place")


def _stretches(places: "array[int]", known: list[Stretch]) -> list[Stretch] | None:
    """The stretches of all rows; None if there are too many.

    Args:
        places: By row.
        known: Those of the first rows.
    """
    if not places:
        return []
    most = 1 + len(places) // _FEWEST_ROWS
    begin, place, count = known.pop() if known else Stretch(0, places[0], 1)
    step = 1 if place else 0
    expected = place + count * step
    first = begin + count
    for row, place in enumerate(places[first:], start=first):
        if place != expected:
            known.append(Stretch(begin, places[begin], row - begin))
            if len(known) > most:
                return None
            begin, expected, step = row, place, 1 if place else 0
        expected += step
    return [*known, Stretch(begin, places[begin], len(places) - begin)]
