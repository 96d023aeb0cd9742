"""The fake provider's ways of answering and its books, in virtual time."""

from __future__ import annotations

import heapq
import itertools
import random
from functools import partial
from typing import TYPE_CHECKING

import pytest

from admission import Admission
from behaviour import Behaviour
from books import GONE, Books
from service import Batch, Delay, Queue, service

if TYPE_CHECKING:
    from collections.abc import Callable

STEP_S, PER_REQUEST_S, STEPS = 0.01, 0.0001, 20


class VirtualTimers:
    """A clock that jumps from one call to the next."""

    def __init__(self) -> None:
        self.time = 0.0
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()

    def now(self) -> float:
        return self.time

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self.due, (self.time + seconds, next(self.order), call))

    def run(self) -> None:
        while self.due:
            self.time, _, call = heapq.heappop(self.due)
            call()


@pytest.fixture
def timers() -> VirtualTimers:
    return VirtualTimers()


def batch(timers: VirtualTimers) -> Batch:
    return Batch(timers, STEP_S, PER_REQUEST_S, lambda: STEPS)


@pytest.mark.parametrize("count", [1, 2, 64, 256])
def test_a_batch_answers_all_together_after_steps_that_grow_with_their_number(
    count: int, timers: VirtualTimers
) -> None:
    ends: list[float] = []
    served = batch(timers)
    for _ in range(count):
        served.serve(lambda: ends.append(timers.now()))
    timers.run()
    assert ends == pytest.approx([STEPS * (STEP_S + PER_REQUEST_S * count)] * count)


def test_who_joins_a_batch_slows_down_only_the_steps_that_they_share(timers: VirtualTimers) -> None:
    ends: dict[str, float] = {}
    served = batch(timers)
    served.serve(lambda: ends.setdefault("first", timers.now()))
    alone, both = STEP_S + PER_REQUEST_S, STEP_S + 2 * PER_REQUEST_S
    joined = partial(served.serve, lambda: ends.setdefault("second", timers.now()))
    timers.call_later(5 * alone, joined)
    timers.run()
    assert ends["first"] == pytest.approx(5 * alone + 15 * both)
    assert ends["second"] == pytest.approx(5 * alone + 15 * both + 5 * alone)


def test_a_batch_answers_more_a_second_the_more_are_in_flight(timers: VirtualTimers) -> None:
    rates = []
    for in_flight in (32, 128, 256):
        served, ends, began = batch(timers), [], timers.now()

        def again(served: Batch = served, ends: list[float] = ends) -> None:
            ends.append(timers.now())
            if len(ends) < 4000:
                served.serve(again)

        for _ in range(in_flight):
            served.serve(again)
        timers.run()
        rates.append(len(ends) / (timers.now() - began))
        expected = in_flight / (STEPS * (STEP_S + PER_REQUEST_S * in_flight))
        assert rates[-1] == pytest.approx(expected, rel=0.1)
    assert rates == sorted(rates)


def test_a_queue_serves_so_many_at_once_in_the_order_of_arrival(timers: VirtualTimers) -> None:
    ends: list[tuple[int, float]] = []
    queue = Queue(Delay(timers, lambda: 0.1), 2)
    for n in range(5):
        queue.serve(lambda n=n: ends.append((n, timers.now())))  # type: ignore[misc]
    timers.run()
    assert [n for n, _ in ends] == [0, 1, 2, 3, 4]
    assert [end for _, end in ends] == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.3])


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (Behaviour(), Delay),
        (Behaviour(latency_s=1), Delay),
        (Behaviour(latency_s=1, queue=4), Queue),
        (Behaviour(batch_steps=20, batch_step_s=0.01), Batch),
    ],
)
def test_the_behaviour_says_how_answers_come(
    behaviour: Behaviour, kind: type, timers: VirtualTimers
) -> None:
    assert isinstance(service(behaviour, timers, random.Random(1)), kind)


def test_a_log_normal_latency_has_the_median_that_was_asked_for(timers: VirtualTimers) -> None:
    ends: list[float] = []
    served = service(Behaviour(latency_s=0.2, sigma=0.6), timers, random.Random(1))
    for _ in range(2001):
        served.serve(lambda: ends.append(timers.now()))
    timers.run()
    assert ends[1000] == pytest.approx(0.2, rel=0.1)
    assert ends[1900] > 0.4


@pytest.mark.parametrize("share", [0.02, 0.05, 0.3])
@pytest.mark.parametrize("field", ["error_share", "garbage_share", "reset_share"])
def test_faults_come_by_the_share_that_was_asked_for(
    field: str, share: float, timers: VirtualTimers
) -> None:
    admission = Admission(Behaviour(**{field: share}), timers.now, random.Random(1))
    refusals = [admission.refusal(20, 0, 0.0) for _ in range(20_000)]
    failed = [refusal for refusal in refusals if refusal]
    assert len(failed) / len(refusals) == pytest.approx(share, rel=0.1)
    assert {refusal.status for refusal in failed} == {
        {"error_share": 503, "garbage_share": 200, "reset_share": 0}[field]
    }


