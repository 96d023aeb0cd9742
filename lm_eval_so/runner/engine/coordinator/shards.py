"""Cuts what is owed of a dataset into ranges of positions."""

from collections.abc import Iterable, Iterator

from lm_eval_so.runner.store.parts.lease import Range

_SHARDS_A_WORKER = 20
_LEAST, _MOST = 50, 10_000
"""Samples. A smaller shard is more files than it is worth; a larger one is much to take over."""


def shard_size(samples: int, workers: int) -> int:
    """Samples of a shard, so that slow workers do not leave a long tail."""
    return min(max(samples // (max(workers, 1) * _SHARDS_A_WORKER), _LEAST), _MOST)


def owed(samples: int, size: int, sealed: Iterable[Range] = ()) -> Iterator[Range]:
    """What is not sealed, cut at the multiples of ``size``; in the order of the dataset.

    Args:
        samples: Of the dataset.
        size: Of a shard.
        sealed: Ranges that are finished; in any order, and they may overlap.
    """
    position = 0
    in_order = sorted(sealed, key=lambda each: each.first)
    for done in (*in_order, Range(samples, 0)):
        yield from _cut(position, min(done.first, samples), size)
        position = max(position, done.end)


def _cut(first: int, end: int, size: int) -> Iterator[Range]:
    while first < end:
        border = min(first - first % size + size, end)
        yield Range.between(first, border)
        first = border
