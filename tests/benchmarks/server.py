"""A fake provider in a process of its own, with as little work per request as a server can do.

Its `Behaviour` is JSON on the command line, and it ends with its stdin. Its first line on stdout
has two ports: that of the questions, and another that takes connections at all times, where
``GET /stats`` gives what it has seen as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import sys
from functools import partial
from typing import TYPE_CHECKING, cast

from admission import Admission
from behaviour import Behaviour
from books import GONE, RESET, Books
from listener import Listener
from lm_eval_so.runner.host import event_loop
from service import service
from timers import ExactTimers

if TYPE_CHECKING:
    from admission import Refusal

_CLOSE = "connection: close\r\n"
_HEAD_END = b"\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger for 0 s: the client gets ECONNRESET
_ANSWER_TOKENS = 16


class Provider:
    """The state that all connections share."""

    def __init__(self, behaviour: Behaviour) -> None:
        timers, chance = ExactTimers(), random.Random(7)
        self.behaviour = behaviour
        self.books = Books(timers.now)
        self.admission = Admission(behaviour, timers.now, chance)
        self.service = service(behaviour, timers, chance)
        self.listener, self.side_door = (Listener(lambda: Connection(self)) for _ in range(2))
        self.connections: set[Connection] = set()
        self.serving = 0
        self.closes = behaviour.close or bool(behaviour.refuse_share)
        self.chance = chance

    async def listen(self) -> None:
        """Opens the port, and then closes and opens it as the behaviour says."""
        await self.listener.open()
        await self.side_door.open()
        print(self.listener.port, self.side_door.port, flush=True)  # noqa: T201 - the caller reads it
        if self.behaviour.refuse_share:
            await self.listener.flicker(self.behaviour.refuse_share, self.chance)
        elif self.behaviour.away and not self.behaviour.away_status:
            await self.go_away(*self.behaviour.away)

    async def go_away(self, begin_s: float, end_s: float) -> None:
        while self.books.since_first() < begin_s:
            await asyncio.sleep(0.01)
        self.listener.close()
        for connection in list(self.connections):
            connection.reset()
        await asyncio.sleep(end_s - self.books.since_first())
        await self.listener.open()


class Connection(asyncio.Protocol):
    """HTTP/1.1 without anything that the benchmarks do not need."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.provider.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.provider.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.data += data
        end = self.data.find(_HEAD_END)
        if end < 0:
            return
        if self.data.startswith(b"GET"):
            self.data = b""
            self.write(200, json.dumps(self.provider.books.report()).encode())
            return
        head = self.data[:end].lower()
        at = head.index(b"content-length:") + 15
        length = int(head[at:].split(b"\r\n", 1)[0])
        body = self.data[end + 4 :]
        if len(body) >= length:
            self.data = b""
            self.asked(body)

    def asked(self, body: bytes) -> None:
        provider, books = self.provider, self.provider.books
        books.arrived()
        tokens = len(body) // 4 + _ANSWER_TOKENS
        refusal = provider.admission.refusal(tokens, provider.serving, books.since_first())
        if refusal:
            self.refuse(refusal)
        else:
            provider.serving += 1
            provider.service.serve(partial(self.answer, body))

    def refuse(self, refusal: Refusal) -> None:
        self.provider.books.left(refusal.status)
        if refusal.status == RESET:
            self.reset()
        else:
            self.write(refusal.status, refusal.body, refusal.headers)

    def answer(self, body: bytes) -> None:
        self.provider.serving -= 1
        if self.transport.is_closing():
            self.provider.books.left(GONE)
            return
        prompt = len(body) // 4
        tokens = prompt + _ANSWER_TOKENS
        self.provider.books.answered(body, tokens)
        usage = (
            f'{{"prompt_tokens":{prompt},"completion_tokens":{_ANSWER_TOKENS},'
            f'"total_tokens":{tokens}}}'
        )
        self.write(
            200,
            b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"fake",'
            b'"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant",'
            b'"content":"The answer is four, as you will have thought yourself."}}],"usage":'
            + usage.encode()
            + b"}",
        )

    def reset(self) -> None:
        plain = self.transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def write(self, status: int, body: bytes, extra: str = "") -> None:
        closes = self.provider.closes
        head = (
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n{_CLOSE * closes}"
            f"{self.provider.admission.limit_headers()}{extra}\r\n"
        )
        self.transport.write(head.encode() + body)
        if closes:
            self.transport.close()


async def main() -> None:
    provider = Provider(Behaviour(**json.loads(sys.argv[1])))
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(provider.listen())
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        listening.cancel()


if __name__ == "__main__":
    event_loop.run(main())
