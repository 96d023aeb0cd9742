"""Answers that are not simply answers are counted, and the parts of a summary can be added up."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lm_eval_so.runner.summary.answers import Kinds, kinds_of
from lm_eval_so.runner.summary.summarise import Summary, Totals
from support.results import summed

CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}


def line(number: int = 0, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A RunResult line with an answer, as far as a summary reads it."""
    response = {"text": "fine", "finish_reason": "stop", "tokens": {"input": 7, "total": 10}}
    found = {
        "sample_id": f"s{number}",
        "status": "ok",
        "attempts": 1,
        "latency_ms": 10.0,
        "completed_at": f"2026-11-01T00:00:{number:02}Z",
        "request_context": {"sample_tags": []},
        "request_messages": [{"role": "user", "content": "q"}],
        "error": None,
    }
    outside = {key: changed.pop(key) for key in list(changed) if key in found}
    return {**found, **outside, "response": {**response, **changed}}


def failed(number: int = 0, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    error = {"error_type": "APIStatusError", "message": "no", "status_code": 500}
    context = {"sample_tags": list(tags)}
    found = line(number, status="error", error=error, request_context=context)
    return {**found, "response": None}


def tagged(number: int, *tags: str, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return line(number, request_context={"sample_tags": list(tags)}, **changed)


@pytest.mark.parametrize(
    ("response", "truncated", "refused", "empty"),
    [
        ({}, False, False, False),
        ({"finish_reason": "length"}, True, False, False),
        ({"finish_reason": "MAX_TOKENS"}, True, False, False),
        ({"finish_reason": "length", "text": ""}, True, False, True),
        ({"finish_reason": "length", "text": "", "reasoning": "hm"}, True, False, True),
        ({"refusal": "I cannot.", "text": "I cannot."}, False, True, False),
        ({"finish_reason": "content_filter", "text": ""}, False, True, True),
        ({"finish_reason": "content_filter"}, False, True, False),
        ({"text": " \n"}, False, False, True),
        ({"text": "", "tool_calls": [CALL], "finish_reason": "tool_calls"}, False, False, False),
        ({"text": "", "tool_calls": [CALL]}, False, False, False),
        ({"text": "", "finish_reason": "tool_calls"}, False, False, False),
        ({"finish_reason": None}, False, False, False),
    ],
    ids=[
        *("plain", "cut", "provider's-word", "cut-and-empty", "reasoning-alone", "refusal"),
        *("filtered", "filtered-late", "blank", "tools", "tools-with-stop", "version-1-tools"),
        "no-reason",
    ],
)
def test_an_answer_is_known_for_what_it_is(
    response: dict[str, Any], *, truncated: bool, refused: bool, empty: bool
) -> None:
    found = kinds_of(line(**response)["response"])
    assert found == Kinds(truncated=truncated, refused=refused, empty=empty)


def test_of_several_choices_each_is_looked_at_and_the_sample_counts_once() -> None:
    choices = [
        {"text": "a", "finish_reason": "stop"},
        {"text": "b", "finish_reason": "length"},
        {"text": "", "finish_reason": "length"},
    ]
    summary = summed([line(choices=choices), line(1)], 2)
    assert summary.finish_reasons == {"stop": 2, "length": 2}
    assert (summary.truncated, summary.refused, summary.empty) == (1, 0, 1)


def test_finish_reasons_of_version_1_lines_are_read_in_the_new_words() -> None:
    reasons = ["eos_token", "stop", "max_tokens", None, "odd"]
    summary = summed([line(n, finish_reason=reason) for n, reason in enumerate(reasons)], 5)
    assert summary.finish_reasons == {"stop": 2, "length": 1, "none": 1, "odd": 1}
    assert summary.truncated == 1


def test_a_tag_has_its_own_numbers_and_failed_samples_are_among_them() -> None:
    lines = [
        tagged(0, "ko", "refund", latency_ms=10.0),
        tagged(1, "ko", finish_reason="length", latency_ms=30.0),
        failed(2, ("ko",)),
        tagged(3, "en", latency_ms=50.0),
        line(4),
    ]
    by_tag = summed(lines, 9).by_tag
    assert list(by_tag) == ["en", "ko", "refund"]
    korean = by_tag["ko"]
    assert (korean.n, korean.ok, korean.failed, korean.truncated) == (3, 2, 1, 1)
    assert korean.tokens == 20
    assert korean.latency_p50_ms == pytest.approx(10, rel=0.01)
    assert by_tag["en"].latency_p50_ms == pytest.approx(50, rel=0.01)


def test_thousands_of_tags_do_not_fill_the_memory() -> None:
    lines = [tagged(n % 60, f"t{n}", "all") for n in range(5000)]
    by_tag = summed(lines, 5000).by_tag
    assert len(by_tag) == 200
    assert by_tag["all"].n == 5000


def test_what_served_is_counted_with_the_first_answer_of_each_by_time() -> None:
    models = ["b", "a", "a", "b", "c"]
    moments = [5, 1, 2, 6, 9]
    lines = [line(n, model=model) for n, model in enumerate(models)]
    for each, moment in zip(lines, moments, strict=True):
        each["completed_at"] = f"2026-11-01T00:00:0{moment}Z"
    served = summed([*lines, line(7, model=None)], 6).models
    assert list(served) == ["a", "b", "c"]
    assert [found.answers for found in served.values()] == [2, 2, 1]
    assert (served["b"].sample_id, served["b"].first_at) == ("s0", "2026-11-01T00:00:05Z")


def test_fingerprints_that_never_repeat_do_not_fill_the_memory() -> None:
    lines = [line(n % 60, system_fingerprint=f"fp{n}") for n in range(1000)]
    assert len(summed(lines, 1000).system_fingerprints) == 100


def test_repeats_agree_where_their_answers_are_equal() -> None:
    answers = [["a", "a ", "a"], ["b", "c", "b"], ["d"], ["e", "f", "g"]]
    lines = [line(n, text=text) for n, texts in enumerate(answers) for text in texts]
    found = summed([*lines, failed(9), failed(9)], 12).repeats
    assert found is not None
    assert found.samples == 3
    assert found.all_equal == pytest.approx(1 / 3, abs=1e-6)
    assert found.mean_distinct == pytest.approx((1 + 2 + 3) / 3, abs=1e-6)
    assert summed([line(0), line(1)], 2).repeats is None


def test_tool_calls_agree_whatever_their_ids() -> None:
    calls = [[{**CALL, "id": "x"}], [{**CALL, "id": "y"}], [{**CALL, "function": {"name": "b"}}]]
    lines = [line(0, text="", tool_calls=each) for each in calls]
    found = summed(lines, 3).repeats
    assert found is not None
    assert found.mean_distinct == 2


def test_cached_and_reasoning_tokens_add_up() -> None:
    tokens = {"input": 10, "output": 5, "total": 15, "cached": 8, "reasoning": 3}
    summary = summed([line(0, tokens=tokens), line(1, tokens=tokens), line(2)], 3)
    assert (summary.tokens["cached"], summary.tokens["reasoning"]) == (16, 6)


def _any_line(number: int, chance: random.Random) -> dict[str, Any]:
    tags = tuple(chance.sample(["ko", "en", "long"], chance.randint(0, 3)))
    if chance.random() < 0.2:
        return failed(number, tags)
    return tagged(
        number,
        *tags,
        text=chance.choice(["", "a", "b"]),
        finish_reason=chance.choice(["stop", "length", "content_filter"]),
        model=chance.choice(["m1", "m2"]),
        system_fingerprint=chance.choice(["f1", "f2", "f3"]),
        latency_ms=chance.uniform(1, 1000),
        time_to_first_token_ms=chance.uniform(1, 10),
    )


def _of(lines: list[dict[str, Any]]) -> Totals:
    totals = Totals()
    for each in lines:
        totals.add(each)
    return totals


@pytest.mark.parametrize("seed", range(5))
def test_the_sums_of_the_shards_are_the_sums_of_the_whole(seed: int) -> None:
    chance = random.Random(seed)
    lines = [_any_line(n, chance) for n in range(60) for _ in range(chance.randint(1, 2))]
    first = next(n for n in range(20, 60) if lines[n]["sample_id"] != lines[n - 1]["sample_id"])
    merged = _of(lines[:first])
    merged.merge(_of(lines[first:]))
    whole: Summary = _of(lines).summary(len(lines))
    parts = merged.summary(len(lines))
    assert parts.latency_ms == pytest.approx(whole.latency_ms)
    without = {"latency_ms", "time_to_first_token_ms"}
    assert parts.model_dump(exclude=without) == whole.model_dump(exclude=without)


def test_a_tag_that_is_named_twice_counts_once() -> None:
    assert summed([tagged(0, "ko", "ko"), tagged(1, "ko")], 2).by_tag["ko"].n == 2
