"""Answers, ends and words that a few servers and gateways send in a way of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.backends.openai.answer import AnswerReader
from lm_eval_so.runner.errors import BackendError
from support.completions import as_response, read_answer

if TYPE_CHECKING:
    from lm_eval_so.runner.models import ChatResponse


def chunk(text: object = None, reason: object = None, **changed: object) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **changed}


def events(*chunks: object) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in chunks)


def whole(content: object = "fine", **changed: object) -> dict[str, Any]:
    choice = {"index": 0, "message": {"content": content}, "finish_reason": "stop"}
    return {"choices": [choice], **changed}


def streamed(body: bytes) -> ChatResponse:
    reader = AnswerReader()
    for at in range(0, len(body), 5):
        reader.feed(body[at : at + 5], float(at))
    return as_response(reader.completion(), 200, {})


def read(body: bytes) -> ChatResponse:
    """What is read, whatever was asked for and in whatever pieces it comes."""
    response = read_answer(body, 200, {})
    assert streamed(body) == response
    return response


def failure(body: bytes) -> BackendError:
    with pytest.raises(BackendError) as raised:
        read(body)
    return raised.value


ANSWERED = events(chunk("fi"), chunk("ne"))


@pytest.mark.parametrize("end", ["[DONE]", '"[DONE]"', "[done]", "'[DONE]'", "[DONE] "])
def test_a_stream_may_name_its_end_in_several_ways(end: str) -> None:
    answer = read(ANSWERED + f"data: {end}\n\n".encode())
    assert (answer.text, answer.finish_reason) == ("fine", None)


@pytest.mark.parametrize("nothing", ["null", "[]", "{}", "", " "])
def test_an_event_with_nothing_in_it_keeps_a_connection_alive(nothing: str) -> None:
    alive = f"data: {nothing}\n\n".encode()
    assert read(alive + ANSWERED + alive + events(chunk(reason="stop"))).text == "fine"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"type": "text", "text": "fine"}, id="one-part"),
        pytest.param([["fi"], "ne"], id="nested"),
        pytest.param([{"type": "text", "text": {"value": "fine"}}], id="value"),
        pytest.param([{"type": "output_text", "text": "fi"}, {"text": "ne"}], id="other-types"),
        pytest.param(
            [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "fine"}], id="reasoned"
        ),
        pytest.param([{"type": "text", "content": "fine"}], id="text-as-content"),
        pytest.param({"type": "output_text", "content": "fine"}, id="one-part-as-content"),
        pytest.param([{"type": "text", "value": "fi"}, "ne"], id="text-as-value"),
        pytest.param([{"type": "refusal", "refusal": "fine"}], id="refusal"),
        pytest.param([{"type": "thinking", "thinking": "hm"}, None, "fine"], id="thought"),
    ],
)
def test_a_content_in_parts_of_any_shape_loses_no_text(content: object) -> None:
    assert read(json.dumps(whole(content)).encode()).text == "fine"
    assert read(events(chunk(content), chunk(reason="stop"))).text == "fine"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (42, "42"),
        (0, "0"),
        (-1.5, "-1.5"),
        (True, "true"),
        (False, "false"),
        ({"a": 1, "b": [None, "ü"]}, '{"a":1,"b":[null,"ü"]}'),
        ({}, "{}"),
        ({"type": "circle", "radius": 3}, '{"type":"circle","radius":3}'),
        ([1, 2], "[1,2]"),
        ([{"a": 1}, {"a": 2}], '[{"a":1},{"a":2}]'),
        (None, ""),
        ([], ""),
        ([{"type": "image_url", "image_url": {"url": "data:"}}], ""),
    ],
    ids=str,
)
def test_a_content_that_is_json_in_the_place_of_text_is_its_json(
    content: object, text: str
) -> None:
    assert read(json.dumps(whole(content)).encode()).text == text
    assert read(events(chunk(""), chunk(content), chunk(reason="stop"))).text == text


def test_digits_that_are_streamed_as_numbers_stay_in_their_place() -> None:
    pieces = ["[^", 1, "] costs $", 0, ".", 0, 0, 5, "; ", True]
    found = read(events(*map(chunk, pieces), chunk(reason="stop")))
    assert found.text == "[^1] costs $0.005; true"
    assert found.raw["choices"][0]["message"]["content"] == found.text


def test_digits_of_reasoning_and_of_arguments_stay_in_their_place_too() -> None:
    thoughts = [{"reasoning_content": piece} for piece in (1, ". six times ", 7, " is ", 42)]
    calls = [
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": piece}}]}
        for piece in ("{", '"x": ', 1, ".", 5, ', "y": ', True, "}")
    ]
    pieces = [{"choices": [{"index": 0, "delta": delta}]} for delta in (*thoughts, *calls)]
    found = read(events(*pieces, chunk(reason="tool_calls")))
    assert found.reasoning == "1. six times 7 is 42"
    (call,) = found.tool_calls or ()
    assert json.loads(call["function"]["arguments"]) == {"x": 1.5, "y": True}


def test_halves_of_characters_in_structured_output_can_be_written() -> None:
    body = json.dumps(whole({"a": "\ud83d"})).encode()
    assert read(body).text == '{"a":"\ufffd"}'


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("content_filter", "content_filter"),
        ("content_filter: PROHIBITED_CONTENT", "content_filter"),
        ("SAFETY", "content_filter"),
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ({"type": "length", "length": 7}, "length"),
    ],
    ids=str,
)
@pytest.mark.parametrize("message", [{}, {"message": None}], ids=["none", "null"])
def test_a_choice_that_was_withheld_needs_no_message(
    message: dict[str, Any], reason: object, told: str
) -> None:
    choice = {"index": 0, "finish_reason": reason, **message}
    found = read(json.dumps({"choices": [choice]}).encode())
    assert (found.text, found.finish_reason) == ("", told)
    assert read(events(chunk(reason=reason))).finish_reason == told


@pytest.mark.parametrize("message", [{}, {"message": None}, {"message": {}}], ids=str)
def test_a_delta_in_the_place_of_a_message_is_one(message: dict[str, Any]) -> None:
    choice = {"index": 0, "delta": {"content": "fine"}, "finish_reason": "stop", **message}
    body = {"choices": [choice, choice]}
    found = read(json.dumps(body).encode())
    assert (found.text, found.finish_reason) == ("fine", "stop")
    assert found.choices is not None
    assert [each.text for each in found.choices] == ["fine", "fine"]


def test_what_is_said_as_sound_is_its_transcript() -> None:
    sound = {"role": "assistant", "content": None, "audio": {"id": "a", "transcript": "fine"}}
    choice = {"index": 0, "message": sound, "finish_reason": "stop"}
    assert read(json.dumps({"choices": [choice]}).encode()).text == "fine"
    deltas = [{"audio": {"id": "a", "transcript": "fi"}}, {"audio": {"data": "QU"}}]
    deltas += [{"audio": {"transcript": "ne"}}, {"audio": {"expires_at": 7}}]
    pieces = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    assert read(events(*pieces, chunk(reason="stop"))).text == "fine"


@pytest.mark.parametrize("audio", [None, "QU", {}, {"transcript": None}, {"transcript": 7}])
def test_sound_without_a_transcript_is_no_text(audio: object) -> None:
    choice = {"message": {"content": None, "audio": audio}, "finish_reason": "stop"}
    assert read(json.dumps({"choices": [choice]}).encode()).text == ""


@pytest.mark.parametrize("name", ["result", "data"])
def test_a_completion_within_another_object_is_read(name: str) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    body = {"success": True, "code": 0, name: whole(usage=usage, model="m-2026")}
    found = read(json.dumps(body).encode())
    assert (found.text, found.model, found.raw) == ("fine", "m-2026", body)
    assert found.tokens is not None
    assert found.tokens.total == 5
    failed = {name: whole(error={"code": 429, "message": "slow"})}
    assert failure(json.dumps(failed).encode()).error_type == "RateLimitError"


GEMINI = {
    "code": 429,
    "message": "You exceeded your current quota.",
    "status": "RESOURCE_EXHAUSTED",
    "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}],
}


@pytest.mark.parametrize("before", [b"", ANSWERED], ids=["first", "later"])
@pytest.mark.parametrize("error", [[{"error": GEMINI}], {"error": [GEMINI]}], ids=["list", "error"])
def test_an_error_in_a_list_counts_in_a_stream_as_in_a_body(error: object, before: bytes) -> None:
    event = events(error)
    for body in (json.dumps(error).encode(), before + event, before + b"event: error\n" + event):
        found = failure(body)
        assert (found.error_type, found.status_code) == ("RateLimitError", 429)
        assert (found.message, found.retry_after) == ("You exceeded your current quota.", 3)


def test_a_bad_request_in_a_list_is_not_sent_again() -> None:
    found = failure(events([{"error": {"code": 400, "message": "no such parameter"}}]))
    assert (found.error_type, found.retryable) == ("BadRequestError", False)


def test_a_finish_reason_that_is_an_object_is_known_by_its_type() -> None:
    stopped = events(chunk("fine"), chunk(reason={"type": "stop", "matched": 2}))
    assert read(stopped).finish_reason == "stop"
    aborted = events(chunk("fi"), chunk(reason={"type": "abort", "message": "gone"}))
    assert "was given up by the server" in failure(aborted).message


@pytest.mark.parametrize("reason", ["cancelled", "FAILED", "model_error", "server_error"])
def test_words_for_a_generation_that_failed_are_no_answer(reason: str) -> None:
    assert failure(events(chunk("fi"), chunk(reason=reason))).retryable


@pytest.mark.parametrize("code", [0, "0", 200, "200", "ok", "SUCCESS"])
def test_an_error_that_says_all_is_well_beside_an_answer_is_none(code: object) -> None:
    fine = {"error": {"code": code, "message": "success"}}
    assert read(json.dumps(whole(**fine)).encode()).text == "fine"
    assert failure(json.dumps(fine).encode()).message == "success"


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        pytest.param({"code": 429, "message": "slow"}, "RateLimitError", "slow", id="code"),
        pytest.param({"code": 500, "msg": "down"}, "InternalServerError", "down", id="msg"),
        pytest.param({"detail": "none"}, "InvalidResponseError", "none", id="detail"),
        pytest.param({"errors": [{"message": "no"}]}, "InvalidResponseError", "no", id="errors"),
        pytest.param(
            {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "log in"}},
            "AuthenticationError",
            "log in",
            id="minimax-key",
        ),
        pytest.param(
            {"choices": None, "base_resp": {"status_code": 1033, "status_msg": "down"}},
            "InvalidResponseError",
            "down",
            id="minimax",
        ),
        pytest.param(
            [{"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}}],
            "RateLimitError",
            "slow",
            id="gemini",
        ),
        pytest.param({"type": "error", "message": "no"}, "InvalidResponseError", "no", id="type"),
    ],
)
def test_a_200_without_an_answer_tells_the_words_of_the_server(
    body: object, kind: str, words: str
) -> None:
    found = failure(json.dumps(body).encode())
    assert (found.error_type, found.message.endswith(words)) == (kind, True)


def test_what_another_api_answers_is_not_taken_for_words() -> None:
    found = failure(b'{"message": {"role": "assistant", "content": "hi"}, "done": true}')
    assert found.message == "the answer is no completion: no choices"


@pytest.mark.parametrize(
    ("stray", "words"),
    [
        pytest.param(b"error: worker died\n\n", "error: worker died", id="line"),
        pytest.param(b'{"error": {"message": "worker died"}}\n', "worker died", id="json"),
        pytest.param(b'data: {"detail": "worker died"}\n\n', "worker died", id="event"),
        pytest.param(b"<p><title>502 Gateway</title></p>\n", "502 Gateway", id="page"),
    ],
)
def test_a_stream_that_breaks_off_tells_what_was_said_in_its_place(
    stray: bytes, words: str
) -> None:
    found = failure(ANSWERED + stray)
    assert found.message == f"the stream ended before the answer did, but: {words}"
    assert (found.error_type, found.retryable) == ("InvalidResponseError", True)
    assert read(ANSWERED + stray + events(chunk(reason="stop"))).text == "fine"


def test_a_stream_that_breaks_off_is_judged_by_the_code_it_tells() -> None:
    found = failure(ANSWERED + b'{"error": {"message": "slow", "code": 429}}\n')
    assert (found.error_type, found.message) == ("RateLimitError", "slow")


def test_comments_ids_and_retries_are_no_words() -> None:
    found = failure(b": hello\n\nid: 7\nretry: 5\n\n" + ANSWERED)
    assert found.message == "the stream ended before the answer did"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "nothing at all", id="empty"),
        pytest.param(b" \r\n", "nothing at all", id="blank"),
        pytest.param(b"upstream\nis away", "no JSON, but: upstream is away", id="words"),
        pytest.param(b'{"choices": [', "no JSON (Expecting value", id="cut"),
    ],
)
def test_a_200_that_is_no_json_is_told_by_its_words(body: bytes, words: str) -> None:
    found = failure(body)
    assert found.message.startswith(f"the answer is no completion: {words}")
