"""The SDK's client, made from what was checked; loaded with the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import httpx2
from openai import AsyncOpenAI

from lm_eval_so.runner.backends.openai.stream_client import StreamClient

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.openai.connection import Connection


class _Nowhere(httpx2.AsyncBaseTransport):
    """In the place of an HTTP client that nothing is sent with, and that reads the environment."""

    async def handle_async_request(self, request: httpx2.Request) -> NoReturn:
        raise httpx2.UnsupportedProtocol("requests go out by the transport", request=request)


def sdk_client(connection: Connection, *, streams: bool) -> AsyncOpenAI:
    """The client; with an HTTP client below it only where answers are streamed."""
    client = AsyncOpenAI(
        api_key=connection.credential,
        base_url=connection.address,
        default_query=dict(connection.query),
        max_retries=0,
        timeout=None,
        http_client=StreamClient() if streams else _no_client(),
    )
    # Given as arguments, the SDK would add what the environment says, and nobody would check it.
    client.organization, client.project = connection.organization, connection.project
    client._custom_headers = connection.headers  # noqa: SLF001 - as above: OPENAI_CUSTOM_HEADERS
    return client


def _no_client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=_Nowhere(), trust_env=False, timeout=None)
