"""Questions numbered in the order in which they come, at some 20 bytes each."""

from array import array
from collections.abc import Sequence

_SMALLEST = 1 << 10


class Questions:
    """Finds the number of a question, which is 64 bits of a digest, by a table with linear probing.

    Attributes:
        keys: The questions, by number.
        table: Numbers, counted from 1, each at the place that its key has; 0 is free.
    """

    def __init__(self) -> None:
        self.keys = array("Q")
        self.table = array("I", [0]) * _SMALLEST

    def __len__(self) -> int:
        return len(self.keys)

    def make_room(self, more: int) -> None:
        """Makes the table large enough for so many more, so that it does not grow step by step."""
        wanted, places = (len(self.keys) + more) * 3 // 2, len(self.table)
        if wanted <= places:
            return
        while places < wanted:
            places *= 2
        mask, table = places - 1, array("I", [0]) * places
        for number, key in enumerate(self.keys, start=1):
            place = key & mask
            while table[place]:
                place = (place + 1) & mask
            table[place] = number
        self.table = table

    def numbers(self, keys: Sequence[int]) -> "array[int]":
        """The numbers of these questions; those that are new get the next ones."""
        self.make_room(len(keys))
        found, known, table = array("I"), self.keys, self.table
        mask, add = len(table) - 1, found.append
        for key in keys:
            place = key & mask
            while number := table[place]:
                if known[number - 1] == key:
                    break
                place = (place + 1) & mask
            else:
                known.append(key)
                number = table[place] = len(known)
            add(number - 1)
        return found
