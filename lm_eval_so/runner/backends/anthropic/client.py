"""What the SDK's client sends beside a body; loaded with the SDK, an extra.

Nothing is sent with the client itself: its own way costs 2.5 ms of CPU a request.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from anthropic import AsyncAnthropic
from httpx2 import AsyncBaseTransport, AsyncClient

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.anthropic.environment import Account
    from lm_eval_so.runner.backends.http.connection import Connection

_TELEMETRY = "X-Stainless-"


def with_sdk_headers(connection: Connection, account: Account) -> Connection:
    """The connection with the headers that the SDK sends for an account.

    A credential that is given keeps the SDK from profiles and tokens of its own. Below the client
    stands no HTTP client of its own, which would read proxies and certificates from the
    environment by rules of its own.
    """
    client = AsyncAnthropic(
        api_key=None if account.by_token else account.credential,
        auth_token=account.credential if account.by_token else None,
        base_url=connection.address,
        http_client=AsyncClient(transport=AsyncBaseTransport(), trust_env=False),
    )
    # Given as an argument, the SDK would add what ANTHROPIC_CUSTOM_HEADERS says, unchecked.
    client._custom_headers = connection.headers  # noqa: SLF001 - as above
    # The SDK marks what is left out with an object, and its telemetry is of no use here.
    headers = {
        name: value
        for name, value in {**client.auth_headers, **client.default_headers}.items()
        if isinstance(value, str) and not name.startswith(_TELEMETRY)
    }
    return replace(connection, headers=headers)
