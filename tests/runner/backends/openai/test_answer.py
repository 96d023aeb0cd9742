"""Answers in the many shapes in which servers send them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.backends.openai.answer import AnswerReader
from lm_eval_so.runner.backends.openai.completion import AnswerOptions
from lm_eval_so.runner.errors import BackendError, InvalidResponseError
from support.completions import as_response, read_answer

if TYPE_CHECKING:
    from lm_eval_so.runner.models import ChatResponse

STOP = {"index": 0, "delta": {}, "finish_reason": "stop"}
DONE = b"data: [DONE]\n\n"


def said(text: object, **choice: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, **choice}]}


def stop(reason: object = "stop") -> dict[str, Any]:
    return {"choices": [{**STOP, "finish_reason": reason}]}


def sse(*events: object, done: bool = True) -> bytes:
    texts = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return b"".join(b"data: " + text + b"\n\n" for text in texts) + (DONE if done else b"")


def whole(message: object = None, **choice: object) -> dict[str, Any]:
    return {
        "choices": [
            {"message": message or {"content": "hi"}, "finish_reason": "stop", **choice},
        ]
    }


def as_stream(body: bytes, choices: int = 1, size: int = 7) -> ChatResponse:
    """What is read where a stream was asked for."""
    reader = AnswerReader(AnswerOptions(choices))
    for at in range(0, len(body), size):
        reader.feed(body[at : at + size], float(at))
        if reader.done:
            break
    return as_response(reader.completion(), 200, {})


def read(body: bytes, choices: int = 1) -> ChatResponse:
    """What is read, whatever was asked for and in whatever pieces it comes."""
    response = read_answer(body, 200, {}, AnswerOptions(choices))
    assert as_stream(body, choices) == response
    assert as_stream(body, choices, size=1) == response
    return response


def failure(body: bytes, choices: int = 1) -> BackendError:
    with pytest.raises(BackendError) as raised:
        read_answer(body, 200, {}, AnswerOptions(choices))
    with pytest.raises(type(raised.value)):
        as_stream(body, choices)
    assert raised.value.message
    return raised.value


EMPTY_ERRORS = ({}, None, "", [], False, {"message": "", "code": None}, {"code": 0})


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(sse(said("h"), said("i"), stop()), id="plain"),
        pytest.param(sse(said("h"), said("i")), id="no-finish-reason"),
        pytest.param(sse(said("hi"), stop("")), id="empty-finish-reason"),
        pytest.param(sse(said("hi", finish_reason="null"), stop("null")), id="null-as-text"),
        pytest.param(sse(said("hi"), stop(), done=False), id="no-done"),
        pytest.param(sse(said("hi"), stop(), done=False).rstrip(), id="no-last-line-end"),
        pytest.param(sse(said("hi"), stop()).rstrip(), id="done-without-line-end"),
        pytest.param(sse(said("hi"), stop()) + b"data: more\n\n", id="more-after-done"),
        pytest.param(sse(said("hi"), {"choices": None}, stop()), id="null-choices"),
        pytest.param(sse(said("hi"), {"choices": [None]}, stop()), id="null-choice"),
        pytest.param(sse({}, said("hi"), {"choices": []}, stop()), id="chunks-without-choices"),
        pytest.param(sse(b"", said("hi"), b" ", stop()), id="empty-data"),
        pytest.param(sse(said("hi", index=None), stop()), id="null-index"),
        pytest.param(sse(said("hi", index="0"), said("", index=0.0), stop()), id="odd-index"),
        pytest.param(sse({"choices": [{"delta": {"content": "hi"}}]}, stop()), id="no-index"),
        pytest.param(sse(said("hi", delta=None, message={"content": "hi"}), stop()), id="message"),
        pytest.param(
            sse(*[said("", delta=None, message={"content": c}) for c in "hi"], stop()),
            id="messages",
        ),
        pytest.param(
            sse(said("h"), said("i"), said("", delta={}, message={"content": "hi"}), stop()),
            id="a-message-that-repeats-all",
        ),
        pytest.param(sse(said("hi"), said("", delta=None), stop()), id="null-delta"),
        pytest.param(sse(said("hi"), {"choices": [{"finish_reason": "stop"}]}), id="no-delta"),
        pytest.param(sse(said(["h"]), said(["i"]), stop()), id="lists-of-strings"),
        pytest.param(sse(said([{"type": "text", "text": "h"}]), said("i"), stop()), id="parts"),
        pytest.param(
            sse(said("h"), said([{"type": "text", "text": "i"}]), stop()), id="then-parts"
        ),
        pytest.param(sse(whole()), id="a-whole-answer-as-an-event"),
        pytest.param(sse(said("hi"), stop()).replace(b"\n", b"\r\n"), id="crlf"),
        pytest.param(sse(said("hi"), stop()).replace(b"\n\n", b"\n"), id="no-empty-lines"),
        pytest.param(b"\xef\xbb\xbf" + sse(said("hi"), stop()), id="bom"),
        pytest.param(b": wait\n\n" + sse(said("hi"), stop()), id="comment"),
        pytest.param(b"event: message\n" + sse(said("hi"), stop()), id="named"),
        *[
            pytest.param(sse({"error": error, **said("hi")}, stop()), id=f"empty-error-{error}")
            for error in EMPTY_ERRORS
        ],
        *[
            pytest.param(json.dumps({"error": error, **whole()}).encode(), id=f"whole-{error}")
            for error in EMPTY_ERRORS
        ],
        pytest.param(json.dumps(whole()).encode(), id="whole"),
        pytest.param(b" \n\n " + json.dumps(whole()).encode() + b"\n", id="blank-around"),
        pytest.param(b"\xef\xbb\xbf" + json.dumps(whole()).encode(), id="whole-bom"),
        pytest.param(json.dumps(whole()).encode("utf-16"), id="utf-16"),
        pytest.param(json.dumps(whole({"content": ["h", "i"]})).encode(), id="list-of-strings"),
        pytest.param(json.dumps(whole(finish_reason="")).encode(), id="whole-empty-finish"),
        pytest.param(json.dumps(whole(index=None, error={})).encode(), id="whole-null-index"),
    ],
)
def test_an_answer_that_was_paid_for_is_read(body: bytes) -> None:
    assert read(body).text == "hi"


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "Infinity", "1e999", "1" * 400, "1" * 5000])
def test_numbers_out_of_range_cost_no_answer(number: str) -> None:
    logprobs = {"content": [{"token": "hi", "logprob": "<number>"}]}
    written = number.encode()
    body = json.dumps(whole(logprobs=logprobs)).encode().replace(b'"<number>"', written)
    streamed = sse(said("hi", logprobs=logprobs), stop()).replace(b'"<number>"', written)
    for each in (body, streamed):
        response = read(each)
        assert response.text == "hi"
        (token,) = response.raw["choices"][0]["logprobs"]["content"]
        assert token["logprob"] == number
        assert response.model_dump_json()


def test_long_integers_keep_their_digits_beside_what_needs_lenience() -> None:
    body = b'{"created": 18446744073709551615, "x": NaN, ' + json.dumps(whole()).encode()[1:]
    assert read(body).raw["created"] == 2**64 - 1


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"choices": [{"message": {"content": "\xec\x95\x88\xeb"}}]}', "안\ufffd"),
        (b'{"choices": [{"message": {"content": "caf\xe9!"}}]}', "caf\ufffd!"),
        (b'{"choices": [{"message": {"content": "a\nb\x01"}}]}', "a\nb\x01"),
        (b'{"choices": [{"message": {"content": "\\ud83d\\ude00 \\ud83d"}}]}', "\U0001f600 \ufffd"),
        (sse(b'{"choices": [{"delta": {"content": "\xff"}, "finish_reason": "x"}]}'), "\ufffd"),
    ],
    ids=["cut-utf-8", "latin-1", "raw-control-characters", "half-a-character", "streamed"],
)
def test_bytes_that_are_no_text_cost_one_character_each(body: bytes, text: str) -> None:
    response = as_stream(body)
    assert response.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") == text


def test_a_character_that_is_cut_between_two_chunks_is_one() -> None:
    halves = [b'{"choices": [{"delta": {"content": "\\ud83d"}}]}', said("\ude00")]
    text = read_answer(sse(*halves, stop()), 200, {}).text
    assert text == "\ud83d\ude00", "joined when it is written"


def test_all_keys_of_a_stream_are_kept() -> None:
    response = read(
        sse(
            {**said("h"), "id": "c", "provider": "p", "x_groq": {"id": "g"}, "citations": ["u"]},
            {**said("i", native_finish_reason=None), "provider": "p", "citations": ["u", "v"]},
            {**said("", content_filter_results={"hate": {"severity": "safe"}}), "citations": None},
            {**said("", content_filter_results={"hate": {"severity": "safe"}, "x": {"y": 1}})},
            said("", finish_reason="stop", native_finish_reason="end_turn", stop_reason=7),
            {"choices": [], "usage": {"cost": 1}, "timings": {"ms": 1}, "x_groq": {"usage": 2}},
        )
    )
    raw = response.raw
    assert (raw["id"], raw["provider"], raw["citations"]) == ("c", "p", ["u", "v"])
    assert raw["timings"] == {"ms": 1}
    assert raw["x_groq"] == {"id": "g", "usage": 2}
    assert raw["usage"] == {"cost": 1}
    (choice,) = raw["choices"]
    assert choice["native_finish_reason"] == "end_turn"
    assert choice["stop_reason"] == 7
    assert choice["content_filter_results"] == {"hate": {"severity": "safe"}, "x": {"y": 1}}
    assert choice["message"]["content"] == "hi"


def test_unknown_keys_of_a_message_are_put_together_too() -> None:
    pieces: list[dict[str, Any]] = [
        {
            "reasoning": "a",
            "reasoning_details": [{"text": "a"}],
            "audio": {"id": "x", "data": "QU"},
        },
        {
            "reasoning": "b",
            "reasoning_details": [{"text": "b"}],
            "audio": {"id": "x", "data": "JD"},
        },
        {"content": "hi", "function_call": {"name": "f", "arguments": "{"}},
        {"function_call": {"arguments": "}"}, "annotations": [1]},
    ]
    chunks = [{"choices": [{"index": 0, "delta": piece}]} for piece in pieces]
    message = read(sse(*chunks, stop())).raw["choices"][0]["message"]
    assert message["reasoning"] == "ab"
    assert message["reasoning_details"] == [{"text": "a"}, {"text": "b"}]
    assert message["audio"] == {"id": "x", "data": "QUJD"}
    assert message["function_call"] == {"name": "f", "arguments": "{}"}
    assert message["annotations"] == [1]


def test_token_ids_and_logprobs_go_on_from_chunk_to_chunk() -> None:
    chunks = [
        said(text, token_ids=[n], logprobs={"content": [{"token": text}], "refusal": None})
        for n, text in enumerate("hi")
    ]
    (choice,) = read(sse(*chunks, stop())).raw["choices"]
    assert choice["token_ids"] == [0, 1]
    assert choice["logprobs"] == {"content": [{"token": "h"}, {"token": "i"}], "refusal": None}


def called(**piece: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]}


F = {"name": "f", "arguments": '{"x": 1}'}
G = {"name": "g", "arguments": "{}"}


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [{"index": 0, "id": "a", "function": F}, {"index": 1, "id": "b", "function": G}],
            id="plain",
        ),
        pytest.param(
            [{"index": 1, "id": "b", "function": G}, {"index": 0, "id": "a", "function": F}],
            id="other-order",
        ),
        pytest.param(
            [{"index": 0, "id": "a", "function": F}, {"index": 0, "id": "b", "function": G}],
            id="all-0",
        ),
        pytest.param(
            [{"index": 0, "id": "", "function": F}, {"index": 0, "id": "", "function": G}],
            id="no-ids",
        ),
        pytest.param([{"id": "a", "function": F}, {"id": "b", "function": G}], id="no-index"),
        pytest.param(
            [{"index": None, "function": F}, {"index": None, "function": G}], id="nothing"
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}},
                {
                    "index": 0,
                    "id": "new-each-time",
                    "function": {"name": None, "arguments": '{"x"'},
                },
                {"index": 0, "id": "", "function": {"name": "", "arguments": ": 1}"}},
                {"index": 0, "id": "b", "function": {"name": "g", "arguments": "{"}},
                {"index": 0, "function": {"arguments": "}"}},
            ],
            id="pieces-at-0",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x"'}},
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": ": 1}"}},
                {"index": 1, "id": "b", "function": G},
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}},
            ],
            id="names-that-come-again",
        ),
    ],
)
def test_parallel_tool_calls_are_kept_apart(pieces: list[dict[str, Any]]) -> None:
    message = read(sse(*[called(**piece) for piece in pieces], stop())).raw["choices"][0]["message"]
    assert [call["function"] for call in message["tool_calls"]] == [F, G]
    assert all("index" not in call for call in message["tool_calls"])


def test_two_calls_of_one_function_without_ids_are_two() -> None:
    chunks = [called(index=0, function=F), called(index=0, function=F)]
    message = read(sse(*chunks, stop())).raw["choices"][0]["message"]
    assert [call["function"] for call in message["tool_calls"]] == [F, F]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(sse(said("h"), done=False), id="no-finish-and-no-done"),
        pytest.param(sse(said("h", finish_reason="null"), done=False), id="null-as-text"),
        pytest.param(sse(said("h"), stop(""), done=False), id="empty-finish"),
        pytest.param(sse(said("h"), stop(), done=False) + b'data: {"usa', id="torn-behind-finish"),
        pytest.param(sse(said("h"), done=False) + b'data: {"choices', id="torn"),
        pytest.param(sse(said("h"), done=False) + b"dat", id="torn-before-the-colon"),
        pytest.param(sse(done=True), id="done-alone"),
        pytest.param(sse({"usage": {"total_tokens": 3}}), id="no-choice"),
        pytest.param(sse(done=False), id="nothing"),
        pytest.param(json.dumps(whole()).encode()[:-1], id="whole"),
        pytest.param(b" ", id="blank"),
    ],
)
def test_what_is_cut_is_no_answer(body: bytes) -> None:
    error = failure(body)
    assert isinstance(error, InvalidResponseError)
    assert error.retryable


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(sse(said("h"), stop(), done=False), id="one-of-two-without-done"),
        pytest.param(sse(said("h", index=1), said("h"), stop()), id="one-finish-of-two"),
        pytest.param(sse(said("h", index=None), stop()), id="whose"),
    ],
)
def test_of_several_choices_none_may_be_missing_or_cut(body: bytes) -> None:
    assert isinstance(failure(body, choices=2), InvalidResponseError)


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param({"choices": [{"text": "h"}]}, id="older-api"),
        pytest.param(said({"image": "h"}), id="content-object"),
        pytest.param(said([{"image": "h"}]), id="content-list"),
        pytest.param(said("", delta="h"), id="delta-text"),
        pytest.param(said("", delta=None, message={"content": "other"}), id="another-message"),
        pytest.param([said("h")], id="list"),
        pytest.param(b"nonsense", id="no-json"),
        pytest.param(b"[" * 5000, id="deep"),
    ],
)
def test_text_that_cannot_be_placed_is_an_error_and_not_left_out(chunk: object) -> None:
    assert isinstance(failure(sse(said("so far"), chunk, stop())), InvalidResponseError)


PYTHON_SAYS = ("object", "attribute", "indices", "iterable", "Error", "recursion", "None", "'")


@pytest.mark.parametrize(
    "chunk",
    [
        *["text", 7, True, [1], [None], [[]]],
        *[{"choices": wrong} for wrong in ("x", 7, {"0": {}}, [7], ["x"], [[]])],
        *[said("", delta=wrong) for wrong in ("x", [1], 7)],
        *[said("", index=wrong) for wrong in ("x", [], {"a": None}, -1)],
        *[called(index=0, function=wrong) for wrong in ("x", 7, [1])],
        *[{"choices": [{"delta": {"tool_calls": wrong}}]} for wrong in ("x", 7, [7], [None])],
        *[b"[" * 5000, b"nonsense", b"{}\ndata: nonsense"],
    ],
    ids=lambda chunk: repr(chunk)[:60],
)
def test_what_is_no_chunk_is_told_in_words_and_as_json(chunk: object) -> None:
    begun = called(index=0, function={"name": "f", "arguments": ""})
    error = failure(sse(said("so far"), begun, chunk, stop()))
    assert isinstance(error, InvalidResponseError)
    assert "no chunk" in error.message or "no JSON in the stream" in error.message
    assert not [words for words in PYTHON_SAYS if words in error.message], error.message


@pytest.mark.parametrize(
    "reason",
    ["error", "ERROR", "network_error", "abort", "timeout", "insufficient_system_resource"],
)
def test_a_finish_reason_that_means_failure_is_an_error(reason: str) -> None:
    for body in (json.dumps(whole(finish_reason=reason)).encode(), sse(said("h"), stop(reason))):
        error = failure(body)
        assert (error.error_type, error.retryable) == ("InvalidResponseError", True)
        assert reason in error.message
        assert error.details


@pytest.mark.parametrize(
    "reason",
    ["stop", "length", "content_filter", "tool_calls", "eos_token", "end_turn", {"type": "stop"}],
)
def test_other_finish_reasons_are_answers(reason: object) -> None:
    assert read(sse(said("hi"), stop(reason))).text == "hi"


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ({"code": 502, "message": "died"}, "InternalServerError", True),
        ({"code": "503", "message": "died"}, "InternalServerError", True),
        ({"code": 429, "message": "slow"}, "RateLimitError", True),
        ({"code": "rate_limit_exceeded", "message": "slow"}, "RateLimitError", True),
        (
            {"code": None, "type": "overloaded_error", "message": "busy"},
            "InternalServerError",
            True,
        ),
        ({"status": "RESOURCE_EXHAUSTED", "message": "slow"}, "RateLimitError", True),
        ({"code": "insufficient_quota", "message": "spent"}, "QuotaExceededError", False),
        ({"code": "invalid_api_key", "message": "no"}, "AuthenticationError", False),
        ({"code": 400, "message": "no"}, "BadRequestError", False),
        ({"type": "BadRequestError", "message": "no"}, "BadRequestError", False),
        ({"code": "context_length_exceeded", "message": "long"}, "BadRequestError", False),
        ({"code": "model_not_found", "message": "no"}, "NotFoundError", False),
        ({"code": "server_error", "message": "died"}, "InvalidResponseError", True),
        ({"code": 7, "message": "died"}, "InvalidResponseError", True),
        ({"message": "died"}, "InvalidResponseError", True),
        ("died", "InvalidResponseError", True),
        (["died"], "InvalidResponseError", True),
    ],
    ids=str,
)
def test_an_error_counts_wherever_it_stands(error: object, kind: str, *, retryable: bool) -> None:
    bodies = [
        json.dumps({"error": error}).encode(),
        json.dumps({**whole(), "error": error}).encode(),
        json.dumps(whole(error=error)).encode(),
        sse(said("h"), {"error": error}),
        sse(said("h"), {**said("i"), "error": error}),
        sse(said("h"), said("i", error=error, finish_reason="error")),
        sse(said("h"), stop(), done=False) + b"event: error\n" + sse(error),
        sse(said("h"), stop(), done=False) + b"event: error\n" + sse({"error": error}),
    ]
    for body in bodies:
        found = failure(body)
        assert (found.error_type, found.retryable) == (kind, retryable), body
        assert "died" in found.message or kind != "InvalidResponseError"


def test_a_second_choice_that_failed_fails_the_sample() -> None:
    choices = [{"message": {"content": "a"}}, {"message": {"content": ""}, "error": {"code": 502}}]
    assert failure(json.dumps({"choices": choices}).encode()).status_code == 502


@pytest.mark.parametrize("words", ["upstream timed out", "", "<html>busy</html>", "\ufffd"])
def test_an_error_event_keeps_the_words_of_the_server(words: str) -> None:
    body = sse(said("h"), done=False) + b"event: error\ndata: " + words.encode() + b"\n\n"
    error = failure(body)
    assert words in error.message
    assert error.retryable


def test_an_error_as_an_object_of_its_own_is_told() -> None:
    body = {"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}
    for each in (json.dumps(body).encode(), sse(said("h"), body)):
        error = failure(each)
        assert (error.error_type, error.message) == ("BadRequestError", "too long")


def test_half_a_character_in_an_error_event_can_be_written() -> None:
    error = failure(sse(b'{"error": {"message": "bad \\ud83d", "code": 502}}'))
    assert (error.status_code, error.message) == (502, "bad \ufffd")
    assert error.details == {"message": "bad \ufffd", "code": 502}


@pytest.mark.parametrize(
    "said_by",
    [
        *("content", "reasoning", "reasoning_content", "refusal"),
        *("tool_calls", "function_call", "audio"),
    ],
)
def test_the_first_token_is_whatever_says_something(said_by: str) -> None:
    values: dict[str, object] = {"tool_calls": [{"index": 0}], "function_call": {"name": "f"}}
    values |= {"audio": {"transcript": "x"}}
    reader = AnswerReader()
    reader.feed(sse({"choices": [{"index": 0, "delta": {"content": ""}}]}, done=False), 5.0)
    assert reader.time_to_first_token_ms is None
    piece = {said_by: values.get(said_by, "x")}
    reader.feed(sse({"choices": [{"index": 0, "delta": piece}]}, done=False), 7.0004)
    reader.feed(sse(said("more"), done=False), 9.0)
    assert reader.time_to_first_token_ms == 7.0


def test_a_whole_answer_has_no_first_token() -> None:
    reader = AnswerReader()
    reader.feed(json.dumps(whole()).encode(), 5.0)
    assert reader.time_to_first_token_ms is None
