from __future__ import annotations

import pytest

from lm_eval_so.runner.engine.coordinator.refusals import Cause, Refusal, Refusals
from lm_eval_so.runner.strategy.breaker.alike import ENOUGH, MOST_HELD
from lm_eval_so.runner.strategy.breaker.refusals import Kind

KEY = Kind(of_the_setting=True, error_type="AuthenticationError", status_code=401)
BAD = Kind(of_the_setting=False, error_type="BadRequestError", status_code=400, words=("bad",))


def some(number: int, kind: Kind = BAD, first: int = 0) -> list[Refusal]:
    return [Refusal(f"s{n}", kind, f"refused: {kind.status_code}") for n in range(first, number)]


def test_enough_samples_of_several_workers_end_the_run() -> None:
    table = Refusals()
    half = ENOUGH // 2
    assert table.report("a", some(half), stuck=False, workers=2) is Cause.UNKNOWN
    assert table.report("b", some(ENOUGH, first=half), stuck=False, workers=2) is Cause.SETTING
    assert table.words == "refused: 400"


@pytest.mark.parametrize(("workers", "cause"), [(1, Cause.SETTING), (2, Cause.UNKNOWN)], ids=str)
def test_one_worker_speaks_for_the_run_only_where_it_is_alone(workers: int, cause: Cause) -> None:
    assert Refusals().report("a", some(ENOUGH), stuck=False, workers=workers) is cause


def test_a_report_that_comes_twice_counts_once() -> None:
    table = Refusals()
    for _ in range(3):
        assert table.report("a", some(ENOUGH - 1), stuck=False, workers=1) is Cause.UNKNOWN


def test_the_same_sample_of_two_workers_is_one_sample() -> None:
    table = Refusals()
    table.report("a", some(ENOUGH - 1), stuck=False, workers=2)
    assert table.report("b", some(ENOUGH - 1), stuck=False, workers=2) is Cause.UNKNOWN


def test_an_answer_anywhere_makes_all_refusals_the_samples_own() -> None:
    table = Refusals()
    table.report("a", some(ENOUGH), stuck=False, workers=2)
    table.answered()
    assert table.report("b", some(ENOUGH), stuck=False, workers=2) is Cause.SAMPLE


def test_so_many_that_are_not_alike_are_the_samples_own() -> None:
    table = Refusals()
    kinds = [BAD._replace(words=(str(n),)) for n in range(MOST_HELD)]
    many = [Refusal(f"s{n}", kind, "") for n, kind in enumerate(kinds)]
    assert table.report("a", many, stuck=False, workers=2) is Cause.SAMPLE


@pytest.mark.parametrize(
    ("number", "kind", "cause"),
    [
        pytest.param(1, KEY, Cause.SETTING, id="a-key"),
        pytest.param(3, BAD, Cause.SETTING, id="three-samples"),
        pytest.param(2, BAD, Cause.SAMPLE, id="two-samples"),
    ],
)
def test_of_few_samples_fewer_are_enough_once_everybody_is_stuck(
    number: int, kind: Kind, cause: Cause
) -> None:
    table = Refusals()
    assert table.report("a", some(number, kind), stuck=True, workers=2) is Cause.UNKNOWN
    assert table.report("b", [], stuck=True, workers=2) is cause


def test_what_a_worker_held_that_is_gone_is_no_evidence() -> None:
    table = Refusals()
    table.report("a", some(ENOUGH - 1), stuck=False, workers=2)
    table.gone("a")
    assert (
        table.report("b", some(ENOUGH, first=ENOUGH - 1), stuck=False, workers=1) is Cause.UNKNOWN
    )
