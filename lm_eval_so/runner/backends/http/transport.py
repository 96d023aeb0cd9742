"""Requests over a lean HTTP session, made of plain values: see `Connection`."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NoReturn, Self

from lm_eval_so.runner.backends.base import LONGEST_ANSWER, Outgoing
from lm_eval_so.runner.backends.http.keep_alive import KEEP_ALIVE_S, Sending, new_socket
from lm_eval_so.runner.backends.http.packed_body import CODINGS
from lm_eval_so.runner.backends.http.redirect import moved_to
from lm_eval_so.runner.backends.http.response_body import Answer, Stream, wire_errors
from lm_eval_so.runner.backends.http.tls import default_trust
from lm_eval_so.runner.backends.http.transport_errors import TransportErrors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container, Mapping
    from ssl import SSLContext

    from aiohttp import (
        BaseConnector,
        ClientHandlerType,
        ClientMiddlewareType,
        ClientRequest,
        ClientResponse,
        ClientSession,
    )
    from yarl import URL

    from lm_eval_so.runner.backends.http.connection import Connection


_REFUSED = 400
_LONGEST_LINE = 1 << 16
"""Bytes of a header. Gateways send 9 KB of Set-Cookie; nginx takes 8 KB in its default, Node 16 KB
for all headers, Envoy 60 KB, and curl 100 KB."""
_MOST_HEADERS = 1000
_DRAIN_S = 0.1
"""Seconds for the end of a body whose answer is whole, so that its connection can be kept; as long
as the OpenAI SDK gives it."""
_LONGEST_DRAIN = 1 << 20  # bytes
_MOST_REDIRECTS = 1
_JSON = "application/json"


def _uncounted() -> None:
    """Nobody counts what is sent again."""


class _StoppedError(Exception):
    """A request that is not sent."""

    def __init__(self, request: ClientRequest) -> None:
        super().__init__(request)
        self.request = request


async def _stop(request: ClientRequest, _: ClientHandlerType) -> NoReturn:
    """The step of aiohttp's after which a request would leave."""
    raise _StoppedError(request)


