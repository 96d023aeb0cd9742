from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.errors import BackendError, InvalidResponseError, RateLimitError
from lm_eval_so.runner.models import ChatResponse, RunConfig, TestSample, TokenUsage
from support.fake_openai import FakeOpenAI, Reply
from support.requests import request_of

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m-2026"}
STOP = {"delta": {}, "finish_reason": "stop"}


def ask(server: FakeOpenAI, reply: Reply, **parameters: object) -> ChatResponse:
    server.behave = lambda _received, _nth: reply
    config = RunConfig(
        backend="openai",
        model="m",
        parameters={"stream": True, **parameters},
        backend_options={"base_url": server.base_url, "api_key": "sk-fake-0123456789"},
    )
    backend = OpenAIBackend(config)
    sample = TestSample(id="s0", messages=[{"role": "user", "content": "q"}])

    async def main() -> ChatResponse:
        async with backend:
            return await backend.send(request_of(sample, 0, config, "key", "trace"))

    return asyncio.run(main())


def events(*chunks: object, done: bool = True) -> Reply:
    """A stream of these chunks; bytes go as they are."""
    texts = [chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode() for chunk in chunks]
    body = b"".join(b"data: " + text + b"\n\n" for text in texts)
    return Reply(body=body + (b"data: [DONE]\n\n" if done else b""))


def chunk(*choices: dict[str, Any], **changed: object) -> dict[str, Any]:
    numbered = [{"index": 0, **choice} for choice in choices]
    return {**HEAD, "choices": numbered, **changed}


def delta(index: int = 0, **said: object) -> dict[str, Any]:
    return chunk({"index": index, "delta": said, "finish_reason": None})


def test_a_streamed_answer_is_that_of_a_whole_one(server: FakeOpenAI) -> None:
    answer = ask(server, Reply(text="안녕, stream!"))
    assert answer.text == "안녕, stream!"
    assert answer.finish_reason == "stop"
    assert answer.status_code == 200
    assert answer.tokens == TokenUsage(input=7, output=3, total=10)
    assert answer.model == "m-2026-01-01"
    assert answer.request_id == "req-stream"
    assert answer.raw["object"] == "chat.completion"
    message = {"role": "assistant", "content": "안녕, stream!"}
    assert answer.raw["choices"][0]["message"] == message


def test_the_time_to_the_first_token_is_measured(server: FakeOpenAI) -> None:
    answer = ask(server, Reply(text="fine", latency=0.1))
    assert answer.time_to_first_token_ms is not None
    assert 100 <= answer.time_to_first_token_ms < 5000


def test_the_first_token_is_the_first_that_says_something(server: FakeOpenAI) -> None:
    said_nothing = events(delta(role="assistant", content=""), chunk(STOP))
    assert ask(server, said_nothing).time_to_first_token_ms is None
    for name in ("content", "refusal", "reasoning_content", "reasoning"):
        assert ask(server, events(delta(**{name: "x"}), chunk(STOP))).time_to_first_token_ms


def test_usage_is_asked_for_unless_told_otherwise(server: FakeOpenAI) -> None:
    ask(server, Reply())
    assert server.requests[-1].body["stream"] is True
    assert server.requests[-1].body["stream_options"] == {"include_usage": True}
    answer = ask(server, Reply(), stream_options={"include_usage": False})
    assert server.requests[-1].body["stream_options"] == {"include_usage": False}
    assert answer.tokens is None


def test_stream_false_is_sent_and_is_no_stream(server: FakeOpenAI) -> None:
    answer = ask(server, Reply(text="fine"), stream=False)
    assert server.requests[-1].body["stream"] is False
    assert "stream_options" not in server.requests[-1].body
    assert answer.text == "fine"
    assert answer.time_to_first_token_ms is None


def call(index: int, arguments: str = "", **first: str) -> dict[str, Any]:
    named = {key: first[key] for key in ("id", "type") if key in first}
    function = {"arguments": arguments}
    if "name" in first:
        function["name"] = first["name"]
    return {"index": index, **named, "function": function}


def test_tool_calls_are_put_together_by_their_index(server: FakeOpenAI) -> None:
    answer = ask(
        server,
        events(
            delta(role="assistant", content=None),
            delta(tool_calls=[call(0, id="c0", type="function", name="weather")]),
            delta(tool_calls=[call(0, '{"city": ')]),
            delta(tool_calls=[call(1, id="c1", type="function", name="time"), call(0, '"서')]),
            delta(tool_calls=[call(1, "{}")]),
            delta(tool_calls=[call(0, '울"}')]),
            chunk({"delta": {}, "finish_reason": "tool_calls"}),
        ),
    )
    assert answer.text == ""
    assert answer.finish_reason == "tool_calls"
    assert answer.time_to_first_token_ms is not None
    message = answer.raw["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == [
        {
            "id": "c0",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "서울"}'},
        },
        {"id": "c1", "type": "function", "function": {"name": "time", "arguments": "{}"}},
    ]


