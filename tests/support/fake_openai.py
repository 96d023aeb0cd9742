"""An OpenAI-compatible server on a real socket, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from support.app_server import serve_app
from support.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext
    from types import TracebackType


@dataclass(frozen=True)
class Received:
    """One request, as it arrived."""

    body: dict[str, Any]
    headers: dict[str, str]
    at: float
    path: str = ""

    @property
    def question(self) -> str:
        """The content of the last message."""
        return self.conversation[-1]["content"]

    @property
    def conversation(self) -> list[dict[str, Any]]:
        """The messages; of Responses, the input."""
        return self.body.get("messages") or self.body["input"]


@dataclass(frozen=True)
class Reply:
    """What the server does with a request; the default is a completion that echoes the question."""

    text: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    reset: bool = False
    hang: bool = False
    latency: float = 0.0
    message: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


def echo(question: str) -> str:
    return f"echo: {question}"


class FakeOpenAI:
    """Answers questions; `requests` keeps what arrived, `answered` what left.

    Nobody is answered before it is `ready`.
    """

    path = "/v1/chat/completions"

    def __init__(
        self,
        behave: Callable[[Received, int], Reply] | None = None,
        *,
        port: int = 0,
        tls: SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self.port = port
        self.behave = behave or (lambda _received, _nth: Reply())
        self.ready: Callable[[], object] = lambda: True
        self.models = ["gpt-4o", "gpt-4o-mini", "o3"]
        self.requests: list[Received] = []
        self.answered: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0
        self.connections: set[object] = set()
        self._asked: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(PATIENCE_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    @property
    def base_url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}/v1"

    @property
    def env(self) -> dict[str, str]:
        """What a client needs in its environment."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": "sk-fake-key-0123456789"}

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        self._closing = asyncio.Event()
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post(self.path, self._completions)
        azure = "/openai/deployments/{name}/chat/completions"
        app.router.add_post(azure, self._completions)
        app.router.add_get("/v1/models", self._models)
        listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self.port = listener.getsockname()[1]
        self._up.set()
        await serve_app(app, listener, self._closing, self._tls)

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        received = Received(
            json.loads(await request.read()),
            dict(request.headers),
            time.time(),
            request.path_qs,
        )
        self.requests.append(received)
        self.connections.add(request.transport)
        question = json.dumps(received.conversation, sort_keys=True)
        self._asked[question] += 1
        reply = self.behave(received, self._asked[question])
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            while not self.ready():
                await asyncio.sleep(0.01)
            return await self._reply(request, received, reply, question)
        finally:
            self.in_flight -= 1

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name} for name in self.models]})

    async def _reply(
        self, request: web.Request, received: Received, reply: Reply, question: str
    ) -> web.StreamResponse:
        await asyncio.sleep(reply.latency)
        if reply.hang:
            await self._closing.wait()
            return web.Response(status=503)
        if reply.reset:
            assert request.transport is not None
            request.transport.abort()
        elif reply.status == 200 and reply.body is None:
            self.answered[question] += 1
        if received.body.get("stream") and reply.status == 200 and reply.body is None:
            return await self._stream(request, received, reply)
        body = reply.body
        if body is None:
            body = json.dumps(self._body(received, reply)).encode()
        headers = {"x-request-id": f"req-{len(self.requests)}", **reply.headers}
        return web.Response(
            status=reply.status, body=body, headers=headers, content_type="application/json"
        )

    def _body(self, received: Received, reply: Reply) -> dict[str, Any]:
        if reply.status != 200:
            return {"error": {"message": reply.text or "no", "code": None, **reply.extra}}
        text = reply.text if reply.text is not None else echo(received.question)
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": text, **reply.message},
        }
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": f"{received.body['model']}-2026-01-01",
            "system_fingerprint": "fp_1",
            "choices": [choice | {"index": n} for n in range(received.body.get("n", 1))],
            "usage": usage,
            **reply.extra,
        }

    async def _stream(
        self, request: web.Request, received: Received, reply: Reply
    ) -> web.StreamResponse:
        response = await self._events(request)
        text = reply.text if reply.text is not None else echo(received.question)
        head = {"id": "chatcmpl-1", "model": f"{received.body['model']}-2026-01-01"}
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": character} for character in text]
        for delta in deltas:
            await self._event(response, head | {"choices": [{"index": 0, "delta": delta}]})
        last = {"index": 0, "delta": {}, "finish_reason": "stop"}
        await self._event(response, head | {"choices": [last]})
        if (received.body.get("stream_options") or {}).get("include_usage"):
            usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
            await self._event(response, head | {"choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        return response

    @staticmethod
    async def _events(request: web.Request) -> web.StreamResponse:
        """The head of a stream of events."""
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream", "x-request-id": "req-stream"}
        )
        await response.prepare(request)
        return response

    @staticmethod
    async def _event(response: web.StreamResponse, event: dict[str, Any]) -> None:
        await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