class Transport:
    """Asks at one address; concurrency, timeouts and retries are the strategies' affair.

    What was lost on a kept connection is sent again, once, on one of its own.

    Args:
        connection: How the server is reached; nothing else of the environment is looked at.
        path: Behind its address; the questions are posted there.
        longest: Bytes of one answer, unpacked, at the most.
        clock: In seconds.
        method: Of every request.
        answered: Statuses beside the 2xx whose body is an answer.
    """

    def __init__(  # noqa: PLR0913 - each may be given alone
        self,
        connection: Connection,
        path: str,
        *,
        longest: int = LONGEST_ANSWER,
        clock: Callable[[], float] = time.monotonic,
        method: str = "POST",
        answered: Container[int] = (),
    ) -> None:
        self._clock = clock
        self._method = method
        self._longest = longest
        self._answered = answered
        self._connection = connection
        self._path = path
        self._errors = TransportErrors(connection)

    async def __aenter__(self) -> Self:
        import aiohttp  # noqa: PLC0415 - not for --help
        from yarl import URL  # noqa: PLC0415 - as above

        from lm_eval_so.runner.backends.http.connector import Connector  # noqa: PLC0415 - as above

        self._target = URL(self._connection.url(self._path))
        tls = self._trust()
        self._session = self._opened(
            Connector(limit=0, ssl=tls, keepalive_timeout=KEEP_ALIVE_S, socket_factory=new_socket)
        )
        self._once = self._opened(Connector(limit=0, ssl=tls, force_close=True))
        self._unreachable = (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError)
        self._disconnected = aiohttp.ServerDisconnectedError
        self._closed = (
            aiohttp.ServerDisconnectedError,
            aiohttp.ClientOSError,
            aiohttp.ClientConnectionResetError,
        )
        self._broken = wire_errors()
        return self

    def _opened(self, connector: BaseConnector) -> ClientSession:
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar  # noqa: PLC0415 - as above
        from multidict import CIMultiDict  # noqa: PLC0415 - as above

        headers = CIMultiDict({"Content-Type": _JSON, "Accept": _JSON, "Accept-Encoding": CODINGS})
        for name, value in self._connection.headers.items():
            headers[name] = value  # of names that differ in case alone, the last counts
        return ClientSession(
            connector=connector,
            timeout=ClientTimeout(total=None, sock_connect=self._connection.connect_s),
            headers=headers,
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            proxy=None if self._connection.proxy is None else self._connection.proxy.url,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            max_headers=_MOST_HEADERS,
        )

    async def __aexit__(self, *_: object) -> None:
        await self._once.close()
        await self._session.close()

    async def post(
        self,
        body: bytes,
        headers: Mapping[str, str],
        resent: Callable[[], None] = _uncounted,
        at: str = "",
    ) -> Answer:
        """Sends and reads the whole answer, whatever its status.

        Args:
            body: JSON, or what a ``Content-Type`` among the headers says.
            headers: Of this request alone.
            resent: Called when the request is sent again.
            at: Where to, encoded; empty for the address of all.

        Raises:
            BackendError: There is no whole answer.
        """
        try:
            async with await self._head(at, body, headers, resent) as answer:
                whole = await Stream(answer, self._longest, self._answered).whole()
                self._errors.check(whole.status, whole.body)
                return whole
        except self._broken as error:
            raise await self._errors.explain(error) from error

    @asynccontextmanager
    async def stream(
        self,
        body: bytes,
        headers: Mapping[str, str],
        resent: Callable[[], None] = _uncounted,
        at: str = "",
    ) -> AsyncIterator[Stream]:
        """As `post`, but gives the answer as soon as its head is there.

        What is not read when the context ends is not waited for, but for a moment.

        Raises:
            BackendError: There is no answer, or it broke while it was read.
        """
        try:
            async with await self._head(at, body, headers, resent) as answer:
                stream = Stream(answer, self._longest, self._answered)
                refused = stream.status == _REFUSED  # its body may say that TLS is asked for
                self._errors.check(stream.status, (await stream.whole()).body if refused else b"")
                yield stream
                with suppress(TimeoutError, *self._broken):
                    async with asyncio.timeout(_DRAIN_S):
                        await stream.drain(_LONGEST_DRAIN)
        except self._broken as error:
            raise await self._errors.explain(error) from error

    async def _head(
        self, at: str, body: bytes, headers: Mapping[str, str], resent: Callable[[], None]
    ) -> ClientResponse:
        """The answer as soon as its head is there.

        A redirect is followed, once, where it keeps the question and leads to the same host;
        another one is the answer.
        """
        target, followed = self._place(at), 0
        while True:
            answer = await self._sent(target, body, headers, resent)
            moved = moved_to(answer)
            if moved is None or followed == _MOST_REDIRECTS:
                return answer
            answer.release()
            target, followed = moved, followed + 1

    async def _sent(
        self, target: URL, body: bytes, headers: Mapping[str, str], resent: Callable[[], None]
    ) -> ClientResponse:
        sending = Sending(self._clock).watch()
        try:
            return await self._post(self._session, target, body, headers)
        except self._closed as error:
            if not self._is_lost(error, sending):
                raise
        resent()
        return await self._post(self._once, target, body, headers)

    def _place(self, at: str) -> URL:
        return type(self._target)(at, encoded=True) if at else self._target

    async def preview(self, body: bytes, headers: Mapping[str, str], at: str = "") -> Outgoing:
        """The request that `post` would send, stopped before there is a connection."""
        try:
            await self._post(self._session, self._place(at), body, headers, _stop)
        except _StoppedError as stopped:
            request = stopped.request
        return Outgoing(request.method, str(request.url), [*request.headers.items()], body)

    async def _post(
        self,
        session: ClientSession,
        target: URL,
        body: bytes,
        headers: Mapping[str, str],
        *middlewares: ClientMiddlewareType,
    ) -> ClientResponse:
        return await session.request(
            self._method,
            target,
            data=body,
            headers=headers,
            allow_redirects=False,
            middlewares=middlewares,
        )

    def _is_lost(self, error: Exception, sending: Sending) -> bool:
        """Whether the request was lost before anybody read it."""
        if isinstance(error, self._unreachable):  # there was no connection, kept or new
            return False
        begun = isinstance(error, self._disconnected) and not isinstance(error.message, str)
        return sending.lost and not begun  # aiohttp gives half a head as the message

    async def get(self, path: str, *, longest: int) -> Answer:
        """What stands at another path, read to its end; for a look, not for a question.

        Args:
            path: Behind the address of the connection.
            longest: Bytes at the most.

        Raises:
            BackendError: There is no whole answer.
        """
        try:
            async with self._session.get(
                self._connection.url(path), allow_redirects=False
            ) as answer:
                return await Stream(answer, longest).whole()
        except self._broken as error:
            raise await self._errors.explain(error) from error

    def _trust(self) -> SSLContext | bool:
        if not self._connection.encrypted:
            return True
        return self._connection.trust or default_trust()
