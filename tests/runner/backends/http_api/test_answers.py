"""What a chatbot says becomes an answer, or the error that says what came instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.errors import (
    AuthenticationError,
    InternalServerError,
    InvalidResponseError,
    NotFoundError,
    RateLimitError,
)
from support.ask_http import ask, failure
from support.chatbot import Chatbot, Says

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lm_eval_so import ChatResponse
    from lm_eval_so.runner.errors import BackendError


@pytest.fixture(scope="module")
def bot() -> Iterator[Chatbot]:
    with Chatbot() as running:
        yield running


def answer(bot: Chatbot, says: Says, **options: Any) -> ChatResponse:  # noqa: ANN401 - options
    bot.behave = lambda _: says
    return ask({"url": bot.url, "answer": "body.reply", **options})


def error(bot: Chatbot, says: Says, **options: Any) -> BackendError:  # noqa: ANN401 - options
    bot.behave = lambda _: says
    return failure({"url": bot.url, "answer": "body.reply", **options})


PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>...</body></html>"

NO_ERRORS: list[Any] = [
    *("none", "None", "0", "null", "false", "success", " OK ", "No error", 200, [], [None], [{}]),
    *({"code": 0, "message": "done"}, {"code": "0"}, {"code": None, "message": None}),
    *({"code": "", "message": ""}, {"status": "success"}, {"errors": [], "code": None}),
]
ERRORS: list[Any] = [
    *(
        "no",
        "x",
        5,
        True,
        ["x"],
        {"code": "", "message": "boom"},
        {"code": None, "message": "boom"},
    ),
    *({"code": "none", "message": "boom"}, {"code": 1, "message": "ok"}, {"message": "boom"}),
]

NEVER_AN_ANSWER: list[Any] = [
    pytest.param(Says(PAGE, 500), {}, InternalServerError, "Sign in", id="500 page"),
    pytest.param(Says({"reply": "x"}, 404), {}, NotFoundError, "reply", id="404 with an answer"),
    pytest.param(Says({"reply": "x"}, 401), {}, AuthenticationError, "reply", id="401"),
    pytest.param(
        Says({"error": {"message": "no room", "code": 429}}),
        {},
        RateLimitError,
        "no room",
        id="200 with an error object",
    ),
    pytest.param(
        Says({"reply": "sorry", "error": "out of order"}),
        {},
        InvalidResponseError,
        "out of order",
        id="200 with an answer and an error",
    ),
    pytest.param(
        Says({"reply": "sorry", "status": "failed", "why": "no"}),
        {"error": "body.status == 'failed' && body.why"},
        InvalidResponseError,
        "no",
        id="200 with an error by an expression",
    ),
    pytest.param(Says(PAGE), {}, InvalidResponseError, "a web page: Sign in", id="HTML login page"),
    pytest.param(
        Says(PAGE), {"answer": "text"}, InvalidResponseError, "Sign in", id="login page as text"
    ),
    pytest.param(Says(""), {}, InvalidResponseError, "nothing at all", id="empty body"),
    pytest.param(
        Says(" \n"), {"answer": "text"}, InvalidResponseError, "nothing at all", id="empty text"
    ),
    pytest.param(
        Says({"data": {"message": "hi", "id": 1}}),
        {"answer": "body.data.reply"},
        InvalidResponseError,
        "backend.options.answer (body.data.reply) found nothing; body.data is an object with "
        "message, id",
        id="missing path",
    ),
    pytest.param(
        Says({"reply": None}), {}, InvalidResponseError, "body is an object with reply", id="null"
    ),
    pytest.param(Says([1, 2]), {}, InvalidResponseError, "body is a list of 2", id="a list"),
    pytest.param(Says('"text"'), {}, InvalidResponseError, "the text 'text'", id="a string"),
    pytest.param(
        Says({"reply": ["a", "b"]}), {}, InvalidResponseError, "found a list of 2", id="no text"
    ),
    pytest.param(
        Says({"reply": [1]}),
        {"answer": "join(',', body.reply)"},
        InvalidResponseError,
        "backend.options.answer (join(',', body.reply))",
        id="a function that does not take it",
    ),
]


@pytest.mark.parametrize(("says", "options", "kind", "words"), NEVER_AN_ANSWER)
def test_what_is_no_answer_is_never_one(
    says: Says, options: dict[str, Any], kind: type[BackendError], words: str, bot: Chatbot
) -> None:
    found = error(bot, says, **options)
    assert type(found) is kind
    assert words in found.message


@pytest.mark.parametrize("said", ERRORS, ids=str)
def test_an_error_beside_an_answer_is_one(said: Any, bot: Chatbot) -> None:  # noqa: ANN401 - JSON
    assert error(bot, Says({"reply": "sorry", "error": said})).retryable


def test_what_stands_for_no_error_is_one_without_an_answer(bot: Chatbot) -> None:
    assert "down" in error(bot, Says({"error": {"code": 0, "message": "down"}})).message


def test_a_path_that_finds_nothing_is_not_tried_again_and_an_error_is(bot: Chatbot) -> None:
    assert not error(bot, Says({"other": 1})).retryable
    assert error(bot, Says({"error": "busy"})).retryable


ANSWERS: list[Any] = [
    pytest.param(Says({"reply": ""}), {}, "", id="an empty answer"),
    pytest.param(Says({"reply": 5}), {}, "5", id="a number"),
    pytest.param(Says({"reply": False}), {}, "false", id="a truth"),
    pytest.param(Says({"reply": "ok", "error": None}), {}, "ok", id="no error"),
    pytest.param(Says({"reply": "ok", "error": {}}), {}, "ok", id="an empty error"),
    pytest.param(Says({"reply": "ok", "error": "x"}), {"error": None}, "ok", id="error is nothing"),
    *(
        pytest.param(Says({"reply": "ok", "error": error}), {}, "ok", id=f"no error: {error}")
        for error in NO_ERRORS
    ),
    pytest.param(Says({"reply": "gone"}, 404), {"ok_status": [404]}, "gone", id="ok_status"),
    pytest.param(Says("plain ü\n"), {"answer": "text"}, "plain ü\n", id="text"),
    pytest.param(Says("<b>yes</b>"), {"answer": "text"}, "<b>yes</b>", id="a bit of HTML"),
    pytest.param(
        Says('{"error": "not ours"}'), {"answer": "text"}, '{"error": "not ours"}', id="JSON text"
    ),
    pytest.param(
        Says([{"text": "a"}, {"image": "i"}, {"text": "b"}]),
        {"answer": "join('\n', body[].text)"},
        "a\nb",
        id="joined texts",
    ),
    pytest.param(
        Says({}, headers={"X-Reply": "in a header"}),
        {"answer": 'headers."x-reply"'},
        "in a header",
        id="a header",
    ),
]


@pytest.mark.parametrize(("says", "options", "text"), ANSWERS)
def test_what_the_path_finds_is_the_text(
    says: Says, options: dict[str, Any], text: str, bot: Chatbot
) -> None:
    assert answer(bot, says, **options).text == text


def test_all_that_paths_name_stands_in_the_result(bot: Chatbot) -> None:
    said = {
        "reply": "hi",
        "meta": {"why": "max_tokens", "model": "m-2", "thought": "hm", "id": 17},
        "calls": [{"id": "c1"}, "no call"],
        "usage": {"in": "12", "out": 3.0, "hit": 4, "thinking": 1},
    }
    found = answer(
        bot,
        Says(said),
        finish_reason="body.meta.why",
        model="body.meta.model",
        reasoning="body.meta.thought",
        request_id="body.meta.id",
        tool_calls="body.calls",
        tokens={
            "input": "body.usage.in",
            "output": "body.usage.out",
            "cached": "body.usage.hit",
            "reasoning": "body.usage.thinking",
        },
    )
    assert (found.finish_reason, found.model, found.reasoning) == ("length", "m-2", "hm")
    assert (found.request_id, found.tool_calls) == ("17", [{"id": "c1"}])
    assert found.tokens is not None
    assert found.tokens.model_dump() == {
        "input": 12,
        "output": 3,
        "total": 15,
        "cached": 4,
        "reasoning": 1,
    }
    assert found.raw == said


def test_what_further_paths_do_not_find_is_left_out(bot: Chatbot) -> None:
    says = Says({"reply": "hi", "usage": {"in": "many"}}, headers={"X-Request-Id": "r-7"})
    found = answer(bot, says, finish_reason="body.why", tokens={"input": "body.usage.in"})
    assert (found.finish_reason, found.tokens, found.request_id) == (None, None, "r-7")


@pytest.mark.parametrize(
    ("says", "rule"),
    [
        (Says({"busy": True}, 409), "status == `409`"),
        (Says({"reply": "wait", "busy": True}), "body.busy"),
        (Says("please wait", 400), "contains(text, 'wait')"),
    ],
    ids=str,
)
def test_retry_when_makes_an_answer_worth_another_attempt(
    says: Says, rule: str, bot: Chatbot
) -> None:
    assert error(bot, says, retry_when=rule).retryable
    never = error(bot, Says({"x": 1}, 400), retry_when=rule)
    assert not never.retryable


def test_the_wait_that_the_bot_asks_for_is_read(bot: Chatbot) -> None:
    assert error(bot, Says({}, 429, {"Retry-After": "7"})).retry_after == 7
