from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.strategy.rate_limit.bucket import Bucket


def wait(bucket: Bucket, now: float, amount: float) -> float:
    """Seconds until the amount may start."""
    return max(0.0, bucket.ready(amount) - now)


def starts(bucket: Bucket, amounts: list[float]) -> list[float]:
    """When each of the amounts starts, if all are there at 0."""
    now, found = 0.0, []
    for amount in amounts:
        now += wait(bucket, now, amount)
        bucket.take(now, amount)
        found.append(now)
    return found


@given(
    st.floats(0.1, 1000),
    st.lists(st.floats(0.1, 5000), min_size=1, max_size=60),
)
def test_in_no_window_more_starts_than_the_rate_and_one_burst_allow(
    per_second: float, amounts: list[float]
) -> None:
    times = starts(Bucket(per_second, 0), amounts)
    burst = max(1.0, 0.8 * per_second)
    for first in range(len(times)):
        for last in range(first, len(times)):
            # The last may be larger than the bucket: it leaves alone, and is paid for afterwards.
            before = sum(amounts[first:last])
            allowed = (times[last] - times[first]) * per_second + burst
            assert before <= allowed + max(amounts) + 1e-6


def test_a_burst_is_bounded_and_what_follows_is_spaced() -> None:
    times = starts(Bucket(50, 0), [1] * 100)
    assert times[39] == 0
    assert times[40:] == pytest.approx([(n + 1) / 50 for n in range(60)])


def test_idling_saves_up_no_more_than_one_burst() -> None:
    bucket = Bucket(10, 0)
    for _ in range(8):
        bucket.take(1000, 1)
    assert wait(bucket, 1000, 1) == pytest.approx(0.1)


def test_an_amount_above_all_that_the_bucket_holds_goes_out_alone_and_never_hangs() -> None:
    times = starts(Bucket(10, 0), [1000, 1, 1000])
    assert times == pytest.approx([0, 99.3, 100.1])


def test_an_estimate_too_high_is_given_back_and_one_too_low_is_paid() -> None:
    high, low = Bucket(100, 0), Bucket(100, 0)
    high.take(0, 80)
    high.give_back(50)
    assert wait(high, 0, 50) == 0
    low.take(0, 10)
    low.give_back(-90)
    assert wait(low, 0, 1) == pytest.approx(0.21)


def test_a_limit_that_is_told_is_taken_over_with_something_to_spare() -> None:
    bucket = Bucket(50, 0, learned=True)
    mark = bucket.take(0, 1)
    bucket.learn(50, 99, mark=mark, began=0, now=0)
    granted = 0
    while not wait(bucket, 0, 1):
        bucket.take(0, 1)
        granted += 1
    assert 85 <= granted <= 98


def test_what_started_after_the_request_that_tells_is_subtracted() -> None:
    bucket = Bucket(50, 0, learned=True)
    mark = bucket.take(0, 1)
    for _ in range(30):
        bucket.take(0, 1)
    bucket.learn(50, 39, mark=mark, began=0, now=0)
    assert wait(bucket, 0, 1) == 0
    for _ in range(5):
        bucket.take(0, 1)
    assert wait(bucket, 0, 1) > 0


def test_an_answer_to_an_earlier_request_says_nothing_new() -> None:
    bucket = Bucket(50, 0, learned=True)
    early, late = bucket.take(0, 1), bucket.take(0, 1)
    bucket.learn(50, 0, mark=late, began=0, now=0)
    before = wait(bucket, 0, 1)
    bucket.learn(50, 1000, mark=early, began=0, now=0)
    assert wait(bucket, 0, 1) == before > 0


def test_what_others_leave_of_a_large_limit_is_used() -> None:
    bucket = Bucket(1000, 0, learned=True)
    bucket.learn(1000, 60_000, mark=bucket.take(0, 1), began=0, now=0)
    bucket.learn(1000, 2000, mark=bucket.take(0, 1), began=0, now=0)
    assert wait(bucket, 0, 1500) == 0