def test_several_choices_are_kept_apart_and_in_order(server: FakeOpenAI) -> None:
    answer = ask(
        server,
        events(
            delta(1, role="assistant", content="b"),
            delta(0, role="assistant", content="a"),
            delta(1, content="B"),
            delta(0, content="A"),
            chunk({"index": 1, **STOP}),
            chunk({"index": 0, "delta": {}, "finish_reason": "length"}),
        ),
        n=2,
    )
    assert (answer.text, answer.finish_reason) == ("aA", "length")
    choices = answer.raw["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    assert [choice["message"]["content"] for choice in choices] == ["aA", "bB"]


def test_refusals_reasoning_and_log_probabilities_are_strung_together(server: FakeOpenAI) -> None:
    def with_logprobs(token: str) -> dict[str, Any]:
        said = {"reasoning_content": token, "refusal": token.upper()}
        return chunk({"delta": said, "logprobs": {"content": [{"token": token}]}})

    answer = ask(server, events(with_logprobs("a"), with_logprobs("b"), chunk(STOP)))
    assert answer.text == "AB"
    (choice,) = answer.raw["choices"]
    assert choice["message"]["reasoning_content"] == "ab"
    assert choice["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}]}


def test_what_the_chunks_say_of_the_whole_is_kept(server: FakeOpenAI) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "details": {"x": 1}}
    answer = ask(
        server,
        events(
            {**delta(role="assistant", content="fine"), "system_fingerprint": "fp_9"},
            chunk(STOP, usage=None),
            {**HEAD, "choices": [], "usage": usage},
        ),
    )
    assert answer.raw["system_fingerprint"] == "fp_9"
    assert answer.raw["usage"] == usage
    assert answer.tokens == TokenUsage(input=1, output=2, total=3)


def test_names_that_come_again_in_every_chunk_are_not_doubled(server: FakeOpenAI) -> None:
    said = [delta(role="assistant", content=text) for text in "abc"]
    answer = ask(server, events(*said, chunk(STOP)))
    message = {"role": "assistant", "content": "abc"}
    assert answer.raw["choices"][0]["message"] == message


def test_comments_and_a_missing_done_are_no_harm(server: FakeOpenAI) -> None:
    plain = events(delta(content="fine"), chunk(STOP), done=False)
    assert plain.body is not None
    assert ask(server, Reply(body=b": keep-alive\n\n" + plain.body)).text == "fine"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(events(delta(content="half"), done=False), id="no-end"),
        pytest.param(
            events(delta(content="half"), chunk({"finish_reason": ""}), done=False),
            id="empty-finish",
        ),
        pytest.param(
            events(delta(content="half"), chunk({"finish_reason": "null"}), done=False),
            id="null-finish",
        ),
        pytest.param(events(), id="nothing"),
        pytest.param(Reply(body=b""), id="no-byte"),
        pytest.param(events({**HEAD, "choices": []}), id="no-choice"),
        pytest.param(
            events(chunk({"index": 0, **STOP}), delta(1, content="half")), id="one-of-two"
        ),
        pytest.param(events(delta(content="half"), b'{"choices": [{"del'), id="torn-chunk"),
    ],
)
def test_a_stream_that_ends_before_the_answer_is_worth_another_try(
    server: FakeOpenAI, reply: Reply
) -> None:
    with pytest.raises(InvalidResponseError) as raised:
        ask(server, reply)
    assert raised.value.retryable
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"nonsense", id="no-json"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b"[1]", id="array"),
        pytest.param(b"7", id="number"),
        pytest.param(b"\xff\xfe", id="no-utf8"),
        pytest.param({"choices": "x"}, id="choices-no-list"),
        pytest.param({"choices": ["x"]}, id="choice-text"),
        pytest.param({"choices": [{"delta": "x"}]}, id="delta-text"),
        pytest.param({"choices": [{"delta": [1]}]}, id="delta-list"),
        pytest.param({"choices": [{"index": "a", "delta": {}}]}, id="index-text"),
        pytest.param({"choices": [{"index": [], "delta": {}}]}, id="index-list"),
        pytest.param({"choices": [{"delta": {"tool_calls": "x"}}]}, id="calls-text"),
        pytest.param({"choices": [{"delta": {"tool_calls": [7]}}]}, id="call-number"),
        pytest.param(
            {"choices": [{"delta": {"tool_calls": [{"index": "x"}]}}]}, id="call-index-text"
        ),
    ],
)
def test_a_chunk_that_is_none_fails_the_sample_and_not_the_run(
    server: FakeOpenAI, garbage: object
) -> None:
    with pytest.raises(BackendError) as raised:
        ask(server, events(delta(content="half"), garbage))
    assert raised.value.retryable


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "overloaded", "type": "server_error"}, InvalidResponseError),
        ({"message": "overloaded", "code": "server_error"}, InvalidResponseError),
        ({"message": "overloaded", "code": 429}, RateLimitError),
    ],
    ids=["no-code", "code-is-text", "429"],
)
def test_an_error_event_within_a_stream_is_an_error(
    server: FakeOpenAI, error: dict[str, Any], kind: type[BackendError]
) -> None:
    with pytest.raises(kind, match="overloaded") as raised:
        ask(server, events(delta(content="half"), {"error": error}))
    assert type(raised.value) is kind
    assert raised.value.details == error
    assert raised.value.retryable


@pytest.mark.parametrize("index", [-1, 10**9], ids=str)
def test_an_index_out_of_all_bounds_fails_the_sample_and_takes_no_memory(
    server: FakeOpenAI, index: int
) -> None:
    call = {"choices": [{"delta": {"tool_calls": [{"index": index}]}}]}
    with pytest.raises(InvalidResponseError):
        ask(server, events(delta(content="half"), call))
