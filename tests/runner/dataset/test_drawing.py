"""A random sample: by ids and seed alone, nested, and shared among strata."""

from __future__ import annotations

import random
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.dataset.drawing import Draw, shares

IDS = [f"s{number}" for number in range(300)]
SIZES = st.dictionaries(st.text(max_size=3), st.integers(1, 60), min_size=1, max_size=9)


def drawn(
    ids: list[str], count: int, seed: int = 0, strata: dict[str, str] | None = None
) -> set[str]:
    draw = Draw(seed)
    for position, sample_id in enumerate(ids):
        draw.add(position, sample_id, (strata or {}).get(sample_id, ""))
    return {ids[position] for position in draw.drawn(count)}


@given(SIZES, st.data())
def test_each_stratum_gets_its_exact_share_rounded_down_or_up(
    sizes: dict[str, int], data: st.DataObject
) -> None:
    total = sum(sizes.values())
    count = data.draw(st.integers(0, total))
    given_out = shares(sizes, count)
    assert sum(given_out.values()) == count
    for name, size in sizes.items():
        exact = Fraction(count * size, total)
        assert floor(exact) <= given_out[name] <= ceil(exact)


@given(SIZES)
def test_no_stratum_loses_when_the_sample_grows_by_one(sizes: dict[str, int]) -> None:
    """The largest remainder would let one lose: Alabama's paradox."""
    before = shares(sizes, 0)
    for count in range(1, sum(sizes.values()) + 1):
        now = shares(sizes, count)
        assert sum(now[name] - before[name] for name in sizes) == 1
        assert all(now[name] >= before[name] for name in sizes)
        before = now


def test_the_order_of_the_strata_changes_no_share() -> None:
    sizes = {"a": 7, "b": 7, "c": 7, "d": 2}
    turned = dict(reversed(sizes.items()))
    assert all(shares(sizes, count) == shares(turned, count) for count in range(24))


@pytest.mark.parametrize("stratified", [False, True])
def test_the_order_of_the_dataset_changes_no_draw(stratified: bool) -> None:  # noqa: FBT001
    strata = {each: each[-1] for each in IDS} if stratified else {}
    shuffled = random.Random(1).sample(IDS, len(IDS))
    assert drawn(IDS, 40, strata=strata) == drawn(shuffled, 40, strata=strata)


@pytest.mark.parametrize("stratified", [False, True])
def test_a_larger_draw_contains_the_smaller_one(stratified: bool) -> None:  # noqa: FBT001
    strata = {each: each[1] for each in IDS} if stratified else {}
    smaller: set[str] = set()
    for count in range(1, len(IDS) + 1):
        larger = drawn(IDS, count, strata=strata)
        assert len(larger) == count
        assert smaller <= larger
        smaller = larger


def test_a_sample_that_is_added_displaces_at_most_one_other() -> None:
    before = drawn(IDS, 40)
    for number in range(50):
        after = drawn([*IDS, f"new{number}"], 40)
        assert len(before - after) <= 1


def test_another_seed_draws_others() -> None:
    assert len({frozenset(drawn(IDS, 40, seed)) for seed in range(20)}) == 20


def test_each_sample_is_drawn_as_often_as_any_other() -> None:
    """800 draws of 30 of 300: 80 expected of each, 8.5 the standard deviation."""
    times = dict.fromkeys(IDS, 0)
    for seed in range(800):
        for sample_id in drawn(IDS, 30, seed):
            times[sample_id] += 1
    assert min(times.values()) > 40
    assert max(times.values()) < 120


def test_a_draw_of_more_than_there_are_is_all_of_them() -> None:
    assert drawn(IDS, 1000) == set(IDS)
