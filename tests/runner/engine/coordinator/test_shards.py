from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.engine.coordinator.shards import owed, shard_size
from lm_eval_so.runner.store.parts.lease import Range


@pytest.mark.parametrize(
    ("samples", "workers", "size"),
    [
        pytest.param(20_000_000, 1000, 1000, id="a-twentieth-of-a-workers-part"),
        pytest.param(1000, 1000, 50, id="never-below-50"),
        pytest.param(100_000_000, 10, 10_000, id="never-above-10000"),
        pytest.param(0, 0, 50, id="nobody"),
    ],
)
def test_a_shard_is_a_twentieth_of_a_workers_part(samples: int, workers: int, size: int) -> None:
    assert shard_size(samples, workers) == size


RANGES = st.lists(st.tuples(st.integers(0, 90), st.integers(1, 30)), max_size=8)


@given(RANGES, st.integers(0, 100), st.integers(1, 40))
def test_owed_is_exactly_what_is_not_sealed(
    pairs: list[tuple[int, int]], samples: int, size: int
) -> None:
    sealed = [Range(first, count) for first, count in pairs]
    got = [n for each in owed(samples, size, sealed) for n in range(each.first, each.end)]
    covered = {n for each in sealed for n in range(each.first, each.end)}
    assert got == [n for n in range(samples) if n not in covered]


@given(RANGES, st.integers(1, 40))
def test_each_range_lies_within_one_shard(pairs: list[tuple[int, int]], size: int) -> None:
    sealed = [Range(first, count) for first, count in pairs]
    for each in owed(100, size, sealed):
        assert each.first < each.end
        assert each.first // size == (each.end - 1) // size
