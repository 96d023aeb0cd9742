"""Failures below HTTP (connection, TLS, proxy) to errors of ours."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lm_eval_so.runner.backends.http.error_response import from_proxy
from lm_eval_so.runner.backends.http.tls import asks_for_tls, speaks_tls, tls_fault
from lm_eval_so.runner.errors import (
    APIConnectionError,
    BackendError,
    EndpointUnreachableError,
    ProxyAuthenticationError,
    ProxyError,
    TLSError,
)
from lm_eval_so.runner.text.one_line import one_line

if TYPE_CHECKING:
    from aiohttp import ClientConnectorError, ClientHttpProxyError, ClientResponseError

    from lm_eval_so.runner.backends.http.connection import Connection

_BAD_REQUEST = 400
_PLAIN = "its address must start with http://"
_LONGEST_REASON = 200  # characters
_ALERT = "ALERT"  # in OpenSSL's words for what the other side refuses
_NO_STATUS = "Bad status line"  # in aiohttp's words
_GONE = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
_CUT_SHORT = (*_GONE, ConnectionResetError, BrokenPipeError)


class TransportErrors:
    """Tells failures of TLS and of a proxy from a server that is away.

    Before the first answer such a failure means a wrong setting, and is not retried. After it, the
    same failure means an outage, and is retried.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._proxy = connection.proxy
        parts = urlsplit(connection.address)
        self._host, self._port = parts.hostname or "", parts.port
        self._encrypted = parts.scheme == "https"
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._answered = False
        self._asking = asyncio.Lock()
        self._speaks_tls: bool | None = None  # None while nobody has looked

    def check(self, status: int, body: bytes) -> None:
        """Notes an answer.

        Raises:
            TLSError: It says that TLS must be spoken.
        """
        if self._answered:
            return
        plain = not self._encrypted and status == _BAD_REQUEST
        if plain and asks_for_tls(body):
            raise self._wants_tls()
        self._answered = True

    async def explain(self, error: Exception) -> BackendError:
        """The error of ours for one of aiohttp or of the system."""
        import aiohttp  # noqa: PLC0415 - loaded by now

        if isinstance(error, aiohttp.ClientHttpProxyError):
            return self._refused_by_proxy(error)
        told = _said_by_openssl(error)
        connecting = isinstance(error, aiohttp.ClientConnectorError)
        if told is not None and (connecting or _ALERT in (told.reason or "")):
            return self._of_tls(error, told)
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if isinstance(error, aiohttp.ClientResponseError):  # aiohttp's parser calls all this 400
            reason = self._no_http(error)
        if isinstance(error, aiohttp.ClientConnectorError):
            return self._not_connected(error, reason)
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return EndpointUnreachableError(f"{self._origin} answers no connection in time")
        hung_up = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
        no_http = (aiohttp.ClientResponseError, aiohttp.http.HttpProcessingError)
        if isinstance(error, (*hung_up, *no_http)) and await self._is_tls_asked_for():
            return self._wants_tls()
        return APIConnectionError(reason)

    def _no_http(self, error: ClientResponseError) -> str:
        """What the parser says, but for what is no HTTP from its first byte: SSH, HTTP/2, Redis."""
        if error.message.startswith(_NO_STATUS) and not self._answered:
            return f"{self._origin} does not speak HTTP/1.1: check its address and its port"
        return f"what came is no valid HTTP: {one_line(error.message, _LONGEST_REASON)}"

    def _not_connected(self, error: ClientConnectorError, reason: str) -> BackendError:
        cause = error.os_error
        if self._proxy is not None:
            return self._of_proxy(f"takes no connections ({_words(cause)})")
        if self._encrypted and isinstance(cause, ConnectionAbortedError):  # asyncio's bound
            sentence = f"{self._origin} answers no TLS handshake: {_PLAIN}"
            return TLSError(sentence, retryable=self._answered)
        if self._encrypted and isinstance(cause, _CUT_SHORT):
            reason = (
                f"{self._origin} breaks off the TLS handshake ({_words(cause)}); if it speaks no "
                f"TLS, {_PLAIN}"
            )
        return EndpointUnreachableError(reason)

    def _refused_by_proxy(self, error: ClientHttpProxyError) -> BackendError:
        found = from_proxy(error.status, error.message)
        if isinstance(found, ProxyAuthenticationError) or (self._answered and found.retryable):
            return found
        return self._of_proxy(
            f"opens no way to {self._origin} ({error.status} {error.message})", error.status
        )

    def _of_proxy(self, what: str, status_code: int | None = None) -> BackendError:
        assert self._proxy is not None  # noqa: S101 - who else would fail like this
        sentence = (
            f"{self._proxy.shown} {what}: check it, or put {self._host} into the variable NO_PROXY"
        )
        if self._answered and status_code is None:
            return EndpointUnreachableError(sentence)
        return ProxyError(sentence, status_code=status_code)

    def _of_tls(self, error: Exception, handshake: ssl.SSLError) -> BackendError:
        """A fault of the proxy's certificate is the proxy's."""
        certificates = self._connection.certificates
        proxy = self._proxy
        reached = (getattr(error, "host", None), getattr(error, "port", None))
        of_proxy = proxy is not None and proxy.encrypted and reached == proxy.place
        who = proxy.shown if proxy is not None and of_proxy else self._origin
        return TLSError(tls_fault(handshake, who, certificates), retryable=self._answered)

    async def _is_tls_asked_for(self) -> bool:
        """Whether a server that breaks off plain HTTP speaks TLS; looked at once."""
        if self._encrypted or self._answered or self._proxy is not None:
            return False
        async with self._asking:
            if self._speaks_tls is None:
                self._speaks_tls = await speaks_tls(self._host, self._port or 80)
        return self._speaks_tls

    def _wants_tls(self) -> TLSError:
        return TLSError(
            f"{self._origin} speaks TLS only: its address must start with https://", retryable=False
        )


def _said_by_openssl(error: BaseException) -> ssl.SSLError | None:
    """Wherever aiohttp keeps it; that the other side went away says nothing about TLS."""
    names = ("certificate_error", "os_error", "__cause__")
    candidates = (error, *(getattr(error, name, None) for name in names))
    told = [found for found in reversed(candidates) if isinstance(found, ssl.SSLError)]
    return None if not told or isinstance(told[0], _GONE) else told[0]


def _words(error: Exception) -> str:
    """``[Errno 111] Connect call failed ...``, as the system says it."""
    return str(error) or type(error).__name__
