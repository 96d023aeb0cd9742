"""An answer in another charset than UTF-8 is the text that was sent, on every wire."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so import RunConfig, TestSample
from lm_eval_so.runner.backends.anthropic.backend import AnthropicBackend
from lm_eval_so.runner.backends.http.charset import Utf8Pieces, foreign_charset, in_utf8
from lm_eval_so.runner.backends.http_api.backend import HttpBackend
from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.errors import BackendError
from support import message_bodies
from support.chatbot import Chatbot, Says
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lm_eval_so import ChatBackend, ChatResponse

    Made = Callable[[Chatbot], ChatBackend]
    Written = Callable[[str], str]
    Cut = Callable[[bytes], list[bytes]]

CHARSETS: list[Any] = [
    pytest.param("euc-kr", "안녕하세요", "euc-kr", id="euc-kr"),
    pytest.param('"EUC-KR"', "똠방각하", "cp949", id="euc-kr, as browsers know it"),
    pytest.param("GBK", "你好世界", "gbk", id="gbk"),
    pytest.param("gb2312", "朱镕基€", "gb18030", id="gb2312, as browsers know it"),
    pytest.param("Shift_JIS", "こんにちは①", "cp932", id="shift_jis"),
    pytest.param("Big5", "你好", "big5", id="big5"),
    pytest.param("ISO-8859-1", "café “au lait”", "cp1252", id="iso-8859-1"),
    pytest.param("windows-1251", "привет", "cp1251", id="windows-1251"),
    pytest.param("utf-16", "안녕 hello", "utf-16", id="utf-16"),
    pytest.param("UTF-16BE", "hello", "utf-16-be", id="utf-16 that looks like UTF-8"),
    pytest.param("utf-16", "hello", "utf-8", id="declares utf-16 and is UTF-8"),
    pytest.param("euc-kr", "안녕", "utf-8", id="declares euc-kr and is UTF-8"),
    pytest.param("iso-8859-1", "안녕", "utf-8", id="declares iso-8859-1 and is UTF-8"),
    pytest.param("nope", "안녕", "utf-8", id="nobody knows it"),
]


@pytest.fixture(scope="module")
def bot() -> Iterator[Chatbot]:
    with Chatbot() as running:
        yield running


def raw(data: Any) -> str:  # noqa: ANN401 - JSON
    return json.dumps(data, ensure_ascii=False)


def event(data: Any) -> str:  # noqa: ANN401 - JSON
    return f"data: {raw(data)}\n\n"


def chat(bot: Chatbot, **parameters: Any) -> ChatBackend:  # noqa: ANN401 - any
    reached = {"base_url": f"{bot.url}/v1", "api_key": "sk-01234567"}
    return OpenAIBackend(
        RunConfig(backend="openai", model="m", parameters=parameters, backend_options=reached)
    )


def messages(bot: Chatbot, **parameters: Any) -> ChatBackend:  # noqa: ANN401 - any
    reached = {"base_url": bot.url, "api_key": "sk-01234567"}
    named = {"max_tokens": 5, **parameters}
    return AnthropicBackend(
        RunConfig(backend="anthropic", model="m", parameters=named, backend_options=reached)
    )


def http(bot: Chatbot, **options: Any) -> ChatBackend:  # noqa: ANN401 - any
    return HttpBackend(
        RunConfig(backend="http", model="m", backend_options={"url": bot.url, **options}), {}
    )


def message(text: str) -> dict[str, Any]:
    return message_bodies.message({"type": "text", "text": text})


SSE = {"format": "sse", "delta": "data.text", "done": "data.end"}
NDJSON = {"format": "ndjson", "delta": "data.text", "done": "data.end"}
WIRES: dict[str, tuple[Made, Written]] = {
    "chat": (
        chat,
        lambda text: raw({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}),
    ),
    "chat, streamed": (
        lambda bot: chat(bot, stream=True),
        lambda text: "".join(
            event({"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": end}]})
            for part, end in ((text[:2], None), (text[2:], "stop"))
        ),
    ),
    "messages": (messages, lambda text: raw(message(text))),
    "messages, streamed": (
        lambda bot: messages(bot, stream=True),
        lambda text: "".join(map(event, message_bodies.events(message(text)))),
    ),
    "http": (lambda bot: http(bot, answer="body.reply"), lambda text: raw({"reply": text})),
    "http, text": (lambda bot: http(bot, answer="text"), str),
    "http, sse": (
        lambda bot: http(bot, stream=SSE),
        lambda text: event({"text": text[:2]}) + event({"text": text[2:], "end": True}),
    ),
    "http, ndjson": (
        lambda bot: http(bot, stream=NDJSON),
        lambda text: raw({"text": text[:2]}) + "\n" + raw({"text": text[2:], "end": True}),
    ),
    "http, streamed text": (lambda bot: http(bot, stream={"format": "text"}), str),
}
every_wire = pytest.mark.parametrize(("backend", "written"), WIRES.values(), ids=WIRES)
BACKENDS = [backend for backend, _ in WIRES.values()]


def ask(backend: ChatBackend) -> ChatResponse:
    sample = TestSample(id="s0", messages=[{"role": "user", "content": "q"}])

    async def main() -> ChatResponse:
        async with backend:
            return await backend.send(request_of(sample, 0, backend.config, "key", "trace"))

    return asyncio.run(main())


def bytewise(body: bytes) -> list[bytes]:
    return [bytes([each]) for each in body]


@every_wire
@pytest.mark.parametrize("cut", [lambda body: [body], bytewise], ids=["at once", "bytewise"])
@pytest.mark.parametrize(("declared", "text", "codec"), CHARSETS)
def test_an_answer_is_the_text_that_was_sent(
    declared: str, text: str, codec: str, cut: Cut, backend: Made, written: Written, bot: Chatbot
) -> None:
    body = cut(written(text).encode(codec))
    bot.behave = lambda _: Says(body, headers={"Content-Type": f"x/json; charset={declared}"})
    assert ask(backend(bot)).text == text


@pytest.mark.parametrize("backend", BACKENDS, ids=WIRES)
@pytest.mark.parametrize("status", [400, 500])
def test_an_error_has_the_words_that_were_sent(status: int, backend: Made, bot: Chatbot) -> None:
    words = raw({"error": {"message": "잘못된 요청"}}).encode("euc-kr")
    bot.behave = lambda _: Says(words, status, {"Content-Type": "a/json;charset=euc-kr"})
    with pytest.raises(BackendError) as raised:
        ask(backend(bot))
    assert raised.value.message == "잘못된 요청"


@pytest.mark.parametrize(
    "header",
    [
        *(
            "application/json",
            "",
            "text/plain; charset=utf-8",
            "a/b; charset=UTF8",
            "a/b; charset=",
        ),
        *("a/b; charset=nope", "a/b; charset=hex", "a/b; charset=idna", "a/b; charset=undefined"),
        *("a/b; charset=utf-7", "a/b; charset=unicode_escape", "a/b; charset=\udcff"),
    ],
)
def test_there_is_nothing_to_do_for_utf8_and_for_what_is_no_charset(header: str) -> None:
    assert foreign_charset({"Content-Type": header}) is None


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        pytest.param("안녕 \ufffd".encode(), "cp1252", id="UTF-8 with a character for none"),
        pytest.param("안녕하세요".encode() + b"\xff", "cp949", id="UTF-8 with a wrong byte"),
        pytest.param(b"\xff\xff\xff", "cp949", id="neither"),
        pytest.param(b"hi\0", "cp949", id="a zero"),
        pytest.param(b"", "utf-16", id="nothing"),
    ],
)
def test_a_wrong_charset_changes_nothing(body: bytes, charset: str) -> None:
    assert in_utf8(body, charset) == body
    pieces = Utf8Pieces(charset)
    assert pieces.feed(body) + pieces.rest() == body


def test_a_wrong_byte_costs_one_character() -> None:
    assert in_utf8("안녕하세요".encode("cp949") + b"\xff", "cp949").decode() == "안녕하세요\ufffd"


def test_no_line_is_waited_for_that_is_readable() -> None:
    pieces = Utf8Pieces("cp949")
    assert pieces.feed(b"hel") == b"hel"
    assert pieces.feed("안녕\n".encode("cp949")) == "안녕\n".encode()
    assert pieces.feed("하".encode("cp949")) == "하".encode()


def test_what_looks_like_utf8_by_chance_is_read_as_the_lines_before_it() -> None:
    pieces = Utf8Pieces("cp949")
    lines = "안녕\n치\n".encode("cp949")
    assert b"".join(map(pieces.feed, lines.splitlines(keepends=True))) == "안녕\n치\n".encode()
