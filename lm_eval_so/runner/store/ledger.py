"""Which samples still need an answer, in a few machine words per sample."""

from array import array
from collections.abc import Iterable, Iterator

from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.store.stored_line import LinePlace, StoredLine

_OWED = 0


class Ledger:
    """Where the line of each sample is in the results file.

    A stored line belongs to a sample if both the id and the request key are the same. An answer
    completes the sample; a failure is kept until there is a newer line. Samples are numbered by
    their position in the dataset, from 0.

    Attributes:
        has_answers: Whether earlier commands left an answer here.
    """

    def __init__(self, stored: Iterable[StoredLine], count: int) -> None:
        # By question: where its line starts, and in the lowest bit whether it is an answer that
        # no sample has taken.
        self._lines = HashIndex(count)
        self.has_answers = False
        for line in stored:
            self.has_answers = self.has_answers or line.ok
            question = line.sample_id, line.request_key
            if line.ok or not (self._lines.get(question) or 0) & 1:
                self._lines[question] = line.offset << 1 | line.ok
        self._samples = array("I", [_OWED]) * count  # number of the line's entry, from 1

    @property
    def is_empty(self) -> bool:
        """Whether there is no line, of whichever question."""
        return len(self._lines) == 0

    def find(self, index: int, sample_id: str, request_key: str) -> int | None:
        """The offset of the stored answer to this sample; None if the sample is owed."""
        entry = self._lines.find((sample_id, request_key))
        if entry is None:
            return None
        _, value = self._lines.entry(entry)
        self._samples[index] = entry + 1
        if not value & 1:
            return None
        self._lines.change(entry, value - 1)  # taken: not a leftover
        return value >> 1

    def has_line(self, index: int) -> bool:
        """Whether this sample has a line, after `find` or `add`."""
        return self._samples[index] != _OWED

    def add(self, index: int, line: StoredLine) -> None:
        """Notes a new line."""
        question = line.sample_id, line.request_key
        self._samples[index] = self._lines.put(question, line.offset << 1) + 1

    def places(self) -> Iterator[LinePlace]:
        """The lines of the samples that have one, in dataset order."""
        for number in self._samples:
            if number != _OWED:
                mark, value = self._lines.entry(number - 1)
                yield LinePlace(value >> 1, mark)

    def leftovers(self) -> Iterator[LinePlace]:
        """Stored answers to questions that the dataset no longer asks."""
        return (LinePlace(value >> 1, mark) for mark, value in self._lines.entries() if value & 1)
