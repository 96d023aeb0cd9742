"""Samples counted by tag, by length and by place, with what became of them.

All of it adds up, and takes a bounded amount of memory.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

Counts = list[int]
"""Numbers of samples by what became of them, which is one of the next three."""
ANSWERED, TRUNCATED, FAILED = range(3)

MOST_TAGS = 500
MOST_BLOCKS = 1024
TENTHS = 10
_EXACT_BITS = 8
"""Leading binary digits of a length that are kept: it is exact below 256, then to 0.8 percent."""


class Strata:
    """The samples of one dataset, counted."""

    def __init__(self) -> None:
        self.tags, self.lengths, self.places = Tags(), Lengths(), Places()

    def add(self, index: int, tags: Sequence[str], length: int, outcome: int) -> None:
        """Counts a sample.

        Args:
            index: Its place in the dataset, from 0.
            tags: Its tags.
            length: Of its prompt, in characters.
            outcome: ANSWERED, TRUNCATED or FAILED.
        """
        self.tags.add(tags, outcome)
        self.lengths.add(length, outcome)
        self.places.add(index, outcome)

    def merge(self, other: "Strata") -> None:
        """Counts all that the other has counted."""
        self.tags.merge(other.tags)
        self.lengths.merge(other.lengths)
        self.places.merge(other.places)


class Tags:
    """Samples by tag; a sample may have several.

    Attributes:
        counts: Of the first 500 different tags. A tag is here with all of its samples or not at
            all, however these counts were merged.
        left_out: Whether there were more.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counts] = {}
        self.left_out = False

    def add(self, tags: Sequence[str], outcome: int) -> None:
        """Counts a sample."""
        for tag in dict.fromkeys(tags) if len(tags) > 1 else tags:
            counts = self.counts.get(tag)
            if counts is None:
                counts = self._first_of(tag)
            counts[outcome] += 1

    def merge(self, other: "Tags") -> None:
        """Counts all that the other has counted.

        What one of them has left out is not known in full, so it is left out of the sum.
        """
        if other.left_out:
            self.counts = {
                tag: counts for tag, counts in self.counts.items() if tag in other.counts
            }
        for tag, counts in other.counts.items():
            _add_up(self.counts.get(tag) or self._first_of(tag), counts)
        self.left_out = self.left_out or other.left_out

    def _first_of(self, tag: str) -> Counts:
        """The counts of a new tag; they are kept nowhere if there is no room."""
        if self.left_out or len(self.counts) >= MOST_TAGS:
            self.left_out = True
            return _nothing()
        return self.counts.setdefault(tag, _nothing())


class Lengths:
    """Samples by length.

    Attributes:
        counts: By the smallest length that is counted together with this one.
    """

    def __init__(self) -> None:
        self.counts: defaultdict[int, Counts] = defaultdict(_nothing)

    def add(self, length: int, outcome: int) -> None:
        """Counts a sample with so many characters."""
        cut = length.bit_length() - _EXACT_BITS
        self.counts[length >> cut << cut if cut > 0 else length][outcome] += 1

    def merge(self, other: "Lengths") -> None:
        """Counts all that the other has counted."""
        _add_all(self.counts, other.counts)

    def bins(self) -> list[tuple[int, Counts]]:
        """From the shortest: a length, and the samples of about this length."""
        return sorted(self.counts.items())


class Places:
    """Samples by their place in the dataset, in blocks whose size grows with the dataset.

    Attributes:
        blocks: By the number of the block, from 0.
        doublings: Of the size of a block, which is one sample at first.
    """

    def __init__(self) -> None:
        self.blocks: defaultdict[int, Counts] = defaultdict(_nothing)
        self.doublings = 0

    def add(self, index: int, outcome: int) -> None:
        """Counts the sample at this place, from 0."""
        while index >> self.doublings >= MOST_BLOCKS:
            self._double()
        self.blocks[index >> self.doublings][outcome] += 1

    def merge(self, other: "Places") -> None:
        """Counts all that the other has counted, at places in the same dataset."""
        while self.doublings < other.doublings:
            self._double()
        _add_all(self.blocks, _larger(other.blocks, self.doublings - other.doublings))

    def tenths(self) -> list[Counts]:
        """Of each tenth of the samples that were counted; exact to one block."""
        tenths = [_nothing() for _ in range(TENTHS)]
        total = sum(map(sum, self.blocks.values()))
        before = 0
        for _, counts in sorted(self.blocks.items()):
            middle = before + sum(counts) / 2
            _add_up(tenths[int(TENTHS * middle / total)], counts)
            before += sum(counts)
        return tenths

    def _double(self) -> None:
        self.blocks = _larger(self.blocks, 1)
        self.doublings += 1


def _nothing() -> Counts:
    return [0, 0, 0]


def _add_up(counts: Counts, others: Counts) -> None:
    for outcome, number in enumerate(others):
        counts[outcome] += number


def _add_all(counts: defaultdict[int, Counts], others: Mapping[int, Counts]) -> None:
    for key, number in others.items():
        _add_up(counts[key], number)


def _larger(blocks: Mapping[int, Counts], doublings: int) -> defaultdict[int, Counts]:
    """The same samples in larger blocks."""
    larger: defaultdict[int, Counts] = defaultdict(_nothing)
    for block, counts in blocks.items():
        _add_up(larger[block >> doublings], counts)
    return larger
