from __future__ import annotations

import math

import pytest

from lm_eval_so.runner.backends.http.limit_headers import HeaderLimit
from lm_eval_so.runner.engine.coordinator.starts import Asked, Given, Learned, RateLimits, Starts
from support.pacing import Pacing

HORIZON = 0.25


def ask(table: Starts, worker: str, wanted: int, now: float, *, tokens: float = 0.0) -> Given:
    return table.ask(worker, Asked([tokens] * wanted), now)


@pytest.mark.parametrize(
    ("rate", "workers", "slots"),
    [
        pytest.param(2000, 1000, 8, id="many-workers"),
        pytest.param(300, 2, 400, id="two-workers"),
        pytest.param(100, 300, 8, id="fewer-starts-than-workers"),
    ],
)
def test_the_rate_is_used_up_and_no_second_has_more(rate: int, workers: int, slots: int) -> None:
    run = Pacing(RateLimits(per_second=rate), workers, slots=slots)
    run.run(until=12)
    assert 0.98 * rate * 12 <= len(run.started)
    assert run.busiest_second() <= 1.02 * rate
    assert run.calls / 12 < 2500, "an actor can answer them"


def test_those_who_wait_get_equal_shares() -> None:
    run = Pacing(RateLimits(per_second=400), 50, slots=32)
    run.run(until=12)
    used = [client.used for client in run.clients]
    assert min(used) > 0.6 * 400 * 12 / 50
    assert max(used) < 1.6 * 400 * 12 / 50


def test_the_starts_of_workers_that_died_are_not_missed_for_long() -> None:
    run = Pacing(RateLimits(per_second=400), 50, slots=32)
    run.run(until=4)
    for client in run.clients[:25]:
        client.alive = False
    run.run(until=12)
    assert len([at for at in run.started if at > 6.5]) > 0.97 * 400 * 5.5


def test_no_start_is_further_ahead_than_a_quarter_of_a_second() -> None:
    table = Starts(RateLimits(per_second=100), 0.0)
    given = ask(table, "a", 500, 0.0)
    assert [start.in_s for start in given.starts] == pytest.approx([n / 100 for n in range(25)])
    assert given.ask_again_s > 0
    assert not ask(table, "b", 5, 0.0).starts


def test_without_limits_all_may_start_anything_for_a_moment() -> None:
    assert ask(Starts(RateLimits(), 0.0), "a", 3, 0.0) == Given(free_for_s=HORIZON)


def test_a_start_that_comes_back_is_given_again() -> None:
    table = Starts(RateLimits(requests_per_minute=60), 0.0)
    first = ask(table, "a", 1, 0.0)
    table.ask("a", Asked(unused=[first.starts[0].number]), 0.0)
    assert ask(table, "b", 1, 0.0).starts[0].in_s == 0


def test_a_start_comes_back_once() -> None:
    table = Starts(RateLimits(requests_per_minute=60), 0.0)
    number = ask(table, "a", 1, 0.0).starts[0].number
    table.ask("a", Asked(unused=[number, number, 77]), 0.0)
    assert ask(table, "b", 1, 0.0).starts
    assert not ask(table, "c", 1, 0.0).starts


def test_a_pause_that_one_answer_asked_for_holds_everybody() -> None:
    table = Starts(RateLimits(per_second=100), 0.0)
    table.ask("a", Asked(pause_s=5.0), 0.0)
    held = ask(table, "b", 1, 1.0)
    assert not held.starts
    assert held.paused_s == 4.0
    assert ask(table, "b", 1, 4.9).starts[0].in_s == pytest.approx(0.1)


def test_a_pause_holds_also_where_no_limit_is_known() -> None:
    table = Starts(RateLimits(), 0.0)
    table.ask("a", Asked(pause_s=5.0), 0.0)
    assert ask(table, "b", 1, 1.0).free_for_s == 0
    assert ask(table, "b", 1, 5.1).free_for_s == HORIZON


def test_a_limit_that_one_worker_learned_holds_for_all() -> None:
    table = Starts(RateLimits(), 0.0)
    found = {"requests": HeaderLimit(10.0, 2.0)}
    table.ask("a", Asked(learned=[Learned(found, {}, 0.1)]), 1.0)
    assert table.per_minute == {"requests": pytest.approx(600, rel=0.02)}
    assert not ask(table, "b", 100, 1.0).free_for_s


def test_tokens_are_reserved_by_estimate_and_corrected() -> None:
    table = Starts(RateLimits(tokens_per_minute=6000), 0.0)
    assert ask(table, "a", 1, 0.0, tokens=80.0).starts
    assert not ask(table, "b", 1, 0.0, tokens=80.0).starts
    table.ask("a", Asked(unused_tokens=70.0), 0.0)
    assert ask(table, "b", 1, 0.0, tokens=60.0).starts


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, -5.0], ids=str)
def test_impossible_numbers_change_nothing(odd: float) -> None:
    table = Starts(RateLimits(per_second=10, tokens_per_minute=6000), 0.0)
    table.ask(
        "a", Asked(unused_tokens=odd if math.isinf(odd) else math.nan, pause_s=min(odd, 0)), 0
    )
    assert ask(table, "a", 1, 0.0, tokens=odd).starts[0].in_s == 0
    assert table.paused_s(0.0) == 0
