from __future__ import annotations

import pytest

from lm_eval_so.runner.models import RunConfig, RunRequest, TestSample, TokenUsage
from lm_eval_so.runner.strategy.rate_limit.tokens import TokenEstimate
from support.requests import request_of


def request(text: str) -> RunRequest:
    sample = TestSample(id="s", messages=[{"role": "user", "content": text}])
    return request_of(sample, 0, RunConfig(backend="b", model="m"), "key", "trace")


def test_before_any_answer_the_most_that_can_be_answered_counts() -> None:
    size = TokenEstimate.size(request("a" * 400))
    assert TokenEstimate({"max_tokens": 50}).of(size) == pytest.approx(size / 4 + 50)
    assert TokenEstimate({"max_completion_tokens": 70}).of(size) == pytest.approx(size / 4 + 70)
    assert TokenEstimate({}).of(size) > 100
    assert TokenEstimate({}).of(0) == 0


def test_answers_teach_the_tokens_of_a_byte_and_of_an_answer() -> None:
    estimate = TokenEstimate({"max_tokens": 4000})
    for length in (300, 3000, 1200) * 10:
        size = TokenEstimate.size(request("글" * length))
        estimate.learn(size, TokenUsage(input=size // 2, output=20))
    assert estimate.of(10_000) == pytest.approx(5020, rel=0.01)


def test_usage_that_is_not_told_teaches_nothing() -> None:
    estimate = TokenEstimate({"max_tokens": 10})
    estimate.learn(400, TokenUsage())
    assert estimate.of(400) == 110


def test_the_tools_that_a_sample_brings_are_counted() -> None:
    plain = request("hello")
    tool = {"type": "function", "function": {"name": "f", "description": "x" * 1000}}
    own = TestSample.model_validate({**plain.sample.model_dump(), "tools": [tool]})
    asked = request_of(own, 0, plain.run_config, "key", "trace")
    more = TokenEstimate.size(asked) - TokenEstimate.size(plain)
    assert 1000 < more < 1200


def test_what_a_template_adds_to_each_question_is_learned() -> None:
    estimate = TokenEstimate({})
    for size in (60, 150, 400, 90, 250) * 20:
        estimate.learn(size, TokenUsage(input=30 + size // 5, output=0))
    for size in (50, 500):
        assert estimate.parts(size)[0] == pytest.approx(30 + size / 5, rel=0.03)


def test_tokens_that_do_not_depend_on_the_length_are_learned() -> None:
    estimate = TokenEstimate({})
    for size in (60, 150, 400, 90, 250) * 20:
        estimate.learn(size, TokenUsage(input=7, output=3))
    assert sum(estimate.parts(50)) == pytest.approx(10, rel=0.05)
    assert sum(estimate.parts(400)) == pytest.approx(10, rel=0.05)


def test_questions_of_one_length_teach_the_tokens_of_a_byte() -> None:
    estimate = TokenEstimate({})
    for _ in range(50):
        estimate.learn(100, TokenUsage(input=20, output=0))
    assert estimate.parts(300)[0] == pytest.approx(60)


@pytest.mark.parametrize("length", [0, 10**9])
def test_an_estimate_is_never_below_nothing(length: int) -> None:
    estimate = TokenEstimate({})
    for size, tokens in ((10, 900), (1000, 5), (10, 700)):
        estimate.learn(size, TokenUsage(input=tokens, output=0))
    assert 0 <= estimate.parts(length)[0] < 1000
