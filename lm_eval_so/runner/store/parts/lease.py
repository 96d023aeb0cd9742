"""A range of the dataset in the hands of one writer."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Range:
    """Positions of samples in the dataset: ``count`` of them, from ``first`` on."""

    first: int
    count: int

    @classmethod
    def between(cls, first: int, end: int) -> "Range":
        """The positions from ``first`` up to, and without, ``end``."""
        return cls(first, end - first)

    @property
    def end(self) -> int:
        """The position behind the last."""
        return self.first + self.count

    def meets(self, other: "Range") -> bool:
        """Whether a position is in both."""
        return self.first < other.end and other.first < self.end


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to ask and write a range.

    Attributes:
        epoch: Grows with every lease of a run directory, over all its coordinators, so that no two
            write to one file.
    """

    first: int
    count: int
    epoch: int

    @property
    def end(self) -> int:
        """The position behind its last sample."""
        return self.first + self.count

    @property
    def range(self) -> Range:
        """What it covers."""
        return Range(self.first, self.count)


class Asked(NamedTuple):
    """What a selection asks of a range.

    Attributes:
        questions: So many; each repeat is one.
        digest: Of the selection within the range; None if all is asked.
    """

    questions: int
    digest: str | None
