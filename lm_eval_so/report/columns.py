"""The index of a page: columns of numbers, and the ids of the rows, as bytes."""

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lm_eval_so.report.json_text import json_bytes
from lm_eval_so.report.manifest import CODES, Column, ColumnType, Ids
from lm_eval_so.report.rows import Rows, Slot
from lm_eval_so.report.run_index import RunIndex

NO_ANSWER = 0xFFFF
_ALIGNED = 4


class IndexWriter:
    """Puts columns one behind the other.

    Attributes:
        columns: Where they stand.
    """

    def __init__(self) -> None:
        self.columns: list[Column] = []
        self._data = bytearray()

    def add(self, name: str, kind: ColumnType, parts: Iterable["array[Any]"]) -> None:
        """Adds a column that consists of these arrays."""
        offset, count = len(self._data), 0
        for part in parts:
            count += len(part)
            self._data += _little_endian(part)
        self._data += bytes(-len(self._data) % _ALIGNED)
        self.columns.append(Column(name=name, type=kind, count=count, offset=offset))

    def finish(self, ids: Sequence[str]) -> tuple[bytes, Ids]:
        """The index, and where the ids stand in it."""
        text = json_bytes(ids)
        offset = len(self._data)
        self._data += text
        return bytes(self._data), Ids(offset=offset, bytes=len(text))


class Taker:
    """Takes values of the runs' columns into columns of the page.

    Args:
        indexes: Of the runs, by number.
        rows: Which line is in which row.
    """

    def __init__(self, indexes: Sequence[RunIndex], rows: Rows) -> None:
        self._indexes = indexes
        self._rows = rows

    def results(self, name: str, kind: ColumnType, owed: float) -> Iterator["array[Any]"]:
        """A column of all results, slot by slot.

        Args:
            name: Of the runs' column.
            kind: Of the page's.
            owed: Stands where there is no result.
        """
        return self.of_columns([index.columns[name] for index in self._indexes], kind, owed)

    def of_columns(
        self, columns: Sequence["array[Any]"], kind: ColumnType, owed: float
    ) -> Iterator["array[Any]"]:
        """`results` of one column for each run."""
        for slot, places in self._slots():
            yield taken(columns[slot.cell], places, CODES[kind], owed)

    def of_rows(self, columns: Sequence["array[Any]"], kind: ColumnType) -> "array[Any]":
        """A column of the rows: of the first slot that has a result.

        Args:
            columns: For each run, line by line.
            kind: Of the page's column.
        """
        found = array(CODES[kind], [0]) * len(self._rows)
        for slot, places in reversed(list(self._slots())):
            own = taken(columns[slot.cell], places, CODES[kind], 0)
            found = _preferred(own, found, places)
        return found

    def ids(self) -> list[str]:
        """The sample id of each row."""
        found: list[str] = [""] * len(self._rows)
        missing: Iterable[int] = range(len(found))
        for slot, places in self._slots():
            sample_id, left = self._indexes[slot.cell].sample_id, []
            for row in missing:
                if places[row]:
                    found[row] = sample_id(places[row] - 1)
                else:
                    left.append(row)
            missing = left
        return found

    def answers(self) -> Iterable["array[int]"]:
        """For each slot, by row: the number of its answer among the different ones of the row."""
        return _numbered(
            [
                taken(self._indexes[slot.cell].columns["answer"], places, "Q", 0)
                for slot, places in self._slots()
            ]
        )

    def _slots(self) -> Iterator[tuple[Slot, "array[int]"]]:
        return zip(self._rows.slots, self._rows.places, strict=True)


def taken(column: "array[Any]", places: "array[int]", code: str, owed: float) -> "array[Any]":
    """The values of the lines at these places, counted from 1.

    Args:
        column: By line.
        places: By row.
        code: Type code of the new column.
        owed: Stands where the place is 0.
    """
    if code == column.typecode and places == array("I", range(1, len(column) + 1)):
        return column
    padded = array(column.typecode, [owed]) + column
    return array(code, map(padded.__getitem__, places))


def translated(column: "array[int]", numbers: Sequence[int]) -> "array[int]":
    """The column with other numbers for the same things."""
    if all(number == position for position, number in enumerate(numbers)):
        return column
    return array(column.typecode, map(numbers.__getitem__, column))


def shifted(column: "array[float]", by: float) -> "array[float]":
    """The column with a number added to each value."""
    return column if by == 0 else array(column.typecode, [value + by for value in column])


def _little_endian(column: "array[Any]") -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def _preferred(own: "array[Any]", other: "array[Any]", places: "array[int]") -> "array[Any]":
    if 0 not in places:
        return own
    pairs = zip(own, other, places, strict=True)
    return array(own.typecode, [one if place else two for one, two, place in pairs])


def _numbered(digests: Sequence["array[int]"]) -> list["array[int]"]:
    if len(digests) == 1:
        return [array("H", [0 if digest else NO_ANSWER for digest in digests[0]])]
    numbers = [array("H") for _ in digests]
    appends = [column.append for column in numbers]
    for row in zip(*digests, strict=True):
        known: dict[int, int] = {}
        for append, digest in zip(appends, row, strict=True):
            append(known.setdefault(digest, len(known)) if digest else NO_ANSWER)
    return numbers
