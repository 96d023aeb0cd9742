from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.backends.http.json_body import read_json
from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.backends.openai.completion import parse_completion
from lm_eval_so.runner.errors import (
    BackendError,
    InternalServerError,
    InvalidResponseError,
    RateLimitError,
)
from lm_eval_so.runner.models import ChatResponse, RunConfig, TestSample, TokenUsage
from support.fake_openai import FakeOpenAI, Reply
from support.requests import request_of


def ask(server: FakeOpenAI, reply: Reply, **parameters: object) -> ChatResponse:
    server.behave = lambda _received, _nth: reply
    config = RunConfig(
        backend="openai",
        model="m",
        parameters=parameters,
        backend_options={"base_url": server.base_url, "api_key": "sk-fake-0123456789"},
    )
    backend = OpenAIBackend(config)
    sample = TestSample(id="s0", messages=[{"role": "user", "content": "q"}])

    async def main() -> ChatResponse:
        async with backend:
            return await backend.send(request_of(sample, 0, config, "key", "trace"))

    return asyncio.run(main())


def whole(message: object = None, **changed: object) -> dict[str, Any]:
    said = {"role": "assistant", "content": "fine"} if message is None else message
    choice = {"index": 0, "finish_reason": "stop", "message": said}
    return {"object": "chat.completion", "choices": [choice], **changed}


def test_all_that_the_answer_says_is_kept(server: FakeOpenAI) -> None:
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    reply = Reply(text="안녕", extra={"usage": usage, "service_tier": "default", "own": [1]})
    answer = ask(server, reply)
    assert answer.text == "안녕"
    assert answer.finish_reason == "stop"
    assert answer.status_code == 200
    assert answer.tokens == TokenUsage(input=7, output=3, total=10, reasoning=2)
    assert answer.service_tier == "default"
    assert answer.system_fingerprint == "fp_1"
    assert answer.model == "m-2026-01-01", "as served"
    assert answer.request_id == "req-1"
    assert answer.raw["usage"] == usage
    assert answer.raw["system_fingerprint"] == "fp_1"
    assert answer.raw["own"] == [1]


def test_all_choices_are_in_raw_and_the_first_is_the_text(server: FakeOpenAI) -> None:
    logprobs = {"content": [{"token": "fi", "logprob": -0.1, "top_logprobs": []}]}
    choices = [
        {"index": n, "finish_reason": "length", "message": {"content": text}, "logprobs": logprobs}
        for n, text in enumerate(["first", "second"])
    ]
    answer = ask(server, Reply(extra={"choices": choices}), n=2, logprobs=True)
    assert (answer.text, answer.finish_reason) == ("first", "length")
    assert answer.raw["choices"] == choices
    assert server.requests[0].body["n"] == 2


def test_structured_output_is_text_as_the_model_wrote_it(server: FakeOpenAI) -> None:
    written = '{"b": 1,  "a": [1.0]}'
    answer = ask(server, Reply(text=written), response_format={"type": "json_object"})
    assert answer.text == written


CALLS = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": ""}, ""),
        ({"content": None}, ""),
        ({}, ""),
        ({"content": None, "tool_calls": CALLS}, ""),
        ({"content": "", "tool_calls": CALLS}, ""),
        ({"content": None, "refusal": "I can't."}, "I can't."),
        ({"content": "fine", "refusal": None}, "fine"),
        ({"content": "fine", "reasoning_content": "hm"}, "fine"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": [{"type": "image"}, {"type": "text", "text": "b"}, "x", None]}, "bx"),
        ({"content": ["a", "b"]}, "ab"),
        ({"content": []}, ""),
        ({"content": " \n"}, " \n"),
        ({"content": "\u2028\x00\U0001f600"}, "\u2028\x00\U0001f600"),
    ],
    ids=[
        "empty",
        "null",
        "absent",
        "calls",
        "empty-with-calls",
        "refusal",
        "no-refusal",
        "reasoning",
        "parts",
        "other-parts",
        "strings",
        "no-parts",
        "blank",
        "odd-characters",
    ],
)
def test_an_answer_is_an_answer_even_if_it_is_empty(message: dict[str, Any], text: str) -> None:
    answer = parse_completion(whole(message), 200, {})
    assert answer.text == text
    assert answer.raw == whole(message)


def test_an_empty_text_comes_over_the_wire_as_an_answer(server: FakeOpenAI) -> None:
    assert ask(server, Reply(text="")).text == ""
    calls = ask(server, Reply(message={"content": None, "tool_calls": CALLS}))
    assert calls.text == ""
    assert calls.raw["choices"][0]["message"]["tool_calls"] == CALLS


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (None, None),
        ("many", None),
        ([], None),
        ({}, None),
        ({"prompt_tokens": 5}, TokenUsage(input=5)),
        (
            {"prompt_tokens": 5, "completion_tokens": 2},
            TokenUsage(input=5, output=2, total=7),
        ),
        (
            {"prompt_tokens": "5", "completion_tokens": None, "total_tokens": 0},
            TokenUsage(input=5, total=0),
        ),
    ],
    ids=["null", "text", "list", "empty", "partly", "no-total", "text-and-null"],
)
def test_usage_is_taken_as_far_as_it_goes(usage: object, tokens: TokenUsage | None) -> None:
    assert parse_completion(whole(usage=usage), 200, {}).tokens == tokens
    assert parse_completion(whole(), 200, {}).tokens is None


