"""The rule, step by step, on a clock that the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.config.schema import AutoConcurrency
from lm_eval_so.runner.strategy.adaptive.controller import Adaptive
from lm_eval_so.runner.strategy.adaptive.refusals import Refusals
from lm_eval_so.runner.strategy.adaptive.rounds import Accepted, Answer, Meter, Round

if TYPE_CHECKING:
    from collections.abc import Callable


class Scene:
    """A controller and a server that answers in step."""

    def __init__(self, start: int = 8, **bounds: int) -> None:
        self.now = 0.0
        self.rates: list[float] = []
        self.adaptive = Adaptive(
            AutoConcurrency(**bounds),
            start,
            rate_limited=lambda rate, _: self.rates.append(rate),
            clock=lambda: self.now,
        )

    def answers(self, *, latency: float = 0.1, paced: float = 0.0, wanted: bool = True) -> None:
        """All slots send, and are answered together."""
        slots = self.adaptive.limit
        for _ in range(slots):
            self.adaptive.sent()
        self.now += latency + paced
        for _ in range(slots):
            self.adaptive.answered(Answer(latency, 10, slots, slots, paced, wanted))

    def wave(self, takes: int, *, status: int = 503, latency: float = 0.1) -> int:
        """All slots send, ``takes`` are answered and the others refused; how many were refused."""
        slots = self.adaptive.limit
        numbers = [self.adaptive.sent() for _ in range(slots)]
        self.now += 0.02
        for number in range(takes, slots):
            self.adaptive.refused(numbers[number], number + 1, status)
        self.now += latency
        for number in range(min(takes, slots)):
            answer = Answer(latency, 10, self.adaptive.limit, number + 1, 0.0)
            self.adaptive.answered(answer)
        return max(0, slots - takes)


def test_it_grows_by_three_slots_for_each_answer_up_to_its_bound() -> None:
    scene, limits = Scene(4, max=50), []
    for _ in range(4):
        limits.append(scene.adaptive.limit)
        scene.answers()
    assert limits == [4, 16, 50, 50]


def test_it_does_not_grow_while_nobody_waits_for_a_slot() -> None:
    scene = Scene(8)
    for _ in range(20):
        scene.answers(wanted=False)
    assert scene.adaptive.limit == 8


@pytest.mark.parametrize(("paced", "grows"), [(0.0, True), (0.00001, True), (0.1, False)])
def test_it_does_not_grow_where_a_rate_limit_holds_requests_back(
    paced: float, *, grows: bool
) -> None:
    scene = Scene(8)
    for _ in range(5):
        scene.answers(paced=paced)
    assert (scene.adaptive.limit > 8) is grows


def test_a_burst_cuts_to_where_requests_were_answered() -> None:
    scene = Scene(8)
    for _ in range(10):
        scene.wave(takes=32)
    assert 30 <= scene.adaptive.limit <= 34
    assert scene.adaptive.ceiling is not None


def test_few_requests_are_refused_once_the_slots_are_known() -> None:
    scene = Scene(8)
    for _ in range(20):
        scene.wave(takes=32)
    refused = sum(scene.wave(takes=32) for _ in range(200))
    assert refused / (200 * 32) < 0.02


def test_what_was_under_way_at_a_cut_changes_nothing_more() -> None:
    scene = Scene(64)
    scene.answers()
    numbers = [scene.adaptive.sent() for _ in range(100)]
    scene.now += 0.1
    limits = []
    for held, number in enumerate(numbers, start=40):
        scene.adaptive.refused(number, held, 503)
        limits.append(scene.adaptive.limit)
    cut = min(limits)
    assert limits[-1] == cut
    assert limits.count(cut) > 90


def test_a_single_refusal_now_and_then_changes_nothing() -> None:
    scene = Scene(8, max=64)
    for _ in range(6):
        scene.answers()
    for _ in range(50):
        scene.adaptive.refused(scene.adaptive.sent(), 3, 503)
        scene.answers()
    assert scene.adaptive.limit == 64


def test_refusals_where_there_was_room_teach_a_rate_and_cut_nothing() -> None:
    scene = Scene(8, max=64)
    for _ in range(6):
        scene.answers()
    before = scene.adaptive.limit
    for _ in range(5):
        scene.adaptive.refused(scene.adaptive.sent(), 5, 503)
    assert scene.rates
    assert scene.adaptive.limit == before


def test_connections_that_fail_where_there_was_room_neither_cut_nor_teach_a_rate() -> None:
    scene = Scene(8, max=64)
    for _ in range(6):
        scene.answers()
    for number in range(200):
        sent = scene.adaptive.sent()
        if number % 3 == 0:
            scene.adaptive.refused(sent, 5, None)
    assert not scene.rates
    assert scene.adaptive.limit == 64


def test_a_burst_of_429s_teaches_a_rate() -> None:
    scene = Scene(8)
    for _ in range(3):
        scene.answers()
    scene.wave(takes=20, status=429)
    assert scene.rates
    assert scene.rates[0] > 0


def test_latency_that_swells_with_the_rate_never_cuts_for_good() -> None:
    """Twice in flight is one and a half times the latency: a third more answers a second."""
    scene = Scene(8, max=128)
    for _ in range(200):
        scene.answers(latency=0.1 + 0.001 * scene.adaptive.limit)
    assert scene.adaptive.limit > 100


def test_what_brings_no_more_answers_is_given_back() -> None:
    scene = Scene(8, max=256)
    for _ in range(400):
        scene.answers(latency=0.1 * max(1.0, scene.adaptive.limit / 16))
    assert scene.adaptive.limit <= 48


def test_equal_bounds_never_change() -> None:
    scene = Scene(5, min=5, max=5)
    for takes in [5, 0, 5, 2, 5] * 10:
        scene.wave(takes=takes)
        assert scene.adaptive.limit == 5


def test_its_history_tells_when_and_why() -> None:
    scene = Scene(8)
    scene.answers()
    scene.wave(takes=16)
    reasons = [change.reason for change in scene.adaptive.history]
    assert reasons[0] == "start"
    assert reasons[-1] == "climb"
    assert scene.adaptive.history[-1].at_s == pytest.approx(0.12)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["answer", "503", "429", "reset", "sent"]),
        st.integers(1, 300),
        st.floats(0, 100),
        st.floats(0, 2),
    ),
    max_size=200,
)


@given(EVENTS, st.integers(1, 20), st.integers(20, 300))
def test_whatever_comes_the_limit_stays_within_its_bounds(
    events: list[tuple[str, int, float, float]], least: int, most: int
) -> None:
    scene = Scene(20, min=least, max=most)
    for kind, held, latency, paced in events:
        scene.now += latency / 10
        if kind == "sent":
            scene.adaptive.sent()
        elif kind == "answer":
            in_use = min(held, scene.adaptive.limit)
            scene.adaptive.answered(Answer(latency, held, in_use, in_use, paced))
        else:
            status = {"429": 429, "503": 503}.get(kind)
            scene.adaptive.refused(held, held, status)
        assert least <= scene.adaptive.limit <= most


def sends(refusals: Refusals, pattern: Callable[[int], bool], number: int) -> int:
    """How many bursts come of requests, of which ``pattern`` says whether each is refused."""
    bursts = 0
    for n in range(number):
        number = refusals.sent()
        if pattern(n):
            bursts += refusals.add(number, held=10)
    return bursts


@pytest.mark.parametrize("one_in", [50, 20, 10, 5], ids=str)
def test_refusals_that_are_spread_are_no_burst(one_in: int) -> None:
    assert sends(Refusals(), lambda n: n % one_in == 0, 2000) == 0


def test_a_few_of_a_wave_are_no_burst_though_they_come_back_one_after_the_other() -> None:
    refusals = Refusals()
    for _ in range(50):
        numbers = [refusals.sent() for _ in range(256)]
        assert not any(refusals.add(number, held=10) for number in numbers[::50])


def test_half_of_them_refused_is_a_burst() -> None:
    assert sends(Refusals(), lambda n: n % 2 == 0, 30) >= 1


def test_what_is_usual_counts_for_less() -> None:
    refusals = Refusals()
    sends(refusals, lambda n: n % 5 == 0, 3000)
    assert 0.15 < refusals.usual < 0.25
    assert sends(refusals, lambda n: n % 3 == 0, 100) == 0


def test_the_lowest_of_a_burst_is_where_it_began_to_refuse() -> None:
    refusals = Refusals()
    for held in (40, 33, 36, 38, 50):
        refusals.add(refusals.sent(), held)
    assert refusals.lowest == 33


def test_a_round_is_as_long_as_its_slowest_answer_if_it_is_thorough() -> None:
    for thorough, ends in ((False, True), (True, False)):
        meter = Meter()
        meter.begin(0.0, 3, thorough=thorough)
        for latency in (0.1, 0.1, 5.0):
            meter.add(Answer(latency, 0, 4, 4, 0.0), 0.5)
        assert (meter.end(2.0) is not None) is ends


def test_a_rate_is_told_by_littles_law() -> None:
    assert Round(held=32, latency=0.1, length=0).answers == pytest.approx(320)


@pytest.mark.parametrize(
    ("more", "growth"),
    [
        pytest.param(Round(20, 0.1, 0), 1.0, id="all-of-it"),
        pytest.param(Round(20, 0.2, 0), 0.0, id="none"),
        pytest.param(Round(20, 0.4, 40), 1.0, id="longer-answers-as-many-tokens-more"),
    ],
)
def test_growth_is_what_of_the_added_came_back(more: Round, growth: float) -> None:
    assert more.growth_over(Round(10, 0.1, 10 if more.length else 0)) == pytest.approx(growth)


def test_what_was_accepted_is_told_before_it_is_answered() -> None:
    accepted = Accepted()
    for n in range(20):
        accepted.add(n / 100, latency=10)
    for _ in range(10):
        accepted.take_back()
    assert accepted.per_second(0.2) == pytest.approx(50)
    assert Accepted().per_second(1.0) == 0
