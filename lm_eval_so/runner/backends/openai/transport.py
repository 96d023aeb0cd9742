"""Requests over a lean HTTP session that takes its address and headers from the SDK's client.

The SDK's own way costs 0.5 ms of CPU a request at the least, several times what all the rest of a
run costs.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from lm_eval_so.runner.backends.base import LONGEST_ANSWER
from lm_eval_so.runner.backends.openai.body import read_json
from lm_eval_so.runner.backends.openai.faults import Faults
from lm_eval_so.runner.backends.openai.kept import KEPT_S, Sending, new_socket, resending
from lm_eval_so.runner.backends.openai.received import Answer, Stream
from lm_eval_so.runner.backends.openai.redirect import moved_to
from lm_eval_so.runner.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from ssl import SSLContext
    from types import TracebackType

    from aiohttp import BaseConnector, ClientResponse, ClientSession
    from openai import AsyncOpenAI
    from yarl import URL

    from lm_eval_so.runner.backends.openai.connection import Connection


_REFUSED = 400
_PATIENCE = 5  # seconds for a list of models
_LONGEST_LINE = 1 << 16
"""Bytes of a header. Gateways send 9 KB of Set-Cookie; nginx takes 8 KB in its default, Node 16 KB
for all headers, Envoy 60 KB, and curl 100 KB."""
_MOST_HEADERS = 1000
_DRAIN_S = 0.1
"""Seconds for the end of a body whose answer is whole, so that its connection can be kept; as long
as the OpenAI SDK gives it."""
_LONGEST_DRAIN = 1 << 20  # bytes
_LONGEST_LIST = 4_000_000  # bytes; OpenRouter's list of models has 0.5 MB
_MOST_REDIRECTS = 1


class Transport:
    """Posts JSON to one address; concurrency, timeouts and retries are the strategies' affair.

    What was lost on a kept connection is sent again, once, on one of its own.

    Args:
        client: The SDK's; it says what is sent beside the body, and sends nothing itself.
        path: Behind the base URL.
        connection: How the server is reached; nothing else of the environment is looked at.
        longest: Bytes of one answer, unpacked, at the most.
        clock: In seconds.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        path: str,
        connection: Connection,
        *,
        longest: int = LONGEST_ANSWER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._longest = longest
        self._connection = connection
        self._faults = Faults(connection)
        query = urlencode(connection.query)
        self._url = f"{str(client.base_url).rstrip('/')}{path}{'?' if query else ''}{query}"
        self._headers = {**client.auth_headers, **client.default_headers}

    async def __aenter__(self) -> Self:
        import aiohttp  # noqa: PLC0415 - not for --help
        from yarl import URL  # noqa: PLC0415 - as above

        from lm_eval_so.runner.backends.http.connector import Connector  # noqa: PLC0415 - as above

        self._target = URL(self._url)
        tls = _tls_context(self._connection)
        self._session = self._opened(
            Connector(limit=0, ssl=tls, keepalive_timeout=KEPT_S, socket_factory=new_socket)
        )
        self._once = self._opened(Connector(limit=0, ssl=tls, force_close=True))
        self._unreachable = (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError)
        self._disconnected = aiohttp.ServerDisconnectedError
        self._closed = (
            *(aiohttp.ServerDisconnectedError, aiohttp.ClientOSError),
            aiohttp.ClientConnectionResetError,
        )
        self._broken = (
            *(aiohttp.ClientError, aiohttp.http.HttpProcessingError),
            *(OSError, zlib.error),
        )
        return self

    def _opened(self, connector: BaseConnector) -> ClientSession:
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar  # noqa: PLC0415 - as above
        from multidict import CIMultiDict  # noqa: PLC0415 - as above

        headers: CIMultiDict[str] = CIMultiDict()
        for name, value in self._headers.items():
            # The SDK marks what is left out with an object, and its telemetry is of no use here.
            if isinstance(value, str) and not name.startswith("X-Stainless-"):
                headers[name] = value
        return ClientSession(
            connector=connector,
            timeout=ClientTimeout(total=None, sock_connect=None),
            headers=headers,
            cookie_jar=DummyCookieJar(),
            trust_env=False,
            proxy=None if self._connection.proxy is None else self._connection.proxy.url,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            max_headers=_MOST_HEADERS,
        )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._once.close()
        await self._session.close()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Sends and reads the whole answer, whatever its status.

        Raises:
            BackendError: There is no whole answer.
        """
        try:
            async with await self._head(body, headers) as answer:
                whole = await Stream(answer, self._longest).whole()
                self._faults.check(whole.status, whole.body)
                return whole
        except self._broken as error:
            raise await self._faults.explained(error) from error

    @asynccontextmanager
    async def stream(self, body: bytes, headers: Mapping[str, str]) -> AsyncIterator[Stream]:
        """Sends and gives the answer as soon as its head is there, whatever its status.

        What is not read when the context ends is not waited for, but for a moment.

        Raises:
            BackendError: There is no answer, or it broke while it was read.
        """
        try:
            async with await self._head(body, headers) as answer:
                stream = Stream(answer, self._longest)
                refused = stream.status == _REFUSED  # its body may say that TLS is asked for
                self._faults.check(stream.status, (await stream.whole()).body if refused else b"")
                yield stream
                with suppress(TimeoutError, *self._broken):
                    async with asyncio.timeout(_DRAIN_S):
                        await stream.drain(_LONGEST_DRAIN)
        except self._broken as error:
            raise await self._faults.explained(error) from error

    async def _head(self, body: bytes, headers: Mapping[str, str]) -> ClientResponse:
        """The answer as soon as its head is there.

        A redirect is followed, once, where it keeps the question and leads to the same host;
        another one is the answer.
        """
        target, followed = self._target, 0
        while True:
            answer = await self._sent(target, body, headers)
            moved = moved_to(answer)
            if moved is None or followed == _MOST_REDIRECTS:
                return answer
            answer.release()
            target, followed = moved, followed + 1

    async def _sent(self, target: URL, body: bytes, headers: Mapping[str, str]) -> ClientResponse:
        sending = Sending(self._clock).watch()
        try:
            return await self._session.post(
                target, data=body, headers=headers, allow_redirects=False
            )
        except self._closed as error:
            if not self._is_lost(error, sending):
                raise
        resending()
        return await self._once.post(target, data=body, headers=headers, allow_redirects=False)

    def _is_lost(self, error: Exception, sending: Sending) -> bool:
        """Whether the request was lost before anybody read it."""
        if isinstance(error, self._unreachable):  # there was no connection, kept or new
            return False
        begun = isinstance(error, self._disconnected) and not isinstance(error.message, str)
        return sending.lost and not begun  # aiohttp gives half a head as the message

    async def model_names(self) -> list[str]:
        """What the server says it has; nothing where it does not say."""
        address = (self._target.parent.parent / "models").with_query(self._target.query)
        try:
            getting = self._session.get(address, allow_redirects=False)
            async with asyncio.timeout(_PATIENCE), getting as answer:
                listed = read_json((await Stream(answer, _LONGEST_LIST).whole()).body)
        except (BackendError, *self._broken):
            return []
        rows = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(rows, list):
            return []
        return [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]


def _tls_context(connection: Connection) -> SSLContext | bool:
    """What the variables name, else the SDK's, which knows where systems keep certificates."""
    proxy = connection.proxy
    if not (connection.address.startswith("https:") or (proxy is not None and proxy.encrypted)):
        return True
    if connection.trust is not None:
        return connection.trust
    from httpx2 import create_ssl_context  # noqa: PLC0415 - loaded with the client

    return create_ssl_context(trust_env=False)
