"""A map from hashes to numbers at some 25 bytes an entry.

A dict of int to int takes about 110 bytes an entry; at ten million samples that is the difference
between a few hundred megabytes and more than one gigabyte.
"""

from array import array
from collections.abc import Hashable, Iterator
from itertools import islice

_MASK = (1 << 64) - 1
_SMALLEST = 1 << 10


class HashIndex:
    """Entries in the order in which they came, found through a table with linear probing.

    Keys are hashables of which only Python's 64-bit hash is kept: two of ten million collide with
    a chance below one in three hundred thousand. Values are integers from 0 to 2^64 - 1. An entry
    takes 16 bytes and a slot of the table 4, of which at most two of three are used.

    Args:
        room: Entries to make room for at once; what grows leaves holes in the memory.
    """

    def __init__(self, room: int = 0) -> None:
        self._used = 0
        self._hashes, self._values = (array("Q", [0]) * max(room, _SMALLEST) for _ in range(2))
        slots = _SMALLEST
        while slots * 2 < room * 3:
            slots *= 2
        self._slots = array("I", [0]) * slots  # number of the entry, from 1

    def __len__(self) -> int:
        return self._used

    def __setitem__(self, key: Hashable, value: int) -> None:
        self.put(key, value)

    def put(self, key: Hashable, value: int) -> int:
        """Sets the value of the key; returns the number of its entry, which stays the same."""
        entry = self._entry(key, value)
        self._values[entry] = value
        return entry

    def setdefault(self, key: Hashable, value: int) -> int:
        """The value kept for the key, which is this one where there was none."""
        return self._values[self._entry(key, value)]

    def find(self, key: Hashable) -> int | None:
        """The number of the key's entry, or None."""
        code = hash(key) & _MASK
        slots, hashes = self._slots, self._hashes  # `_slot`, in place, as in `_entry`
        mask = len(slots) - 1
        slot = (code ^ code >> 32) & mask
        while entry := slots[slot]:
            if hashes[entry - 1] == code:
                return entry - 1
            slot = (slot + 1) & mask
        return None

    def get(self, key: Hashable) -> int | None:
        """The value kept for the key, or None."""
        entry = self.find(key)
        return None if entry is None else self._values[entry]

    def entry(self, number: int) -> tuple[int, int]:
        """The hash and the value of an entry."""
        return self._hashes[number], self._values[number]

    def change(self, number: int, value: int) -> None:
        """Sets the value of an entry."""
        self._values[number] = value

    def entries(self) -> Iterator[tuple[int, int]]:
        """Hash and value of all entries, in the order in which their keys came."""
        return islice(zip(self._hashes, self._values, strict=True), self._used)

    def values(self) -> Iterator[int]:
        """All values, in the order in which their keys came."""
        return islice(self._values, self._used)

    @staticmethod
    def code(key: Hashable) -> int:
        """The hash that stands for a key; of this process only."""
        return hash(key) & _MASK

    def _entry(self, key: Hashable, value: int) -> int:
        """The number of the key's entry; of a new one, with this value, where it has none."""
        if self._used * 3 >= len(self._slots) * 2:
            self._grow()
        code = hash(key) & _MASK
        # `_slot`, in place: a call would be a third of the cost of all this.
        slots, hashes = self._slots, self._hashes
        mask = len(slots) - 1
        slot = (code ^ code >> 32) & mask
        while entry := slots[slot]:
            if hashes[entry - 1] == code:
                return entry - 1
            slot = (slot + 1) & mask
        if self._used == len(self._hashes):
            more = array("Q", [0]) * (self._used // 8)
            self._hashes.extend(more)
            self._values.extend(more)
        self._hashes[self._used], self._values[self._used] = code, value
        self._used += 1
        self._slots[slot] = self._used
        return self._used - 1

    def _slot(self, code: int) -> int:
        """The slot that the hash has, or would have."""
        slots, hashes, mask = self._slots, self._hashes, len(self._slots) - 1
        # The low bits of a short tuple's hash are uneven: fold the high ones in.
        slot = (code ^ code >> 32) & mask
        while (entry := slots[slot]) and hashes[entry - 1] != code:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        self._slots = array("I", [0]) * (2 * len(self._slots))
        for number, code in enumerate(islice(self._hashes, self._used), start=1):
            self._slots[self._slot(code)] = number
