"""Whether groups differ by more than chance: tests on counts, in plain Python.

Importing scipy would take longer than a small run.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

_TIE = 1e-7
"""Tables whose probabilities differ by less than this share are equally likely, as in R."""
_NEGLIGIBLE = 1e-15


def fisher_exact(hits: int, group: int, all_hits: int, total: int) -> float:
    """Two-sided p of Fisher's exact test (Fisher 1922, J. R. Stat. Soc. 85, 87-94).

    The probability, with the sums fixed, of all tables that are no likelier than this one.

    Args:
        hits: Hits in the group.
        group: Size of the group.
        all_hits: Hits in the group and outside.
        total: Size of the group and of what is outside.
    """
    misses = total - all_hits
    least, most = max(0, group - misses), min(group, all_hits)
    mode = (group + 1) * (all_hits + 1) // (total + 2)
    all_ways = _log_ways(total, group)

    def log_likelihood(hits: int) -> float:
        return _log_ways(all_hits, hits) + _log_ways(misses, group - hits) - all_ways

    # It rises up to the mode and falls from there, so each tail is found by bisection.
    bound = log_likelihood(hits) + _TIE
    rising, falling = range(least, mode + 1), range(mode, most + 1)
    low = rising[: bisect_right(rising, bound, key=log_likelihood)]
    high = falling[bisect_left(falling, -bound, key=lambda hits: -log_likelihood(hits)) :]
    tails = _sum_of(map(log_likelihood, reversed(low))) + _sum_of(map(log_likelihood, high))
    return min(1.0, tails)


def rank_sum(bins: Sequence[tuple[int, int]]) -> float:
    """Two-sided p of the Wilcoxon rank-sum test, for values that are counted in bins.

    Mann and Whitney (1947, Ann. Math. Stat. 18, 50-60): by the normal approximation, with the
    variance corrected for ties (Lehmann 1975, Nonparametrics, section 1.4). The correction for
    continuity is half the step between two sums of ranks, which is long if there are few values.

    Args:
        bins: For each value, from the smallest: how often it is in the one group, and in the other.
    """
    one = sum(first for first, _ in bins)
    total = one + sum(second for _, second in bins)
    ranks, sum_of_ranks, cubes = [], 0, 0  # ranks are doubled, which makes them whole
    before = 0
    for first, second in bins:
        tied = first + second
        rank = 2 * before + tied + 1
        if tied:
            ranks.append(rank)
        sum_of_ranks += first * rank
        cubes += tied**3 - tied
        before += tied
    variance = one * (total - one) / 12 * (total + 1 - cubes / (total * (total - 1)))
    if variance <= 0:  # all values are equal
        return 1.0
    step = math.gcd(*(rank - ranks[0] for rank in ranks))
    distance = max(0.0, abs(sum_of_ranks - one * (total + 1)) - step / 2) / 2
    return math.erfc(distance / math.sqrt(2 * variance))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values, corrected for their number (Holm 1979, Scand. J. Stat. 6, 65-70).

    If all that are below 0.05 are believed, one or more of them is wrong in at most 5 of 100 cases.
    """
    corrected = [1.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _log_ways(things: int, chosen: int) -> float:
    """Logarithm of the binomial coefficient."""
    return math.lgamma(things + 1) - math.lgamma(chosen + 1) - math.lgamma(things - chosen + 1)


def _sum_of(logarithms: Iterable[float]) -> float:
    """The sum of terms that shrink faster and faster, given by their logarithms."""
    total = 0.0
    for logarithm in logarithms:
        term = math.exp(logarithm)
        total += term
        if term <= total * _NEGLIGIBLE:
            break
    return total
