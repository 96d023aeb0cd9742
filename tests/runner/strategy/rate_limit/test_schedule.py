from __future__ import annotations

import pytest

from lm_eval_so.runner.strategy.rate_limit.bucket import Bucket
from lm_eval_so.runner.strategy.rate_limit.schedule import Schedule, ScheduleState

ONE = {"requests": 1.0, "tokens": 0.0}


def test_a_plan_spaces_starts_evenly_and_ends_with_its_span() -> None:
    schedule = Schedule()
    slots = schedule.plan([ONE] * 9, 0.125, now=5.0, span=0.375)
    assert [slot.start for slot in slots] == [5.0, 5.125, 5.25]
    assert schedule.ready(ONE) == 5.375


@pytest.mark.parametrize("wanted", [1, 3], ids=str)
def test_a_plan_holds_no_more_than_what_is_wanted(wanted: int) -> None:
    assert len(Schedule().plan([ONE] * wanted, 0.01, now=0.0, span=9.0)) == wanted


def test_a_plan_holds_one_start_however_short_its_span() -> None:
    assert len(Schedule().plan([ONE] * 9, 60.0, now=0.0, span=0.1)) == 1


def test_starts_can_be_taken_of_a_bucket_before_it_holds_them() -> None:
    schedule = Schedule()
    schedule.buckets["requests"] = Bucket(10, 0)
    slots = schedule.plan([ONE] * 12, 0.0, now=0.0, span=9.0)
    expected = [0.0] * 8 + [0.1, 0.2, 0.3, 0.4]
    assert [slot.start for slot in slots] == pytest.approx(expected)
    assert schedule.ready(ONE) == pytest.approx(0.5), "for another process, whose time is still 0"


def test_the_tightest_of_all_limits_decides() -> None:
    schedule = Schedule()
    schedule.buckets["requests"] = Bucket(100, 0)
    schedule.buckets["tokens"] = Bucket(10, 0)
    wanted = [{"requests": 1.0, "tokens": 5.0}] * 4
    slots = schedule.plan(wanted, 0.25, now=0.0, span=9.0)
    assert [slot.start for slot in slots] == pytest.approx([0.0, 0.25, 0.7, 1.2])


def test_nothing_starts_within_a_pause() -> None:
    schedule = Schedule()
    schedule.paused_until = 7.0
    assert schedule.plan([ONE], 0.0, now=5.0, span=1.0)[0].start == 7.0


def test_the_end_of_a_schedule_can_be_given_back() -> None:
    schedule = Schedule()
    slots = schedule.plan([ONE] * 4, 0.1, now=1.0, span=9.0)
    schedule.give_back(slots[1:])
    assert schedule.ready(ONE) == pytest.approx(1.1)


def test_what_others_have_followed_on_is_not_given_back() -> None:
    schedule = Schedule()
    slots = schedule.plan([ONE] * 4, 0.1, now=1.0, span=9.0)
    schedule.plan([ONE], 0.1, now=1.0, span=9.0)
    schedule.give_back(slots)
    assert schedule.ready(ONE) == pytest.approx(1.5)


def test_units_of_a_bucket_are_given_back_whoever_has_followed() -> None:
    schedule = Schedule()
    schedule.buckets["tokens"] = Bucket(100, 0)
    forty = {"requests": 1.0, "tokens": 40.0}
    first, _second = schedule.plan([forty] * 2, 0.0, now=0.0, span=9.0)
    assert schedule.ready(forty) == pytest.approx(0.4)
    schedule.give_back([first])
    assert schedule.ready(forty) == 0


def test_giving_back_nothing_changes_nothing() -> None:
    schedule = Schedule()
    schedule.give_back([])
    assert schedule.ready(ONE) == 0


def test_another_process_goes_on_with_exactly_the_same_schedule() -> None:
    schedule = Schedule()
    schedule.buckets["tokens"] = Bucket(100, 0, learned=True)
    schedule.plan([{"requests": 1.0, "tokens": 33.3}] * 4, 0.1, now=1e9 / 3, span=9.0)
    text = schedule.state().model_dump_json()
    other = Schedule.of_state(ScheduleState.model_validate_json(text))
    assert other.state() == schedule.state()
    assert other.next_start == schedule.next_start, "to the last bit, or nothing is given back"