def test_shares_of_faults_add_up(timers: VirtualTimers) -> None:
    shares = {"error_share": 0.1, "garbage_share": 0.2, "reset_share": 0.3}
    admission = Admission(Behaviour(**shares), timers.now, random.Random(1))
    failed = [admission.refusal(20, 0, 0.0) for _ in range(20_000)]
    assert sum(map(bool, failed)) / len(failed) == pytest.approx(0.6, rel=0.05)


@pytest.mark.parametrize("told", [True, False])
def test_a_limit_lets_its_rate_through_and_tells_the_wait_only_if_it_should(
    told: bool,  # noqa: FBT001 - a parameter of the test
    timers: VirtualTimers,
) -> None:
    behaviour = Behaviour(requests_per_minute=600, retry_after=told, headers=told)
    admission = Admission(behaviour, timers.now, random.Random(1))
    through = 0
    for n in range(1000):
        timers.time = n / 100
        refusal = admission.refusal(20, 0, 0.0)
        through += refusal is None
        if refusal:
            assert (refusal.status, "retry-after" in refusal.headers) == (429, told)
    assert through == pytest.approx(10 + 10 * 10, abs=1)  # the burst, and 10/s for 10 s
    assert ("x-ratelimit" in admission.limit_headers()) == told


@pytest.mark.parametrize(("serving", "status"), [(0, None), (1, None), (2, 503), (9, 503)])
def test_beyond_its_slots_a_server_answers_503(
    serving: int, status: int | None, timers: VirtualTimers
) -> None:
    admission = Admission(Behaviour(slots=2), timers.now, random.Random(1))
    refusal = admission.refusal(20, serving, 0.0)
    assert (refusal.status if refusal else None) == status


def test_an_error_tells_its_own_wait(timers: VirtualTimers) -> None:
    behaviour = Behaviour(error_share=1, error_statuses=(529,), error_retry_after_s=1)
    refusal = Admission(behaviour, timers.now, random.Random(1)).refusal(20, 0, 0.0)
    assert refusal
    assert (refusal.status, refusal.headers) == (529, "retry-after: 1\r\n")


@pytest.mark.parametrize(("second", "status"), [(1.9, None), (2, 502), (4.9, 502), (5, None)])
def test_a_server_is_away_from_one_second_to_another(
    second: float, status: int | None, timers: VirtualTimers
) -> None:
    admission = Admission(Behaviour(away=(2, 5)), timers.now, random.Random(1))
    refusal = admission.refusal(20, 0, second)
    assert (refusal.status if refusal else None) == status


def test_the_books_have_the_mean_in_flight_of_all_and_of_the_second_half(
    timers: VirtualTimers,
) -> None:
    books = Books(timers.now)
    answered = partial(books.answered, b"", 5)
    for at in (0, 0, 3, 3, 3, 3):
        timers.call_later(1 + at, books.arrived)
    for at in (2, 3, 5, 6, 7, 8):
        timers.call_later(1 + at, answered)
    timers.run()
    report = books.report()
    assert report["span_s"] == 8
    assert report["in_flight"]["most"] == 5
    assert report["in_flight"]["mean"] == pytest.approx((2 * 2 + 1 + 4 * 2 + 3 + 2 + 1) / 8)
    assert report["in_flight"]["second_half"] == pytest.approx((3 + 2 + 1) / 3)


def test_the_books_tell_who_was_answered_twice_and_who_left(timers: VirtualTimers) -> None:
    books = Books(timers.now)
    for _ in range(4):
        books.arrived()
    for question in (b"one", b"two", b"two"):
        books.answered(question, 5)
    books.left(GONE)
    answers = books.report()["answers"]
    assert (answers["questions"], answers["most"], answers["more_than_once"]) == (2, 2, 1)
    assert books.report()["statuses"] == {200: 3, GONE: 1}
    assert books.report()["tokens"] == 15


def test_rates_of_the_second_half_and_the_last_quarter_are_of_the_answers(
    timers: VirtualTimers,
) -> None:
    books = Books(timers.now)

    def one() -> None:
        books.arrived()
        books.answered(b"", 5)

    for n in range(101):
        timers.call_later(1 + (n / 10 if n <= 75 else 7.5 + (n - 75)), one)
    timers.run()
    assert books.since(0.75)[0] == pytest.approx(1)
    assert books.since(0.0)[0] == pytest.approx(100 / 32.5)
