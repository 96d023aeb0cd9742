"""aiohttp's connections, with a bound for the TLS handshake, all closed at the end.

Loaded with aiohttp.
"""

import asyncio
from functools import partial
from typing import Any, cast

from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler

HANDSHAKE_S = 5.0
"""Seconds for a TLS handshake: the OpenAI SDK's bound for a connection. asyncio's own is 60.

A server that speaks no TLS may wait for the end of what it takes for a line of HTTP.
"""

_Open = dict[asyncio.BaseProtocol, asyncio.Transport]


class _Handler(ResponseHandler):
    """Keeps its connection in ``opened`` until the socket is closed."""

    def __init__(self, opened: _Open, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._opened[self] = cast("asyncio.Transport", transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._opened.pop(self, None)
        super().connection_lost(exc)


class Connector(TCPConnector):
    """Gives up a TLS handshake that is not answered, and leaves no socket open.

    aiohttp forgets a connection that it does not keep. Its socket stays open until what is left of
    a question is sent, and until the other side has ended TLS; asyncio waits 30 s for that. If the
    event loop ends before, nobody closes the socket.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - aiohttp's own
        super().__init__(**options)
        self._opened: _Open = {}
        factory = partial(_Handler, self._opened, loop=self._loop)
        self._factory = cast("partial[ResponseHandler]", factory)

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Closes all connections, those included that wait for the other side."""
        for transport in list(self._opened.values()):
            transport.abort()
        await super().close(abort_ssl=abort_ssl)
        await asyncio.sleep(0)  # the loop closes their sockets in its next turn

    async def _wrap_create_connection(
        self,
        *arguments: Any,  # noqa: ANN401 - aiohttp's own
        **options: Any,  # noqa: ANN401 - as above
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        if options.get("ssl"):
            options["ssl_handshake_timeout"] = HANDSHAKE_S
        return await super()._wrap_create_connection(*arguments, **options)

    async def _start_tls_connection(
        self,
        underlying_transport: asyncio.Transport,
        *arguments: Any,  # noqa: ANN401 - as above
        **options: Any,  # noqa: ANN401 - as above
    ) -> tuple[asyncio.BaseTransport, ResponseHandler]:
        # TLS takes over: the handler of the CONNECT is never told that the connection is lost.
        self._opened.pop(underlying_transport.get_protocol(), None)
        return await super()._start_tls_connection(underlying_transport, *arguments, **options)
