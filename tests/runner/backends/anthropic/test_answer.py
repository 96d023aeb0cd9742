"""Messages and streams of the Messages API, read as answers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lm_eval_so.runner.backends.anthropic.wire import MessagesWire
from lm_eval_so.runner.backends.wires.ask import as_response, read_whole
from lm_eval_so.runner.errors import (
    BackendError,
    InternalServerError,
    InvalidResponseError,
    QuotaExceededError,
)
from lm_eval_so.runner.models import ChatResponse, TokenUsage
from support.message_bodies import BLOCKS, USAGE, WHOLE, events, message, sse

WIRE = MessagesWire({"model": "claude-x", "max_tokens": 5})
HEADERS = {"request-id": "req_1"}
STREAM = sse(events(WHOLE))


def read(body: bytes) -> ChatResponse:
    return read_whole(WIRE, body, 200, HEADERS)


def failure(body: bytes) -> BackendError:
    with pytest.raises(BackendError) as raised:
        read(body)
    return raised.value


def test_the_bodies_of_these_tests_are_what_the_sdk_takes() -> None:
    Message.model_validate(WHOLE)
    event: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    for each in events(WHOLE):
        if each["type"] != "ping":
            event.validate_python(each)


@pytest.mark.parametrize("body", [orjson.dumps(WHOLE), STREAM], ids=["whole", "streamed"])
def test_every_field_of_an_answer_is_read(body: bytes) -> None:
    answer = read(body)
    assert answer.text == "it is raining"
    assert answer.reasoning == "let me see"
    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls == [
        {
            "id": "toolu_1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"town":"Oslo"}'},
        }
    ]
    assert answer.tokens == TokenUsage(
        input=1107, output=30, total=1137, cached=1000, cache_written=100, reasoning=20
    )
    assert answer.model == "claude-x-2026"
    assert answer.service_tier == "priority"
    assert answer.request_id == "req_1"
    assert answer.raw["content"] == BLOCKS
    assert answer.raw["usage"] == USAGE


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_a_stream_is_read_alike_in_whatever_pieces_it_comes(cuts: list[int]) -> None:
    reader = WIRE.reader()
    for begin, end in pairwise([0, *sorted(cuts), len(STREAM)]):
        reader.feed(STREAM[begin:end], 0.0)
    assert reader.done
    assert as_response(WIRE, reader.completion(), 200, HEADERS) == read(STREAM)


def test_a_stream_that_was_cut_is_never_an_answer() -> None:
    last = STREAM.index(b"event: message_delta")  # it has the reason why the model stopped
    for end in {*range(1, last, 37), last, STREAM.index(b"}", last)}:
        assert isinstance(failure(STREAM[:end]), InvalidResponseError), end


def test_the_times_are_those_of_the_first_thought_and_of_the_first_word() -> None:
    reader = WIRE.reader()
    for at, event in enumerate(events(WHOLE)):
        reader.feed(sse([event]), float(at))
    kinds = [(each.get("delta") or {}).get("type") for each in events(WHOLE)]
    assert reader.time_to_first_token_ms == kinds.index("thinking_delta")
    assert reader.time_to_first_answer_token_ms == kinds.index("text_delta")


@pytest.mark.parametrize(
    ("told", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
    ],
)
def test_each_stop_reason_has_its_word(told: str, ours: str) -> None:
    assert read(orjson.dumps(message(BLOCKS[2], stop_reason=told))).finish_reason == ours


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_is_told_in_its_own_words(streamed: bool) -> None:  # noqa: FBT001 - a parameter
    details = {"type": "refusal", "category": "bio", "explanation": "not this"}
    refused = message(stop_reason="refusal", stop_details=details)
    answer = read(sse(events(refused)) if streamed else orjson.dumps(refused))
    assert (answer.text, answer.refusal, answer.finish_reason) == (
        *("not this", "not this"),
        "content_filter",
    )


def test_input_of_a_tool_that_max_tokens_cut_is_kept_as_it_is() -> None:
    made = events(message(BLOCKS[4], stop_reason="max_tokens"))
    pieces = [at for at, each in enumerate(made) if each["type"] == "content_block_delta"]
    del made[pieces[-1]]
    answer = read(sse(made))
    assert answer.finish_reason == "length"
    assert answer.tool_calls is not None
    assert answer.tool_calls[0]["function"]["arguments"] == '{"town":"Oslo"'


def test_an_empty_answer_is_an_answer() -> None:
    assert read(orjson.dumps(message())).text == ""
    assert read(sse(events(message()))).text == ""


def test_a_usage_that_is_missing_or_wrong_is_no_count() -> None:
    assert read(orjson.dumps(message(usage=None))).tokens is None
    assert read(orjson.dumps(message(usage={"input_tokens": "x"}))).tokens is None
    tokens = read(orjson.dumps(message(usage={"input_tokens": 1.0, "output_tokens": 2}))).tokens
    assert tokens == TokenUsage(input=1, output=2, total=3)


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
BILLING = {"type": "error", "error": {"type": "billing_error", "message": "pay"}}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [(OVERLOADED, InternalServerError, 529), (BILLING, QuotaExceededError, 402)],
    ids=["overloaded", "billing"],
)
def test_an_error_in_a_200_is_that_error(
    body: dict[str, Any],
    kind: type[BackendError],
    status: int,
    streamed: bool,  # noqa: FBT001 - a parameter
) -> None:
    error = failure(sse([*events(WHOLE)[:5], body]) if streamed else orjson.dumps(body))
    assert (type(error), error.status_code) == (kind, status)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><title>Sign in</title></html>",
        b"[]",
        b"{}",
        b'{"content": 5}',
        b'{"choices": [{"message": {"content": "of another API"}}]}',
        b'event: message_start\ndata: {"type": "message_start"}\n\n',
        b'data: {"type": "content_block_delta", "index": 7, "delta": {}}\n\n',
        b"data: [1]\n\n",
        b"data: {\n\n",
        b"event: message_stop\ndata: {}\n\n",
    ],
    ids=repr,
)
def test_what_is_no_message_is_no_answer(body: bytes) -> None:
    assert isinstance(failure(body), InvalidResponseError)
