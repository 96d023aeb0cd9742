"""Questions are numbered in the order in which they come."""

from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.report.questions import Questions

KEYS = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 20).map(lambda high: high << 40),  # all at one place of the table
)


@given(st.lists(st.lists(KEYS)))
def test_a_number_is_that_of_the_first_time(some: list[list[int]]) -> None:
    questions, expected = Questions(), dict[int, int]()
    for keys in some:
        numbers = [expected.setdefault(key, len(expected)) for key in keys]
        assert questions.numbers(keys).tolist() == numbers
    assert questions.keys.tolist() == [*expected]
    assert len(questions) == len(expected)


def test_a_table_that_has_grown_finds_what_it_had() -> None:
    questions, keys = (
        Questions(),
        [number * 0x9E3779B97F4A7C15 % (1 << 64) for number in range(9000)],
    )
    for first in range(0, len(keys), 7):
        questions.numbers(keys[first : first + 7])
    assert questions.numbers(keys).tolist() == [*range(len(keys))]
