"""How many refusals are alike, and how many are needed to end a run."""

from collections import Counter
from collections.abc import Iterable, Mapping

from lm_eval_so.runner.strategy.breaker.refusals import Kind

ENOUGH = 10
"""Different samples refused alike that end a run.

A dataset may begin with a handful of faulty or flagged samples, seldom with ten and no other. A
refused setting has then cost ten requests and those in flight, which are usually not billed.
"""
MOST_HELD = 2 * ENOUGH
"""Refusals that are held at once; so many that are not alike are the samples' own."""
ENOUGH_OF_FEW = 3
"""Where there are no more samples: fewer than this may all be faulty."""


def count_by_kind(refusals: Iterable[tuple[Kind, str]]) -> dict[Kind, int]:
    """How many there are; those that a sample can be the cause of count once a sample.

    Args:
        refusals: Each with the id of its sample.
    """
    samples: dict[Kind, set[str]] = {}
    requests: Counter[Kind] = Counter()
    for kind, sample_id in refusals:
        samples.setdefault(kind, set()).add(sample_id)
        requests[kind] += 1
    return {
        kind: requests[kind] if kind.of_the_setting else len(ids) for kind, ids in samples.items()
    }


def of_few(counts: Mapping[Kind, int]) -> Kind | None:
    """The kind to end the run for, where no more refusals will come; None to go on.

    A single refusal that no sample can cause is enough; of others there must be several, all alike.
    """
    commonest = max(counts, key=lambda kind: (kind.of_the_setting, counts[kind]))
    if commonest.of_the_setting:
        return commonest
    return commonest if len(counts) == 1 and counts[commonest] >= ENOUGH_OF_FEW else None
