"""A server that answers with given bytes, on a real socket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def reply(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    announced = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", f"Content-Length: {announced}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


@dataclass
class ScriptedServer:
    """Answers the ``nth`` request, from 1, with the bytes that ``behave`` gives.

    Attributes:
        received: Method, path and body of each request.
        connections: How many there were.
        port: Where it listens, from the first request on.
    """

    behave: Callable[[int, ScriptedServer], bytes]
    received: list[tuple[str, str, bytes]] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, _ = head.decode("latin-1").split(" ", 2)
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
                self.received.append((method, path, await reader.readexactly(length)))
                writer.write(self.behave(len(self.received), self))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class ClosingServer(ScriptedServer):
    """Answers one request of a connection, and closes it."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.behave(1, self))
        await writer.drain()
        writer.close()
