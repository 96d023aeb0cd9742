"""What the SDK's client sends beside a body; loaded with the SDK.

Nothing is sent with the client itself: its own way costs 0.5 ms of CPU a request at the least,
several times what all the rest of a run costs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from httpx2 import AsyncBaseTransport, AsyncClient
from openai import AsyncOpenAI

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.http.connection import Connection
    from lm_eval_so.runner.backends.openai.environment import Account

_TELEMETRY, _AUTHORISATION = "X-Stainless-", "Authorization"


def with_sdk_headers(connection: Connection, account: Account) -> Connection:
    """The connection with the headers that the SDK sends for an account.

    Below the client stands no HTTP client of its own, which would read proxies and certificates
    from the environment by rules of its own.
    """
    client = AsyncOpenAI(
        api_key=account.credential,
        base_url=connection.address,
        http_client=AsyncClient(transport=AsyncBaseTransport(), trust_env=False),
    )
    # Given as arguments, the SDK would add what the environment says, and nobody would check it.
    client.organization, client.project = account.organization, account.project
    client._custom_headers = connection.headers  # noqa: SLF001 - as above: OPENAI_CUSTOM_HEADERS
    # The SDK marks what is left out with an object, and its telemetry is of no use here.
    headers = {
        name: value
        for name, value in {**client.auth_headers, **client.default_headers}.items()
        if isinstance(value, str) and not name.startswith(_TELEMETRY)
    }
    if account.key_header is not None:
        headers.pop(_AUTHORISATION, None)
        headers[account.key_header] = account.credential
    return replace(connection, headers=headers)
