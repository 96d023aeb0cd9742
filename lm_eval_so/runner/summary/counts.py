"""Counts and sums that add up exactly, in whatever order, and their shortest JSON data."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated

from msgspec import Meta

Number = Annotated[int, Meta(ge=0)]
"""How often something came."""
Counted = dict[str, Number]
"""A Counter of words as JSON data; the order is the order in which they came."""
Parts = Annotated[str, Meta(pattern=r"^-?[0-9]{1,400}$")]
"""A sum in units of 1e-12 as JSON data: as text, since it is soon above 64 bits."""

_PARTS = 10**12
_MOST_EXACT = 1e6  # from here on the whole part is taken by itself: the product has to be finite


def in_parts(value: float) -> int:
    """A value in units of 1e-12. Sums of floats would depend on the order of their terms."""
    if abs(value) < _MOST_EXACT:
        return round(value * _PARTS)
    return int(value) * _PARTS + round(math.modf(value)[0] * _PARTS)


def from_parts(parts: int, among: int = 1) -> float:
    """The value of a sum of such units, or its share of one among several."""
    try:
        return parts / (_PARTS * among)
    except OverflowError:
        return math.inf


def packed(counts: Mapping[int, int]) -> list[int]:
    """Counts by number: the smallest number, then the counts of this one and of those that follow.

    Below 0 is how often the count before is repeated: ``[5, 2, 0, -3, 1]`` is 2 of 5 and 1 of 10.
    """
    numbers = sorted(number for number, count in counts.items() if count)
    runs = [
        (count, sum(times for _, times in same))
        for count, same in groupby(_runs(numbers, counts), key=lambda run: run[0])
    ]
    repeated = ([count, 1 - times] if times > 1 else [count] for count, times in runs)
    return [*numbers[:1], *(number for run in repeated for number in run)]


def unpacked(numbers: Sequence[int]) -> Counter[int]:
    """The counts that `packed` has packed."""
    counts: Counter[int] = Counter()
    at, last = (numbers[0] if numbers else 0), 0
    for number in numbers[1:]:
        times = 1 if number >= 0 else -number
        last = number if number >= 0 else last
        if last:
            for place in range(at, at + times):
                counts[place] = last
        at += times
    return counts


def _runs(numbers: Sequence[int], counts: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """Each count, and how many numbers in a row have it; 0 of those between."""
    for before, number in zip([None, *numbers], numbers, strict=False):
        if before is not None and number > before + 1:
            yield 0, number - before - 1
        yield counts[number], 1