def test_fields_of_other_types_are_left_out_and_kept_in_raw() -> None:
    body = whole(model=7)
    body["choices"][0]["finish_reason"] = [7]
    answer = parse_completion(body, 200, {})
    assert (answer.model, answer.finish_reason) == (None, None)
    assert answer.raw == body


GARBAGE: dict[str, bytes] = {
    "empty": b"",
    "html": b"<html>busy</html>",
    "torn": b'{"choices": [{"mess',
    "text": b"fine",
    "array": b"[]",
    "null": b"null",
    "number": b"3",
    "no-object": b'"fine"',
    "no-choices": b"{}",
    "null-choices": b'{"choices": null}',
    "empty-choices": b'{"choices": []}',
    "choices-no-list": b'{"choices": {"0": {}}}',
    "choice-no-object": b'{"choices": ["fine"]}',
    "no-message": b'{"choices": [{"finish_reason": "stop"}]}',
    "null-message": b'{"choices": [{"message": null}]}',
    "message-no-object": b'{"choices": [{"message": "fine"}]}',
    "null-message-stopped": b'{"choices": [{"message": null, "finish_reason": "stop"}]}',
    "no-message-but-calls": b'{"choices": [{"finish_reason": "tool_calls"}]}',
    "delta-unfinished": b'{"choices": [{"delta": {"content": "fi"}, "finish_reason": null}]}',
    "completions": b'{"choices": [{"text": "fine"}]}',
    "no-utf8": b'{"choices": "\xff"}',
    "deep": b"[" * 100_000,
    "nan": b'{"choices": NaN}',
    "huge-number": b'{"choices": 1' + b"0" * 400 + b"}",
    "error-text": b'{"error": "overloaded"}',
    "error-object": b'{"error": {"message": "overloaded", "type": "server_error"}}',
}


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in GARBAGE.items()])
def test_a_200_that_is_no_completion_is_an_error_worth_another_try(
    server: FakeOpenAI, body: bytes
) -> None:
    with pytest.raises(InvalidResponseError) as raised:
        ask(server, Reply(body=body))
    assert raised.value.retryable
    assert raised.value.status_code == 200
    assert raised.value.message
    assert len(server.requests) == 1
    orjson.dumps(raised.value.details)


def test_an_invalid_body_is_quoted_as_far_as_it_helps(server: FakeOpenAI) -> None:
    with pytest.raises(InvalidResponseError, match="no JSON") as raised:
        ask(server, Reply(body=b"<html>" + b"x" * 10_000))
    assert raised.value.details is not None
    assert raised.value.details["body"].startswith("<html>xxx")
    assert len(raised.value.details["body"]) <= 500


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "slow down", "code": 429}, RateLimitError),
        ({"message": "down", "code": 503}, InternalServerError),
        ({"message": "odd", "code": "server_error"}, InvalidResponseError),
        ({"message": "odd"}, InvalidResponseError),
        ({"detail": "odd", "code": None}, InvalidResponseError),
    ],
    ids=["429", "503", "code-is-text", "no-code", "no-message"],
)
def test_an_error_within_a_200_is_never_an_answer(
    server: FakeOpenAI, error: dict[str, Any], kind: type[BackendError]
) -> None:
    with pytest.raises(BackendError) as raised:
        ask(server, Reply(extra={"error": error}))
    assert type(raised.value) is kind
    assert str(error.get("message", "odd")) in raised.value.message
    assert raised.value.details == error


def test_a_null_error_is_none(server: FakeOpenAI) -> None:
    assert ask(server, Reply(text="fine", extra={"error": None})).text == "fine"


def test_a_lone_surrogate_costs_one_character_and_not_the_answer(server: FakeOpenAI) -> None:
    body = json.dumps(whole({"role": "assistant", "content": "a\ud800b 한\U0001f600"})).encode()
    answer = ask(server, Reply(body=body))
    assert answer.text == "a\ufffdb 한\U0001f600"
    assert answer.model_dump_json()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "choices", "message", "content", "usage", "code", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_the_body_says_it_is_an_answer_or_a_backend_error(body: object) -> None:
    text = json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass")
    try:
        answer = parse_completion(read_json(text), 200, {})
    except BackendError as error:
        assert error.message  # noqa: PT017 - either is right
    else:
        assert answer.model_dump_json()


@given(st.binary(max_size=60))
def test_whatever_bytes_come_they_are_json_or_a_backend_error(body: bytes) -> None:
    try:
        read_json(body)
    except InvalidResponseError as error:
        assert error.message  # noqa: PT017 - either is right
