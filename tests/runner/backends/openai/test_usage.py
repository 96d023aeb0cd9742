from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.backends.http.numbers import whole_number
from lm_eval_so.runner.backends.openai.completion import parse_completion
from lm_eval_so.runner.backends.openai.usage import token_usage
from lm_eval_so.runner.backends.wires.cost import reported_cost
from lm_eval_so.runner.models import ChatResponse, Outcome, RunConfig, TestSample, TokenUsage
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.strategy.price import Price
from lm_eval_so.runner.strategy.rate_limit.tokens import believable
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
        pytest.param(usage(3, -2, 5), FIVE, id="negative"),
        pytest.param(usage(3, 2**63, 5), FIVE, id="beyond-64-bits"),
        pytest.param(usage(3, -2, 3), TokenUsage(input=3, total=3), id="nothing-beyond-the-input"),
        pytest.param(usage(3, 2, 4), TokenUsage(input=3, output=2, total=4), id="total-too-small"),
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


@pytest.mark.parametrize(
    ("answered", "more", "output"),
    [
        pytest.param(5, {}, 25, id="by-the-total-alone"),
        pytest.param(None, {}, 25, id="all-of-it-thoughts"),
        pytest.param(0, {"reasoning_tokens": 25}, 25, id="all-of-it-told"),
        pytest.param(5, {"reasoning_tokens": 20}, 25, id="told"),
        pytest.param(5, {"reasoning_tokens": 4}, 25, id="told-within-the-answer"),
        pytest.param(5, {"cached_tokens": 8}, 25, id="cached-within-the-input"),
        pytest.param(5, {"cached_tokens": 20, "reasoning_tokens": 20}, 25, id="told-as-reasoning"),
        pytest.param(5, {"cached_tokens": 20}, 5, id="cached-beside-the-input"),
        pytest.param(5, {"cache_creation_input_tokens": 20}, 5, id="written"),
        pytest.param(
            5,
            {"cache_read_input_tokens": 15, "cache_creation_input_tokens": 5},
            5,
            id="cached-and-written",
        ),
    ],
)
def test_what_the_total_has_beyond_the_answer_is_output_unless_it_is_of_a_cache(
    answered: object, more: dict[str, object], output: int
) -> None:
    tokens = token_usage(usage(10, answered, 35) | more)
    assert tokens is not None
    assert (tokens.input, tokens.output, tokens.total) == (10, output, 35)


@pytest.mark.parametrize("total", [10**12 + 1, 2**63 - 1])
def test_a_total_that_no_answer_can_have_counts_for_no_budget(total: int) -> None:
    assert believable(token_usage(usage(10, 5, total))) is None


@given(st.integers() | st.floats() | st.text() | st.none() | st.booleans() | st.binary())
def test_no_count_can_break_a_run(value: object) -> None:
    number = whole_number(value)
    assert number is None or 0 <= number < 2**63


def test_the_usage_of_a_choice_counts_where_the_answer_has_none() -> None:
    choice = {"message": {"content": "a"}, "finish_reason": "stop", "usage": usage(3, 2, 5)}
    assert parse_completion({"choices": [choice]}, 200, {}).tokens == FIVE


def byok(cost: object, **details: object) -> dict[str, object]:
    """OpenRouter's, where the provider bills a key of one's own."""
    return {"cost": cost, "is_byok": True, "cost_details": details}


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
        ("0.5", {"cost": {"total_cost": 0.25, "request_cost": 0.005}}, 0.25),
        (None, {"cost": {"total_cost": "0.25"}}, 0.25),
        (None, {"estimated_cost": 0.25}, 0.25),
        (None, {"cost": 0.5, "estimated_cost": 0.25}, 0.5),
        (None, {"cost_in_usd_ticks": 37_756_000}, 0.0037756),
        (None, {"cost_in_usd_ticks": "many", "cost": 0.25}, 0.25),
        (None, {"cost_in_usd_ticks": -1}, None),
        (None, byok(0, upstream_inference_cost=0.5), 0.5),
        (None, byok(0.25, upstream_inference_cost="0.5"), 0.75),
        (None, byok(None, upstream_inference_cost=0.5), 0.5),
        (None, byok(0, upstream_inference_cost=None), None),
        (None, {"cost": 0, "is_byok": True}, None),
        (None, {"cost": 0, "is_byok": True, "cost_details": 0.5}, None),
        (None, {**byok(0.25, upstream_inference_cost=0.25), "is_byok": False}, 0.25),
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
