"""A streamed answer is the text of its events, whole or an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.errors import APIConnectionError, InvalidResponseError, RateLimitError
from support.ask_http import ask, failure
from support.chatbot import Chatbot, Says

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lm_eval_so import ChatResponse
    from lm_eval_so.runner.errors import BackendError

SSE = {"format": "sse", "delta": "data.text", "done": "data.end"}
END = {"end": True, "usage": {"in": 3, "out": 2}, "model": "m-2"}


@pytest.fixture(scope="module")
def bot() -> Iterator[Chatbot]:
    with Chatbot() as running:
        yield running


def events(*data: Any, name: str = "") -> list[bytes]:  # noqa: ANN401 - JSON, or text
    head = f"event: {name}\n" if name else ""
    return [
        f"{head}data: {each if isinstance(each, str) else json.dumps(each)}\n\n".encode()
        for each in data
    ]


def options(bot: Chatbot, stream: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"url": bot.url, "stream": stream, **more}


def answer(bot: Chatbot, says: Says, stream: dict[str, Any], **more: Any) -> ChatResponse:  # noqa: ANN401
    bot.behave = lambda _: says
    return ask(options(bot, stream, **more))


def error(bot: Chatbot, says: Says, stream: dict[str, Any]) -> BackendError:
    bot.behave = lambda _: says
    return failure(options(bot, stream))


def bytewise(pieces: list[bytes]) -> list[bytes]:
    """The same in pieces of one byte."""
    return [bytes([each]) for each in b"".join(pieces)]


@pytest.mark.parametrize("cut", [list, bytewise], ids=["whole", "bytewise"])
def test_events_are_put_together(cut: Any, bot: Chatbot) -> None:  # noqa: ANN401 - a function
    pieces = cut(events({"text": "héllo "}, {"other": 1}, {"text": "🙂"}, END, {"text": "more"}))
    found = answer(
        bot,
        Says(pieces),
        SSE,
        tokens={"input": "body.usage.in", "output": "body.usage.out"},
        model="body.model",
    )
    assert found.text == "héllo 🙂"
    assert found.tokens is not None
    assert (found.tokens.input, found.tokens.total, found.model) == (3, 5, "m-2")
    assert found.time_to_first_token_ms is not None
    assert found.raw == [{"text": "héllo "}, {"other": 1}, {"text": "🙂"}, END]


@pytest.mark.parametrize(
    ("pieces", "stream"),
    [
        pytest.param(events("he", "llo", "[DONE]"), {"format": "sse"}, id="text in events"),
        pytest.param(
            [*events({"t": "he"}, name="add"), *events({"t": "no"}, name="ping"), *events("llo")],
            {"format": "sse", "delta": "event == 'add' && data.t || event == '' && data"},
            id="by the event's name",
        ),
        pytest.param(
            [b'{"t": "he"}\n\n{"t": "l', b'lo"}\r\n', b'{"end": 1}'],
            {"format": "ndjson", "delta": "data.t", "done": "data.end"},
            id="ndjson",
        ),
        pytest.param(bytewise([b"hello"]), {"format": "text"}, id="text"),
    ],
)
def test_each_format_is_read(pieces: list[bytes], stream: dict[str, Any], bot: Chatbot) -> None:
    assert answer(bot, Says(pieces), stream).text == "hello"


def test_half_a_character_waits_for_its_other_half(bot: Chatbot) -> None:
    assert answer(bot, Says(bytewise(["é🙂".encode()])), {"format": "text"}).text == "é🙂"


@pytest.mark.parametrize(
    ("pieces", "stream"),
    [
        pytest.param(
            [*events({"text": "hello", "error": {"code": 0, "message": "done"}}), *events(END)],
            SSE,
            id="no error",
        ),
        pytest.param(
            events({"text": "hello"}, {"error": "none", "end": True}), SSE, id="no error at the end"
        ),
        pytest.param(
            [*events("[START]", "ping"), *events({"text": "hello"}, END)], SSE, id="words beside it"
        ),
        pytest.param([*events({"text": "hello"}), b'data: "[done]"\n\n'], SSE, id="[done]"),
        pytest.param(
            [b'data: {"text": "hel"}\ndata: {"text": "lo"}\ndata: [DONE]\n\n'],
            SSE,
            id="no empty lines",
        ),
        pytest.param(
            [*events({"text": "hello"}), b'{"error": null}\n\n', *events(END)],
            SSE,
            id="no error aside",
        ),
        pytest.param(
            events({"text": "hello"}) + events({"text": ""}, name="error"),
            {"format": "sse", "delta": "data.text", "error": None},
            id="error is nothing",
        ),
    ],
)
def test_what_is_no_error_leaves_the_answer(
    pieces: list[bytes], stream: dict[str, Any], bot: Chatbot
) -> None:
    assert answer(bot, Says(pieces), stream).text == "hello"


@pytest.mark.parametrize(
    "lines", [["{", "he", "}"], ["[", "1", "]"], ["{he\ndata: {}"], ["he\ndata: {}"]], ids=str
)
def test_words_that_look_like_json_stay_words(lines: list[str], bot: Chatbot) -> None:
    found = answer(bot, Says([*events(*lines), *events("[DONE]")]), {"format": "sse"})
    assert found.text == "".join(lines).replace("data: ", "")


def test_an_answer_may_be_empty(bot: Chatbot) -> None:
    assert answer(bot, Says(events({"text": ""}, END)), SSE).text == ""


WITHOUT_END = {"format": "sse", "delta": "data.text"}
FAULTS: list[tuple[str, list[bytes], str]] = [
    ("event named error", events({"message": "boom"}, name="error"), "boom"),
    ("event named Error", events({"error": {"message": "boom"}}, name="Error"), "boom"),
    ("named error, in words", events("upstream died", name="error"), "upstream died"),
    ("named error, CLOVA's", events({"status": {"message": "boom"}}, name="error"), "boom"),
    ("named error, torn", [b'event: error\ndata: {"mess\n\n'], '{"mess'),
    ("line of a gateway", [b'{"error": "upstream died"}\n\n'], "upstream died"),
    ("line of a gateway's", [b'{"error": {"message": "boom", "code": 429}}\n\n'], "boom"),
    ("torn event", [b'data: {"te\n\n'], "no JSON in the stream"),
]
NEVER: list[Any] = [
    pytest.param(Says(events({"text": "he"})), SSE, "ended before the answer did", id="no end"),
    pytest.param(
        Says(events({"text": "he"}, {"error": {"message": "no room", "code": 429}})),
        SSE,
        "no room",
        id="an error among the events",
    ),
    pytest.param(Says(events({"txt": "he"}, END)), SSE, "found nothing in 2 events", id="no text"),
    pytest.param(Says({"error": "out of order"}), SSE, "out of order", id="JSON"),
    *(
        pytest.param(Says([*events({"text": "he"}), *more]), stream, words, id=f"{name}{end}")
        for name, more, words in FAULTS
        for end, stream in (("", WITHOUT_END), (", then the end", SSE))
        for more in ([*more, *(events(END) if end else [])],)
    ),
    pytest.param(
        Says([b'{"t": "he"}\n{"t": "l'], headers={"Content-Type": "application/x-ndjson"}),
        {"format": "ndjson", "delta": "data.t"},
        "no JSON",
        id="a torn line",
    ),
    pytest.param(
        Says([*events([{"text": "he"}]), b'data: [{"te']),
        {"format": "sse", "delta": "data[0].text"},
        "no JSON",
        id="a torn list",
    ),
    pytest.param(
        Says(events("he") + events("out of order", name="error")),
        {"format": "sse"},
        "out of order",
        id="an event named error among words",
    ),
    pytest.param(Says(""), {"format": "sse"}, "nothing at all", id="nothing"),
    pytest.param(Says(""), SSE, "nothing at all", id="nothing, and no end"),
    pytest.param(Says("<html><title>Sign in</title>"), SSE, "Sign in", id="a page, and no end"),
    pytest.param(Says("<html><title>Sign in</title>"), {"format": "text"}, "Sign in", id="a page"),
    pytest.param(Says("<html><title>Sign in</title>"), {"format": "sse"}, "Sign in", id="a page "),
]


@pytest.mark.parametrize(("says", "stream", "words"), NEVER)
def test_what_is_no_answer_is_never_one(
    says: Says, stream: dict[str, Any], words: str, bot: Chatbot
) -> None:
    found = error(bot, says, stream)
    assert isinstance(found, InvalidResponseError | RateLimitError)
    assert words in found.message


def test_a_connection_that_breaks_leaves_no_answer(bot: Chatbot) -> None:
    for stream in (SSE, {"format": "sse", "delta": "data.text"}, {"format": "text"}):
        says = Says([*events({"text": "he"}), *events({"text": "llo"})], cut=True)
        assert isinstance(error(bot, says, stream), APIConnectionError)


def test_a_refusal_is_told_by_its_status(bot: Chatbot) -> None:
    found = error(bot, Says({"error": "slow down"}, 429, {"Retry-After": "3"}), SSE)
    assert isinstance(found, RateLimitError)
    assert found.retry_after == 3


def test_a_stream_has_the_request_id_of_its_head(bot: Chatbot) -> None:
    bot.behave = lambda _: Says(events({"text": "hi"}, END), headers={"x-request-id": "abc"})
    assert ask(options(bot, SSE)).request_id == "abc"
