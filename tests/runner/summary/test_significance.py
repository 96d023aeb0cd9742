from __future__ import annotations

import math
import random
from collections import Counter
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.summary.significance import fisher_exact, holm, rank_sum


def enumerated(hits: int, group: int, all_hits: int, total: int) -> Fraction:
    """All tables with these sums that are no likelier than this one, in exact fractions."""
    least, most = max(0, group + all_hits - total), min(group, all_hits)
    ways = {
        k: math.comb(all_hits, k) * math.comb(total - all_hits, group - k)
        for k in range(least, most + 1)
    }
    return Fraction(sum(n for n in ways.values() if n <= ways[hits]), math.comb(total, group))


@st.composite
def tables(draw: st.DrawFn, largest: int = 60) -> tuple[int, int, int, int]:
    total = draw(st.integers(1, largest))
    group, all_hits = draw(st.integers(0, total)), draw(st.integers(0, total))
    hits = draw(st.integers(max(0, group + all_hits - total), min(group, all_hits)))
    return hits, group, all_hits, total


@given(tables())
def test_fishers_p_is_that_of_an_exact_enumeration(table: tuple[int, int, int, int]) -> None:
    assert fisher_exact(*table) == pytest.approx(float(enumerated(*table)), rel=1e-9)


@pytest.mark.parametrize(
    ("table", "p"),
    [
        pytest.param((3, 4, 4, 8), 17 / 35, id="the-lady-tasting-tea"),
        pytest.param((2, 12, 17, 30), 0.0005367, id="fishers-convicts"),
    ],
)
def test_fishers_own_examples_come_out(table: tuple[int, int, int, int], p: float) -> None:
    assert fisher_exact(*table) == pytest.approx(p, rel=1e-3)


@pytest.mark.parametrize(
    "table",
    [(31, 120, 49, 550), (280, 2000, 400, 4000), (30, 300, 900, 9000), (0, 4000, 60, 8000)],
    ids=str,
)
def test_fishers_p_is_exact_in_tables_of_thousands(table: tuple[int, int, int, int]) -> None:
    assert fisher_exact(*table) == pytest.approx(float(enumerated(*table)), rel=1e-6)


@given(tables(largest=2000))
def test_it_makes_no_difference_which_group_is_looked_at(table: tuple[int, int, int, int]) -> None:
    hits, group, all_hits, total = table
    other_group = all_hits - hits, total - group, all_hits, total
    assert fisher_exact(*table) == pytest.approx(fisher_exact(*other_group), rel=1e-6)
    misses = group - hits, group, total - all_hits, total
    assert fisher_exact(*table) == pytest.approx(fisher_exact(*misses), rel=1e-6)


def test_a_table_of_millions_that_is_far_from_chance_has_a_p_of_nothing() -> None:
    assert fisher_exact(300_000, 500_000, 400_000, 2_000_000) == 0
    assert fisher_exact(100_000, 500_000, 400_000, 2_000_000) == 1


def rank_sums(bins: list[int], chosen: int) -> dict[int, int]:
    """In how many ways a choice of so many values has which sum of ranks, twice over."""
    ways: Counter[tuple[int, int]] = Counter({(0, 0): 1})
    for before, tied in zip(accumulate(bins, initial=0), bins, strict=False):
        more: Counter[tuple[int, int]] = Counter()
        for (taken, ranks), number in ways.items():
            for k in range(min(tied, chosen - taken) + 1):
                place = taken + k, ranks + k * (2 * before + tied + 1)
                more[place] += number * math.comb(tied, k)
        ways = more
    return {ranks: number for (taken, ranks), number in ways.items() if taken == chosen}


def one_choice(bins: list[int], chosen: int, chance: random.Random) -> list[tuple[int, int]]:
    """Values of these bins, so many of them chosen by chance, rather from the later bins."""
    values = [place for place, tied in enumerate(bins) for _ in range(tied)]
    values.sort(key=lambda place: chance.gauss(place / len(bins), 0.7))
    of_one, all_of_them = Counter(values[-chosen:]), Counter(values)
    return [(of_one[place], all_of_them[place] - of_one[place]) for place in range(len(bins))]


def doubled_rank_sum(bins: list[tuple[int, int]]) -> int:
    before = ranks = 0
    for first, second in bins:
        ranks += first * (2 * before + first + second + 1)
        before += first + second
    return ranks


SHAPES = [
    pytest.param([1] * 50, 10, id="no-ties"),
    pytest.param([1] * 50, 40, id="most-are-missing"),
    pytest.param([6] * 10, 10, id="even-ties"),
    pytest.param([25, 10, 10, 5, 3, 2], 12, id="many-short-ones"),
    pytest.param([1] * 30 + [30], 15, id="half-at-the-end"),
    pytest.param([30, 30], 20, id="two-values"),
]


@pytest.mark.parametrize(("bins", "chosen"), SHAPES)
def test_the_normal_approximation_is_near_the_exact_distribution(
    bins: list[int], chosen: int
) -> None:
    exact = rank_sums(bins, chosen)
    total, middle = sum(exact.values()), chosen * (sum(bins) + 1)
    chance = random.Random(0)
    for _ in range(40):
        choice = one_choice(bins, chosen, chance)
        distance = abs(doubled_rank_sum(choice) - middle)
        p = sum(n for ranks, n in exact.items() if abs(ranks - middle) >= distance) / total
        assert rank_sum(choice) == pytest.approx(p, abs=0.015, rel=0.1)


@pytest.mark.parametrize(("bins", "chosen"), SHAPES)
def test_a_permutation_test_agrees(bins: list[int], chosen: int) -> None:
    chance = random.Random(1)
    values = [
        2 * before + tied + 1
        for before, tied in zip(accumulate(bins, initial=0), bins, strict=False)
        for _ in range(tied)
    ]
    middle, shuffles = chosen * (sum(bins) + 1), 4000
    draws = [abs(sum(chance.sample(values, chosen)) - middle) for _ in range(shuffles)]
    for _ in range(20):
        choice = one_choice(bins, chosen, chance)
        p = sum(draw >= abs(doubled_rank_sum(choice) - middle) for draw in draws) / shuffles
        four_sigma = 4 * math.sqrt(max(p, 1 / shuffles) * (1 - p) / shuffles)
        assert abs(rank_sum(choice) - p) < 0.015 + four_sigma


@pytest.mark.parametrize("bins", [[(3, 3)], [(10, 40)], [(5, 0), (0, 0)]], ids=str)
def test_equal_values_are_no_evidence(bins: list[tuple[int, int]]) -> None:
    assert rank_sum(bins) == 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=20))
def test_neither_the_direction_nor_the_side_makes_a_difference(bins: list[tuple[int, int]]) -> None:
    both = [(1, 1), *bins]
    p = rank_sum(both)
    assert 0 <= p <= 1
    assert rank_sum(both[::-1]) == pytest.approx(p)
    assert rank_sum([(second, first) for first, second in both]) == pytest.approx(p)


def test_holm_multiplies_the_smallest_by_all_and_the_next_by_one_less() -> None:
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, 0.001, 0.9]) == pytest.approx([1.0, 0.003, 1.0])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_corrected_p_values_are_larger_and_keep_their_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(p <= more <= 1 for p, more in zip(p_values, corrected, strict=True))
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [corrected[place] for place in order] == sorted(corrected)
