from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.summary.histogram import Histogram

SHARES = {"p50": Fraction(50, 100), "p90": Fraction(90, 100), "p99": Fraction(99, 100)}
NUMBERS = st.floats(0, 1e6, allow_nan=False)


def of(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def naive(values: list[float], share: Fraction) -> float:
    """The smallest value with at least that share of all values at or below it."""
    return min(
        value
        for value in values
        if Fraction(sum(other <= value for other in values), len(values)) >= share
    )


@given(st.lists(NUMBERS, min_size=1, max_size=40))
def test_percentiles_are_nearest_rank_to_one_percent(values: list[float]) -> None:
    found = of(values).distribution()
    assert found is not None
    for name, share in SHARES.items():
        assert found[name] == pytest.approx(naive(values, share), rel=0.01)


@given(st.lists(NUMBERS, min_size=1, max_size=40))
def test_a_distribution_is_framed_by_its_extremes(values: list[float]) -> None:
    found = of(values).distribution()
    assert found is not None
    assert found["min"] == min(values)
    assert found["max"] == max(values)
    assert found["mean"] == pytest.approx(sum(values) / len(values), abs=1e-3)
    assert list(found) == ["min", "mean", "p50", "p90", "p99", "max"]
    assert found["min"] <= found["p50"] <= found["p90"] <= found["p99"] <= found["max"]


def test_percentiles_of_many_sizes_meet_the_rank() -> None:
    for size in range(1, 1500, 7):
        found = of([1.1**number for number in range(1, size % 150 + 2)]).distribution()
        assert found is not None
        ranks = [-(-(size % 150 + 1) * percent // 100) for percent in (50, 90, 99)]
        assert [found[name] for name in SHARES] == pytest.approx(
            [1.1**rank for rank in ranks], rel=0.01
        ), size


@pytest.mark.parametrize("value", [0.0, 0.001, 7.0, 86_400_000.0])
def test_values_that_are_all_the_same_come_back(value: float) -> None:
    assert of([value] * 100).distribution() == dict.fromkeys(
        ["min", "mean", "p50", "p90", "p99", "max"], value
    )


def test_of_nothing_there_is_no_distribution() -> None:
    assert of([]).distribution() is None


@given(st.lists(NUMBERS, max_size=30), st.lists(NUMBERS, max_size=30))
def test_two_add_up_to_the_one_of_all_values(some: list[float], others: list[float]) -> None:
    merged, whole = of(some), of(some + others)
    merged.merge(of(others))
    assert merged.buckets == whole.buckets
    found, expected = merged.distribution(), whole.distribution()
    assert found == (expected and pytest.approx(expected, abs=1e-3))


def test_many_values_take_the_room_of_some_hundred() -> None:
    chance = random.Random(0)
    histogram = of([chance.lognormvariate(5, 0.5) for _ in range(50_000)])
    assert len(histogram.buckets) < 1000
