"""``backend=http`` in the table of what all backends must keep: answers, a stream, a token."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support.answerer import LATENCY, SECRET, Answerer, Behaviour
from support.chatbot import Chatbot, Heard, Says
from support.fake_openai import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

OPTION = "backend.options"


def _bot(behaviour: Behaviour, *, streams: bool = False) -> Chatbot:
    def behave(heard: Heard) -> Says:
        key = heard.headers["Authorization"]
        if behaviour == "refuses":
            return Says({"error": f"the key is wrong: {key}"}, 401)
        text = echo(heard.json["q"]) + (f" {key}" if behaviour == "tells" else "")
        body = {"reply": text, "sent": dict(heard.headers)}
        event = b"data: " + json.dumps(body).encode() + b"\n\n"
        return Says([event, b"data: [DONE]\n\n"] if streams else body, hold=LATENCY)

    return Chatbot(behave)


def _answerer(bot: Chatbot, *options: str) -> Answerer:
    named = [f"{OPTION}.url={bot.url}/chat", f"{OPTION}.body={{q: '{{{{ last_user }}}}'}}"]
    given = [f"{OPTION}.{option}" for option in options]
    words = ["backend=http", *named, *given]
    return Answerer(words, {"BOT_KEY": SECRET}, lambda: [heard.json["q"] for heard in bot.heard])


HEADER = "headers={Authorization: {env: BOT_KEY, prefix: 'Bearer '}}"


@contextmanager
def http(_: Path, behaviour: Behaviour) -> Iterator[Answerer]:
    with _bot(behaviour) as bot:
        yield _answerer(bot, HEADER, "answer=body.reply")


@contextmanager
def http_stream(_: Path, behaviour: Behaviour) -> Iterator[Answerer]:
    with _bot(behaviour, streams=True) as bot:
        yield _answerer(bot, HEADER, "stream={format: sse, delta: data.reply}")


@contextmanager
def http_token(folder: Path, behaviour: Behaviour) -> Iterator[Answerer]:
    script = folder / "print-token"
    script.write_text('#!/bin/sh\necho "$BOT_KEY"\n')
    script.chmod(0o755)
    with _bot(behaviour) as bot:
        auth = f"auth={{token_command: [{script}], lifetime: 600}}"
        yield _answerer(bot, auth, "answer=body.reply")


HTTP_ANSWERERS: dict[str, Callable[[Path, Behaviour], AbstractContextManager[Answerer]]] = {
    "http": http,
    "http, streamed": http_stream,
    "http, with a token": http_token,
}
