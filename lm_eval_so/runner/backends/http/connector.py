"""aiohttp's connections, with a bound for the TLS handshake; loaded with aiohttp."""

import asyncio
from typing import Any

from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler

HANDSHAKE_S = 5.0
"""Seconds for a TLS handshake: the OpenAI SDK's bound for a connection. asyncio's own is 60.

A server that speaks no TLS may wait for the end of what it takes for a line of HTTP.
"""


class Connector(TCPConnector):
    """Gives up a TLS handshake that is not answered."""

    async def _wrap_create_connection(
        self,
        *arguments: Any,  # noqa: ANN401 - aiohttp's own
        **options: Any,  # noqa: ANN401 - as above
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        if options.get("ssl"):
            options["ssl_handshake_timeout"] = HANDSHAKE_S
        return await super()._wrap_create_connection(*arguments, **options)
