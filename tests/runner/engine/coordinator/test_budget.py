from __future__ import annotations

import random

import pytest

from lm_eval_so.runner.engine.coordinator.budget import Budget, Spent
from lm_eval_so.runner.summary.amount import Amount

ONE = Amount(requests=1, tokens=300.0, usd=0.01)


class Spender:
    """A worker that sends what it may, and whose answers take what they like."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.spent = Amount()
        self.may_take = Amount()
        self.in_flight: list[Amount] = []


def play(
    bounds: dict[str, float], workers: int, factor: float, *, deaths: float = 0.0, seed: int = 1
) -> tuple[Budget, Amount]:
    """Plays until the budget is spent; what was really spent, by the dead too."""
    chance = random.Random(seed)
    budget = Budget(bounds)
    spenders = [Spender(f"w{n}") for n in range(workers)]
    really = Amount()
    for step in range(200_000):
        one = chance.choice(spenders)
        if deaths and chance.random() < deaths:
            budget.gone(one.name)
            spenders.remove(one)
            spenders.append(Spender(f"n{step}"))
            continue
        if one.in_flight and chance.random() < 0.6:
            for took in one.in_flight:
                one.spent, really = one.spent.plus(took), really.plus(took)
                one.may_take = one.may_take.minus(took)
            one.in_flight.clear()
            budget.report(one.name, one.spent)
            budget.give_back(one.name, one.may_take)
            continue
        if one.in_flight:
            continue
        chunk = budget.reserve(one.name, ONE, 32, workers=workers)
        if chunk.spent is not None:
            return budget, really
        one.may_take = chunk.amount
        for _ in range(chunk.requests):
            error = factor * chance.lognormvariate(-0.125, 0.5)
            one.in_flight.append(Amount(1, ONE.tokens * error, ONE.usd * error))
    raise AssertionError("the budget is never spent")


@pytest.mark.parametrize("workers", [1, 10, 200], ids=str)
@pytest.mark.parametrize(
    ("unit", "bound"),
    [("requests", 5000.0), ("tokens", 1_500_000.0), ("usd", 50.0)],
)
@pytest.mark.parametrize("factor", [0.5, 1.0, 1.7], ids=str)
def test_a_budget_is_used_up_and_never_2_percent_over(
    unit: str, bound: float, workers: int, factor: float
) -> None:
    budget, really = play({unit: bound}, workers, factor)
    assert 0.98 * bound <= getattr(really, unit) <= 1.02 * bound
    assert budget.settled == pytest.approx(really)


@pytest.mark.parametrize("bound", [1, 3, 50], ids=str)
@pytest.mark.parametrize("workers", [1, 200], ids=str)
def test_a_small_budget_of_requests_is_kept_exactly(bound: int, workers: int) -> None:
    _, really = play({"requests": bound}, workers, 1.0)
    assert really.requests == bound


def test_a_small_budget_of_tokens_ends_within_one_answer() -> None:
    _, really = play({"tokens": 1000.0}, 50, 1.0)
    assert 400 <= really.tokens <= 1000 + 3 * 300


def test_the_tightest_of_several_bounds_holds() -> None:
    _, really = play({"requests": 100, "tokens": 1e9}, 10, 1.0)
    assert really.requests == 100


def test_what_the_dead_did_not_report_comes_back_and_no_request_is_lost() -> None:
    budget, really = play({"requests": 2000}, 20, 1.0, deaths=0.02)
    assert really.requests == budget.settled.requests == 2000


def test_what_earlier_commands_took_counts() -> None:
    budget = Budget({"requests": 10}, Amount(requests=10))
    chunk = budget.reserve("a", ONE, 5, workers=1)
    assert chunk.spent == Spent("requests", 10, 10)


def test_nobody_is_told_that_it_is_spent_while_another_may_give_something_back() -> None:
    budget = Budget({"requests": 1})
    assert budget.reserve("a", ONE, 5, workers=2).requests == 1
    waiting = budget.reserve("b", ONE, 5, workers=2)
    assert waiting.spent is None
    assert waiting.ask_again_s > 0
    budget.give_back("a", Amount(requests=5))
    assert budget.reserve("b", ONE, 5, workers=2).requests == 1


def test_a_report_that_comes_twice_counts_once() -> None:
    budget = Budget({"requests": 10})
    budget.reserve("a", ONE, 5, workers=1)
    for _ in range(2):
        budget.report("a", Amount(requests=2))
    assert budget.settled == Amount(requests=2)


def test_without_bounds_all_that_is_wanted_is_given() -> None:
    assert Budget({}).reserve("a", ONE, 32, workers=1000).requests == 32
