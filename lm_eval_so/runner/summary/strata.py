"""Samples counted by tag, by length and by place, with what became of them.

All of it adds up, and takes a bounded amount of memory.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Self, TypedDict

from lm_eval_so.runner.summary.counts import Number, packed, unpacked

Counts = list[int]
"""Numbers of samples by what became of them, which is one of the next three."""
ANSWERED, TRUNCATED, FAILED = range(3)

MOST_TAGS = 500
MOST_BLOCKS = 1024
TENTHS = 10
_EXACT_BITS = 8
"""Leading binary digits of a length that are kept: it is exact below 256, then to 0.8 percent."""


PackedCounts = tuple[list[int], list[int], list[int]]
"""Counts by number: all samples, those truncated, those that failed; each packed."""


class TagsState(TypedDict):
    """Tags as JSON data."""

    counts: dict[str, tuple[Number, Number, Number]]
    left_out: bool


class PlacesState(TypedDict):
    """Places as JSON data."""

    blocks: PackedCounts
    doublings: Number


class StrataState(TypedDict):
    """Strata as JSON data."""

    tags: TagsState
    lengths: PackedCounts
    places: PlacesState


class Strata:
    """The samples of one dataset, counted.

    Args:
        most: Tags that are counted: the first that come.
    """

    def __init__(self, most: float = MOST_TAGS) -> None:
        self.tags, self.lengths, self.places = Tags(most), Lengths(), Places()

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

    def state(self) -> StrataState:
        """The same as JSON data."""
        return {
            "tags": self.tags.state(),
            "lengths": self.lengths.state(),
            "places": self.places.state(),
        }

    @classmethod
    def of_state(cls, state: StrataState, most: float = MOST_TAGS) -> Self:
        """What `state` has given."""
        strata = cls()
        strata.tags = Tags.of_state(state["tags"], most)
        strata.lengths = Lengths.of_state(state["lengths"])
        strata.places = Places.of_state(state["places"])
        return strata


class Tags:
    """Samples by tag; a sample may have several.

    Args:
        most: Tags that are counted: the first that come.

    Attributes:
        counts: By tag. A tag is here with all of its samples or not at all, however these counts
            were merged.
        left_out: Whether there were more.
    """

    def __init__(self, most: float = MOST_TAGS) -> None:
        self._most = most
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

    def state(self) -> TagsState:
        """The same as JSON data."""
        counts = {
            tag: (answered, truncated, failed)
            for tag, (answered, truncated, failed) in self.counts.items()
        }
        return {"counts": counts, "left_out": self.left_out}

    @classmethod
    def of_state(cls, state: TagsState, most: float = MOST_TAGS) -> Self:
        """What `state` has given."""
        tags = cls(most)
        tags.counts = {tag: list(counts) for tag, counts in state["counts"].items()}
        tags.left_out = state["left_out"]
        return tags

    def _first_of(self, tag: str) -> Counts:
        """The counts of a new tag; they are kept nowhere if there is no room."""
        if self.left_out or len(self.counts) >= self._most:
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

    def state(self) -> PackedCounts:
        """The same as JSON data."""
        return _packed(self.counts)

    @classmethod
    def of_state(cls, state: PackedCounts) -> Self:
        """What `state` has given."""
        lengths = cls()
        lengths.counts = _unpacked(state)
        return lengths

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

    def state(self) -> PlacesState:
        """The same as JSON data."""
        return {"blocks": _packed(self.blocks), "doublings": self.doublings}

    @classmethod
    def of_state(cls, state: PlacesState) -> Self:
        """What `state` has given."""
        places = cls()
        places.blocks, places.doublings = _unpacked(state["blocks"]), state["doublings"]
        return places

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


def _packed(counts: Mapping[int, Counts]) -> PackedCounts:
    """That all of a number are often as many makes it short."""
    return (
        packed({number: sum(its) for number, its in counts.items()}),
        packed({number: its[TRUNCATED] for number, its in counts.items()}),
        packed({number: its[FAILED] for number, its in counts.items()}),
    )


def _unpacked(state: PackedCounts) -> defaultdict[int, Counts]:
    every, truncated, failed = map(unpacked, state)
    counts: defaultdict[int, Counts] = defaultdict(_nothing)
    for number, count in every.items():
        cut, missing = truncated[number], failed[number]
        counts[number] = [count - cut - missing, cut, missing]
    return counts
