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
    ],
)
def test_a_content_in_parts_of_any_shape_loses_no_text(content: object) -> None:
    assert read(json.dumps(whole(content)).encode()).text == "fine"
    assert read(events(chunk(content), chunk(reason="stop"))).text == "fine"


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
            "InvalidResponseError",
            "log in",
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
