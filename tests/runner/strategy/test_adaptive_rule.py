from __future__ import annotations

import itertools

from lm_eval_so.runner.config.schema import AutoConcurrency
from lm_eval_so.runner.strategy.adaptive import Adaptive


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make(**options: int) -> tuple[Adaptive, Clock]:
    clock = Clock()
    return Adaptive(AutoConcurrency(**options), clock=clock), clock


def round_trip(
    adaptive: Adaptive, clock: Clock, *, latency_ms: float = 100, busy: bool = True
) -> None:
    """All slots are answered once."""
    began, slots = clock.now, adaptive.limit
    clock.now += latency_ms / 1000
    for _ in range(slots):
        in_use = adaptive.limit if busy else 0
        adaptive.answered(began=began, latency_ms=latency_ms, in_use=in_use)


def test_it_doubles_with_each_round_trip_up_to_its_bound() -> None:
    adaptive, clock = make(start=4, max=50)
    limits = []
    for _ in range(6):
        limits.append(adaptive.limit)
        round_trip(adaptive, clock)
    assert limits == [4, 8, 16, 32, 50, 50]


def test_it_does_not_grow_while_its_slots_are_not_in_use() -> None:
    adaptive, clock = make(start=4)
    for _ in range(10):
        round_trip(adaptive, clock, busy=False)
    assert adaptive.limit == 4


def test_after_a_cut_it_grows_by_one_a_round_trip() -> None:
    adaptive, clock = make(start=64)
    adaptive.overloaded(began=clock.now, reason="503")
    limits = []
    for _ in range(4):
        limits.append(adaptive.limit)
        round_trip(adaptive, clock)
    assert limits[0] == 32
    assert all(1 <= later - earlier + 1 <= 2 for earlier, later in itertools.pairwise(limits))
    assert 34 <= limits[-1] <= 35


def test_it_is_cut_once_for_all_that_was_under_way_together() -> None:
    adaptive, clock = make(start=64)
    began = clock.now
    clock.now += 0.1
    for _ in range(40):
        adaptive.overloaded(began=began, reason="429")
    assert adaptive.limit == 32
    clock.now += 0.1
    adaptive.overloaded(began=clock.now, reason="429")
    assert adaptive.limit == 27


def test_it_never_falls_below_its_bound() -> None:
    adaptive, clock = make(start=8, min=2)
    for _ in range(50):
        clock.now += 1
        adaptive.overloaded(began=clock.now, reason="503")
    assert adaptive.limit == 2


def test_latency_that_swells_is_a_sign_of_overload() -> None:
    adaptive, clock = make(start=8, max=256)
    for _ in range(3):
        round_trip(adaptive, clock, latency_ms=100)
    before = adaptive.limit
    for _ in range(3):
        round_trip(adaptive, clock, latency_ms=900)
    assert adaptive.limit < before
    assert adaptive.history[-1].reason == "latency"


def test_its_history_tells_when_and_why() -> None:
    adaptive, clock = make(start=8)
    round_trip(adaptive, clock)
    clock.now += 1
    adaptive.overloaded(began=clock.now, reason="503")
    assert [(step.limit, step.reason) for step in adaptive.history] == [
        (8, "start"),
        (16, "growth"),
        (8, "503"),
    ]
