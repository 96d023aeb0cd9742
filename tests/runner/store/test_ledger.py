from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.store.ledger import Ledger
from lm_eval_so.runner.store.stored_line import LinePlace, StoredLine, mark_of


def stored(offset: int, sample_id: str, key: str = "k", *, ok: bool = True) -> StoredLine:
    return StoredLine(offset, sample_id, key, ok)


def offsets(ledger: Ledger) -> list[int]:
    return [place.offset for place in ledger.places()]


def leftovers(ledger: Ledger) -> list[int]:
    return [place.offset for place in ledger.leftovers()]


def test_nothing_stored_is_all_owed() -> None:
    ledger = Ledger([], 3)
    assert [ledger.find(n, f"s{n}", "k") for n in range(3)] == [None] * 3
    assert offsets(ledger) == []


def test_an_answer_settles_its_sample() -> None:
    ledger = Ledger([stored(0, "a"), stored(100, "b")], 2)
    assert ledger.find(0, "b", "k") == 100
    assert ledger.find(1, "a", "k") == 0
    assert offsets(ledger) == [100, 0]
    assert leftovers(ledger) == []


def test_another_question_of_the_same_sample_is_owed() -> None:
    ledger = Ledger([stored(0, "a", "old")], 1)
    assert ledger.find(0, "a", "new") is None
    assert offsets(ledger) == []
    assert leftovers(ledger) == [0], "in case it is asked again"


def test_the_same_question_of_another_sample_is_owed() -> None:
    assert Ledger([stored(0, "a")], 1).find(0, "b", "k") is None


def test_a_failure_is_tried_again_and_kept_until_there_is_something_newer() -> None:
    ledger = Ledger([stored(50, "a", ok=False)], 1)
    assert ledger.find(0, "a", "k") is None
    assert offsets(ledger) == [50]
    ledger.add(0, stored(90, "a"))
    assert offsets(ledger) == [90]
    assert leftovers(ledger) == []


def test_a_failure_of_another_question_is_no_leftover() -> None:
    ledger = Ledger([stored(50, "a", "old", ok=False)], 1)
    assert ledger.find(0, "a", "new") is None
    assert leftovers(ledger) == []


def test_of_two_answers_to_one_question_the_later_is_taken() -> None:
    ledger = Ledger([stored(0, "a"), stored(70, "a")], 1)
    assert ledger.find(0, "a", "k") == 70


def test_a_later_answer_takes_the_place_of_a_failure() -> None:
    ledger = Ledger([stored(0, "a", ok=False), stored(70, "a")], 1)
    assert ledger.find(0, "a", "k") == 70


def test_a_later_failure_does_not_take_the_place_of_an_answer() -> None:
    ledger = Ledger([stored(0, "a"), stored(70, "a", ok=False)], 1)
    assert ledger.find(0, "a", "k") == 0


LINES = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("xy")), max_size=12, unique=True
).flatmap(
    lambda pairs: st.tuples(
        st.just(pairs), st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs))
    )
)


@given(LINES, st.permutations("abcdef"), st.data())
def test_owed_is_wanted_minus_kept(
    lines: tuple[list[tuple[str, str]], list[bool]], wanted: list[str], data: st.DataObject
) -> None:
    kept = {pair: (place * 10, ok) for place, (pair, ok) in enumerate(zip(*lines, strict=True))}
    ledger = Ledger((StoredLine(at, *pair, ok) for pair, (at, ok) in kept.items()), len(wanted))
    end = 1000
    expected: list[int] = []
    for index, sample_id in enumerate(wanted):
        key = data.draw(st.sampled_from("xyz"))
        at, ok = kept.get((sample_id, key), (None, False))
        assert ledger.find(index, sample_id, key) == (at if ok else None)
        if not ok and data.draw(st.booleans()):
            end += 10
            at = end
            ledger.add(index, stored(end, sample_id, key))
        if at is not None:
            expected.append(at)
    assert offsets(ledger) == expected
    left = set(leftovers(ledger))
    answers = {at for at, ok in kept.values() if ok}
    assert left == answers - set(expected)


def test_the_place_of_a_sample_tells_its_question() -> None:
    ledger = Ledger([stored(0, "a"), stored(70, "b", ok=False)], 3)
    ledger.find(0, "b", "k")
    ledger.find(1, "a", "k")
    ledger.add(2, stored(90, "c"))
    assert list(ledger.places()) == [
        LinePlace(70, mark_of("b", "k")),
        LinePlace(0, mark_of("a", "k")),
        LinePlace(90, mark_of("c", "k")),
    ]


@pytest.mark.parametrize("resumed", [True, False], ids=["resumed", "new"])
def test_a_hundred_thousand_samples_take_a_few_machine_words_each(*, resumed: bool) -> None:
    count = 100_000
    lines = [stored(n * 10, str(n)) for n in range(count)]
    ledger = Ledger(lines if resumed else [], count)
    for n, line in enumerate(lines):
        assert ledger.find(n, str(n), "k") == (n * 10 if resumed else None)
        if not resumed:
            ledger.add(n, line)
    assert offsets(ledger) == list(range(0, count * 10, 10))
    kept = [ledger._samples, ledger._lines._hashes, ledger._lines._values, ledger._lines._slots]
    assert sum(array.itemsize * len(array) for array in kept) <= 32 * count


@pytest.mark.parametrize(
    ("oks", "expected"),
    [([], False), ([False, False], False), ([True], True), ([False, True, False], True)],
    ids=str,
)
def test_it_is_known_from_the_start_whether_there_are_answers(
    oks: list[bool], *, expected: bool
) -> None:
    lines = [stored(n, f"s{n}", ok=ok) for n, ok in enumerate(oks)]
    assert Ledger(lines, len(oks)).has_answers is expected
