"""The SDK's client, made from what was checked; loaded with the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from httpx2 import AsyncBaseTransport, AsyncClient
from openai import AsyncOpenAI

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.openai.connection import Connection


def sdk_client(connection: Connection) -> AsyncOpenAI:
    """The client, which says what is sent beside the body.

    Below it stands no HTTP client of its own, which would read proxies and certificates from the
    environment by rules of its own: nothing is sent with it.
    """
    client = AsyncOpenAI(
        api_key=connection.credential,
        base_url=connection.address,
        http_client=AsyncClient(transport=AsyncBaseTransport(), trust_env=False),
    )
    # Given as arguments, the SDK would add what the environment says, and nobody would check it.
    client.organization, client.project = connection.organization, connection.project
    client._custom_headers = connection.headers  # noqa: SLF001 - as above: OPENAI_CUSTOM_HEADERS
    return client
