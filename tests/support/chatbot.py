"""A chatbot of any kind on a real socket, in a thread of its own; its behaviour is a function."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from support.app_server import serve_app
from support.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Heard:
    """One request, as it arrived.

    Attributes:
        body: Bytes; none of multipart.
        form: Fields of a form; files as their name, type and content.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    form: list[tuple[str, Any]]

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.body)


@dataclass(frozen=True)
class Says:
    """What the bot does with a request.

    Attributes:
        body: JSON data, text or bytes; a list of bytes is sent piece by piece.
        cut: Whether the connection breaks before the end of the pieces.
        hold: Seconds before anything comes.
    """

    body: Any = field(default_factory=lambda: {"reply": "hi"})
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hold: float = 0.0


class Chatbot:
    """Answers all paths as ``behave`` says; `heard` keeps what arrived."""

    def __init__(self, behave: Callable[[Heard], Says] | None = None) -> None:
        self.behave = behave or (lambda _: Says())
        self.heard: list[Heard] = []
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        self._closing = asyncio.Event()
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._answer)
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._port = listener.getsockname()[1]
        self._up.set()
        await serve_app(app, listener, self._closing)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        form = await self._form(request)
        body = b"" if request.content_type.startswith("multipart/") else await request.read()
        heard = Heard(
            request.method,
            request.raw_path.partition("?")[0],
            list(request.query.items()),
            dict(request.headers),
            body,
            form,
        )
        self.heard.append(heard)
        says = self.behave(heard)
        if says.hold:
            await asyncio.sleep(says.hold)
        if isinstance(says.body, list) and says.body and isinstance(says.body[0], bytes):
            return await self._pieces(request, says)
        content = says.body
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str) else json.dumps(content)).encode()
        return web.Response(status=says.status, body=content, headers=says.headers)

    async def _form(self, request: web.Request) -> list[tuple[str, Any]]:
        if not request.content_type.startswith(("multipart/", "application/x-www-form")):
            return []
        if not request.content_type.startswith("multipart/"):
            await request.read()
        fields = await request.post()
        return [
            (name, (value.filename, value.content_type, value.file.read()))
            if isinstance(value, web.FileField)
            else (name, value)
            for name, value in fields.items()
        ]

    async def _pieces(self, request: web.Request, says: Says) -> web.StreamResponse:
        response = web.StreamResponse(status=says.status, headers=says.headers)
        await response.prepare(request)
        for piece in says.body:
            await response.write(piece)
            await asyncio.sleep(0)
        if says.cut:
            assert request.transport is not None
            request.transport.abort()
        return response
