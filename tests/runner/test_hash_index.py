from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.hash_index import HashIndex

KEYS = st.text(max_size=4) | st.tuples(st.text(max_size=3), st.text(max_size=3))
VALUES = st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=200), st.lists(KEYS, max_size=20))
def test_it_holds_what_a_dict_holds(
    pairs: list[tuple[str | tuple[str, str], int]], others: list[str | tuple[str, str]]
) -> None:
    compact, plain = HashIndex(), dict[str | tuple[str, str], int]()
    for key, value in pairs:
        compact[key] = value
        plain[key] = value
        assert compact.get(key) == value
        assert len(compact) == len(plain)
    for key in [*plain, *others]:
        assert compact.get(key) == plain.get(key)
    assert sorted(compact.values()) == sorted(plain.values())


def test_an_empty_map_holds_nothing() -> None:
    compact = HashIndex()
    assert len(compact) == 0
    assert compact.get("x") is None
    assert list(compact.values()) == []


@pytest.mark.parametrize("value", [0, 1, 2**63, 2**64 - 1])
def test_every_value_of_64_bits_comes_back(value: int) -> None:
    compact = HashIndex()
    compact["key"] = value
    assert compact.get("key") == value
    assert list(compact.values()) == [value]


@pytest.mark.parametrize("value", [-1, 2**64])
def test_a_value_beyond_64_bits_is_refused_and_spoils_nothing(value: int) -> None:
    compact = HashIndex()
    compact["a"] = 1
    with pytest.raises(OverflowError):
        compact["b"] = value
    assert compact.get("a") == 1
    assert compact.get("b") is None
    assert len(compact) == 1


def test_it_grows_without_losing_anything() -> None:
    compact = HashIndex()
    count = 50_000
    for number in range(count):
        compact[f"s{number}", "key"] = number
    assert len(compact) == count
    assert all(compact.get((f"s{number}", "key")) == number for number in range(count))
    assert compact.get(("s50000", "key")) is None
    assert sorted(compact.values()) == list(range(count))


def test_an_entry_takes_16_bytes_and_its_slots_4_of_which_two_of_three_are_used() -> None:
    compact = HashIndex()
    for number in range(100_000):
        compact[str(number)] = number
        assert len(compact) <= len(compact._slots) * 2 / 3 + 1
    arrays = (compact._hashes, compact._values, compact._slots)
    assert sum(array.itemsize * len(array) for array in arrays) <= 100_000 * (16 + 3 * 4)


def test_entries_keep_the_order_and_the_number_they_came_with() -> None:
    compact = HashIndex()
    numbers = [compact.put(key, value) for value, key in enumerate("banana")]
    assert numbers == [0, 1, 2, 1, 2, 1]
    assert list(compact.values()) == [0, 5, 4]
    assert [compact.entry(number) for number in range(3)] == list(compact.entries())
    assert [compact.find(key) for key in "banx"] == [0, 1, 2, None]
    assert [compact.setdefault(key, 9) for key in "nxbx"] == [4, 9, 0, 9]
    compact.change(1, 7)
    assert compact.get("a") == 7


def test_a_value_can_be_replaced_again_and_again() -> None:
    compact, chance = HashIndex(), random.Random(0)
    plain = {}
    for value in range(20_000):
        key = f"s{chance.randrange(500)}"
        compact[key] = plain[key] = value
    assert len(compact) == 500
    assert {key: compact.get(key) for key in plain} == plain


class Crowded:
    """A key whose hash many share the low bits of."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number << 40

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Crowded) and other.number == self.number


def test_keys_that_crowd_together_are_told_apart() -> None:
    compact = HashIndex()
    keys = [Crowded(number) for number in range(1, 3000)]
    for number, key in enumerate(keys):
        compact[key] = number
    assert [compact.get(key) for key in keys] == list(range(len(keys)))
    assert compact.get(Crowded(5000)) is None


def test_a_key_whose_hash_is_nothing_is_kept() -> None:
    compact = HashIndex()
    assert hash("") == 0
    compact[""] = 7
    assert compact.get("") == 7
    assert len(compact) == 1
