"""An HTTP proxy on a real socket, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from support.app_server import let_nobody_in
from support.patience import PATIENCE_S

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

_END = b"\r\n\r\n"


class FakeProxy:
    """Opens tunnels for CONNECT and passes on what has an absolute address.

    Attributes:
        status: ``503 Service Unavailable`` refuses with it; None lets everybody through.
        asked: First lines of what arrived.
        authorisations: Their ``Proxy-Authorization`` headers.
    """

    def __init__(self, status: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.status = status
        self.asked: list[str] = []
        self.authorisations: list[str] = []
        self.port = 0
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

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
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._closing = asyncio.Event()
        server = await asyncio.start_server(self._turn, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._closing.wait()
        await let_nobody_in(server.sockets[0])
        server.close()
        turns = asyncio.all_tasks() - {asyncio.current_task()}
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)
        for _ in range(20):  # a transport that was closed lets its socket go some turns later
            await asyncio.sleep(0)

    async def _turn(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._served(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            writer.transport.abort()  # the client or the test went away
        finally:
            writer.close()

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(_END)
        first, *lines = head.decode().splitlines()
        self.asked.append(first)
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        self.authorisations += [
            line.partition(": ")[2] for line in lines if line.lower().startswith("proxy-auth")
        ]
        method, target, _ = first.split()
        if self.status is not None:
            writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: 0{_END.decode()}".encode())
            await writer.drain()
            return
        place = urlsplit(f"//{target}" if method == "CONNECT" else target)
        there = await asyncio.open_connection(place.hostname, place.port)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established" + _END)
            else:
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                path = place.path + (f"?{place.query}" if place.query else "")
                there[1].write(head.replace(target.encode(), path.encode(), 1) + body)
            await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
        except BaseException:
            there[1].transport.abort()
            raise
        finally:
            there[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1 << 16):
        writer.write(piece)
        await writer.drain()
    writer.close()
