from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.backends.http.numbers import whole_number
from lm_eval_so.runner.backends.openai.completion import parse_completion
from lm_eval_so.runner.backends.openai.usage import reported_cost, token_usage
from lm_eval_so.runner.models import ChatResponse, Outcome, RunConfig, TestSample, TokenUsage
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.strategy.price import Price
from support.requests import request_of

FIVE = TokenUsage(input=3, output=2, total=5)


def usage(asked: object, answered: object, total: object) -> dict[str, object]:
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": total}


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        pytest.param(usage(3, 2, 5), FIVE, id="integers"),
        pytest.param(usage(3.0, 2.0, 5.0), FIVE, id="floats"),
        pytest.param(usage("3", " 2 ", "5.0"), FIVE, id="text"),
        pytest.param(usage(2.9, 2.1, 5), FIVE, id="fractions"),
        pytest.param(usage(3, 2, None), FIVE, id="no-total"),
        pytest.param(usage(3, 2, "many"), FIVE, id="no-number"),
        pytest.param(usage(3, answered=True, total=None), TokenUsage(input=3), id="bool"),
        pytest.param(usage(3, -2, 5), TokenUsage(input=3, total=5), id="negative"),
        pytest.param(usage(3, 2**63, 5), TokenUsage(input=3, total=5), id="beyond-64-bits"),
        pytest.param(usage(1e300, 2, 5), TokenUsage(output=2, total=5), id="beyond-all"),
        pytest.param(usage([3], {"n": 2}, 5), TokenUsage(total=5), id="objects"),
        pytest.param(usage(0, 0, 0), TokenUsage(input=0, output=0, total=0), id="zeros"),
        pytest.param(usage(None, None, None), None, id="nulls"),
        pytest.param(usage(2**70, "x", -1), None, id="nothing-usable"),
        pytest.param(usage(float("nan"), "Infinity", 10**400), None, id="not-finite"),
        pytest.param({}, None, id="empty"),
        pytest.param(None, None, id="null"),
        pytest.param([3, 2, 5], None, id="list"),
        pytest.param("5", None, id="plain-text"),
        pytest.param({"input": 5}, None, id="other-names"),
    ],
)
def test_usage_counts_as_far_as_it_can_be_used(told: object, tokens: TokenUsage | None) -> None:
    assert token_usage(told) == tokens


@given(st.integers() | st.floats() | st.text() | st.none() | st.booleans() | st.binary())
def test_no_count_can_break_a_run(value: object) -> None:
    number = whole_number(value)
    assert number is None or 0 <= number < 2**63


def test_the_usage_of_a_choice_counts_where_the_answer_has_none() -> None:
    choice = {"message": {"content": "a"}, "finish_reason": "stop", "usage": usage(3, 2, 5)}
    assert parse_completion({"choices": [choice]}, 200, {}).tokens == FIVE


@pytest.mark.parametrize(
    ("header", "told", "cost"),
    [
        (None, None, None),
        ("0.000125", None, 0.000125),
        ("1e-05", {}, 1e-05),
        ("0.5", {"cost": 0.25}, 0.25),
        (None, {"cost": "0.25"}, 0.25),
        (None, {"cost": 0}, 0.0),
        ("None", {"cost": None}, None),
        ("", None, None),
        ("-1", None, None),
        ("nan", None, None),
        ("inf", {"cost": True}, None),
        ("0.5", {"cost": {"total": 1}}, 0.5),
    ],
)
def test_the_cost_is_what_the_usage_tells_or_else_a_gateway(
    header: str | None, told: object, cost: float | None
) -> None:
    headers = {} if header is None else {"x-litellm-response-cost": header}
    assert reported_cost(headers, told) == cost
    body = {"choices": [{"message": {"content": "a"}}], "usage": told}
    assert parse_completion(body, 200, headers).cost_usd == cost


@pytest.mark.parametrize(
    ("answer", "cost"),
    [
        ({"cost_usd": 0.25, "tokens": FIVE}, 0.25),
        ({"cost_usd": 0.0, "tokens": FIVE}, 0.0),
        ({"cost_usd": 0.25}, 0.25),
        ({"tokens": FIVE}, 7e-06),
        ({}, None),
    ],
)
def test_the_cost_of_a_result_is_the_told_one_before_the_price_list(
    answer: dict[str, Any], cost: float | None
) -> None:
    config = RunConfig(backend="openai", model="m")
    sample = TestSample(id="s0", messages=[{"role": "user", "content": "q"}])
    outcome = Outcome(response=ChatResponse(text="a", **answer))
    recorder = Recorder("d", [config], Price.fixed(1, 2))
    result = recorder.record(request_of(sample, 0, config, "key", "trace"), outcome)
    assert result.cost_usd == (None if cost is None else pytest.approx(cost))
    assert result.model_dump_json().count("cost_usd") == (cost is not None)
