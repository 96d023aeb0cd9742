"""A map from hashes to numbers at 16 bytes a slot.

A dict of int to int takes about 110 bytes an entry; at ten million samples that is the difference
between a few hundred megabytes and more than one gigabyte.
"""

from array import array
from collections.abc import Hashable, Iterator

_MASK = (1 << 64) - 1
_SMALLEST = 1 << 10
_MISSING = 0


class CompactMap:
    """Open addressing with linear probing over two arrays.

    Keys are hashables of which only Python's 64-bit hash is kept: two of ten million collide with
    a chance below one in three hundred thousand. Values are integers from 0 to 2^64 - 1.
    """

    def __init__(self) -> None:
        self._hashes = array("Q", bytes(8 * _SMALLEST))
        self._values = array("Q", bytes(8 * _SMALLEST))
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def __setitem__(self, key: Hashable, value: int) -> None:
        if self._used * 3 >= len(self._hashes) * 2:
            self._grow()
        code = self._code(key)
        slot = self._slot(code)
        self._used += self._hashes[slot] == _MISSING
        self._hashes[slot], self._values[slot] = code, value

    def get(self, key: Hashable) -> int | None:
        """The value kept for the key, or None."""
        slot = self._slot(self._code(key))
        return None if self._hashes[slot] == _MISSING else self._values[slot]

    def values(self) -> Iterator[int]:
        """All values, in no order."""
        pairs = zip(self._hashes, self._values, strict=True)
        return (value for code, value in pairs if code != _MISSING)

    @staticmethod
    def _code(key: Hashable) -> int:
        return hash(key) & _MASK or 1

    def _slot(self, code: int) -> int:
        hashes, mask = self._hashes, len(self._hashes) - 1
        # The low bits of a short tuple's hash are uneven: fold the high ones in.
        slot = (code ^ code >> 32) & mask
        while hashes[slot] not in (_MISSING, code):
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        old = zip(self._hashes, self._values, strict=True)
        size = 8 * 2 * len(self._hashes)
        self._hashes, self._values = array("Q", bytes(size)), array("Q", bytes(size))
        for code, value in old:
            if code != _MISSING:
                slot = self._slot(code)
                self._hashes[slot], self._values[slot] = code, value
