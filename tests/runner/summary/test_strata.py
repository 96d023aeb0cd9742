from __future__ import annotations

import random
import sys
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.summary.strata import (
    ANSWERED,
    FAILED,
    MOST_BLOCKS,
    MOST_TAGS,
    TRUNCATED,
    Lengths,
    Places,
    Strata,
    Tags,
)


class Sample(NamedTuple):
    index: int
    tags: list[str]
    length: int
    outcome: int


def of(samples: list[Sample]) -> Strata:
    strata = Strata()
    for sample in samples:
        strata.add(*sample)
    return strata


def content(strata: Strata) -> object:
    places = strata.places
    return strata.tags.counts, strata.lengths.bins(), places.blocks, places.doublings


samples = st.lists(
    st.builds(
        Sample,
        st.integers(0, 5000),
        st.lists(st.sampled_from("abcde"), max_size=3),
        st.integers(0, 100_000),
        st.sampled_from([ANSWERED, TRUNCATED, FAILED]),
    ),
    max_size=30,
)


@given(samples, samples)
def test_two_add_up_to_the_one_of_all_samples(some: list[Sample], others: list[Sample]) -> None:
    merged, behind = of(some), of(others)
    before = content(of(others))
    merged.merge(behind)
    assert content(merged) == content(of(some + others))
    assert content(behind) == before, "the other is not changed"


def test_a_tag_that_a_sample_has_twice_counts_once() -> None:
    tags = Tags()
    tags.add(["ko", "ko", "math"], FAILED)
    tags.add(["ko"], ANSWERED)
    assert tags.counts == {"ko": [1, 0, 1], "math": [0, 0, 1]}


FEW = MOST_TAGS // 4


def tagged(numbers: list[int]) -> Tags:
    """Samples with one tag each; there is room for the tags of four different numbers."""
    tags = Tags()
    for number in numbers:
        for tag in range(FEW):
            tags.add([f"{number}-{tag}"], FAILED)
    return tags


def test_beyond_so_many_tags_the_first_are_counted_in_full() -> None:
    tags = tagged([*range(8), *range(8)])
    assert tags.counts == {f"{n}-{tag}": [0, 0, 2] for n in range(4) for tag in range(FEW)}


few_numbers = st.lists(st.integers(0, 7), max_size=10)


@given(few_numbers, few_numbers)
def test_a_merged_tag_is_counted_in_full_or_not_at_all(some: list[int], others: list[int]) -> None:
    merged, both = tagged(some), some + others
    merged.merge(tagged(others))
    for tag, counts in merged.counts.items():
        assert counts == [0, 0, both.count(int(tag.partition("-")[0]))]
    assert len(merged.counts) <= MOST_TAGS
    if len(set(both)) <= 4:
        assert len(merged.counts) == FEW * len(set(both))


@given(st.integers(0, 10**9))
def test_a_length_is_kept_to_one_percent(length: int) -> None:
    lengths = Lengths()
    lengths.add(length, ANSWERED)
    ((kept, counts),) = lengths.bins()
    assert counts == [1, 0, 0]
    assert length * 0.99 <= kept <= length
    assert length >= 256 or kept == length


@pytest.mark.parametrize("count", [10, 50, 1000, 20_000])
def test_tenths_are_tenths_of_the_dataset(count: int) -> None:
    places = Places()
    for index in range(count):
        places.add(index, FAILED if index < count // 10 else ANSWERED)
    tenths = places.tenths()
    block = 1 << places.doublings
    assert all(abs(sum(tenth) - count / 10) <= block for tenth in tenths)
    assert abs(tenths[0][FAILED] - count / 10) <= block
    assert block <= max(1, count / 500)


def test_tenths_are_of_the_samples_that_were_counted() -> None:
    places = Places()
    for index in range(5000, 15_000, 10):
        places.add(index, ANSWERED)
    assert [tenth[ANSWERED] for tenth in places.tenths()] == pytest.approx([100] * 10, abs=2)


def test_ten_thousand_tags_and_a_million_places_take_the_room_of_a_few_hundred() -> None:
    chance = random.Random(0)
    strata = Strata()
    for number in range(20_000):
        tags = [f"t{number % 10_000}", f"u{chance.randrange(10_000)}"]
        strata.add(50 * number, tags, int(chance.lognormvariate(7, 2)), chance.randrange(3))
    assert len(strata.tags.counts) == MOST_TAGS
    assert len(strata.places.blocks) <= MOST_BLOCKS
    assert len(strata.lengths.counts) < 3000
    assert size(strata) < 1_000_000


def size(strata: Strata) -> int:
    """Bytes, of all that it holds."""
    tables = (strata.tags.counts, strata.lengths.counts, strata.places.blocks)
    return sum(
        sys.getsizeof(table)
        + sum(sys.getsizeof(key) + sys.getsizeof(counts) for key, counts in table.items())
        for table in tables
    )
