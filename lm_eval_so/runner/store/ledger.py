"""What is still owed: wanted minus kept, at a few machine words a sample."""

from array import array
from collections.abc import Iterable, Iterator

from lm_eval_so.runner.compact import CompactMap
from lm_eval_so.runner.store.results import StoredLine

_OWED = -1


class Ledger:
    """Where the line of each sample stands in the results file.

    A stored line counts for a sample when both the id and the request key are the same; an answer
    settles it, a failure is kept until there is something newer. Samples are named by their place
    in the dataset, from 0.

    Attributes:
        has_answers: Whether earlier commands left any answer here.
    """

    def __init__(self, stored: Iterable[StoredLine], count: int) -> None:
        self._stored = CompactMap()
        self.has_answers = False
        for line in stored:
            self.has_answers = self.has_answers or line.ok
            question = line.sample_id, line.request_key
            if line.ok or not (self._stored.get(question) or 0) & 1:
                self._stored[question] = line.offset << 1 | line.ok
        self._offsets = array("q", [_OWED]) * count
        self.settled = 0

    def settle(self, index: int, sample_id: str, request_key: str) -> int | None:
        """The offset of the stored answer to this sample, or None where it is owed."""
        found = self._stored.get((sample_id, request_key))
        if found is None:
            return None
        offset, ok = found >> 1, found & 1
        self._offsets[index] = offset
        if not ok:
            return None
        self._stored[sample_id, request_key] = offset << 1  # taken: no leftover
        self.settled += 1
        return offset

    def add(self, index: int, offset: int, *, ok: bool) -> None:
        """Notes a new line."""
        self._offsets[index] = offset
        self.settled += ok

    def offsets(self) -> Iterator[int]:
        """Offsets of the samples that have a line, in dataset order."""
        return (offset for offset in self._offsets if offset != _OWED)

    def leftovers(self) -> Iterator[int]:
        """Offsets of stored answers to questions that the dataset does not ask now."""
        return (value >> 1 for value in self._stored.values() if value & 1)
