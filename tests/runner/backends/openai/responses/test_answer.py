"""Responses and their streams, read as answers."""

from __future__ import annotations

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response

from lm_eval_so.runner.backends.openai.responses.wire import ResponsesWire
from lm_eval_so.runner.backends.wires.ask import as_response, read_whole
from lm_eval_so.runner.errors import (
    BackendError,
    BadRequestError,
    InvalidResponseError,
    RateLimitError,
)
from lm_eval_so.runner.models import ChatResponse, TokenUsage
from support.message_bodies import sse
from support.response_bodies import WHOLE, events, response, said

WIRE = ResponsesWire({"model": "gpt-x"})
STREAM = sse(events(WHOLE))


def read(body: bytes) -> ChatResponse:
    return read_whole(WIRE, body, 200, {"x-request-id": "req_1"})


def failure(body: bytes) -> BackendError:
    with pytest.raises(BackendError) as raised:
        read(body)
    return raised.value


def test_the_body_of_these_tests_is_what_the_sdk_takes() -> None:
    Response.model_validate(WHOLE)


@pytest.mark.parametrize(
    "body",
    [orjson.dumps(WHOLE), STREAM, sse(events(WHOLE, repeats_output=False))],
    ids=["whole", "streamed", "streamed, and not repeated at the end"],
)
def test_every_field_of_an_answer_is_read(body: bytes) -> None:
    answer = read(body)
    assert answer.text == "it is raining"
    assert answer.reasoning == "first\n\nthen"
    assert answer.finish_reason == "tool_calls"
    function = {"name": "weather", "arguments": '{"town":"Oslo"}'}
    assert answer.tool_calls == [{"id": "call_1", "type": "function", "function": function}]
    assert answer.tokens == TokenUsage(
        input=100, output=30, total=130, cached=80, cache_written=9, reasoning=20
    )
    assert answer.model == "gpt-x-2026"
    assert answer.service_tier == "flex"
    assert answer.request_id == "req_1"
    assert answer.raw == WHOLE


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_a_stream_is_read_alike_in_whatever_pieces_it_comes(cuts: list[int]) -> None:
    reader = WIRE.reader()
    for begin, end in pairwise([0, *sorted(cuts), len(STREAM)]):
        reader.feed(STREAM[begin:end], 0.0)
    assert reader.done
    answer = as_response(WIRE, reader.completion(), 200, {"x-request-id": "req_1"})
    assert answer == read(STREAM)


def test_a_stream_that_was_cut_is_never_an_answer() -> None:
    last = STREAM.index(b"event: response.completed")
    for end in {*range(1, last, 37), last}:
        assert isinstance(failure(STREAM[:end]), InvalidResponseError), end


def test_the_times_are_those_of_the_first_thought_and_of_the_first_word() -> None:
    reader, made = WIRE.reader(), events(WHOLE)
    for at, event in enumerate(made):
        reader.feed(sse([event]), float(at))
    kinds = [each["type"] for each in made]
    assert reader.time_to_first_token_ms == kinds.index("response.reasoning_summary_text.delta")
    assert reader.time_to_first_answer_token_ms == kinds.index("response.output_text.delta")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("reason", "ours"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter"), (None, "incomplete")],
)
def test_an_incomplete_answer_says_why(
    reason: str | None,
    ours: str,
    streamed: bool,  # noqa: FBT001 - a parameter
) -> None:
    details = {"reason": reason} if reason else None
    cut = response(said("it"), status="incomplete", incomplete_details=details)
    answer = read(sse(events(cut)) if streamed else orjson.dumps(cut))
    assert (answer.text, answer.finish_reason) == ("it", ours)


def test_a_refusal_is_told_in_its_own_words() -> None:
    answer = read(orjson.dumps(response(said("not this", kind="refusal"))))
    assert (answer.text, answer.refusal, answer.finish_reason) == ("not this", "not this", "stop")


def test_the_reasoning_itself_stands_where_there_is_no_summary() -> None:
    content = [{"type": "reasoning_text", "text": "hm"}]
    thoughts = {"type": "reasoning", "id": "rs_1", "summary": [], "content": content}
    assert read(orjson.dumps(response(thoughts, said("a")))).reasoning == "hm"


def test_an_empty_answer_is_an_answer() -> None:
    assert read(orjson.dumps(response())).text == ""


FAILED = {"code": "server_error", "message": "it broke"}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("code", "kind", "retryable", "sample_fault"),
    [
        ("server_error", InvalidResponseError, True, False),
        ("rate_limit_exceeded", RateLimitError, True, False),
        ("invalid_prompt", BadRequestError, False, True),
        ("image_parse_error", BadRequestError, False, True),
        ("empty_image_file", BadRequestError, False, True),
    ],
)
def test_a_response_that_failed_is_its_error(
    code: str,
    kind: type[BackendError],
    retryable: bool,  # noqa: FBT001 - a parameter
    sample_fault: bool,  # noqa: FBT001 - a parameter
    streamed: bool,  # noqa: FBT001 - a parameter
) -> None:
    failed = response(status="failed", error={"code": code, "message": "why"})
    error = failure(sse(events(failed)) if streamed else orjson.dumps(failed))
    assert (type(error), error.message) == (kind, "why")
    assert (error.retryable, error.sample_fault) == (retryable, sample_fault)


def test_an_error_event_is_its_error() -> None:
    event = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down"}
    error = failure(sse([*events(WHOLE)[:4], event]))
    assert (type(error), error.message) == (RateLimitError, "slow down")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><title>Sign in</title></html>",
        b"[]",
        b"{}",
        b'{"output": "text"}',
        orjson.dumps(response(status="in_progress")),
        orjson.dumps(response(status="cancelled")),
        b'{"choices": [{"message": {"content": "of another API"}}]}',
        b'data: {"type": "response.completed"}\n\n',
        b"data: [1]\n\n",
        b"data: {\n\n",
        b"data: [DONE]\n\n",
    ],
    ids=lambda body: repr(body)[:60],
)
def test_what_is_no_response_is_no_answer(body: bytes) -> None:
    assert isinstance(failure(body), InvalidResponseError)
