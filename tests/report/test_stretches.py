"""Lines of rows are taken in stretches, as if they were taken one by one."""

from array import array
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.report.stretches import Stretches

COLUMN = array("I", range(100, 160))
PLACE = st.integers(0, len(COLUMN))
IN_ORDER = st.builds(lambda first, count: [*range(first, min(first + count, 60))], PLACE, PLACE)
OWED = st.builds(lambda count: [0] * count, PLACE)
PLACES = st.one_of(
    st.lists(PLACE),
    st.lists(st.one_of(IN_ORDER, OWED), max_size=6).map(lambda parts: [*chain(*parts)]),
)


def taken(stretches: Stretches, rows: range) -> list[int]:
    return stretches.taken(COLUMN, rows, 7).tolist()


@given(PLACES, PLACE, PLACE)
def test_each_row_gets_the_value_of_its_line(places: list[int], begin: int, count: int) -> None:
    stretches = Stretches(array("I", places))
    expected = [COLUMN[place - 1] if place else 7 for place in places]
    rows = range(len(places))
    assert taken(stretches, rows) == expected
    some = rows[begin : begin + count]
    assert taken(stretches, some) == expected[begin : begin + count]
    assert stretches.is_whole == (0 not in places)
    within = [
        (row + n, place and place + n)
        for row, place, rows in stretches.within(some)
        for n in range(rows)
    ]
    assert within == [*enumerate(places)][begin : begin + count]


@given(PLACES, PLACES, st.data())
def test_a_later_moment_is_that_moment(
    before: list[int], more: list[int], data: st.DataObject
) -> None:
    same = data.draw(st.integers(0, len(before)))
    after = array("I", before[:same] + more)
    stretches = Stretches(array("I", before))
    later = stretches.later(after, same)
    rows = range(len(after))
    assert taken(later, rows) == taken(Stretches(after), rows)
    assert later.is_whole == (0 not in after)
    assert taken(stretches, range(len(before))) == [COLUMN[p - 1] if p else 7 for p in before]


def test_lines_in_the_order_of_the_rows_are_one_stretch() -> None:
    places = array("I", range(1, 50_001))
    assert [*Stretches(places).within(range(50_000))] == [(0, 1, 50_000)]


def test_places_are_those_of_the_moment() -> None:
    for places in (array("I", range(1, 61)), array("I", [2, 1] * 30)):
        stretches = Stretches(places)
        before = taken(stretches, range(60))
        places[5] = 60
        assert taken(stretches, range(60)) == before
