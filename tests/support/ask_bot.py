"""A chatbot with an API of its own, and a backend for it on what all backends over HTTP share."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import orjson

from lm_eval_so import ChatBackend, ChatResponse
from lm_eval_so.runner.backends.http.environment import connect_to
from lm_eval_so.runner.backends.http.error_response import from_status, without_an_answer
from lm_eval_so.runner.backends.http.header import request_id
from lm_eval_so.runner.backends.http.json_body import invalid_body, read_json
from lm_eval_so.runner.backends.http.transport import Transport
from lm_eval_so.runner.config.schema import Config
from support.patience import PATIENCE_S

if TYPE_CHECKING:
    from types import TracebackType

    from lm_eval_so import RunConfig, RunRequest

TOKEN = "token-0123456789"  # noqa: S105 - of nobody


class AskOptions(Config):
    base_url: str


class AskBackend(ChatBackend):
    """Posts ``{"question": ...}`` and reads ``{"answer": ...}``."""

    options: AskOptions
    options_model = AskOptions
    operational_options = frozenset({"base_url"})

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        headers = [("Authorization", f"Token {TOKEN}")]
        self._connection = connect_to(self.options.base_url, os.environ, headers=headers)

    @property
    def endpoint(self) -> str:
        return self._connection.endpoint

    @property
    def secrets(self) -> list[str]:
        return self._connection.secrets

    async def __aenter__(self) -> Self:
        transport = Transport(self._connection, "/ask", longest=self.longest_answer)
        self._transport = await transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._transport.__aexit__(kind, error, traceback)

    async def send(self, request: RunRequest) -> ChatResponse:
        body = orjson.dumps({"question": request.messages[-1]["content"]})
        answer = await self._transport.post(body, {}, request.journal.left_again)
        if not answer.ok:
            raise from_status(*answer)
        said = read_json(answer.body)
        if not (isinstance(said, dict) and isinstance(said.get("answer"), str)):
            raise without_an_answer(invalid_body("the answer holds no text", said), said)
        return ChatResponse(
            text=said["answer"],
            status_code=answer.status,
            request_id=request_id(answer.headers),
            headers=answer.headers,
            raw=said,
        )


REPLIES: dict[str, tuple[int, dict[str, str], bytes]] = {
    "busy": (429, {"Retry-After": "0.2"}, b'{"error": "slow down"}'),
    "broken": (500, {}, b'{"detail": "out of order"}'),
    "page": (200, {}, b"<html><title>Sign in</title></html>"),
    "page-404": (404, {}, b"<html><title>Not here</title></html>"),
    "words": (200, {}, b'{"error": {"message": "too fast", "code": 429}}'),
    "number": (200, {}, b'{"answer": 5}'),
    "cut": (200, {"Content-Length": "100", "Connection": "close"}, b'{"answer": "hal'),
    "torn": (200, {}, b'{"answer": "hal'),
    "moved": (302, {"Location": "https://elsewhere.example/ask"}, b""),
}
"""Status, headers and body by question."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: AskBot

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["question"]
        bot = self.server
        bot.asked[question] += 1
        bot.heard.append((self.path, dict(self.headers)))
        answer = json.dumps({"answer": f"heard {question}"}).encode()
        if question == "hang":
            bot.closing.wait(60)
            self.close_connection = True
        elif question == "busy" and bot.asked[question] > 1:
            self._reply(200, {}, answer)
        else:
            self._reply(*REPLIES.get(question, (200, {}, answer)))

    def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        given = {"Content-Length": str(len(body)), "X-Request-Id": "r-1", **headers}
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - http.server's own
        """Nobody reads it."""


class AskBot(ThreadingHTTPServer):
    """The chatbot, on a real socket.

    Attributes:
        asked: Times that each question came.
        heard: Path and headers of each request.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: Counter[str] = Counter()
        self.heard: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/bot"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join(PATIENCE_S)
        self.server_close()
