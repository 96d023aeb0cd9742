"""A random sample that depends on the ids and the seed alone, and that grows by adding to it."""

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from heapq import heapify, heappop, heappush


class Draw:
    """Draws of the samples that it was given those with the smallest hashes of seed and id.

    So neither the order of the dataset nor a sample that was not drawn changes the others, and a
    larger draw contains the smaller one. Takes 16 bytes a sample.

    Args:
        seed: Another seed draws others.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._strata: dict[str, tuple[array[int], array[int]]] = {}  # positions and hashes

    def __len__(self) -> int:
        return sum(len(positions) for positions, _ in self._strata.values())

    def add(self, position: int, sample_id: str, stratum: str = "") -> None:
        """Adds a sample, at a position in the dataset."""
        if stratum not in self._strata:
            self._strata[stratum] = array("Q"), array("Q")
        positions, hashes = self._strata[stratum]
        positions.append(position)
        digest = hashlib.sha256(f"sample {self._seed} {sample_id}".encode()).digest()
        hashes.append(int.from_bytes(digest[:8]))

    def drawn(self, count: int) -> Iterator[int]:
        """The positions of ``count`` samples, shared among the strata by their sizes."""
        sizes = {name: len(positions) for name, (positions, _) in self._strata.items()}
        for name, share in shares(sizes, min(count, len(self))).items():
            positions, hashes = self._strata[name]
            if share:
                limit = _kth_smallest(hashes, share)
                pairs = zip(positions, hashes, strict=True)
                yield from (position for position, code in pairs if code <= limit)


def shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """How many of ``count`` each stratum gets: its exact share, rounded down or up.

    Unlike the method of the largest remainder, which gives the same guarantee, no stratum gets
    fewer of a larger count. It is the schedule of Tijdeman's chairman assignment problem: place
    ``n`` belongs to a stratum whose next one is due, the one with the earliest deadline.
    """
    total = sum(sizes.values())
    given = dict.fromkeys(sizes, 0)
    if count == total:
        return dict(sizes)
    later: list[tuple[int, str]] = []  # by the first place that the next one may take
    due = [(-(-total // size), name) for name, size in sizes.items()]  # by its last place
    heapify(due)
    for place in range(count):
        while later and later[0][0] <= place:
            _, name = heappop(later)
            heappush(due, (-(-(given[name] + 1) * total // sizes[name]), name))
        _, name = heappop(due)
        given[name] += 1
        if given[name] < sizes[name]:
            heappush(later, (given[name] * total // sizes[name], name))
    return given


def _kth_smallest(values: "array[int]", k: int) -> int:
    """The k-th smallest of 64-bit numbers, ``k`` from 1; sorts one of 256 parts of them only."""
    counts = [0] * 256
    for value in values:
        counts[value >> 56] += 1
    part = 0
    while counts[part] < k:
        k -= counts[part]
        part += 1
    return sorted(value for value in values if value >> 56 == part)[k - 1]
